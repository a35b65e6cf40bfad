//! A CA with Let's Encrypt's rules: orders, authorizations that are valid for a while, lifetimes that shrink at the
//! announced dates, and limits. Its rules are pure; `ca` speaks them.

use super::time::{DAY, HOUR, Moment};
use crate::acme::OrderStatus;
use crate::model::csr::Csr;
use hickory_proto::rr::Name;
use std::collections::BTreeMap;

/// From a moment on (2027-02-10, 2028-02-16, 00:00 UTC), new certificates live so long, and a proof of control so long. Let's Encrypt, "Decreasing
/// Certificate Lifetimes to 45 Days", 2025-12-02: the `classic` profile.
const LIFETIMES: [(Moment, Moment, Moment); 3] = [
    (Moment::MIN, 90 * DAY, 30 * DAY),
    (1_802_217_600_000, 64 * DAY, 10 * DAY),
    (1_834_272_000_000, 45 * DAY, 7 * HOUR),
];
/// Certificates for one set of names in seven days.
pub(super) const PER_SET: usize = 5;
/// Certificates for one registered domain in seven days.
pub(super) const PER_DOMAIN: usize = 50;
/// Orders of one account in three hours.
pub(super) const PER_ACCOUNT: usize = 300;
/// Failed validations of one name in an hour.
pub(super) const FAILURES: usize = 5;
/// An order is forgotten after a week.
const ORDER_LIVES: Moment = 7 * DAY;
/// CAs date certificates back, for clocks that are late.
pub(super) const BACKDATED: Moment = HOUR;
/// Validating takes the CA so long, and signing.
pub(super) const VALIDATES_IN: Moment = 1_500;
pub(super) const SIGNS_IN: Moment = 800;

/// What an authorization is: one for each identifier of an order.
pub(super) struct Authorization {
    pub(super) identifier: String,
    pub(super) wildcard: bool,
    pub(super) token: String,
    pub(super) state: State,
}

/// Where an authorization stands.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    /// The client answered: the CA looks at this moment.
    Answered(Moment),
    Valid,
    Invalid(String),
}

pub(super) struct Order {
    pub(super) names: Vec<String>,
    pub(super) created: Moment,
    /// Indexes into [`Authority::authorizations`].
    pub(super) authorizations: Vec<usize>,
    /// When it was finalized, and with which request.
    pub(super) finalized: Option<(Moment, Csr)>,
    /// The chain, PEM.
    pub(super) certificate: Option<String>,
}

/// The CA's books.
#[derive(Default)]
pub(super) struct Authority {
    pub(super) orders: Vec<Order>,
    pub(super) authorizations: Vec<Authorization>,
    /// Until when control of an identifier is taken for proven, by identifier with `*.`.
    proven: BTreeMap<String, Moment>,
    /// Certificates: when, for which names.
    pub(super) issued: Vec<(Moment, Vec<String>)>,
    failures: Vec<(Moment, String)>,
}

/// How long a certificate lives that is issued now, and how long a proof of control.
pub(super) fn lifetimes(now: Moment) -> (Moment, Moment) {
    let current = LIFETIMES.iter().rev().find(|(since, ..)| *since <= now);
    current.map_or((90 * DAY, 30 * DAY), |(_, lifetime, proof)| (*lifetime, *proof))
}

impl Authority {
    /// Why an order is refused now, and until when; the limits of Let's Encrypt (2026-08-05).
    pub(super) fn limit(
        &self,
        names: &[String],
        apexes: &[Name],
        zone: impl Fn(&str) -> Option<Name>,
        now: Moment,
    ) -> Option<(String, Moment)> {
        let week = |at: &Moment| now - at < 7 * DAY;
        let same = self.issued.iter().filter(|(at, of)| week(at) && of == names).map(|(at, _)| *at);
        let over = |times: Vec<Moment>, most: usize, span: Moment| {
            (times.len() >= most).then(|| times[times.len() - most] + span)
        };
        if let Some(until) = over(same.collect(), PER_SET, 7 * DAY) {
            return Some((
                format!(
                    "too many certificates ({PER_SET}) already issued for this exact set of identifiers in the last 168h0m0s"
                ),
                until,
            ));
        }
        for apex in apexes {
            let in_zone = |of: &Vec<String>| of.iter().any(|name| zone(name).as_ref() == Some(apex));
            let times = self.issued.iter().filter(|(at, of)| week(at) && in_zone(of)).map(|(at, _)| *at);
            if let Some(until) = over(times.collect(), PER_DOMAIN, 7 * DAY) {
                return Some((
                    format!(
                        "too many certificates ({PER_DOMAIN}) already issued for {apex} in the last 168h0m0s"
                    ),
                    until,
                ));
            }
        }
        let recent = self.orders.iter().rev().map(|order| order.created).take_while(|at| now - at < 3 * HOUR);
        let mut recent: Vec<Moment> = recent.collect();
        recent.reverse();
        if let Some(until) = over(recent, PER_ACCOUNT, 3 * HOUR) {
            return Some((
                format!("too many new orders ({PER_ACCOUNT}) from this account in the last 3h0m0s"),
                until,
            ));
        }
        for name in names {
            let failed = self.failures.iter().filter(|(at, of)| now - at < HOUR && of == name);
            if let Some(until) = over(failed.map(|(at, _)| *at).collect(), FAILURES, HOUR) {
                return Some((
                    format!("too many failed authorizations ({FAILURES}) for {name} in the last 1h0m0s"),
                    until,
                ));
            }
        }
        None
    }

