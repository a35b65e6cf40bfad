//! The CA as flow sees it: RFC 8555's resources, answered at once, late, or never.

use super::authority::{self, Certificate, Issued, Profile, State};
use super::faults::{Fate, Peer};
use super::time::{Moment, timestamp};
use super::universe::{Universe, lock};
use crate::acme::{
    Authorization, AuthorizationStatus, Ca, Challenge, NewOrder, Order, OrderStatus, Polled, SuggestedWindow,
};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::model::csr::Csr;
use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::{Name, RData, RecordType};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One round trip to the CA.
const ROUND: Duration = Duration::from_millis(120);
/// How long a client waits for an answer that never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The account of a directory.
pub(super) struct Account {
    pub(super) universe: Arc<Universe>,
    pub(super) directory: String,
}

impl Account {
    /// One request; what it does is done although its answer may be lost.
    async fn request<T: Send>(&self, action: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let fate = self.universe.before(action, Peer::Ca).await;
        let lost = || Error::new(Kind::Remote, action, "the CA did not answer").hint("try again later");
        match fate {
            Fate::Lost => {
                self.universe.clock().sleep(PATIENCE).await;
                return Err(lost());
            }
            Fate::Limited => {
                let mut e = Error::new(Kind::Remote, action, "“Service busy; retry later.” (rateLimited)");
                e.retry_after = Some(Duration::from_secs(3600));
                return Err(e.hint("the CA limits how often this may be asked: wait before the next try"));
            }
            Fate::Broken => {
                self.universe.clock().sleep(ROUND).await;
                let e = Error::new(
                    Kind::Remote,
                    action,
                    "“The service is down for maintenance” (serverInternal)",
                );
                return Err(e.hint("the CA has trouble of its own: try again later"));
            }
            Fate::Fine | Fate::AnswerLost => {}
        }
        self.universe.clock().sleep(ROUND).await;
        let done = work();
        self.universe.after(action).await;
        if fate == Fate::AnswerLost {
            self.universe.clock().sleep(PATIENCE).await;
            return Err(lost());
        }
        done
    }

    fn now(&self) -> Moment {
        self.universe.time.moment()
    }

    fn url(&self, kind: &str, number: usize) -> String {
        format!("{}/{kind}/{number}", self.directory)
    }

