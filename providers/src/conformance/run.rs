//! The checks, in the order in which they run; each one relies on those before it.

use super::sample::{FIRST, SECOND, THIRD, is, spell, tlsa, txt};
use super::{Check, Finding, Outcome};
use crate::exec::value::plain;
use crate::{Applied, Change, Class, Error, RrSet, Semantics};
use data_encoding::BASE32_DNSSEC;
use hickory_proto::rr::{Name, RData, RecordType};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// TTL of what is written, seconds; our choice, and more than most hosts' smallest.
const TTL: u32 = 300;
/// Another one, that must not take effect where an RRset stands.
const OTHER_TTL: u32 = 600;
/// Pause between two looks; our choice.
const LOOK: Duration = Duration::from_millis(200);
/// Longest pause between two looks.
const MAX_LOOK: Duration = Duration::from_secs(5);

/// A failed step; it ends the writing.
type Step = Result<(), Stop>;

struct Stop;

pub(super) struct Run<'a> {
    check: &'a Check<'a>,
    findings: Vec<Finding>,
    /// Owner names of this run: TXT and TLSA, and a neighbour.
    owner: Name,
    neighbour: Name,
    outside: Name,
    /// What was handed over to be added and has to go at the end.
    owed: Vec<Change>,
}

impl<'a> Run<'a> {
    pub(super) fn new(check: &'a Check<'a>) -> Self {
        let (owner, neighbour, outside) = (Name::root(), Name::root(), Name::root());
        Run { check, findings: Vec::new(), owner, neighbour, outside, owed: Vec::new() }
    }

    pub(super) async fn finish(mut self) -> Vec<Finding> {
        if self.names().is_ok() {
            let _stopped = self.all().await;
            self.nothing_is_left().await;
        }
        self.findings
    }

    /// 80 random bits: nothing of anybody else stands there.
    fn names(&mut self) -> Step {
        let mut random = [0; 10];
        let made =
            SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no randomness".to_owned());
        let label = format!("_danesmith-check-{}", BASE32_DNSSEC.encode(&random));
        let made = made.and_then(|()| {
            let zone = self.check.zone;
            let below = |prefix: &str| Name::from_ascii(prefix).and_then(|name| name.append_domain(zone));
            let outside = Name::from_ascii(format!("{label}.invalid.")); // RFC 6761 §6.4: nobody's
            match (below(&label), below(&format!("{label}-neighbour")), outside) {
                (Ok(owner), Ok(neighbour), Ok(outside)) => Ok((owner, neighbour, outside)),
                _ => Err(format!("zone {} leaves no room for a name below it", plain(zone))),
            }
        });
        match made {
            Ok((owner, neighbour, outside)) => {
                (self.owner, self.neighbour, self.outside) = (owner, neighbour, outside);
                Ok(())
            }
            Err(why) => self.failed("a random owner name can be made", why),
        }
    }

    async fn all(&mut self) -> Step {
        self.capabilities()?;
        self.unknown_zone().await?;
        self.zone_of_a_name().await?;
        self.credentials().await?;
        self.empty_at_first().await?;
        self.pair().await?;
        self.twice().await?;
        self.ttl_is_kept().await?;
        self.absent_value().await?;
        self.pins().await?;
        self.one_goes().await?;
        self.foreign_stays().await
    }

    fn capabilities(&mut self) -> Step {
        let check = "its capabilities make sense";
        let caps = self.check.provider.capabilities();
        let types: Vec<String> = caps.types.iter().map(ToString::to_string).collect();
        let (types, min, max, atomic) = (types.join(", "), caps.min_ttl, caps.max_ttl, caps.atomicity.word());
        let semantics = caps.semantics.map_or("not told", Semantics::word);
        let detail = format!("{types}; TTL {min} to {max} s; semantics: {semantics}; atomic: {atomic}");
        if caps.types.contains(&RecordType::TXT) && caps.min_ttl <= caps.max_ttl {
            self.passed(check, detail);
            return Ok(());
        }
        self.failed(check, detail)
    }

    async fn unknown_zone(&mut self) -> Step {
        let check = "a zone it does not have is not found";
        let (zone, name) = (self.outside.clone(), self.outside.clone());
        match self.check.provider.list(&zone, &name, RecordType::TXT).await {
            Err(error) if error.class == Class::NotFound => {
                self.passed(check, String::new());
                Ok(())
            }
            Err(error) if error.class == Class::Auth => self.failed(check, error.message),
            // Reported, and the other checks go on: a wrong class here makes messages worse, not zones.
            Err(error) => {
                let detail = format!("it says {:?} instead: {}", error.class, error.message);
                self.found(check, Outcome::Failed, detail);
                Ok(())
            }
            Ok(_) => self.failed(check, format!("it lists {} in zone {}", plain(&name), plain(&zone))),
        }
    }