    /// Books an order; identifiers that were proven a while ago need no new proof.
    pub(super) fn order(&mut self, names: &[String], now: Moment) -> usize {
        let number = self.orders.len();
        let mut authorizations = Vec::new();
        for name in names {
            let proven = self.proven.get(name).is_some_and(|until| *until > now);
            let (state, place) =
                (if proven { State::Valid } else { State::Pending }, self.authorizations.len());
            let identifier = name.trim_start_matches("*.").to_owned();
            let token = format!("rehearsal-{number}-{place}");
            let wildcard = name.starts_with("*.");
            self.authorizations.push(Authorization { identifier, wildcard, token, state });
            authorizations.push(place);
        }
        let order =
            Order { names: names.to_vec(), created: now, authorizations, finalized: None, certificate: None };
        self.orders.push(order);
        number
    }

    /// The order's status now; `None`: forgotten.
    pub(super) fn status(&self, order: usize, now: Moment) -> Option<OrderStatus> {
        let order = self.orders.get(order).filter(|order| now - order.created < ORDER_LIVES)?;
        let mut states = order.authorizations.iter().filter_map(|place| self.authorizations.get(*place));
        if states.clone().any(|a| matches!(a.state, State::Invalid(_))) {
            return Some(OrderStatus::Invalid);
        }
        if states.any(|a| a.state != State::Valid) {
            return Some(OrderStatus::Pending);
        }
        Some(match &order.finalized {
            None => OrderStatus::Ready,
            Some((at, _)) if now - at < SIGNS_IN => OrderStatus::Processing,
            Some(_) => OrderStatus::Valid,
        })
    }

    /// Looks that are due: `sees` says whether every server shows the right value at that moment.
    pub(super) fn validate(&mut self, now: Moment, sees: impl Fn(&str, &str, Moment) -> Result<(), String>) {
        for authorization in &mut self.authorizations {
            let State::Answered(at) = authorization.state else { continue };
            if at > now {
                continue;
            }
            let name =
                format!("{}{}", if authorization.wildcard { "*." } else { "" }, authorization.identifier);
            authorization.state = match sees(&authorization.identifier, &authorization.token, at) {
                Ok(()) => {
                    self.proven.insert(name, at + lifetimes(at).1);
                    State::Valid
                }
                Err(why) => {
                    self.failures.push((at, name));
                    State::Invalid(why)
                }
            };
        }
    }

    /// The most certificates in any seven days: of all, and for one set of names.
    pub(super) fn busiest_week(&self) -> (usize, usize) {
        let (mut all, mut same) = (0, 0);
        for (index, (from, names)) in self.issued.iter().enumerate() {
            let week = || self.issued[index..].iter().take_while(|(at, _)| at - from < 7 * DAY);
            all = all.max(week().count());
            same = same.max(week().filter(|(_, others)| others == names).count());
        }
        (all, same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str) -> Moment {
        format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn lifetimes_shrink_at_the_announced_dates() {
        for (date, days) in [
            ("2026-11-23", 90),
            ("2027-02-09", 90),
            ("2027-02-10", 64),
            ("2028-02-15", 64),
            ("2028-02-16", 45),
            ("2035-01-01", 45),
        ] {
            assert_eq!(lifetimes(at(date)).0, days * DAY, "{date}");
        }
    }

    #[test]
    fn the_sixth_certificate_for_the_same_names_waits_for_the_first_to_be_a_week_old() {
        let names = vec!["mx.example.org".to_owned()];
        let issued = (0..5).map(|hour| (hour * HOUR, names.clone())).collect();
        let mut authority = Authority { issued, ..Authority::default() };
        let limit = |now| authority.limit(&names, &[], |_| None, now);
        assert_eq!(limit(6 * HOUR).map(|(_, until)| until), Some(7 * DAY));
        assert_eq!(limit(7 * DAY), None);
        authority.issued.push((6 * HOUR, vec!["other.example.org".to_owned()]));
        assert_eq!(authority.busiest_week(), (6, 5));
    }

    #[test]
    fn a_proof_is_taken_for_ten_days_and_no_longer() {
        let names = vec!["mx.example.org".to_owned()];
        let (mut authority, begin) = (Authority::default(), at("2027-03-01"));
        let first = authority.order(&names, begin);
        assert_eq!(authority.status(first, begin), Some(OrderStatus::Pending));
        authority.authorizations[0].state = State::Answered(begin);
        authority.validate(begin, |_, _, _| Ok(()));
        assert_eq!(authority.status(first, begin), Some(OrderStatus::Ready));
        let soon = authority.order(&names, begin + 9 * DAY);
        assert_eq!(authority.status(soon, begin + 9 * DAY), Some(OrderStatus::Ready));
        let late = authority.order(&names, begin + 10 * DAY);
        assert_eq!(authority.status(late, begin + 10 * DAY), Some(OrderStatus::Pending));
    }
}