    fn number(url: &str) -> usize {
        url.rsplit('/').next().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX)
    }

    /// The CA looks where it promised to.
    fn look(&self) {
        let sees = |identifier: &str, token: &str, at: Moment| {
            let owner =
                Name::from_ascii(format!("_acme-challenge.{identifier}.")).map_err(|e| e.to_string())?;
            let zones = lock(&self.universe.zones);
            if lock(&self.universe.faults).misjudges() {
                return Err(format!(
                    "{identifier}: “DNS problem: SERVFAIL looking up TXT for {owner}” (dns)"
                ));
            }
            let owner = zones.expanded(&owner, at);
            let apex = zones.zone_of(&owner).ok_or("no zone holds the challenge")?;
            let wanted = self.dns01_value(token);
            let shows = |server: &usize| {
                let set = zones.at(*server, &owner, RecordType::TXT, at);
                let is = |data: &RData| matches!(data, RData::TXT(txt) if txt.to_string() == wanted);
                set.values.iter().any(is)
            };
            match zones.servers_of(&apex).iter().find(|server| !shows(server)) {
                None => Ok(()),
                Some(server) => Err(format!(
                    "{identifier}: “No TXT record found at {owner}” by {} (unauthorized)",
                    zones.server_at(*server).name
                )),
            }
        };
        lock(&self.universe.authority).validate(self.now(), sees);
    }

    fn show(&self, number: usize) -> Option<Polled<Order>> {
        self.look();
        let authority = lock(&self.universe.authority);
        let status = authority.status(number, self.now())?;
        let order = authority.orders.get(number)?;
        let value = Order {
            url: self.url("order", number),
            status,
            expires: None,
            identifiers: order.names.clone(),
            authorizations: order.authorizations.iter().map(|place| self.url("authz", *place)).collect(),
            finalize: self.url("finalize", number),
            certificate: (status == OrderStatus::Valid).then(|| self.url("cert", number)),
            error: None,
        };
        Some(Polled { value, retry_after: None })
    }

    fn gone<T>(action: &str) -> Result<T> {
        Err(Error::new(Kind::Remote, action, "the CA does not know it"))
    }

    /// Signs, and books.
    fn sign(&self, number: usize, csr: Csr) -> Result<()> {
        let now = self.now();
        let (names, profile, exempt) = {
            let mut authority = lock(&self.universe.authority);
            let Some(order) = authority.orders.get_mut(number).filter(|order| order.finalized.is_none())
            else {
                return Ok(());
            };
            if csr.names != order.names {
                return Err(Error::new(
                    Kind::Remote,
                    "finalize the order",
                    "the CSR is for other names (badCSR)",
                ));
            }
            order.finalized = Some((now, csr.clone()));
            (order.names.clone(), order.profile, order.exempt)
        };
        let from = now - authority::BACKDATED;
        let until = from + profile.lifetime(now) - 1000;
        // Unlike any of another rehearsal.
        let begin = u64::try_from(self.universe.start / 1000).unwrap_or_default();
        let serial = (begin << 24) + number as u64 + 1;
        let signed = self.universe.signer.sign(&csr, &names, serial, (from, until))?;
        let pem = signed.pem();
        lock(&self.universe.keys).seen(signed.spki);
        let mut authority = lock(&self.universe.authority);
        if !exempt {
            let renewal = authority.renews(&names);
            authority.issued.push(Issued { at: now, names: names.clone(), renewal });
        }
        let certificate = Certificate { names, from, until, urgent: None, replaced: false };
        authority.certificates.insert(signed.id, certificate);
        if let Some(order) = authority.orders.get_mut(number) {
            order.certificate = Some(pem);
        }
        Ok(())
    }
}

#[async_trait]
impl Ca for Account {
    fn describe(&self) -> String {
        self.directory.clone()
    }

    async fn warm_up(&self, _: usize) -> Result<()> {
        self.request("open a connection to the CA", || Ok(())).await
    }

    async fn new_order(&self, wanted: NewOrder<'_>) -> Result<Polled<Order>> {
        let identifiers = wanted.identifiers;
        let action = format!("order a certificate for {}", identifiers.join(", "));
        let number = self
            .request(&action, || {
                let now = self.now();
                let zones = lock(&self.universe.zones);
                let apex = |name: &str| {
                    Name::from_ascii(format!("{}.", name.trim_start_matches("*.")))
                        .ok()
                        .and_then(|n| zones.zone_of(&n))
                };
                let apexes: Vec<Name> = identifiers.iter().filter_map(|name| apex(name)).collect();
                let mut authority = lock(&self.universe.authority);
                let refused = |why: String| Error::new(Kind::Remote, action.clone(), format!("“{why}”"));
                let profile = Profile::named(wanted.profile)
                    .ok_or_else(|| refused("the profile is not offered (invalidProfile)".into()))?;
                // As the real client does: an order that is refused because of what it replaces is placed without.
                let replaced = wanted.replaces.map(|id| (id, authority.replaces(id, identifiers, now)));
                let exempt = replaced.as_ref().is_some_and(|(_, taken)| *taken == Ok(true));
                if let Some((_, Err(why))) = &replaced {
                    self.universe.trace(&format!("  the CA: {why}"));
                }
                if let Some((why, until)) =
                    authority.limit(identifiers, &apexes, apex, now).filter(|_| !exempt)
                {
                    let words = format!("“{why}, retry after {}” (rateLimited)", timestamp(until));
                    let mut e = Error::new(Kind::Remote, action.clone(), words);
                    e.retry_after = u64::try_from(until - now).ok().map(Duration::from_millis);
                    return Err(e);
                }
                let number = authority.order(identifiers, (profile, exempt), now);
                if let Some((id, Ok(_))) = replaced
                    && let Some(certificate) = authority.certificates.get_mut(id)
                {
                    certificate.replaced = true;
                }
                Ok(number)
            })
            .await?;
        self.show(number).map_or_else(|| Self::gone(&action), Ok)
    }

