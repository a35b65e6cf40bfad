//! What a run, a preview or a look at the state found out about one certificate: what reports are made of.

use crate::error::Error;
use crate::model::document::{Document, PinRecord};
use crate::model::key::SpkiDigest;
use crate::model::memory::LastRun;
use crate::model::plan::Step;
use jiff::Timestamp;
use std::path::PathBuf;

/// How a run ended for one certificate.
#[derive(Debug)]
pub enum Outcome {
    /// All is as wanted; look again at this time.
    Done(Timestamp),
    /// Not before this time, and why.
    Waits(Timestamp, String),
    /// It failed; the document holds what is owed.
    Failed(Error),
}

/// What a run did for one certificate.
#[derive(Debug)]
pub struct Report {
    /// Its name in zones.yaml.
    pub certificate: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What changed, one line each, in order.
    pub changes: Vec<String>,
    /// What a person should know although it is no failure.
    pub warnings: Vec<String>,
}

/// One certificate's preview.
#[derive(Debug)]
pub struct Preview {
    /// Its name in zones.yaml.
    pub certificate: String,
    /// What would change, one line each, in order; empty: all is as wanted.
    pub changes: Vec<String>,
    /// When something is due next, when nothing would change now.
    pub next: Option<Timestamp>,
    /// Why apply would stop.
    pub stopped: Option<Error>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A TLSA record of ours.
#[derive(Debug, Clone)]
pub struct PinFacts {
    /// As the state document has it.
    pub record: PinRecord,
    /// `active`, `backup`, or `former`: a key of neither role.
    pub role: &'static str,
    /// When every cache without it has expired; `None`: its clock does not run.
    pub ripe: Option<Timestamp>,
}

/// One certificate's durable facts.
pub struct Facts {
    /// Its name in zones.yaml.
    pub certificate: String,
    /// Its identifiers.
    pub names: Vec<String>,
    /// The state document.
    pub document: Document,
    /// Active and backup key, when known.
    pub keys: Option<(SpkiDigest, Option<SpkiDigest>)>,
    /// Our TLSA records, with what follows from their clocks.
    pub pins: Vec<PinFacts>,
    /// When the backup key may be served; `None`: some pin's clock does not run, or nothing is pinned.
    pub backup_ripe: Option<Timestamp>,
    /// When the certificate is to be renewed.
    pub renewal_due: Option<Timestamp>,
    /// When the schedule makes the backup key the active one.
    pub rotation_due: Option<Timestamp>,
    /// How the last run ended.
    pub last_run: Option<LastRun>,
    /// What `apply` would begin with.
    pub next: Option<Step>,
    /// Where the installed files are.
    pub live: PathBuf,
    /// Why the keys could not be read.
    pub trouble: Option<Error>,
}
