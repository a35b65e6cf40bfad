//! Signatures of a message, read without checking them: when they end, who claims to have made them.

use crate::clock::minute;
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use jiff::{SignedDuration, Timestamp};

/// When the first and the last of the signatures over what the message says end: over its answer section, or over the denial
/// when that is empty. `None`: there are none.
pub(super) fn ends(message: &Message, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let ends = || telling(message).map(|(_, signature)| expiration(signature, now));
    ends().min().zip(ends().max())
}

/// A signature over what the message says whose time has passed or not come.
pub(super) fn out_of_date(message: &Message, now: Timestamp) -> Option<String> {
    telling(message).find_map(|(_, signature)| {
        let (rtype, ends) = (signature.input().type_covered, expiration(signature, now));
        let begins = time(signature.input().sig_inception.get(), now);
        if ends < now {
            Some(format!("the signature over {rtype} ended at {}", minute(ends)))
        } else if begins > now {
            let clock = "is the clock of this host or of the signer wrong?";
            Some(format!("the signature over {rtype} begins at {}: {clock}", minute(begins)))
        } else {
            None
        }
    })
}

/// Nothing that the message says is signed.
pub(super) fn missing(message: &Message) -> Option<String> {
    telling(message).next().is_none().then(|| "no signature came with it, although the zone is signed".into())
}

/// A signature whose signer is not at or above the name it signs (RFC 4035 §5.3.1). The validator would look for the
/// chain of trust at the signer: one below an unsigned zone would make a forged record look merely insecure.
pub(super) fn foreign_signer(message: &Message) -> Option<String> {
    let all = message.answers.iter().chain(&message.authorities);
    all.filter_map(|record| Some((&record.name, rrsig(record)?))).find_map(|(owner, signature)| {
        let signer = &signature.input().signer_name;
        let foreign = !signer.to_lowercase().zone_of(&owner.to_lowercase());
        foreign.then(|| {
            format!(
                "a signature over `{}` claims to be by `{}`, which is no zone above it",
                owner.to_ascii(),
                signer.to_ascii()
            )
        })
    })
}

/// The zones that claim to have signed something in the message, each once.
pub(super) fn signers(message: &Message) -> Vec<Name> {
    let all = message.answers.iter().chain(&message.authorities);
    let mut names: Vec<Name> =
        all.filter_map(rrsig).map(|signature| signature.input().signer_name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    names
}

/// The original TTL of an RRset of the answer section; `None` when it is not signed.
pub(super) fn original_ttl(message: &Message, owner: &Name, rtype: RecordType) -> Option<u32> {
    let over = message.answers.iter().filter(|record| record.name.eq_ignore_root(owner)).filter_map(rrsig);
    over.filter(|signature| signature.input().type_covered == rtype)
        .map(|signature| signature.input().original_ttl)
        .max()
}

/// Signatures over the answer section or, when nothing is answered, over the authority section.
fn telling(message: &Message) -> impl Iterator<Item = (&Record, &RRSIG)> {
    let section = if message.answers.is_empty() { &message.authorities } else { &message.answers };
    section.iter().filter_map(|record| Some((record, rrsig(record)?)))
}

fn rrsig(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => Some(rrsig),
        _ => None,
    }
}

fn expiration(signature: &RRSIG, now: Timestamp) -> Timestamp {
    time(signature.input().sig_expiration.get(), now)
}

/// Seconds modulo 2³², meant within 68 years of now (RFC 4034 §3.1.5).
fn time(seconds: u32, now: Timestamp) -> Timestamp {
    let now_modulo = now.as_second().rem_euclid(1 << 32) as u32;
    let away = seconds.wrapping_sub(now_modulo) as i32;
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    whole.checked_add(SignedDuration::from_secs(i64::from(away))).unwrap_or(now)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
