//! From changes to UPDATE messages (RFC 2136 §2.4, §2.5): single values come and go, and every RRset that is touched
//! must still be what we saw.

use crate::{Change, Class, Error, RrSet};
use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{TLSA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use std::collections::HashMap;

/// Most octets of records per message: 64 KiB of TCP framing, less zone, TSIG and prudence; our choice.
const MAX_RECORDS: usize = 60_000;
/// Name pointer or root, type, class, TTL and length of a record, octets (RFC 1035 §4.1.3).
const RECORD_OVERHEAD: usize = 12;

/// What is left to do at one owner name and type.
#[derive(Debug, Clone)]
pub(super) struct Step {
    name: Name,
    rtype: RecordType,
    ttl: u32,
    seen: Vec<RData>,
    add: Vec<RData>,
    remove: Vec<RData>,
}

impl Step {
    /// `seen` is what stands; `None` when nothing needs to be done.
    pub(super) fn new(change: &Change, seen: &RrSet) -> Option<Self> {
        let add: Vec<RData> =
            change.add.iter().filter(|value| !holds(&seen.values, value)).cloned().collect();
        let goes = |standing: &&RData| holds(&change.remove, standing) && !holds(&change.add, standing);
        let remove: Vec<RData> = seen.values.iter().filter(goes).cloned().collect();
        if add.is_empty() && remove.is_empty() {
            return None;
        }
        // RFC 2181 §5.2: one TTL per RRset; another one in an UPDATE changes it for the values of others, too.
        let ttl = if seen.values.is_empty() { change.ttl } else { seen.ttl };
        let (name, rtype) = (change.name.clone(), change.rtype);
        Some(Step { name, rtype, ttl, seen: seen.values.clone(), add, remove })
    }

    /// The server is asked whether the values that shall go are gone: nothing changes when `seen` is all that stands, and
    /// otherwise the prerequisites refuse. `None` when nothing shall go.
    pub(super) fn absence(change: &Change, seen: &RrSet) -> Option<Self> {
        let remove: Vec<RData> =
            change.remove.iter().filter(|value| !holds(&change.add, value)).cloned().collect();
        let (name, rtype) = (change.name.clone(), change.rtype);
        let step = Step { name, rtype, ttl: 0, seen: seen.values.clone(), add: vec![], remove };
        (!step.remove.is_empty()).then_some(step)
    }

    /// Whether it adds or removes anything where `seen` is what stands.
    pub(super) fn changes_something(&self) -> bool {
        !self.add.is_empty() || self.remove.iter().any(|value| holds(&self.seen, value))
    }

    /// Owner name and type.
    pub(super) fn target(&self) -> (Name, RecordType) {
        (self.name.clone(), self.rtype)
    }

    /// RFC 2136 §2.4.2 and §2.4.3: the RRset is exactly what we saw, and no alias has come in its place.
    fn prerequisites(&self) -> Vec<Record> {
        let mut records: Vec<Record> =
            self.seen.iter().map(|value| Record::from_rdata(self.name.clone(), 0, value.clone())).collect();
        if records.is_empty() {
            records.push(absent(&self.name, self.rtype));
        }
        if !self.add.is_empty() {
            records.push(absent(&self.name, RecordType::CNAME));
        }
        records
    }

    /// RFC 2136 §2.5.1 and §2.5.4. Additions first: a set that keeps a value keeps its TTL.
    fn updates(&self) -> Vec<Record> {
        let add = self.add.iter().map(|value| Record::from_rdata(self.name.clone(), self.ttl, value.clone()));
        let remove = self.remove.iter().map(|value| deletion(&self.name, value.clone()));
        add.chain(remove).collect()
    }

    fn octets(&self) -> usize {
        let sizes = self.seen.iter().chain(&self.add).chain(&self.remove).map(|value| rdata(value).len());
        sizes.map(|rdata| rdata + self.name.len() + RECORD_OVERHEAD).sum::<usize>()
            + 2 * (self.name.len() + RECORD_OVERHEAD)
    }
}

/// One change per owner name and type, in the order of first mention.
///
/// Errors: [`Class::Unsupported`] for other types than TXT and TLSA, [`Class::Internal`] for a name outside `zone` or
/// a value of another type.
pub(crate) fn merged(zone: &Name, changes: &[Change]) -> Result<Vec<Change>, Error> {
    let mut merged: Vec<Change> = Vec::with_capacity(changes.len());
    let mut known: HashMap<(&Name, RecordType), usize> = HashMap::new();
    for change in changes {
        check(zone, change)?;
        let index = *known.entry((&change.name, change.rtype)).or_insert(merged.len());
        match merged.get_mut(index) {
            Some(first) => {
                first.add.extend(change.add.iter().cloned());
                first.remove.extend(change.remove.iter().cloned());
            }
            None => merged.push(change.clone()),
        }
    }
    for change in &mut merged {
        change.add = distinct(&change.add);
    }
    Ok(merged)
}

/// As few messages as hold all steps; what concerns one name stays together.
pub(super) fn batches(steps: Vec<Step>) -> Result<Vec<Vec<Step>>, Error> {
    let mut batches: Vec<Vec<Step>> = Vec::new();
    let mut octets = 0;
    for together in by_name(steps) {
        let size: usize = together.iter().map(Step::octets).sum();
        if size > MAX_RECORDS {
            let name = together.first().map(|step| super::outcome::plain(&step.name)).unwrap_or_default();
            return Err(Error::new(
                Class::Rejected,
                format!("the records at {name} do not fit into one DNS message (64 KiB)"),
            ));
        }
        match batches.last_mut().filter(|_| octets + size <= MAX_RECORDS) {
            Some(batch) => batch.extend(together),
            None => {
                batches.push(together);
                octets = 0;
            }
        }
        octets += size;
    }
    Ok(batches)
}

/// One UPDATE that does all steps or none (RFC 2136 §3.2).
pub(super) fn message(zone: &Name, steps: &[Step]) -> Message {
    let mut message = empty(zone);
    // An UPDATE's prerequisite and update sections travel as answers and authorities (RFC 2136 §2.2).
    message.answers = steps.iter().flat_map(Step::prerequisites).collect();
    message.authorities = steps.iter().flat_map(Step::updates).collect();
    message
}

/// An UPDATE that changes nothing and yet needs every permission: it deletes values that nobody has published,
/// because `nonce` is random.
pub(super) fn probe(zone: &Name, targets: &[(Name, RecordType)], nonce: &[u8; 32]) -> Message {
    let mut message = empty(zone);
    let absent_value = |rtype: RecordType| match rtype {
        RecordType::TLSA => {
            RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, nonce.to_vec()))
        }
        _ => RData::TXT(TXT::new(vec![format!(
            "danesmith-preflight-{}",
            data_encoding::HEXLOWER.encode(nonce)
        )])),
    };
    message.authorities = targets.iter().map(|(name, rtype)| deletion(name, absent_value(*rtype))).collect();
    message
}

