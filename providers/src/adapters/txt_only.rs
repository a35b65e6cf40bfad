//! Tools that add and remove a TXT value and cannot list. What stands is asked at the authoritative servers instead.
//! Many of these tools remove the whole RRset whatever value they are given, so a removal is guarded: it is only done when
//! nothing else stands at the name.

use crate::authoritative::Authoritative;
use crate::exec::turn::Turns;
use crate::exec::value::{holds, plain, same};
use crate::{Applied, Atomicity, Capabilities, Change, Class, Error, Provider, RrSet};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long another run on this host may keep us from a zone. Our choice: a slow tool takes minutes for a few values.
const OTHERS: Duration = Duration::from_secs(600);

/// A tool in one of the established conventions.
#[async_trait]
pub trait Tool: Send + Sync {
    /// For messages: kind and place, never a secret.
    fn label(&self) -> String;

    /// Whether it can be used at all, without changing anything.
    async fn ready(&self) -> Result<(), Error>;

    /// Adds one TXT value (the text of its only character-string) at an absolute name.
    async fn add(&self, name: &Name, value: &str) -> Result<(), Error>;

    /// Removes one TXT value.
    async fn remove(&self, name: &Name, value: &str) -> Result<(), Error>;
}

/// What is known about how a tool removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// It may remove everything at the name: nothing is removed while other values stand there.
    #[default]
    MayTakeAll,
    /// The administrator says that it removes exactly the value it is given.
    ByValue,
}

/// A tool as provider: TXT only. The TTL is the tool's own choice.
pub struct TxtOnly<T> {
    tool: T,
    authoritative: Arc<dyn Authoritative>,
    removal: Removal,
    /// Values that we added and that servers may not show yet.
    added: Mutex<Vec<(Name, RData)>>,
    turns: Turns,
}

impl<T: Tool> TxtOnly<T> {
    /// `locks` is where lock files keep other processes of this host from writing to the same zone.
    pub fn new(
        tool: T,
        authoritative: Arc<dyn Authoritative>,
        removal: Removal,
        locks: Option<PathBuf>,
    ) -> Self {
        TxtOnly { tool, authoritative, removal, added: Mutex::default(), turns: Turns::new(locks) }
    }

    /// What any server answers at the name.
    async fn standing(&self, zone: &Name, name: &Name) -> Result<RrSet, Error> {
        let sets = self.authoritative.look(zone, name, RecordType::TXT).await?;
        let mut standing = RrSet::default();
        for set in sets.into_iter().filter(|set| !set.values.is_empty()) {
            standing.ttl = if standing.values.is_empty() { set.ttl } else { standing.ttl.min(set.ttl) };
            for value in set.values {
                if !holds(&standing.values, &value) {
                    standing.values.push(value);
                }
            }
        }
        Ok(standing)
    }

