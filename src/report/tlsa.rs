//! TLSA records as text: for zone files, for nsupdate, for servers that do not know the type, for curl.

use crate::model::key::SpkiDigest;
use hickory_proto::rr::Name;
use std::fmt::Write;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines of a zone file (RFC 1035 §5.1, RFC 6698 §2.2).
    Zone,
    /// Commands for `nsupdate`.
    Nsupdate,
    /// Lines of a zone file in the notation for unknown types (RFC 3597 §5).
    Rfc3597,
    /// `pin-sha256="…"` (RFC 7469 §2.1.1), one per key.
    PinSha256,
}

/// TLSA 3 1 1 records: each key at each owner.
#[derive(Debug, Clone)]
pub struct Records {
    /// Where; empty: the record data alone.
    pub owners: Vec<Name>,
    /// Which keys.
    pub keys: Vec<SpkiDigest>,
    /// Seconds.
    pub ttl: u32,
    /// For nsupdate: the zone to change; none: nsupdate asks for it.
    pub zone: Option<Name>,
}

impl Records {
    /// All records in this format. Without owners nsupdate has nothing to add.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Zone => self.lines(|owner, ttl, key| match owner {
                Some(owner) => format!("{owner} {ttl} IN TLSA 3 1 1 {key}"),
                None => format!("3 1 1 {key}"),
            }),
            Format::Rfc3597 => self.lines(|owner, ttl, key| match owner {
                Some(owner) => format!("{owner} {ttl} IN TYPE52 {}", unknown(key)),
                None => unknown(key),
            }),
            Format::Nsupdate => self.nsupdate(),
            Format::PinSha256 => {
                self.keys.iter().map(|key| format!("pin-sha256=\"{}\"\n", key.pin_sha256())).collect()
            }
        }
    }

    /// All records for `--json`.
    pub fn json(&self) -> serde_json::Value {
        let records = self.owners.iter().flat_map(|owner| {
            self.keys.iter().map(move |key| {
                serde_json::json!({ "owner": owner.to_ascii(), "ttl": self.ttl, "type": "TLSA", "data": format!("3 1 1 {key}") })
            })
        });
        records.collect()
    }

    fn lines(&self, line: impl Fn(Option<String>, u32, &SpkiDigest) -> String) -> String {
        let mut text = String::new();
        let at = |text: &mut String, owner: Option<&Name>| {
            for key in &self.keys {
                text.push_str(&line(owner.map(Name::to_ascii), self.ttl, key));
                text.push('\n');
            }
        };
        if self.owners.is_empty() {
            at(&mut text, None);
        }
        self.owners.iter().for_each(|owner| at(&mut text, Some(owner)));
        text
    }

    fn nsupdate(&self) -> String {
        let mut text = String::new();
        if let Some(zone) = &self.zone {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "zone {}", zone.to_ascii());
        }
        text + &self.lines(|owner, ttl, key| {
            format!("update add {} {ttl} TLSA 3 1 1 {key}", owner.unwrap_or_default())
        }) + "send\n"
    }
}

/// RFC 3597 §5: 35 octets, of which the first three are the parameters.
fn unknown(key: &SpkiDigest) -> String {
    format!("\\# 35 030101{key}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const B: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn records(owners: &[&str]) -> Records {
        Records {
            owners: owners.iter().map(|owner| Name::from_ascii(owner).unwrap()).collect(),
            keys: vec![SpkiDigest([1; 32]), SpkiDigest([2; 32])],
            ttl: 3600,
            zone: Some(Name::from_ascii("example.org.").unwrap()),
        }
    }

    #[test]
    fn every_key_stands_at_every_owner() {
        let text = records(&["_25._tcp.mx1.example.org.", "_465._tcp.mx1.example.org."]).text(Format::Zone);
        let expected = format!(
            "_25._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 {A}\n_25._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 {B}\n\
             _465._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 {A}\n_465._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 {B}\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn without_owner_the_record_data_stands_alone() {
        assert_eq!(records(&[]).text(Format::Zone), format!("3 1 1 {A}\n3 1 1 {B}\n"));
        assert_eq!(records(&[]).text(Format::Rfc3597), format!("\\# 35 030101{A}\n\\# 35 030101{B}\n"));
    }

    #[test]
    fn nsupdate_sends_all_records_in_one_message() {
        let text = records(&["_25._tcp.mx1.example.org."]).text(Format::Nsupdate);
        let expected = format!(
            "zone example.org.\nupdate add _25._tcp.mx1.example.org. 3600 TLSA 3 1 1 {A}\n\
             update add _25._tcp.mx1.example.org. 3600 TLSA 3 1 1 {B}\nsend\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn pins_for_curl_are_base64() {
        let text = records(&["_25._tcp.mx1.example.org."]).text(Format::PinSha256);
        assert_eq!(text.lines().next(), Some("pin-sha256=\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""));
    }
}
