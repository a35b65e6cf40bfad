//! The one place that decides what happens next to a certificate. Pure: what is wanted, what is durable, what was seen
//! and the time go in, one step comes out. The executor performs it, records it, looks again and asks again.

mod beside;
mod certificate;
mod emergency;
mod pins;
mod refusals;
mod reload;
mod rotation;

pub use beside::Sibling;
pub use certificate::pinned_otherwise;
pub use refusals::{unheard, unsigned_zone};
pub use rotation::{next as rotation_due, ripe_time};

use crate::model::desired::{Renew, Rotate};
use crate::model::document::Document;
pub use crate::model::endpoint::{EndpointView, FailedProbe, Shown};
use crate::model::evidence::{NobodyPresents, Ripe};
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use crate::model::renewal;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the administrator wants of one certificate, with the keys known by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in zones.yaml, for the commands that hints tell.
    pub name: String,
    /// dns identifiers, sorted.
    pub names: Vec<String>,
    /// The key that is (to be) served.
    pub active: SpkiDigest,
    /// The key that is pinned but not served.
    pub backup: Option<SpkiDigest>,
    /// TLSA owner names, absolute.
    pub owners: Vec<String>,
    /// Whether a probe must show the active key before it is first pinned.
    pub proof: Proof,
    /// Owners whose zone may hold TLSA although it is not signed.
    pub unsigned_ok: BTreeSet<String>,
    /// When to renew.
    pub renew: Renew,
    /// Whether a certificate can be asked for with the backup key: not when only its digest or public key is known.
    pub backup_usable: bool,
    /// The servers' folder would get the chain of the other key, and not its private key.
    pub deploys_without_key: bool,
    /// Other certificates that share an owner name with this one: RSA beside ECDSA.
    pub siblings: Vec<Sibling>,
    /// How long a pin must have been published.
    pub policy: Policy,
    /// When keys change by themselves.
    pub schedule: Rotate,
    /// What the command asks for beyond `apply`.
    pub wish: Option<Wish>,
    /// The guard that a test removes, to see that somebody notices.
    #[cfg(test)]
    pub without: Option<Guard>,
}

/// What `danesmith rotate` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Make the backup key the active one.
    Rotate,
    /// The active key leaked. `switch_now`: although the backup's pin is not ripe, and mail will be deferred.
    Emergency {
        /// The administrator accepts that mail is deferred until old caches have expired.
        switch_now: bool,
    },
    /// Serve the former key again.
    Abort,
}

/// The rules that tests remove one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A key is served only after its pin is ripe.
    Wait,
    /// TTLs of the past count.
    TtlHistory,
    /// A pin is retired only when every instance presents another key.
    AllInstances,
    /// The clock of a pin stops when some server lacks it.
    ClockReset,
    /// The active key is served before it is first pinned.
    DeployFirst,
    /// A switch that a killed run had decided is decided again.
    DecidedAgain,
    /// The former key is served again only when its pin is ripe.
    AbortRipe,
    /// A TTL is gone only when every server was seen without it.
    SilentTtl,
    /// Records of others match what will be served.
    Others,
    /// Records of others that are gone are waited for.
    OthersGone,
}

impl Wanted {
    /// Whether this is a key of a certificate beside this one.
    pub fn is_sibling(&self, key: &SpkiDigest) -> bool {
        self.siblings.iter().any(|sibling| sibling.keys.contains(key))
    }

    /// Whether this rule is in force: always, but for tests.
    pub(in crate::model) fn holds(&self, guard: Guard) -> bool {
        #[cfg(test)]
        return self.without != Some(guard);
        #[cfg(not(test))]
        {
            let _ = guard;
            true
        }
    }
}

/// What the first publication of a pin rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every endpoint was probed and presents the key.
    Probe,
    /// `endpoints: unchecked`: the administrator's written word.
    Word,
}

/// What was seen in this run; `None` where nobody looked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    /// TLSA per owner name.
    pub pins: Option<BTreeMap<String, OwnerView>>,
    /// What the endpoints present.
    pub endpoints: Option<EndpointView>,
    /// The installed files are gone from the state directory.
    pub lost: bool,
    /// The certificate that is due could not be had in this run.
    pub unissued: bool,
    /// TLSA records of others that would match nothing once the staged certificate is served, for people.
    pub unmatched: Option<Vec<String>>,
}

