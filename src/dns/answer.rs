//! What an authoritative server's message says about one name and type.

use super::Answer;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::time::Duration;

/// Reads the answer to a question for `name` and `rtype`; the error is the readable reason why this server's word does
/// not count (an rcode, or not authoritative).
pub(super) fn read(
    message: &Message,
    name: &Name,
    rtype: RecordType,
    took: Duration,
) -> Result<Answer, String> {
    let nxdomain = match message.metadata.response_code {
        ResponseCode::NoError => false,
        ResponseCode::NXDomain => true,
        other => return Err(format!("the server answered {}{}", rcode(other), meaning(other))),
    };
    let view = View { message, name, rtype };
    let referral = if nxdomain { None } else { view.referral() };
    if !message.metadata.authoritative && referral.is_none() {
        return Err("the server is not authoritative for this name".into());
    }
    let alias = view.alias();
    Ok(Answer {
        values: view.values().map(|record| record.data.clone()).collect(),
        ttl: view.values().map(|record| record.ttl).min().unwrap_or(0),
        zone: if alias.is_none() { view.zone() } else { None },
        referral,
        authoritative: message.metadata.authoritative,
        // RFC 6604 §3: behind an alias the rcode speaks of the last name of the chain.
        nxdomain: nxdomain && alias.is_none(),
        signed: view.signed(),
        alias,
        took,
    })
}

/// The mnemonic of the IANA registry.
pub(super) fn rcode(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        ResponseCode::BADVERS => "BADVERS".into(),
        ResponseCode::BADCOOKIE => "BADCOOKIE".into(),
        other => format!("rcode {}", u16::from(other)),
    }
}

fn meaning(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::Refused => " (it does not serve this name, or not to us)",
        ResponseCode::ServFail => " (it cannot serve the zone at the moment)",
        _ => "",
    }
}

/// A message together with what was asked.
struct View<'a> {
    message: &'a Message,
    name: &'a Name,
    rtype: RecordType,
}

impl<'a> View<'a> {
    fn values(&self) -> impl Iterator<Item = &'a Record> {
        let rtype = self.rtype;
        self.at_name().filter(move |record| record.record_type() == rtype)
    }

    fn alias(&self) -> Option<Name> {
        self.at_name().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.to_lowercase()),
            _ => None,
        })
    }

    /// The zone whose SOA came: with a SOA question in the answer, otherwise in the authority section (RFC 2308 §3).
    fn zone(&self) -> Option<Name> {
        let answered = self.values().filter(|record| record.record_type() == RecordType::SOA);
        answered.chain(self.above(RecordType::SOA)).next().map(|record| record.name.to_lowercase())
    }

    /// RFC 2308 §2.2: NS but neither AA nor SOA. A referral to the root is a server's way to say "not mine".
    fn referral(&self) -> Option<Name> {
        let empty = self.message.answers.is_empty() && self.above(RecordType::SOA).next().is_none();
        if self.message.metadata.authoritative || !empty {
            return None;
        }
        let cut = self.above(RecordType::NS).next()?;
        (!cut.name.is_root()).then(|| cut.name.to_lowercase())
    }

    fn signed(&self) -> bool {
        let over_values =
            self.at_name().any(|record| covers(record, self.rtype) || covers(record, RecordType::CNAME));
        let over_denial = self.message.authorities.iter().any(|record| covers(record, RecordType::SOA));
        over_values || over_denial
    }

    /// Records of the answer section at exactly the asked name.
    fn at_name(&self) -> impl Iterator<Item = &'a Record> {
        let name = self.name.clone();
        self.message
            .answers
            .iter()
            .filter(move |record| record.dns_class == DNSClass::IN && same(&record.name, &name))
    }

    /// Records of the authority section at the asked name or above it.
    fn above(&self, rtype: RecordType) -> impl Iterator<Item = &'a Record> {
        let name = self.name.clone();
        self.message
            .authorities
            .iter()
            .filter(move |record| record.record_type() == rtype && record.name.zone_of(&name))
    }
}

/// Equal without regard to case and to a missing final dot.
fn same(one: &Name, other: &Name) -> bool {
    one.eq_ignore_root(other)
}

fn covers(record: &Record, rtype: RecordType) -> bool {
    matches!(&record.data, RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) if rrsig.input().type_covered == rtype)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
