//! Who decides whether an answer is secure: our own validator, or the AD bit of the resolvers that were named.

use super::recursive::Recursive;
use super::resolver::Validation;
use super::secure::Security;
use super::signature;
use super::transport::{Asked, Reply};
use super::validator::Validator;
use crate::clock::{Clock, SystemClock};
use hickory_proto::rr::{Name, RecordType};

/// The judge of zones.yaml's `validate:`.
#[derive(Debug)]
pub(super) enum Judge {
    Own(Validator),
    Resolver(Recursive),
}

impl Judge {
    pub(super) fn new(validation: Validation, recursive: &Recursive) -> Self {
        match validation {
            Validation::Own(anchor) => Judge::Own(Validator::new(anchor, recursive.clone())),
            Validation::Resolver => Judge::Resolver(recursive.clone()),
        }
    }

    /// How the recursive resolvers are to be asked.
    pub(super) fn asked(&self) -> Asked {
        match self {
            Judge::Own(_) => Asked::Unchecked,
            Judge::Resolver(_) => Asked::Checked,
        }
    }

    /// Gets ready to judge answers of `zone`.
    pub(super) async fn prepare(&self, zone: &Name) {
        if let Judge::Own(validator) = self {
            validator.prepare(zone).await;
        }
    }

    /// An answer of the recursive resolvers to a question for `name`.
    pub(super) async fn of_resolver(&self, name: &Name, reply: &Reply) -> Security {
        match self {
            Judge::Own(validator) => validator.judge(name, reply).await,
            Judge::Resolver(_) if reply.message.metadata.authentic_data => dated(reply),
            Judge::Resolver(_) => Security::Insecure("the resolver does not set the AD bit".into()),
        }
    }

    /// An authoritative server's answer. A resolver has no word on it: it says whether the zone is secure (asked for the
    /// SOA, which is always there), and the answer must be signed and in date.
    pub(super) async fn of_authority(&self, zone: &Name, name: &Name, reply: &Reply) -> Security {
        let recursive = match self {
            Judge::Own(validator) => return validator.judge(name, reply).await,
            Judge::Resolver(recursive) => recursive,
        };
        match recursive.ask(zone, RecordType::SOA, Asked::Checked, |_| None).await {
            Ok(soa) if soa.message.metadata.authentic_data => dated(reply),
            Ok(_) => {
                Security::Insecure(format!("the resolver does not set the AD bit for `{}`", zone.to_ascii()))
            }
            Err(cause) => Security::Bogus(cause),
        }
    }
}

/// Secure if the signatures that came with it are in date; whether they are true is the resolver's word.
fn dated(reply: &Reply) -> Security {
    let now = SystemClock::new().now();
    let fault = signature::out_of_date(&reply.message, now).or_else(|| signature::missing(&reply.message));
    match (fault, signature::ends(&reply.message, now)) {
        (None, Some((until, last))) => Security::Secure { until, last },
        (fault, _) => Security::Bogus(fault.unwrap_or_else(|| "it is not signed".into())),
    }
}
