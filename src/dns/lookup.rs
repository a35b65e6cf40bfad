//! A resolver's answer, read: aliases followed within it, records at their end.

use super::secure::{Link, Lookup, Security};
use super::signature;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

/// More links than this are a circle, or as good as one. Our choice: resolvers give up between 8 and 16.
const MAX_LINKS: usize = 16;

/// What the message says about `asked` and `rtype`; every link gets the verdict on the whole.
pub(super) fn read(message: &Message, asked: &Name, rtype: RecordType, security: Security) -> Lookup {
    let asked = asked.to_lowercase();
    let ttl_of = |owner: &Name, rtype, shown: u32| {
        // What a cache counts down must not be taken for the TTL of the RRset.
        signature::original_ttl(message, owner, rtype).filter(|_| security.is_secure()).unwrap_or(shown)
    };
    let (mut name, mut links) = (asked.clone(), Vec::new());
    while rtype != RecordType::CNAME && links.len() < MAX_LINKS {
        let Some((target, shown)) = alias(message, &name) else { break };
        let ttl = ttl_of(&name, RecordType::CNAME, shown);
        links.push(Link { owner: name, target: target.clone(), ttl, security: security.clone() });
        name = target;
    }
    let here = || message.answers.iter().filter(|r| r.name.eq_ignore_root(&name) && r.record_type() == rtype);
    let records: Vec<RData> = here().map(|record| record.data.clone()).collect();
    let ttl = here().map(|record| record.ttl).max().map_or(0, |shown| ttl_of(&name, rtype, shown));
    let nxdomain = message.metadata.response_code == ResponseCode::NXDomain;
    Lookup { asked, name, links, records, ttl, nxdomain, security }
}

fn alias(message: &Message, name: &Name) -> Option<(Name, u32)> {
    message.answers.iter().filter(|record| record.name.eq_ignore_root(name)).find_map(|record| match &record
        .data
    {
        RData::CNAME(target) => Some((target.0.to_lowercase(), record.ttl)),
        _ => None,
    })
}