    async fn zone_of_a_name(&mut self) -> Step {
        let check = "it finds the zone of a name";
        let outcome = match self.check.provider.zone(&self.owner).await {
            Err(error) if error.class == Class::Unsupported => {
                self.found(check, Outcome::Skipped, "it cannot tell".to_owned());
                return Ok(());
            }
            Ok(found) if found != *self.check.zone => {
                Err(Error::new(Class::NotFound, format!("it says {}", plain(&found))))
            }
            outcome => outcome.map(drop),
        };
        self.settle(check, outcome)
    }

    async fn credentials(&mut self) -> Step {
        let targets: Vec<_> =
            self.check.provider.capabilities().types.into_iter().map(|t| (self.owner.clone(), t)).collect();
        let outcome = self.check.provider.preflight(self.check.zone, &targets).await;
        self.settle("the credentials reach the zone", outcome)
    }

    async fn empty_at_first(&mut self) -> Step {
        let check = "a name that nobody made is empty";
        match self.check.provider.list(self.check.zone, &self.owner, RecordType::TXT).await {
            Ok(set) if set.values.is_empty() => {
                self.passed(check, String::new());
                Ok(())
            }
            Ok(set) => {
                let shown = spell(&set.values);
                self.failed(check, format!("{shown} stands there; if a wildcard answers, check another zone"))
            }
            Err(error) => self.failed(check, error.message),
        }
    }

    async fn pair(&mut self) -> Step {
        let change = self.txt(&[FIRST, SECOND], &[]);
        let outcome = self.add(change).await.map(|_| ());
        self.settle("two TXT values are added together", outcome)?;
        let neighbour = Change { name: self.neighbour.clone(), ..self.txt(&[FIRST], &[]) };
        let outcome = self.add(neighbour).await.map(|_| ());
        self.settle("a TXT value is added at a neighbouring name", outcome)?;
        let values = [txt(FIRST), txt(SECOND)];
        self.listed("the pair is listed", &self.owner.clone(), RecordType::TXT, &values).await?;
        self.served("every authoritative server has the pair", &self.owner.clone(), RecordType::TXT, &values)
            .await
    }

    async fn twice(&mut self) -> Step {
        let check = "adding what stands changes nothing";
        match self.add(self.txt(&[FIRST, SECOND], &[])).await {
            Err(error) => self.failed(check, error.message),
            Ok(Applied { writes: 0 }) => {
                self.listed(check, &self.owner.clone(), RecordType::TXT, &[txt(FIRST), txt(SECOND)]).await
            }
            Ok(Applied { writes }) => self.failed(check, format!("it wrote {writes} times")),
        }
    }

    async fn ttl_is_kept(&mut self) -> Step {
        let before = self.list(RecordType::TXT).await;
        let outcome = self.add(Change { ttl: OTHER_TTL, ..self.txt(&[THIRD], &[]) }).await.map(|_| ());
        self.settle("a third TXT value is added", outcome)?;
        let values = [txt(FIRST), txt(SECOND), txt(THIRD)];
        self.listed("its siblings stay", &self.owner.clone(), RecordType::TXT, &values).await?;
        let check = "the TTL of an existing RRset is kept";
        match (before, self.list(RecordType::TXT).await) {
            (Ok(before), Ok(after)) if before.ttl == after.ttl => {
                self.passed(check, format!("{} s", after.ttl));
                Ok(())
            }
            (Ok(before), Ok(after)) => self.failed(check, format!("{} s became {} s", before.ttl, after.ttl)),
            (Err(error), _) | (_, Err(error)) => self.failed(check, error.message),
        }
    }

    async fn absent_value(&mut self) -> Step {
        let check = "removing a value that is not there changes nothing";
        let change = self.txt(&[], &["danesmith-check-never-written"]);
        match self.apply(&change).await {
            Err(error) => self.failed(check, error.message),
            Ok(_) => {
                let values = [txt(FIRST), txt(SECOND), txt(THIRD)];
                self.listed(check, &self.owner.clone(), RecordType::TXT, &values).await
            }
        }
    }

