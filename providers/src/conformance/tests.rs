//! The check must find what it is made to find: providers in memory, each with one defect.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Check, Finding, Outcome, check, conforms};
use crate::exec::value::{holds, same};
use crate::{Applied, Atomicity, Capabilities, Change, Class, Error, Provider, RrSet, Semantics};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RecordType};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    DeletesWholeSets,
    DeletesEveryType,
    SetsTheTtl,
    ReplacesOnAdd,
    WritesTwice,
    HasEveryZone,
    FindsAnotherZone,
    TakesEveryName,
    NeverRemoves,
    RefusesPins,
    TxtOnly,
    Guarded,
}

struct Memory {
    defect: Defect,
    sets: Mutex<HashMap<(Name, RecordType), RrSet>>,
}

impl Memory {
    fn with(defect: Defect) -> Self {
        Memory { defect, sets: Mutex::default() }
    }

    fn change(&self, sets: &mut HashMap<(Name, RecordType), RrSet>, change: &Change) -> u32 {
        let key = (change.name.clone(), change.rtype);
        let set = sets.entry(key.clone()).or_default();
        let mut writes = u32::from(self.defect == Defect::WritesTwice);
        let standing = set.values.clone();
        for value in change.add.iter().filter(|value| !holds(&standing, value)) {
            if set.values.is_empty() || self.defect == Defect::SetsTheTtl {
                set.ttl = change.ttl;
            }
            if self.defect == Defect::ReplacesOnAdd && change.rtype == RecordType::TLSA {
                set.values.clear();
            }
            set.values.push(value.clone());
            writes += 1;
        }
        let goes = |value| holds(&change.remove, value) && !holds(&change.add, value);
        if self.defect == Defect::Guarded && set.values.iter().any(|value| !goes(value)) {
            return writes;
        }
        if set.values.iter().any(goes) && self.defect != Defect::NeverRemoves {
            writes += 1;
            match self.defect {
                Defect::DeletesWholeSets => set.values.clear(),
                Defect::DeletesEveryType => sets.retain(|(name, _), _| *name != change.name),
                _ => set.values.retain(|value| !change.remove.iter().any(|gone| same(gone, value))),
            }
        }
        writes
    }
}

#[async_trait]
impl Provider for Memory {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        let mut types = vec![RecordType::TXT, RecordType::TLSA];
        let txt_only = [Defect::TxtOnly, Defect::Guarded].contains(&self.defect);
        types.truncate(if txt_only { 1 } else { 2 });
        let (semantics, atomicity) = (Some(Semantics::Value), Atomicity::Value);
        Capabilities { types, semantics, atomicity, min_ttl: 0, max_ttl: 86400 }
    }

    async fn zone(&self, _name: &Name) -> Result<Name, Error> {
        match self.defect {
            Defect::TxtOnly => Err(Error::new(Class::Unsupported, "cannot tell")),
            Defect::FindsAnotherZone => Ok(Name::from_ascii("test.").unwrap()),
            _ => Ok(zone_of_the_test()),
        }
    }

    async fn preflight(&self, _zone: &Name, _targets: &[(Name, RecordType)]) -> Result<(), Error> {
        Ok(())
    }

    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        if *zone != zone_of_the_test() && self.defect != Defect::HasEveryZone {
            return Err(Error::new(Class::NotFound, "no such zone"));
        }
        Ok(self.sets.lock().unwrap().get(&(name.clone(), rtype)).cloned().unwrap_or_default())
    }

    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        let mut sets = self.sets.lock().unwrap();
        let mut writes = 0;
        for change in changes {
            if !zone.zone_of(&change.name) && self.defect != Defect::TakesEveryName {
                return Err(Error::new(Class::Internal, "outside"));
            }
            let pins = change.rtype == RecordType::TLSA && !change.add.is_empty();
            if pins && self.defect == Defect::RefusesPins {
                return Err(Error::new(Class::Rejected, "no pins today"));
            }
            writes += self.change(&mut sets, change);
        }
        Ok(Applied { writes })
    }
}

fn zone_of_the_test() -> Name {
    Name::from_ascii("example.test.").unwrap()
}

async fn findings(provider: &Memory) -> Vec<Finding> {
    let zone = zone_of_the_test();
    check(&Check { provider, zone: &zone, authoritative: None, patience: Duration::ZERO }).await
}

fn with_outcome(findings: &[Finding], outcome: Outcome) -> Vec<&str> {
    findings.iter().filter(|f| f.outcome == outcome).map(|f| f.check).collect()
}

#[tokio::test]
async fn a_good_provider_passes_and_is_left_as_it_was() {
    let provider = Memory::with(Defect::None);
    let findings = findings(&provider).await;
    assert!(conforms(&findings), "{findings:#?}");
    assert_eq!(
        with_outcome(&findings, Outcome::Skipped),
        [
            "every authoritative server has the pair",
            "every authoritative server has the TLSA pair",
            "every authoritative server follows"
        ]
    );
    assert!(provider.sets.lock().unwrap().values().all(|set| set.values.is_empty()));
}

#[tokio::test]
async fn each_defect_is_named() {
    for (defect, named) in [
        (Defect::DeletesWholeSets, &["one TLSA value is replaced by another"][..]),
        (Defect::DeletesEveryType, &["one TLSA value is replaced by another"][..]),
        (Defect::SetsTheTtl, &["the TTL of an existing RRset is kept"][..]),
        (Defect::ReplacesOnAdd, &["the TLSA pair is listed"][..]),
        (Defect::WritesTwice, &["adding what stands changes nothing"][..]),
        (Defect::HasEveryZone, &["a zone it does not have is not found"][..]),
        (Defect::FindsAnotherZone, &["it finds the zone of a name"][..]),
        (Defect::RefusesPins, &["two TLSA values are added together"][..]),
        (Defect::NeverRemoves, &["one TLSA value is replaced by another", "nothing is left behind"][..]),
        (Defect::TakesEveryName, &["a name outside the zone is refused"][..]),
    ] {
        let provider = Memory::with(defect);
        let findings = findings(&provider).await;
        assert_eq!(with_outcome(&findings, Outcome::Failed), named, "{findings:#?}");
        assert!(!conforms(&findings));
        let left = provider.sets.lock().unwrap();
        // What a provider takes for a name outside the zone is its own; everything else is cleaned up after a failure.
        let stands =
            left.iter().any(|((name, _), set)| !set.values.is_empty() && zone_of_the_test().zone_of(name));
        assert_eq!(stands, defect == Defect::NeverRemoves, "{named:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_skipped_and_what_is_safe_is_limited() {
    let txt_only = findings(&Memory::with(Defect::TxtOnly)).await;
    assert!(conforms(&txt_only) && with_outcome(&txt_only, Outcome::Skipped).len() == 6, "{txt_only:#?}");
    let limited = findings(&Memory::with(Defect::Guarded)).await;
    assert!(conforms(&limited), "{limited:#?}");
    assert_eq!(with_outcome(&limited, Outcome::Limited), ["removing one value leaves its siblings"]);
}
