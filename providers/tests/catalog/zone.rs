//! What stands in the fake's zone, and the one change that is under way.

use super::tree::Scope;
use serde_json::{Value as Json, json};

/// The zone that all cases use.
pub(crate) const ZONE: &str = "example.org";
/// TTL of what stands, seconds.
const TTL: u32 = 300;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: u32,
    pub(crate) fqdn: String,
    pub(crate) rtype: String,
    /// Presentation form: TXT quoted, TLSA in lower-case hex.
    pub(crate) value: String,
}

impl Record {
    /// What a write of this value must carry somewhere: the text, or the hex digits.
    pub(crate) fn essence(&self) -> &str {
        let last = self.value.rsplit(' ').next().unwrap_or_default();
        last.trim_matches('"')
    }

    fn relative(&self) -> &str {
        self.fqdn.strip_suffix(ZONE).expect("in the zone").trim_end_matches('.')
    }

    /// All forms in which hosts write such a thing.
    fn json(&self) -> Json {
        let txt = if self.rtype == "TXT" { self.value.trim_matches('"') } else { "" };
        let mut parts = self.value.split(' ').map(|part| part.parse::<u8>().ok());
        let mut number = || if self.rtype == "TLSA" { parts.next().flatten() } else { None };
        let (usage, selector, matching) = (number(), number(), number());
        json!({
            "id": self.id, "fqdn": self.fqdn, "rel": self.relative(), "type": self.rtype, "ttl": TTL,
            "value": self.value, "txt": txt, "content": if txt.is_empty() { &self.value } else { txt },
            "usage": usage, "selector": selector, "matching": matching,
            "data": usage.map(|_| self.essence()),
        })
    }
}

/// The change that the engine was told to make: what a write must say.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) add: Option<Record>,
    pub(crate) remove: Option<u32>,
}

/// The zone's records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    pub(crate) records: Vec<Record>,
    /// Owner and type that the engine works on.
    pub(crate) at: (String, String),
    pub(crate) pending: Option<Change>,
    pub(crate) writes: u32,
    pub(crate) commits: u32,
}

impl Zone {
    /// Carries out what a request said.
    pub(crate) fn write(&mut self, change: Change) {
        self.writes += 1;
        self.records.retain(|record| Some(record.id) != change.remove);
        self.records.extend(change.add);
    }

    /// The values at owner and type.
    pub(crate) fn here(&self) -> Vec<&Record> {
        self.records
            .iter()
            .filter(|record| (&record.fqdn, &record.rtype) == (&self.at.0, &self.at.1))
            .collect()
    }

    /// The owner, relative to the zone.
    pub(crate) fn relative(&self) -> String {
        self.at.0.strip_suffix(ZONE).unwrap_or_default().trim_end_matches('.').to_owned()
    }

    /// What an answer may use.
    pub(crate) fn scope(&self) -> Scope {
        let all: Vec<Json> = self.records.iter().map(Record::json).collect();
        let here: Vec<Json> = self.here().into_iter().map(Record::json).collect();
        let mut scope = Scope::new();
        scope.insert("zone".into(), json!(ZONE));
        scope.insert("zones".into(), json!([ZONE]));
        scope.insert("fqdn".into(), json!(self.at.0));
        scope.insert("rel".into(), json!(self.relative()));
        scope.insert("type".into(), json!(self.at.1));
        scope.insert("records".into(), all.into());
        scope.insert("here".into(), here.into());
        scope.insert("sets".into(), self.sets().into());
        scope
    }

    /// The records by owner and type.
    fn sets(&self) -> Vec<Json> {
        let mut keys: Vec<(&str, &str)> = vec![];
        for record in &self.records {
            let key = (record.fqdn.as_str(), record.rtype.as_str());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let set = |(fqdn, rtype): (&str, &str)| {
            let members: Vec<Json> = self
                .records
                .iter()
                .filter(|record| record.fqdn == fqdn && record.rtype == rtype)
                .map(Record::json)
                .collect();
            json!({"fqdn": fqdn, "rel": members[0]["rel"], "type": rtype, "records": members})
        };
        keys.into_iter().map(set).collect()
    }
}
