//! A CA with Let's Encrypt's rules: orders, authorizations that are valid for a while, lifetimes that shrink at the
//! announced dates, and limits. Its rules are pure; `ca` speaks them.

use super::time::{DAY, HOUR, Moment};
use crate::acme::OrderStatus;
use crate::model::csr::Csr;
use crate::model::rehearsal::Budget;
use hickory_proto::rr::Name;
use std::collections::{BTreeMap, BTreeSet};

/// From a moment on (2027-02-10, 2028-02-16, 00:00 UTC), new certificates live so long, and a proof of control so long. Let's Encrypt, "Decreasing
/// Certificate Lifetimes to 45 Days", 2025-12-02: the `classic` profile.
const CLASSIC: [(Moment, Moment, Moment); 3] = [
    (Moment::MIN, 90 * DAY, 30 * DAY),
    (1_802_217_600_000, 64 * DAY, 10 * DAY),
    (1_834_272_000_000, 45 * DAY, 7 * HOUR),
];
/// Let's Encrypt's other profiles: `tlsserver` since 2026-05-13, `shortlived` (160 h).
const TLSSERVER: Moment = 45 * DAY;
const SHORTLIVED: Moment = 160 * HOUR;
/// How long the CA asks not to be asked again for renewal information (Let's Encrypt's Retry-After).
pub(super) const ASK_AGAIN: Moment = 6 * HOUR;
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
    pub(super) profile: Profile,
    /// It replaces a certificate in the time that the CA suggested: no limit counts it.
    pub(super) exempt: bool,
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
    /// Certificates that count for limits.
    pub(super) issued: Vec<Issued>,
    /// All certificates, by what renewal information calls them (RFC 9773 §4.1).
    pub(super) certificates: BTreeMap<String, Certificate>,
    failures: Vec<(Moment, String)>,
}

/// A certificate in the books of the limits.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) at: Moment,
    pub(super) names: Vec<String>,
    /// The same names had one before: only the limit for one set of names counts it.
    pub(super) renewal: bool,
}

/// What the CA knows of a certificate that it signed.
pub(super) struct Certificate {
    pub(super) names: Vec<String>,
    pub(super) from: Moment,
    pub(super) until: Moment,
    /// Since when the CA wants it replaced at once: it revokes it, or has a reason of its own.
    pub(super) urgent: Option<Moment>,
    pub(super) replaced: bool,
}

/// What an order may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    Classic,
    TlsServer,
    ShortLived,
}

impl Profile {
    /// By its name at Let's Encrypt; `None`: it offers no such profile.
    pub(super) fn named(name: Option<&str>) -> Option<Profile> {
        match name {
            None | Some("classic") => Some(Profile::Classic),
            Some("tlsserver") => Some(Profile::TlsServer),
            Some("shortlived") => Some(Profile::ShortLived),
            Some(_) => None,
        }
    }

    /// How long a certificate lives that is issued now.
    pub(super) fn lifetime(self, now: Moment) -> Moment {
        match self {
            Profile::Classic => classic(now).0,
            Profile::TlsServer => TLSSERVER,
            Profile::ShortLived => SHORTLIVED,
        }
    }
}

/// How long a certificate of the profile `classic` lives that is issued now, and how long a proof of control counts.
fn classic(now: Moment) -> (Moment, Moment) {
    let current = CLASSIC.iter().rev().find(|(since, ..)| *since <= now);
    current.map_or((90 * DAY, 30 * DAY), |(_, lifetime, proof)| (*lifetime, *proof))
}

impl Certificate {
    /// When it should be replaced: as Boulder computes it (core/objects.go, RenewalInfoSimple and RenewalInfoImmediate), around a third
    /// of the lifetime before the end, half of it for less than ten days, one hundredth each way; in the past when it is urgent.
    pub(super) fn window(&self) -> (Moment, Moment) {
        if let Some(since) = self.urgent {
            return (since - HOUR, since - HOUR / 2);
        }
        let lifetime = self.until + 1000 - self.from;
        let left = if lifetime < 10 * DAY { lifetime / 2 } else { lifetime / 3 };
        let (ideal, margin) = (self.until - left, lifetime / 100);
        (ideal - margin, ideal + margin)
    }
}

impl Authority {
    /// The certificate that an order says it replaces; `Err`: the CA refuses that (RFC 9773 §5). `true`: it is the time for it, and
    /// no limit counts the order.
    pub(super) fn replaces(&self, id: &str, names: &[String], now: Moment) -> Result<bool, String> {
        let known =
            self.certificates.get(id).ok_or("the certificate to be replaced is not known (malformed)")?;
        if known.replaced {
            return Err("the certificate has been replaced already (alreadyReplaced)".into());
        }
        if !known.names.iter().any(|name| names.contains(name)) {
            return Err("the certificate to be replaced is for other names (malformed)".into());
        }
        let (start, end) = known.window();
        Ok(start <= now && now <= end)
    }

