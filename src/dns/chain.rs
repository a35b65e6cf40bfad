//! The DNSKEY and DS RRsets between the trust anchor and a zone, each fetched once, many at a time.

use super::recursive::Recursive;
use super::signature;
use super::transport::Asked;
use super::uncached;
use bytes::Bytes;
use domain::base::iana::Rtype;
use domain::base::{Message as WireMessage, ToName};
use domain::net::client::request::{ComposeRequest, Error, GetResponse, RequestMessage, SendRequest};
use futures_util::future::join_all;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// A fetched answer, or why there is none.
type Fetched = Result<Bytes, String>;

/// A question to which every asker gets the same answer, once there is one.
type Shared = Arc<OnceCell<Fetched>>;

/// The links of chains of trust, asked at the recursive resolvers with CD=1: they pass on what is there, we judge it.
/// The validator asks here instead of the network.
#[derive(Debug, Clone)]
pub(super) struct Chain(Arc<State>);

#[derive(Debug)]
struct State {
    recursive: Recursive,
    fetched: Mutex<HashMap<(Name, RecordType), Shared>>,
    /// Names whose DS the validator asked for: it stops at the one that proves the chain to end.
    walked: Mutex<BTreeSet<Name>>,
}

impl Chain {
    pub(super) fn new(recursive: Recursive) -> Self {
        Chain(Arc::new(State { recursive, fetched: Mutex::default(), walked: Mutex::default() }))
    }

    /// Fetches what the way to these zones may need, all at once: the validator, left alone, asks one after another.
    pub(super) async fn prepare(&self, zones: &[Name]) {
        let names: BTreeSet<Name> = zones.iter().flat_map(ancestry).collect();
        let wanted = names.into_iter().flat_map(|name| {
            let ds = (!name.is_root()).then(|| (name.clone(), RecordType::DS));
            ds.into_iter().chain([(name, RecordType::DNSKEY)])
        });
        join_all(wanted.map(|(name, rtype)| self.fetch(name, rtype))).await;
    }

    /// Why fetching failed somewhere on the way to `name`.
    pub(super) fn trouble(&self, name: &Name) -> Option<String> {
        let fetched = lock(&self.0.fetched);
        let mut causes = fetched
            .iter()
            .filter(|((at, _), _)| at.zone_of(name))
            .filter_map(|(_, cell)| cell.get().and_then(|outcome| outcome.as_ref().err()).cloned());
        causes.next()
    }

    /// What is wrong with the chain to `name`, as far as can be told without checking signatures: dates, and DS records
    /// that fit no key.
    pub(super) fn fault(&self, name: &Name, now: Timestamp) -> Option<String> {
        ancestry(name).iter().find_map(|zone| {
            let keys = self.fetched(zone, RecordType::DNSKEY)?;
            let delegation = self.fetched(zone, RecordType::DS);
            let late = |message: &Message| {
                signature::out_of_date(message, now).map(|why| format!("{why} in `{}`", zone.to_ascii()))
            };
            delegation
                .as_ref()
                .and_then(late)
                .or_else(|| late(&keys))
                .or_else(|| misfit(zone, &delegation?, &keys))
        })
    }

    fn fetched(&self, name: &Name, rtype: RecordType) -> Option<Message> {
        let cell = lock(&self.0.fetched).get(&(name.clone(), rtype)).cloned()?;
        Message::from_vec(cell.get()?.as_ref().ok()?).ok()
    }

    /// Where the chain to `name` ends for lack of a DS: the lowest name that the validator looked at.
    pub(super) fn end(&self, name: &Name) -> Option<Name> {
        let walked = lock(&self.0.walked);
        let end = walked.iter().filter(|at| at.zone_of(name)).max_by_key(|at| at.num_labels()).cloned()?;
        let message = self.fetched(&end, RecordType::DS)?;
        denies_ds(&message, RecordType::DS).then_some(end)
    }