impl Observed {
    /// Forgets what is no longer true, or no longer fresh, after this step.
    pub fn after(&mut self, step: &Step) {
        match step {
            Step::Issue(..) | Step::ServeSpare(_) | Step::Reload(_) | Step::Abort => self.endpoints = None,
            Step::Publish(_) | Step::Unpublish(..) => self.pins = None,
            Step::Stage(_) => (self.pins, self.endpoints, self.unmatched) = (None, None, None),
            Step::Wait(..) | Step::Hold(..) => {
                *self = Observed { lost: self.lost, unissued: self.unissued, ..Observed::default() };
            }
            _ => {}
        }
        if matches!(step, Step::Issue(..)) {
            self.lost = false;
        }
    }
}

/// What the authoritative servers hold at one TLSA owner name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OwnerView {
    /// 3 1 1 digests that every server that answered has.
    pub everywhere: BTreeSet<SpkiDigest>,
    /// 3 1 1 digests that at least one server has.
    pub somewhere: BTreeSet<SpkiDigest>,
    /// TLSA records other than 3 1 1 that at least one server has.
    pub others: BTreeSet<OtherTlsa>,
    /// Not every server that answered has the same of those.
    pub others_differ: bool,
    /// Servers that did not answer, with the reason.
    pub silent: Vec<String>,
    /// Servers whose answer must not be believed (bogus, signatures that end too soon, a serial that went backwards),
    /// with the reason.
    pub doubtful: Vec<String>,
    /// Servers answered, and a validating resolver would believe none of them: what stands there is not known.
    pub unbelieved: bool,
    /// No server answered at all, or it could not be found out which ones there are: `silent` says why.
    pub unheard: bool,
    /// Why validating resolvers would ignore the record; `None`: the zone is signed.
    pub unsigned: Option<String>,
    /// When the round of questions began.
    pub asked_at: Option<Timestamp>,
    /// Largest TTL of the RRset at any server, seconds; `None`: no server has records.
    pub ttl: Option<u32>,
    /// Earliest end of a signature over the RRset at any server, or over an alias on the way to it.
    pub signed_until: Option<Timestamp>,
    /// Latest end of a signature over the RRset at any server: until then a set that was withdrawn can be replayed
    /// (RFC 7671 §13).
    pub replayable_until: Option<Timestamp>,
    /// The name that holds the records, after aliases; empty when that could not be found out.
    pub target: String,
    /// Largest TTL of an alias on the way to it, seconds; `None`: there is no alias. Another target is known everywhere
    /// only after this time.
    pub alias_ttl: Option<u32>,
    /// SOA serial of the zone by server ("ns1.example.org. (192.0.2.1:53)").
    pub serials: BTreeMap<String, u32>,
}

/// A TLSA record that is not `3 1 1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherTlsa {
    /// Certificate usage, selector, matching type (RFC 6698 §2.1).
    pub kind: (u8, u8, u8),
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// `live` does not point at the installed generation: a run was killed between the two.
    Relink(u64),
    /// Remove TXT records that an earlier run left.
    CleanUp,
    /// Get a certificate for this key and install it.
    Issue(Reason, SpkiDigest),
    /// Get a certificate for the key to come; nothing that is served changes.
    Stage(SpkiDigest),
    /// Ask the CA when it would like the installed certificate to be replaced (RFC 9773).
    AskRenewal,
    /// Put this generation where the servers read it, and run the reload command.
    Reload(u64),
    /// Ask every authoritative server for the TLSA records.
    ObservePins,
    /// Probe the endpoints.
    ObserveEndpoints,
    /// Compare TLSA records of others with the staged certificate.
    JudgeOthers,
    /// Add these pins, all owners in one go.
    Publish(Vec<(String, Vec<SpkiDigest>)>),
    /// Every server has these pins: write down since when.
    RecordSeen(Vec<(String, SpkiDigest)>),
    /// The rotation begins: this key may be served.
    Begin(Ripe),
    /// Serve the spare certificate instead of the installed one.
    ServeSpare(SpkiDigest),
    /// The rotation ends before it changed anything.
    Withdraw(String),
    /// The former key shall be served again.
    Abort,
    /// The former key is served everywhere again.
    Settle,
    /// Nobody presents the former key.
    Retire(NobodyPresents),
    /// Remove the pins of this key at these owners.
    Unpublish(Vec<String>, NobodyPresents),
    /// No server has the pins of this key any more: forget them.
    Forget(Vec<String>, SpkiDigest),
    /// The roles shift: the rotation is done.
    Shift,
    /// Not before this time; why.
    Wait(Timestamp, String),
    /// Refused now, but time may heal it: until then, when the administrator waits.
    Hold(Timestamp, Refusal),
    /// It would break mail, or nobody could trust the result.
    Refuse(Refusal),
    /// All is as wanted until this time.
    Nothing(Timestamp),
}