    async fn order(&self, url: &str) -> Result<Option<Polled<Order>>> {
        self.request("read the order", || Ok(self.show(Self::number(url)))).await
    }

    async fn authorization(&self, url: &str) -> Result<Polled<Authorization>> {
        self.request("read an authorization", || {
            self.look();
            let authority = lock(&self.universe.authority);
            let Some(found) = authority.authorizations.get(Self::number(url)) else {
                return Self::gone("read an authorization");
            };
            let (status, error) = match &found.state {
                State::Pending | State::Answered(_) => (AuthorizationStatus::Pending, None),
                State::Valid => (AuthorizationStatus::Valid, None),
                State::Invalid(why) => (AuthorizationStatus::Invalid, Some(why.clone())),
            };
            let challenge = Challenge { url: url.to_owned(), token: found.token.clone(), status };
            let value = Authorization {
                url: url.to_owned(),
                identifier: found.identifier.clone(),
                wildcard: found.wildcard,
                status,
                dns01: Some(challenge),
                error,
            };
            Ok(Polled { value, retry_after: None })
        })
        .await
    }

    fn dns01_value(&self, token: &str) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(format!("{token}.rehearsal")))
    }

    async fn answer(&self, challenge: &Challenge) -> Result<Polled<AuthorizationStatus>> {
        self.request("answer a challenge", || {
            let at = self.now() + authority::VALIDATES_IN;
            let mut authority = lock(&self.universe.authority);
            if let Some(found) = authority.authorizations.get_mut(Self::number(&challenge.url))
                && found.state == State::Pending
            {
                found.state = State::Answered(at);
            }
            Ok(Polled { value: AuthorizationStatus::Pending, retry_after: None })
        })
        .await
    }

    async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Option<Polled<Order>>> {
        self.request("finalize the order", || {
            let number = Self::number(&order.url);
            self.look();
            let status = lock(&self.universe.authority).status(number, self.now());
            match status {
                Some(OrderStatus::Pending) => Ok(None),
                Some(OrderStatus::Ready) => {
                    self.sign(number, Csr::parse(csr).map_err(Error::from)?)?;
                    Ok(self.show(number))
                }
                _ => Self::gone("finalize the order"),
            }
        })
        .await
    }

    async fn certificate(&self, url: &str, _: Option<&str>) -> Result<String> {
        self.request("fetch the certificate", || {
            let authority = lock(&self.universe.authority);
            let order = authority.orders.get(Self::number(url));
            order
                .and_then(|order| order.certificate.clone())
                .map_or_else(|| Self::gone("fetch the certificate"), Ok)
        })
        .await
    }

    async fn renewal_info(&self, certificate_id: &str) -> Result<Option<Polled<SuggestedWindow>>> {
        self.universe.asks.fetch_add(1, Ordering::Relaxed);
        self.request("ask when to renew", || {
            let authority = lock(&self.universe.authority);
            let Some(known) = authority.certificates.get(certificate_id) else {
                return Self::gone("ask when to renew");
            };
            let ((start, end), urgent) = (known.window(), known.urgent.is_some());
            let explanation = urgent.then(|| format!("{}/incident", self.directory));
            let value = SuggestedWindow { start: timestamp(start), end: timestamp(end), explanation };
            let retry_after = u64::try_from(authority::ASK_AGAIN).ok().map(Duration::from_millis);
            Ok(Some(Polled { value, retry_after }))
        })
        .await
    }
}
