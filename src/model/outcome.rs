//! What a run, a preview or a look at the state found out about one certificate: what reports are made of.

use crate::error::Error;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
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
    /// What `apply` would begin with.
    pub next: Option<Step>,
    /// Where the installed files are.
    pub live: PathBuf,
    /// Why the keys could not be read.
    pub trouble: Option<Error>,
}