/// Why a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is none.
    First,
    /// An earlier run was interrupted after it had ordered.
    Resume,
    /// The configured names differ from those of the installed certificate.
    NamesChanged,
    /// The active key is another one, and nothing pins the former.
    KeyChanged,
    /// Somebody deleted the installed files.
    Lost,
    /// Its time has come.
    Due,
    /// The CA asks for it earlier (RFC 9773): it revokes the certificate, say.
    Suggested,
    /// The administrator revoked the one that is installed.
    Revoked,
}

impl Reason {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Reason::First => "there is none yet",
            Reason::Resume => "an order of an interrupted run is finished",
            Reason::NamesChanged => "its names changed",
            Reason::KeyChanged => "its key changed",
            Reason::Lost => "its installed files are not complete",
            Reason::Due => "renewal is due",
            Reason::Suggested => "the CA suggests it",
            Reason::Revoked => "the installed one was revoked",
        }
    }
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What was refused: completes "could not …".
    pub action: String,
    /// The reason.
    pub cause: String,
    /// What remains true.
    pub remains: String,
    /// What to do next.
    pub hint: String,
    /// No rule forbids it: nobody answered, and it is worth trying again.
    pub remote: bool,
}

/// Says which step comes next. `live` is the generation that `live` points to.
pub fn plan(
    wanted: &Wanted,
    durable: &Document,
    live: Option<u64>,
    observed: &Observed,
    now: Timestamp,
) -> Step {
    if let Some(written) = durable.written.filter(|written| *written > now) {
        return Step::Hold(written, refusals::clock_went_back(now, written));
    }
    if let Some(installed) = &durable.installed
        && live != Some(installed.generation)
        && !observed.lost
    {
        let decided = rotation::decided(wanted, durable, live, observed, now);
        return decided.unwrap_or(Step::Relink(installed.generation));
    }
    if let Some(step) = rotation::turn_back(wanted, durable, observed, now) {
        return step;
    }
    let due = certificate::certificate(wanted, durable, observed, now);
    let (due, put_off) = match due {
        Some(step) if certificate::can_wait(&step, durable, observed) => (None, Some(step)),
        due => (due, None),
    };
    if let Some(step) = due {
        return step;
    }
    if !durable.owed.is_empty() {
        return Step::CleanUp;
    }
    let held = match durable.reload_owed.map(|owed| reload::reload(wanted, durable, owed, observed, now)) {
        Some(reload::Reload::Step(step)) => return step,
        Some(reload::Reload::Held(step)) => Some(step),
        None => None,
    };
    if let Some(step) = pins::publish(wanted, durable, observed, now) {
        return step;
    }
    if let Some(step) = held.filter(|_| wanted.wish != Some(Wish::Abort)) {
        return step;
    }
    if wanted.wish.is_none() && renewal::asked_from(durable).is_some_and(|from| from <= now) {
        return Step::AskRenewal;
    }
    if let Some(step) = rotation::rotation(wanted, durable, observed, now) {
        return step;
    }
    if let Some(step) = pins::drop_unwanted(wanted, durable, observed, now) {
        return step;
    }
    if let Some(step) = put_off {
        return step;
    }
    let renewal = (durable.installed.as_ref())
        .map_or(now, |i| renewal::due(i, wanted.renew, durable.renewal_info.as_ref()));
    Step::Nothing(rotation::next(wanted, durable).map_or(renewal, |rotation| renewal.min(rotation.max(now))))
}

#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
