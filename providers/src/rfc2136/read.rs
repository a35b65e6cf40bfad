//! Questions to the primary: what stands at a name in the very zone we are going to change.

use super::outcome::{Failure, Story, plain, word};
use crate::{Class, Error, RrSet};
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Payload we take over UDP, octets (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// A question without recursion.
pub(super) fn question(name: &Name, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message
}

/// Reads the RRset out of an authenticated answer.
///
/// Errors: [`Class::Conflict`] for an alias, [`Class::NotFound`] when the server does not serve the name in `zone`.
pub(super) fn rrset(
    answer: &Message,
    story: &Story<'_>,
    name: &Name,
    rtype: RecordType,
) -> Result<RrSet, Error> {
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        rcode => return Err(unreadable(story, rcode)),
    }
    let here = |record: &&Record| record.name == *name;
    if let Some(target) = answer.answers.iter().filter(here).find_map(alias) {
        return Err(aliased(story, name, target));
    }
    check_zone(answer, story)?;
    let records: Vec<&Record> =
        answer.answers.iter().filter(here).filter(|record| record.record_type() == rtype).collect();
    Ok(RrSet {
        ttl: records.iter().map(|record| record.ttl).min().unwrap_or(0),
        values: records.into_iter().map(|record| record.data.clone()).collect(),
    })
}

/// The apex of the zone that a question for SOA was answered from; none when an alias stands at the name.
///
/// Errors: [`Class::NotFound`] when the server does not hold that zone.
pub(super) fn apex(answer: &Message, story: &Story<'_>) -> Result<Option<Name>, Error> {
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        rcode => return Err(unreadable(story, rcode)),
    }
    let mut records = answer.answers.iter().chain(&answer.authorities);
    let apex = records.find(|r| r.record_type() == RecordType::SOA && r.name.zone_of(story.zone));
    let alias = answer.answers.iter().any(|record| record.name == *story.zone && alias(record).is_some());
    match apex {
        Some(record) if answer.authoritative => Ok(Some(record.name.to_lowercase())),
        _ if alias && !story.zone.is_root() => Ok(None),
        _ => Err(elsewhere(format!("{} holds no zone of {}", story.server, plain(story.zone)))),
    }
}

/// An error for a question that got no authenticated answer. Nothing was at stake, so nothing is unknown.
pub(super) fn failure(story: &Story<'_>, failure: &Failure) -> Error {
    match failure {
        Failure::Hint { rcode: ResponseCode::Refused, tsig: None } => {
            unreadable(story, ResponseCode::Refused)
        }
        other => story.failure(other),
    }
}

fn alias(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// RFC 2136 §3.4.2.2: an UPDATE that adds to an alias is ignored without an error, so we never send one.
fn aliased(story: &Story<'_>, name: &Name, target: &Name) -> Error {
    let (name, target) = (plain(name), plain(target));
    Error::new(Class::Conflict, format!("{name} is an alias of {target} at {}", story.server))
        .hint(format!("records of {name} belong at {target}, in the zone that holds it"))
}

/// The name may lie below a delegation or in a child zone of the same server; an UPDATE of `zone` would be accepted
/// there and never be seen (RFC 1034 §4.3.2).
fn check_zone(answer: &Message, story: &Story<'_>) -> Result<(), Error> {
    let owner = |rtype| answer.authorities.iter().find(|r| r.record_type() == rtype).map(|r| &r.name);
    let zone = plain(story.zone);
    if answer.authoritative {
        return match owner(RecordType::SOA).filter(|apex| *apex != story.zone) {
            None => Ok(()),
            Some(apex) => Err(elsewhere(format!(
                "{} lies in zone {} at {}, not in {zone}",
                story.names,
                plain(apex),
                story.server
            ))),
        };
    }
    Err(elsewhere(match owner(RecordType::NS).filter(|cut| story.zone.zone_of(cut) && *cut != story.zone) {
        Some(cut) => {
            format!("{} lies below {}, which {zone} delegates to other servers", story.names, plain(cut))
        }
        None => format!("{} is not authoritative for {zone}", story.server),
    }))
}

fn elsewhere(text: String) -> Error {
    Error::new(Class::NotFound, text)
        .hint("check `zone` and the provider's server: updates go to the primary")
}

fn unreadable(story: &Story<'_>, rcode: ResponseCode) -> Error {
    let (server, names, zone) = (story.server, &story.names, plain(story.zone));
    let text = format!("{server} did not let us read {names}: {}", word(rcode));
    match rcode {
        ResponseCode::ServFail => Error::new(Class::Transient, text).hint(format!(
            "its log says why; a zone that failed to load or has expired answers SERVFAIL ({zone})"
        )),
        ResponseCode::Refused | ResponseCode::NotAuth => Error::new(Class::NotFound, text).hint(format!(
            "the server does not serve zone {zone}, or its `allow-query` keeps key {} out",
            story.key
        )),
        _ => Error::new(Class::Rejected, text),
    }
}