/// The same value: TLSA by rdata, TXT by the concatenation of its character-strings, which servers may split anew.
pub(super) fn same(one: &RData, other: &RData) -> bool {
    match (one, other) {
        (RData::TXT(one), RData::TXT(other)) => one.txt_data.concat() == other.txt_data.concat(),
        _ => one.record_type() == other.record_type() && rdata(one) == rdata(other),
    }
}

/// The same set of values, in any order.
pub(super) fn same_set(one: &[RData], other: &[RData]) -> bool {
    one.len() == other.len() && one.iter().all(|value| holds(other, value))
}

fn holds(values: &[RData], value: &RData) -> bool {
    values.iter().any(|standing| same(standing, value))
}

fn distinct(values: &[RData]) -> Vec<RData> {
    let mut distinct: Vec<RData> = Vec::new();
    for value in values {
        if !holds(&distinct, value) {
            distinct.push(value.clone());
        }
    }
    distinct
}

fn check(zone: &Name, change: &Change) -> Result<(), Error> {
    let name = super::outcome::plain(&change.name);
    if !matches!(change.rtype, RecordType::TXT | RecordType::TLSA) {
        return Err(Error::new(
            Class::Unsupported,
            format!("{} at {name} is not ours to write", change.rtype),
        ));
    }
    let foreign = change.add.iter().chain(&change.remove).find(|value| value.record_type() != change.rtype);
    if !zone.zone_of(&change.name) || foreign.is_some() {
        return Err(Error::new(
            Class::Internal,
            format!(
                "a change of {} at {name} does not fit zone {}",
                change.rtype,
                super::outcome::plain(zone)
            ),
        ));
    }
    Ok(())
}