    /// Revokes a certificate; whether it was valid.
    pub(super) fn revoke(&mut self, id: &str, now: Moment) -> bool {
        let valid = self.certificates.get_mut(id).filter(|c| c.urgent.is_none() && now < c.until);
        valid.map(|certificate| certificate.urgent = Some(now)).is_some()
    }

    /// Wants all that are valid and were not replaced to be replaced at once; how many.
    pub(super) fn hurry(&mut self, now: Moment) -> usize {
        let valid =
            self.certificates.values_mut().filter(|c| c.urgent.is_none() && !c.replaced && now < c.until);
        valid.map(|certificate| certificate.urgent = Some(now)).count()
    }

    /// Why an order is refused now, and until when; the limits of Let's Encrypt (2026-08-05).
    pub(super) fn limit(
        &self,
        names: &[String],
        apexes: &[Name],
        zone: impl Fn(&str) -> Option<Name>,
        now: Moment,
    ) -> Option<(String, Moment)> {
        let recent = || self.issued.iter().filter(|i| now - i.at < 7 * DAY);
        let same = recent().filter(|i| i.names == names).map(|i| i.at);
        let renewal = self.renews(names);
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
        // Another certificate for names that had one is exempt from the limits of domain and account.
        for apex in apexes.iter().filter(|_| !renewal) {
            let in_zone =
                |i: &&Issued| !i.renewal && i.names.iter().any(|name| zone(name).as_ref() == Some(apex));
            let times = recent().filter(in_zone).map(|i| i.at);
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
        if let Some(until) = over(recent, PER_ACCOUNT, 3 * HOUR).filter(|_| !renewal) {
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
    pub(super) fn order(
        &mut self,
        names: &[String],
        (profile, exempt): (Profile, bool),
        now: Moment,
    ) -> usize {
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
        self.orders.push(Order {
            names: names.to_vec(),
            profile,
            exempt,
            created: now,
            authorizations,
            finalized: None,
            certificate: None,
        });
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
                    self.proven.insert(name, at + classic(at).1);
                    State::Valid
                }
                Err(why) => {
                    self.failures.push((at, name));
                    State::Invalid(why)
                }
            };
        }
    }

    /// Whether the same names had a certificate before.
    pub(super) fn renews(&self, names: &[String]) -> bool {
        self.certificates.values().any(|certificate| certificate.names == names)
    }

    /// The most that each limit counted at one time; `zone` is what stands for a registered domain.
    pub(super) fn budgets(&self, zone: impl Fn(&str) -> Option<Name>) -> Vec<Budget> {
        let [domain, set, orders, failures] = self.busiest(zone);
        let budget = |what, word, most: usize, limit: usize| Budget {
            what,
            word,
            most: most as u64,
            limit: limit as u64,
        };
        vec![
            budget("new certificates for one domain in 7 days", "domain", domain, PER_DOMAIN),
            budget("certificates for the same names in 7 days", "set", set, PER_SET),
            budget("orders in 3 h", "orders", orders, PER_ACCOUNT),
            budget("failed validations of a name in 1 h", "failures", failures, FAILURES),
        ]
    }

    fn busiest(&self, zone: impl Fn(&str) -> Option<Name>) -> [usize; 4] {
        let most_in = |times: &[Moment], span: Moment| {
            let within = |(index, from): (usize, &Moment)| {
                times[index..].iter().take_while(|at| *at - from < span).count()
            };
            times.iter().enumerate().map(within).max().unwrap_or(0)
        };
        let mut domains: BTreeMap<Name, Vec<Moment>> = BTreeMap::new();
        let mut sets: BTreeMap<&[String], Vec<Moment>> = BTreeMap::new();
        for issued in &self.issued {
            sets.entry(&issued.names).or_default().push(issued.at);
            let zones: BTreeSet<Name> = issued.names.iter().filter_map(|name| zone(name)).collect();
            for apex in zones.into_iter().filter(|_| !issued.renewal) {
                domains.entry(apex).or_default().push(issued.at);
            }
        }
        let mut failures: BTreeMap<&str, Vec<Moment>> = BTreeMap::new();
        for (at, name) in &self.failures {
            failures.entry(name).or_default().push(*at);
        }
        let orders: Vec<Moment> =
            self.orders.iter().filter(|o| !o.exempt).map(|order| order.created).collect();
        let most = |all: Vec<&Vec<Moment>>, span| {
            all.into_iter().map(|times| most_in(times, span)).max().unwrap_or(0)
        };
        [
            most(domains.values().collect(), 7 * DAY),
            most(sets.values().collect(), 7 * DAY),
            most_in(&orders, 3 * HOUR),
            most(failures.values().collect(), HOUR),
        ]
    }
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
