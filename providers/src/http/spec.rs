//! What a catalog file says, after it was read and checked whole. FORMAT.md explains every key.

use super::expression::Expression;
use super::template::Template;
use super::yaml::{At, Problem};
use crate::{Atomicity, Semantics};
use hickory_proto::rr::RecordType;
use std::collections::BTreeMap;
use std::time::Duration;

/// One DNS host's interface.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The file it was read from.
    pub file: String,
    /// Its name in `zones.yaml`: lower-case letters, digits, `-`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The vendor's documentation.
    pub docs: Option<String>,
    /// What a user must know: one or two sentences.
    pub note: Option<String>,
    /// How much of this was tried, and where.
    pub evidence: Evidence,
    /// The same for TLSA, where it is another.
    pub tlsa_evidence: Option<Evidence>,
    /// Record types it can write.
    pub types: Vec<RecordType>,
    /// What the configuration must or may give, in the order of the file.
    pub fields: Vec<Field>,
    /// How the interface sees DNS data.
    pub semantics: Semantics,
    /// How one change takes effect.
    pub atomicity: Atomicity,
    /// What the host does to TTLs.
    pub ttl: TtlRules,
    pub(super) http: Http,
    pub(super) errors: Vec<ErrorRule>,
    pub(super) says: Option<Expression>,
    pub(super) login: Vec<Step>,
    pub(super) saved: Vec<String>,
    pub(super) zone: ZoneStep,
    pub(super) per_type: BTreeMap<String, Template>,
    pub(super) list: ListStep,
    pub(super) write: Write,
    pub(super) commit: Option<Step>,
    pub(super) probe: Option<Probe>,
}

impl Spec {
    /// Options that zones.yaml takes beside the fields of any file, which must not have their names.
    pub const OPTIONS: [(&'static str, &'static str); 3] = [
        ("root", "PEM file with the trust roots of the host's certificate; default: the system's."),
        ("allow_http", "Secrets may travel unencrypted, to other hosts than this one."),
        ("timeout", "Time for one request, such as `30s` (default)."),
    ];

    /// Reads a file's text. `file` names it in problems.
    ///
    /// # Errors
    /// All problems of the file, each with its line and column.
    pub fn parse(text: &str, file: &str) -> Result<Spec, Vec<Problem>> {
        super::load::spec(text, file)
    }

    /// What a record type rests on.
    pub fn evidence_of(&self, rtype: RecordType) -> &Evidence {
        let own = self.tlsa_evidence.as_ref().filter(|_| rtype == RecordType::TLSA);
        own.unwrap_or(&self.evidence)
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// How much of a file was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// From strong to weak.
    pub level: Level,
    /// When, as YYYY-MM-DD.
    pub date: Option<String>,
    /// Against what: a program and its version, or a document.
    pub against: Option<String>,
    /// What is left open.
    pub note: Option<String>,
}

/// Grades of evidence, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The real service or program answered our tests.
    Live,
    /// The vendor's machine-readable description accepted our requests.
    Spec,
    /// Recorded traffic of others agrees.
    Recording,
    /// Written from documentation, never tried.
    Docs,
    /// Known only from what another program sends there, never tried.
    Client,
}

impl Level {
    /// As in the file.
    pub fn word(self) -> &'static str {
        match self {
            Level::Live => "live",
            Level::Spec => "spec",
            Level::Recording => "recording",
            Level::Docs => "docs",
            Level::Client => "client",
        }
    }
}

/// One thing that the configuration gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its key in `zones.yaml`.
    pub name: String,
    /// Whether it must never be shown.
    pub secret: bool,
    /// Environment variables that other tools use for it, in order of preference.
    pub env: Vec<String>,
    /// Its value when nothing is given.
    pub default: Option<String>,
    /// Whether something must be given.
    pub required: bool,
    /// What it is, for people.
    pub doc: Option<String>,
}

impl TtlRules {
    /// Whether the smallest TTL is known only when a zone has been looked at.
    pub fn min_depends_on_zone(&self) -> bool {
        self.min_of_zone.is_some()
    }

    /// The TTL to ask for instead of `wanted` in a zone whose smallest is `least`, seconds.
    pub fn nearest(&self, wanted: u32, least: u32) -> u32 {
        let bounded = wanted.max(least).min(self.max);
        let next = self.allowed.iter().find(|allowed| **allowed >= bounded);
        *next.or(self.allowed.last()).unwrap_or(&bounded)
    }
}

/// What the host does to TTLs, seconds.
#[derive(Debug, Clone)]
pub struct TtlRules {
    /// Smallest accepted, where the file knows it.
    pub min: u32,
    /// Largest accepted.
    pub max: u32,
    /// The only ones it accepts, ascending; empty: all between.
    pub allowed: Vec<u32>,
    /// What the host takes for usual.
    pub default: Option<u32>,
    /// Records have no TTL of their own; that of the zone rules.
    pub per_zone: bool,
    /// Smallest accepted where it depends on the zone.
    pub(super) min_of_zone: Option<Expression>,
}

/// What all requests share.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) base: Template,
    pub(super) headers: Option<Template>,
    pub(super) query: Option<Template>,
    /// Members that every JSON body gets.
    pub(super) json: Option<Template>,
    pub(super) cookies: bool,
    pub(super) answers: Answers,
    pub(super) sign: Option<Sign>,
    pub(super) writes: Vec<Rate>,
    pub(super) requests: Vec<Rate>,
}

