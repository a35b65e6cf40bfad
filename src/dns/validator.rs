//! DNSSEC validation (RFC 4035 §5) of what name servers answer, by ourselves: the AD bit of a resolver is its opinion,
//! over a network that anybody may sit on.

use super::anchor::TrustAnchor;
use super::chain::Chain;
use super::recursive::Recursive;
use super::secure::Security;
use super::signature;
use super::transport::Reply;
use crate::clock::{Clock, SystemClock};
use bytes::Bytes;
use domain::base::Message as WireMessage;
use domain::dnssec::validator::context::{ValidationContext, ValidationState};
use hickory_proto::rr::Name;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long keys and delegations that were fetched are believed without another look. Our choice: one run's warm look
/// takes seconds, a run that waits for days must see a key that was rolled. The validator also caches good signatures
/// without regard to their end.
const LIFE: Duration = Duration::from_secs(300);

/// The same after something was found bogus: it may be mended, or a resolver may have failed for a moment.
const LIFE_IN_DOUBT: Duration = Duration::from_secs(2);

/// Judges messages; keeps the chain of trust for a while.
pub(super) struct Validator {
    anchor: TrustAnchor,
    recursive: Recursive,
    era: Mutex<Arc<Era>>,
}

/// What one chain of trust was built of.
struct Era {
    began: Instant,
    doubt: AtomicBool,
    chain: Chain,
    context: ValidationContext<Chain>,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").field("anchor", &self.anchor).finish_non_exhaustive()
    }
}

impl Validator {
    pub(super) fn new(anchor: TrustAnchor, recursive: Recursive) -> Self {
        let era = Mutex::new(Arc::new(Era::new(&anchor, &recursive)));
        Validator { anchor, recursive, era }
    }

    /// Fetches the chain of trust down to `zone`, so that it is there when an answer comes.
    pub(super) async fn prepare(&self, zone: &Name) {
        self.era().chain.prepare(std::slice::from_ref(zone)).await;
    }

    /// What a validating resolver makes of this message, which answers a question for `name`.
    pub(super) async fn judge(&self, name: &Name, reply: &Reply) -> Security {
        let name = name.to_lowercase();
        if let Some(why) = signature::foreign_signer(&reply.message) {
            return Security::Bogus(why);
        }
        let era = self.era();
        // Signers at or above their names only: the chain of somebody else's zones is not fetched for a forger.
        era.chain.prepare(&signature::signers(&reply.message)).await;
        let security = era.judge(&name, reply).await;
        if matches!(security, Security::Bogus(_)) {
            era.doubt.store(true, Ordering::Relaxed);
        }
        security
    }

    fn era(&self) -> Arc<Era> {
        let mut era = self.era.lock().unwrap_or_else(PoisonError::into_inner);
        if era.is_over() {
            *era = Arc::new(Era::new(&self.anchor, &self.recursive));
        }
        era.clone()
    }
}

impl Era {
    fn new(anchor: &TrustAnchor, recursive: &Recursive) -> Self {
        let chain = Chain::new(recursive.clone());
        let context = ValidationContext::new(anchor.anchors(), chain.clone());
        Era { began: Instant::now(), doubt: AtomicBool::new(false), chain, context }
    }

    fn is_over(&self) -> bool {
        let life = if self.doubt.load(Ordering::Relaxed) { LIFE_IN_DOUBT } else { LIFE };
        self.began.elapsed() > life
    }

    async fn judge(&self, name: &Name, reply: &Reply) -> Security {
        let Ok(mut message) = WireMessage::from_octets(Bytes::copy_from_slice(&reply.wire)) else {
            return Security::Bogus("the message is too short".into());
        };
        let judged = Box::pin(self.context.validate_msg::<Bytes, Vec<u8>>(&mut message)).await;
        let (state, detail) = match judged {
            Ok((state, detail)) => (state, detail.map(|ede| ede.to_string())),
            Err(error) => (ValidationState::Bogus, Some(format!("the message is not valid: {error}"))),
        };
        let now = SystemClock::new().now();
        match state {
            ValidationState::Secure => secure_until(reply, now),
            ValidationState::Insecure => {
                Security::Insecure(match owners(name, reply).iter().find_map(|name| self.chain.end(name)) {
                    Some(end) => format!("the parent of `{}` proves that it has no DS", end.to_ascii()),
                    None => detail
                        .unwrap_or_else(|| "its zone leaves it out of its proofs (NSEC3 opt-out)".into()),
                })
            }
            ValidationState::Indeterminate => Security::Insecure("no trust anchor covers it".into()),
            ValidationState::Bogus => Security::Bogus(self.fault(name, reply, now).unwrap_or_else(|| {
                let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
                format!("no chain of trust from the trust anchor bears it out{detail}")
            })),
        }
    }
}

impl Era {
    /// The validator says little more than "bogus"; the person who has to mend it wants to know where.
    fn fault(&self, name: &Name, reply: &Reply, now: jiff::Timestamp) -> Option<String> {
        let owners = owners(name, reply);
        signature::out_of_date(&reply.message, now)
            .or_else(|| owners.iter().find_map(|name| self.chain.trouble(name)))
            .or_else(|| owners.iter().find_map(|name| self.chain.fault(name, now)))
            .or_else(|| signature::missing(&reply.message))
    }
}

/// The names whose chains of trust count: aliases lead into other zones.
fn owners(name: &Name, reply: &Reply) -> Vec<Name> {
    let records = reply.message.answers.iter().chain(&reply.message.authorities);
    std::iter::once(name.clone()).chain(records.map(|record| record.name.to_lowercase())).collect()
}

/// The validator's cache of good signatures forgets that they end.
fn secure_until(reply: &Reply, now: jiff::Timestamp) -> Security {
    match signature::ends(&reply.message, now) {
        Some((until, last)) if until >= now => Security::Secure { until, last },
        _ => Security::Bogus(
            signature::out_of_date(&reply.message, now).unwrap_or_else(|| "no signature is left".into()),
        ),
    }
}