    /// The same, with what we added a moment ago.
    async fn standing_or_added(&self, zone: &Name, name: &Name) -> Result<Vec<RData>, Error> {
        let mut values = self.standing(zone, name).await?.values;
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, value) in added.iter().filter(|(at, _)| at == name) {
            if !holds(&values, value) {
                values.push(value.clone());
            }
        }
        Ok(values)
    }

    async fn add(&self, zone: &Name, change: &Change) -> Result<u32, Error> {
        let mut writes = 0;
        let mut standing = self.standing_or_added(zone, &change.name).await?;
        for value in &change.add {
            if holds(&standing, value) {
                continue;
            }
            self.tool.add(&change.name, &text(value)?).await?;
            writes += 1;
            self.note(&change.name, value);
            standing.push(value.clone());
        }
        Ok(writes)
    }

    async fn remove(&self, zone: &Name, change: &Change) -> Result<u32, Error> {
        let goes = |value: &RData| holds(&change.remove, value) && !holds(&change.add, value);
        let mut writes = 0;
        for value in change.remove.iter().filter(|value| goes(value)) {
            // Asked anew for each value: the tool may have taken all with the first one, and others may have come.
            let standing = self.standing_or_added(zone, &change.name).await?;
            if !holds(&standing, value) {
                continue;
            }
            let others = standing.iter().filter(|other| !goes(other)).count();
            if others > 0 && self.removal == Removal::MayTakeAll {
                tracing::warn!(
                    "a TXT value of ours stays at {}: {others} other value(s) stand there, and {} may remove them, too; \
                     it is harmless, and can be removed by hand",
                    plain(&change.name),
                    self.tool.label()
                );
                continue;
            }
            let removed = self.tool.remove(&change.name, &text(value)?).await;
            writes += 1;
            self.forget(&change.name, value);
            if let Err(error) = removed {
                self.gone_all_the_same(zone, &change.name, value, error).await?;
            }
        }
        Ok(writes)
    }

    /// Some tools fail when the value is gone already.
    async fn gone_all_the_same(
        &self,
        zone: &Name,
        name: &Name,
        value: &RData,
        error: Error,
    ) -> Result<(), Error> {
        let standing = self.standing(zone, name).await.map_err(|_| error.clone())?;
        if holds(&standing.values, value) { Err(error) } else { Ok(()) }
    }

    fn note(&self, name: &Name, value: &RData) {
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), value.clone()));
    }

    fn forget(&self, name: &Name, value: &RData) {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.retain(|(at, known)| at != name || !same(known, value));
    }

    fn supports(&self, rtype: RecordType) -> Result<(), Error> {
        if rtype == RecordType::TXT {
            return Ok(());
        }
        let text = format!("{} writes TXT records only, no {rtype}", self.tool.label());
        Err(Error::new(Class::Unsupported, text).hint(
            "zones with TLSA records need another kind of provider; `danesmith provider list` shows them",
        ))
    }
}

#[async_trait]
impl<T: Tool> Provider for TxtOnly<T> {
    fn describe(&self) -> String {
        self.tool.label()
    }

    fn capabilities(&self) -> Capabilities {
        let max_ttl = i32::MAX.unsigned_abs(); // RFC 2181 §8
        Capabilities {
            types: vec![RecordType::TXT],
            semantics: None,
            atomicity: Atomicity::None,
            min_ttl: 0,
            max_ttl,
        }
    }

    /// Tests that the tool can be run and that the servers answer. Whether its credentials are good shows only when it
    /// writes.
    async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<(), Error> {
        for (_, rtype) in targets {
            self.supports(*rtype)?;
        }
        self.tool.ready().await?;
        for (name, _) in targets {
            self.standing(zone, name).await?;
        }
        Ok(())
    }

    /// What any authoritative server answers: the tool cannot list.
    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        self.supports(rtype)?;
        self.standing(zone, name).await
    }

    /// Does not wait until the servers follow, which may take the host minutes: a value that the tool says it added counts
    /// as added. The caller looks at the servers anyway.
    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        for change in changes {
            self.supports(change.rtype)?;
            if !zone.zone_of(&change.name) {
                let text = format!("{} is not in zone {}", plain(&change.name), plain(zone));
                return Err(Error::new(Class::Internal, text));
            }
        }
        let _turn = self.turns.wait(zone, Instant::now() + OTHERS).await?;
        let mut writes = 0;
        for change in changes {
            writes += self.add(zone, change).await?;
        }
        for change in changes {
            writes += self.remove(zone, change).await?;
        }
        Ok(Applied { writes })
    }
}

/// The text of a value that these tools can carry: one character-string of printable ASCII, as challenges are.
fn text(value: &RData) -> Result<String, Error> {
    let refuse = || Error::new(Class::Unsupported, "only challenge values can be written with this tool");
    let RData::TXT(txt) = value else { return Err(refuse()) };
    let [string] = txt.txt_data.as_ref() else { return Err(refuse()) };
    let text = String::from_utf8(string.to_vec()).map_err(|_| refuse())?;
    if text.bytes().all(|octet| octet.is_ascii_graphic()) { Ok(text) } else { Err(refuse()) }
}