fn by_name(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    steps.sort_by(|one, other| one.name.cmp(&other.name));
    steps.chunk_by(|one, other| one.name == other.name).map(<[Step]>::to_vec).collect()
}

/// RFC 2136 §2.3: the zone section names the SOA.
fn empty(zone: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    message
}

/// RFC 2136 §2.4.3: class NONE, no rdata.
fn absent(name: &Name, rtype: RecordType) -> Record {
    let mut record = Record::update0(name.clone(), 0, rtype);
    record.dns_class = DNSClass::NONE;
    record
}

/// RFC 2136 §2.5.4: class NONE, TTL 0, the exact value.
fn deletion(name: &Name, value: RData) -> Record {
    let mut record = Record::from_rdata(name.clone(), 0, value);
    record.dns_class = DNSClass::NONE;
    record
}

fn rdata(value: &RData) -> Vec<u8> {
    value.to_bytes().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn txt(strings: &[&str]) -> RData {
        RData::TXT(TXT::new(strings.iter().map(|s| (*s).to_owned()).collect()))
    }

    fn change(at: &str, add: Vec<RData>, remove: Vec<RData>) -> Change {
        Change { name: name(at), rtype: RecordType::TXT, ttl: 60, add, remove }
    }

    #[test]
    fn values_that_stand_and_values_that_are_gone_need_no_step() {
        let seen = RrSet { ttl: 300, values: vec![txt(&["ab", "c"])] };
        let change = change("a.example.", vec![txt(&["abc"])], vec![txt(&["gone"])]);
        assert!(Step::new(&change, &seen).is_none());
    }

    /// RFC 2181 §5.2, RFC 2136 §2.5.4.
    #[test]
    fn rule_14_a_value_is_deleted_as_it_stands_and_its_neighbours_keep_their_ttl() {
        let seen = RrSet { ttl: 300, values: vec![txt(&["ab", "c"]), txt(&["foreign"])] };
        let step = Step::new(&change("a.example.", vec![txt(&["new"])], vec![txt(&["abc"])]), &seen).unwrap();
        let updates = step.updates();
        assert_eq!((updates[0].ttl, &updates[0].data), (300, &txt(&["new"])));
        assert_eq!(
            (updates[1].dns_class, updates[1].ttl, &updates[1].data),
            (DNSClass::NONE, 0, &txt(&["ab", "c"]))
        );
        assert_eq!(updates.len(), 2);
    }

    /// RFC 2136 §2.4.2: a set that has changed since refuses the message.
    #[test]
    fn rule_19_prerequisites_hold_the_whole_set_that_was_seen() {
        let seen = RrSet { ttl: 300, values: vec![txt(&["one"]), txt(&["two"])] };
        let step = Step::new(&change("a.example.", vec![txt(&["new"])], vec![]), &seen).unwrap();
        let prerequisites = step.prerequisites();
        let values: Vec<RData> = prerequisites[..2].iter().map(|r| r.data.clone()).collect();
        assert_eq!(values, seen.values);
        assert_eq!(
            (prerequisites[2].dns_class, prerequisites[2].record_type()),
            (DNSClass::NONE, RecordType::CNAME)
        );
    }

    #[test]
    fn more_than_a_message_holds_is_split_between_names() {
        let long = "x".repeat(250);
        let steps = (0..300).filter_map(|n| {
            Step::new(&change(&format!("n{n}.example."), vec![txt(&[&long])], vec![]), &RrSet::default())
        });
        let batches = batches(steps.collect()).unwrap();
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 300);
        assert!(batches.len() > 1 && batches.len() < 4, "{}", batches.len());
        let zone = name("example.");
        assert!(batches.iter().all(|batch| message(&zone, batch).to_vec().unwrap().len() < 65_000));
    }

    #[test]
    fn a_name_outside_the_zone_is_a_defect() {
        let error = merged(&name("example."), &[change("a.test.", vec![], vec![])]).unwrap_err();
        assert_eq!(error.class, Class::Internal);
    }
}
