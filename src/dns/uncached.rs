//! A way around a defect of `domain` 0.12.3: a name between two zone cuts that it remembers (`co.jp`, which is no zone of
//! its own) is taken for the zone above the next name (`example.co.jp`), has no keys, and everything below seems bogus.
//! It remembers such a name for the TTL of its proof. With TTL 0 it forgets it at once; nothing is asked again for that,
//! [`super::chain`] keeps the proof. The TTL a record arrives with is not part of what is signed (RFC 4034 §3.1.8.1).

use bytes::Bytes;
use domain::base::{Message, MessageBuilder, ParsedName, Record, Ttl};
use domain::rdata::AllRecordData;

/// The message with TTL 0 everywhere, without its additional section.
pub(super) fn wire(wire: &[u8]) -> Result<Bytes, String> {
    rebuild(wire).ok_or_else(|| "the answer cannot be read".to_owned())
}

fn rebuild(wire: &[u8]) -> Option<Bytes> {
    let source = Message::from_octets(wire).ok()?;
    let mut target = MessageBuilder::new_vec();
    *target.header_mut() = source.header();
    let mut target = target.question();
    for question in source.question() {
        target.push(question.ok()?).ok()?;
    }
    let mut target = target.answer();
    for record in source.answer().ok()? {
        target.push(forgotten(record.ok()?)?).ok()?;
    }
    let mut target = target.authority();
    for record in source.authority().ok()? {
        target.push(forgotten(record.ok()?)?).ok()?;
    }
    Some(Bytes::from(target.finish()))
}

type Data<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

fn forgotten<'a>(
    record: domain::base::record::ParsedRecord<'a, &'a [u8]>,
) -> Option<Record<ParsedName<&'a [u8]>, Data<'a>>> {
    let mut record = record.into_record::<Data<'a>>().ok()??;
    record.set_ttl(Ttl::ZERO);
    Some(record)
}