    /// At the same owner name as the TXT values, so that a removal of one type is seen to leave the other.
    async fn pins(&mut self) -> Step {
        let (add, list, swap) = (
            "two TLSA values are added together",
            "the TLSA pair is listed",
            "one TLSA value is replaced by another",
        );
        if !self.has_tlsa() {
            for check in [add, list, swap] {
                self.found(check, Outcome::Skipped, "no TLSA with this provider".to_owned());
            }
            return Ok(());
        }
        let owner = self.owner.clone();
        let outcome = self.add(self.tlsa(&[1, 2], &[])).await.map(|_| ());
        self.settle(add, outcome)?;
        self.listed(list, &owner, RecordType::TLSA, &[tlsa(1), tlsa(2)]).await?;
        self.served(
            "every authoritative server has the TLSA pair",
            &owner,
            RecordType::TLSA,
            &[tlsa(1), tlsa(2)],
        )
        .await?;
        if let Err(error) = self.add(self.tlsa(&[3], &[1])).await {
            return self.failed(swap, error.message);
        }
        self.listed(swap, &owner, RecordType::TLSA, &[tlsa(2), tlsa(3)]).await
    }

    async fn one_goes(&mut self) -> Step {
        let check = "removing one value leaves its siblings";
        let (owner, siblings) = (self.owner.clone(), [txt(SECOND), txt(THIRD)]);
        match self.apply(&self.txt(&[], &[FIRST])).await {
            Err(error) => self.failed(check, error.message),
            Ok(Applied { writes: 0 }) => {
                let all = [txt(FIRST), txt(SECOND), txt(THIRD)];
                let seen = self.wait_for(&owner, RecordType::TXT, &all).await;
                match seen {
                    Ok(()) => {
                        let detail = "it leaves a value in place while others stand beside it";
                        self.found(check, Outcome::Limited, detail.to_owned());
                        Ok(())
                    }
                    Err(why) => self.failed(check, why),
                }
            }
            Ok(_) => {
                self.listed(check, &owner, RecordType::TXT, &siblings).await?;
                self.served("every authoritative server follows", &owner, RecordType::TXT, &siblings).await
            }
        }
    }

    async fn foreign_stays(&mut self) -> Step {
        let check = "removing all of one type leaves the other type and the neighbour";
        if let Err(error) = self.apply(&self.txt(&[], &[FIRST, SECOND, THIRD])).await {
            return self.failed(check, error.message);
        }
        if let Err(why) = self.wait_for(&self.owner.clone(), RecordType::TXT, &[]).await {
            return self.failed(check, why);
        }
        if self.has_tlsa()
            && let Err(why) = self.wait_for(&self.owner.clone(), RecordType::TLSA, &[tlsa(2), tlsa(3)]).await
        {
            return self.failed(check, why);
        }
        self.listed(check, &self.neighbour.clone(), RecordType::TXT, &[txt(FIRST)]).await?;
        let check = "a name outside the zone is refused";
        let change = Change { name: self.outside.clone(), ..self.txt(&[FIRST], &[]) };
        match self.apply(&change).await {
            Err(_) => {
                self.passed(check, String::new());
                Ok(())
            }
            Ok(_) => self.failed(check, format!("it took a change of {}", plain(&self.outside))),
        }
    }

    /// Also after a failure, and whatever the provider said before.
    async fn nothing_is_left(&mut self) {
        let check = "nothing is left behind";
        let owed = std::mem::take(&mut self.owed);
        if owed.is_empty() {
            return self.found(check, Outcome::Passed, "nothing was written".to_owned());
        }
        let mut left = Vec::new();
        for change in &owed {
            let gone = Change { add: Vec::new(), remove: change.add.clone(), ..change.clone() };
            let removed = self.apply(&gone).await.map(|_| ()).map_err(|error| error.message);
            let empty = match removed {
                Ok(()) => self.wait_for(&change.name, change.rtype, &[]).await,
                Err(why) => Err(why),
            };
            let served = match empty {
                Ok(()) => self.wait_for_servers(&change.name, change.rtype, &[]).await,
                Err(why) => Err(why),
            };
            if let Err(why) = served {
                left.push(format!("{} at {}: {why}", change.rtype, plain(&change.name)));
            }
        }
        if left.is_empty() {
            return self.passed(check, String::new());
        }
        let detail = format!("please remove by hand what is left; {}", left.join("; "));
        self.found(check, Outcome::Failed, detail);
    }

    fn has_tlsa(&self) -> bool {
        self.check.provider.capabilities().types.contains(&RecordType::TLSA)
    }