/// What a successful answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Json,
    Xml,
    Text,
}

/// At most `count` requests `per` so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) count: u32,
    pub(super) per: Duration,
}

/// How requests are signed.
#[derive(Debug, Clone)]
pub(super) enum Sign {
    AwsSigV4 {
        access_key: Template,
        secret_key: Template,
        session_token: Option<Template>,
        region: Template,
        service: Template,
    },
    Ovh {
        application_key: Template,
        application_secret: Template,
        consumer_key: Template,
    },
    /// Variables of the request in, headers and query out.
    Own {
        headers: Option<Template>,
        query: Option<Template>,
    },
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) at: At,
    pub(super) method: &'static str,
    pub(super) path: Template,
    pub(super) query: Option<Template>,
    pub(super) headers: Option<Template>,
    pub(super) body: Body,
    pub(super) only_if: Option<Expression>,
    pub(super) save: Vec<(String, Expression)>,
    pub(super) wait: Option<Box<Wait>>,
    /// Not found means that nothing stands.
    pub(super) missing_is_empty: bool,
    /// RRsets per request.
    pub(super) batch: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    None,
    Json(Template),
    Form(Template),
    Text { content_type: String, text: Template },
}

/// Ask until a change is done.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) only_if: Option<Expression>,
    pub(super) step: Step,
    pub(super) until: Expression,
    pub(super) failed: Option<Expression>,
    pub(super) every: Duration,
}

/// A request that answers with items, perhaps on several pages.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    pub(super) step: Step,
    pub(super) items: Expression,
    pub(super) turn: Turn,
    pub(super) first_page: i64,
}

/// How to get the next page.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// There is one page.
    Never,
    /// `page` counts on while this holds.
    While(Expression),
    /// This is the next `cursor`.
    Cursor(Expression),
    /// This is the URL of the next page.
    Url(Expression),
}

/// How a zone is found.
#[derive(Debug, Clone)]
pub(super) struct ZoneStep {
    pub(super) pages: Pages,
    pub(super) members: Template,
}

/// How the records at a name are read.
#[derive(Debug, Clone)]
pub(super) struct ListStep {
    pub(super) pages: Pages,
    pub(super) fetch: Option<Step>,
    pub(super) matches: Option<Expression>,
    pub(super) name: Option<Expression>,
    pub(super) relative: bool,
    pub(super) rtype: Option<Expression>,
    pub(super) ttl: Expression,
    pub(super) records: Option<Expression>,
    pub(super) value: BTreeMap<String, Template>,
    pub(super) txt: TxtForm,
    pub(super) id: Option<Expression>,
    pub(super) etag: Option<Expression>,
    pub(super) disabled: Option<Expression>,
    pub(super) skip: Option<Expression>,
    /// How long a write may take to show in the list.
    pub(super) settle: Duration,
    pub(super) refuse: Option<Expression>,
    pub(super) alias: Option<Expression>,
}

/// How TXT values are written in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TxtForm {
    /// RFC 1035 §5.1, in quotes.
    Quoted,
    /// The text itself.
    Raw,
    /// Quoted when it begins with a quote.
    Either,
}

/// How changes are written.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // one per file
pub(super) enum Write {
    Values { add: Step, remove: Step },
    Sets { replace: Step, update: Option<Step>, clear: Option<Step> },
}

/// An attempt that needs the permission to write and changes nothing.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) step: Step,
    /// Classes that prove the permission, besides success.
    pub(super) expect: Vec<Verdict>,
}

/// When an answer means what.
#[derive(Debug, Clone)]
pub(super) struct ErrorRule {
    pub(super) when: Expression,
    pub(super) verdict: Verdict,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// What we wanted to add stands already.
    Exists,
    Failed(crate::Class),
}

impl Verdict {
    pub(super) const WORDS: &'static [(&'static str, Verdict)] = &[
        ("ok", Verdict::Ok),
        ("exists", Verdict::Exists),
        ("auth", Verdict::Failed(crate::Class::Auth)),
        ("not-found", Verdict::Failed(crate::Class::NotFound)),
        ("rate-limited", Verdict::Failed(crate::Class::RateLimited)),
        ("conflict", Verdict::Failed(crate::Class::Conflict)),
        ("transient", Verdict::Failed(crate::Class::Transient)),
        ("rejected", Verdict::Failed(crate::Class::Rejected)),
        ("unsupported", Verdict::Failed(crate::Class::Unsupported)),
    ];
}

#[cfg(test)]
mod tests {
    use super::TtlRules;

    #[test]
    fn a_ttl_is_moved_to_the_nearest_that_the_host_accepts() {
        let rules = TtlRules { min: 60, max: 3600, ..TtlRules::default() };
        assert_eq!([1, 60, 90, 9999].map(|ttl| rules.nearest(ttl, rules.min)), [60, 60, 90, 3600]);
        assert_eq!(rules.nearest(60, 300), 300, "of this zone");
        let rules = TtlRules { allowed: vec![300, 900], ..TtlRules::default() };
        assert_eq!([1, 300, 301, 9999].map(|ttl| rules.nearest(ttl, rules.min)), [300, 300, 900, 900]);
    }
}