    async fn fetch(&self, name: Name, rtype: RecordType) -> Fetched {
        let cell = lock(&self.0.fetched).entry((name.clone(), rtype)).or_default().clone();
        let look = || async {
            let stripped = |message: &Message| stripped(message, &name, rtype);
            let reply = self.0.recursive.ask(&name, rtype, Asked::Unchecked, stripped).await;
            reply.and_then(|reply| match denies_ds(&reply.message, rtype) {
                true => uncached::wire(&reply.wire).map_err(|error| format!("DS of `{name}`: {error}")),
                false => Ok(Bytes::from(reply.wire)),
            })
        };
        cell.get_or_init(look).await.clone()
    }
}

/// The name and everything above it.
fn ancestry(name: &Name) -> Vec<Name> {
    (0..=usize::from(name.num_labels())).map(|labels| name.trim_to(labels).to_lowercase()).collect()
}

/// A DS that no key of the zone fits; digests that we cannot compute are given the benefit of the doubt.
fn misfit(zone: &Name, delegation: &Message, keys: &Message) -> Option<String> {
    let all: Vec<DS> = data(delegation)
        .filter_map(|d| if let DNSSECRData::DS(ds) = d { Some(ds.clone()) } else { None })
        .collect();
    let keys: Vec<DNSKEY> = data(keys)
        .filter_map(|d| if let DNSSECRData::DNSKEY(key) = d { Some(key.clone()) } else { None })
        .collect();
    let fits = |ds: &DS| keys.iter().any(|key| ds.covers(zone, key).unwrap_or(true));
    (!all.is_empty() && !all.iter().any(fits))
        .then(|| format!("no DS of `{}` at its parent matches a DNSKEY of the zone", zone.to_ascii()))
}

fn data(message: &Message) -> impl Iterator<Item = &DNSSECRData> {
    message.answers.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(data) => Some(data),
        _ => None,
    })
}

fn denies_ds(message: &Message, rtype: RecordType) -> bool {
    rtype == RecordType::DS && !message.answers.iter().any(|record| record.record_type() == RecordType::DS)
}

/// The root is signed: a resolver that shows its keys without signature leaves signatures out for everybody.
fn stripped(message: &Message, name: &Name, rtype: RecordType) -> Option<String> {
    let signed = message.answers.iter().any(|r| matches!(&r.data, RData::DNSSEC(DNSSECRData::RRSIG(_))));
    (rtype == RecordType::DNSKEY && name.is_root() && !signed)
        .then(|| "it does not pass on DNSSEC signatures; name one that does under `resolvers:`".into())
}

impl SendRequest<RequestMessage<Vec<u8>>> for Chain {
    fn send_request(&self, request: RequestMessage<Vec<u8>>) -> Box<dyn GetResponse + Send + Sync> {
        let Some((name, rtype)) = question(&request) else { return Box::new(Pending(None)) };
        if rtype == RecordType::DS {
            lock(&self.0.walked).insert(name.clone());
        }
        let chain = self.clone();
        // A task of its own: the validator wants futures that are Sync.
        Box::new(Pending(Some(tokio::spawn(async move { chain.fetch(name, rtype).await }))))
    }
}

/// Name and type of a request of the validator, which asks for DS and DNSKEY only.
fn question(request: &RequestMessage<Vec<u8>>) -> Option<(Name, RecordType)> {
    let message = request.to_message().ok()?;
    let question = message.sole_question().ok()?;
    let rtype = match question.qtype() {
        Rtype::DS => RecordType::DS,
        Rtype::DNSKEY => RecordType::DNSKEY,
        _ => return None,
    };
    let labels: Vec<Vec<u8>> =
        question.qname().to_vec().iter().map(|label| label.as_slice().to_vec()).collect();
    let mut name =
        Name::from_labels(labels.iter().filter(|label| !label.is_empty()).map(Vec::as_slice)).ok()?;
    name.set_fqdn(true);
    Some((name.to_lowercase(), rtype))
}

/// An answer that is being fetched.
#[derive(Debug)]
struct Pending(Option<tokio::task::JoinHandle<Fetched>>);

impl GetResponse for Pending {
    fn get_response(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<WireMessage<Bytes>, Error>> + Send + Sync + '_>> {
        Box::pin(async {
            let task = self.0.take().ok_or(Error::FormError)?;
            let fetched = task.await.map_err(|_| Error::ConnectionClosed)?;
            let wire = fetched.map_err(|_| Error::NoTransportAvailable)?;
            WireMessage::from_octets(wire).map_err(|_| Error::ShortMessage)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