    fn ttl(&self) -> u32 {
        let caps = self.check.provider.capabilities();
        TTL.clamp(caps.min_ttl, caps.max_ttl.max(caps.min_ttl))
    }

    fn txt(&self, add: &[&str], remove: &[&str]) -> Change {
        let values = |texts: &[&str]| texts.iter().map(|text| txt(text)).collect();
        let (name, rtype) = (self.owner.clone(), RecordType::TXT);
        Change { name, rtype, ttl: self.ttl(), add: values(add), remove: values(remove) }
    }

    fn tlsa(&self, add: &[u8], remove: &[u8]) -> Change {
        let values = |octets: &[u8]| octets.iter().map(|octet| tlsa(*octet)).collect();
        let (name, rtype) = (self.owner.clone(), RecordType::TLSA);
        Change { name, rtype, ttl: self.ttl(), add: values(add), remove: values(remove) }
    }

    /// Noted before it is tried.
    async fn add(&mut self, change: Change) -> Result<Applied, Error> {
        match self.owed.iter_mut().find(|o| o.name == change.name && o.rtype == change.rtype) {
            Some(owed) => owed.add.extend(change.add.iter().cloned()),
            None => self.owed.push(change.clone()),
        }
        self.apply(&change).await
    }

    async fn apply(&self, change: &Change) -> Result<Applied, Error> {
        self.check.provider.apply(self.check.zone, std::slice::from_ref(change)).await
    }

    async fn list(&self, rtype: RecordType) -> Result<RrSet, Error> {
        self.check.provider.list(self.check.zone, &self.owner, rtype).await
    }

    async fn listed(
        &mut self,
        check: &'static str,
        name: &Name,
        rtype: RecordType,
        values: &[RData],
    ) -> Step {
        let seen = self.wait_for(name, rtype, values).await;
        self.settle(check, seen.map_err(|why| Error::new(Class::Conflict, why)))
    }

    async fn served(
        &mut self,
        check: &'static str,
        name: &Name,
        rtype: RecordType,
        values: &[RData],
    ) -> Step {
        if self.check.authoritative.is_none() {
            self.found(check, Outcome::Skipped, "no authoritative servers were given".to_owned());
            return Ok(());
        }
        let seen = self.wait_for_servers(name, rtype, values).await;
        self.settle(check, seen.map_err(|why| Error::new(Class::Conflict, why)))
    }

    /// Until the provider lists exactly `values`.
    async fn wait_for(&self, name: &Name, rtype: RecordType, values: &[RData]) -> Result<(), String> {
        self.patiently(async || {
            let set = self.check.provider.list(self.check.zone, name, rtype).await.map_err(|e| e.message)?;
            is(&set, values).then_some(()).ok_or_else(|| format!("it lists {}", spell(&set.values)))
        })
        .await
    }

    /// Until every authoritative server answers exactly `values`.
    async fn wait_for_servers(&self, name: &Name, rtype: RecordType, values: &[RData]) -> Result<(), String> {
        let Some(authoritative) = self.check.authoritative else { return Ok(()) };
        self.patiently(async || {
            let sets = authoritative.look(self.check.zone, name, rtype).await.map_err(|e| e.message)?;
            match sets.iter().find(|set| !is(set, values)) {
                None => Ok(()),
                Some(set) => Err(format!("an authoritative server answers {}", spell(&set.values))),
            }
        })
        .await
    }

    async fn patiently(&self, look: impl AsyncFn() -> Result<(), String>) -> Result<(), String> {
        let until = Instant::now() + self.check.patience;
        let mut pause = LOOK;
        loop {
            match look().await {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() + pause > until => {
                    return Err(format!("after {} s {why}", self.check.patience.as_secs()));
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(MAX_LOOK);
        }
    }

    fn settle(&mut self, check: &'static str, outcome: Result<(), Error>) -> Step {
        match outcome {
            Ok(()) => {
                self.passed(check, String::new());
                Ok(())
            }
            Err(error) => self.failed(check, error.message),
        }
    }

    fn passed(&mut self, check: &'static str, detail: String) {
        self.found(check, Outcome::Passed, detail);
    }

    fn failed(&mut self, check: &'static str, detail: String) -> Step {
        self.found(check, Outcome::Failed, detail);
        Err(Stop)
    }

    fn found(&mut self, check: &'static str, outcome: Outcome, detail: String) {
        self.findings.push(Finding { check, outcome, detail });
    }
}
