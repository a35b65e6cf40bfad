//! Every kind of provider, for those who choose one: what it can do, what that rests on, what it needs.

use crate::Atomicity;
use crate::catalog::Catalog;
use crate::http::{Evidence, Spec, TtlRules};
use hickory_proto::rr::RecordType;

/// One kind.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Its key in `zones.yaml`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Record types that it writes; empty: the program tells when it runs.
    pub types: Vec<RecordType>,
    /// How a change reaches the zone: `batch`, `value`, `record`, `rrset`, or `own` (the program's own way).
    pub changes: &'static str,
    /// How it takes effect; none: the program tells when it runs.
    pub atomicity: Option<Atomicity>,
    /// What the knowledge rests on.
    pub evidence: Grounds,
    /// The same for TLSA, where it is another.
    pub tlsa_evidence: Option<Grounds>,
    /// Smallest and largest TTL in seconds, where it has limits of its own.
    pub ttl: Option<(u32, u32)>,
    /// What else there is to know about TTLs.
    pub about_ttl: Option<String>,
    /// Its fields in `zones.yaml`.
    pub fields: Vec<Setting>,
    /// What a user must know.
    pub note: Option<String>,
    /// Where more is written.
    pub docs: Option<String>,
    /// The file that describes it; none: built in.
    pub file: Option<String>,
    /// Its lines in `zones.yaml`, to begin with; none: its fields tell.
    pub example: Option<&'static str>,
}

/// What is known of a kind, and from where.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// A level of FORMAT.md, or `stand-in`: tried with a program of ours that keeps the same calling convention.
    pub level: &'static str,
    /// When, as YYYY-MM-DD.
    pub date: Option<String>,
    /// Against what.
    pub against: Option<String>,
    /// What is left open.
    pub note: Option<String>,
}

impl From<&Evidence> for Grounds {
    fn from(evidence: &Evidence) -> Grounds {
        let Evidence { level, date, against, note } = evidence.clone();
        Grounds { level: level.word(), date, against, note }
    }
}

/// One field.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its key.
    pub name: String,
    /// Whether something must be given.
    pub required: bool,
    /// Whether it must be a reference.
    pub secret: bool,
    /// What it is.
    pub doc: String,
    /// Its value when nothing is given.
    pub default: Option<String>,
    /// Environment variables that other tools use for it.
    pub env: Vec<String>,
}

impl Kind {
    /// Whether it is known to write TLSA before it runs.
    pub fn writes_tlsa(&self) -> bool {
        self.types.contains(&RecordType::TLSA)
    }
}

/// All of them: those that are built in, then the hosts of the catalog by name.
pub fn all(catalog: &Catalog) -> Vec<Kind> {
    BUILT_IN.iter().map(built_in).chain(catalog.iter().map(|spec| described(spec))).collect()
}

struct BuiltIn {
    name: &'static str,
    title: &'static str,
    types: &'static [RecordType],
    changes: &'static str,
    atomicity: Option<Atomicity>,
    evidence: &'static str,
    against: &'static str,
    note: &'static str,
    /// Name, whether it must be given, whether it is a secret, what it is.
    fields: &'static [(&'static str, bool, bool, &'static str)],
    example: &'static str,
}

const BOTH: &[RecordType] = &[RecordType::TXT, RecordType::TLSA];
const TXT: &[RecordType] = &[RecordType::TXT];
const REMOVAL: &str =
    "by-value: your word that exactly the given value is removed; default: nothing is removed beside others";

const BUILT_IN: [BuiltIn; 6] = [
    BuiltIn {
        name: "rfc2136",
        title: "Dynamic update with TSIG: BIND, Knot DNS, PowerDNS",
        types: BOTH,
        changes: "batch",
        atomicity: Some(Atomicity::Batch),
        evidence: "live",
        against: "BIND, Knot DNS, PowerDNS",
        note: "All changes of a zone in one message, refused by the server if anybody changed the same RRsets meanwhile. \
               The best choice where the server offers it. PowerDNS drops disabled records of an RRset that an update changes.",
        fields: &[
            ("server", true, false, "the primary: address, address:port, name or name:port"),
            ("tsig", true, false, "the key: name, algorithm, secret"),
            ("transport", false, false, "tcp (default), udp or tls"),
            ("tls", false, false, "trust root and name for transport: tls"),
            ("timeout", false, false, "for one message and its answer; default 5s"),
        ],
        example: "server: 192.0.2.53\n\
                  tsig: {name: danesmith-key, algorithm: hmac-sha256, secret: {file: tsig.secret}}",
    },
    BuiltIn {
        name: "exec",
        title: "A program of your own (providers/PLUGINS.md)",
        types: &[],
        changes: "own",
        atomicity: None,
        evidence: "live",
        against: "our plugins in Python and shell at BIND",
        note: "The program says what it can do when it starts. `danesmith provider check --plugin FILE ZONE` tests it.",
        fields: &[
            ("command", true, false, "argument vector, no shell"),
            ("config", false, false, "what it is given; secrets as references"),
            ("env", false, false, "its environment beyond PATH"),
            ("timeout", false, false, "for one request; default 60s"),
        ],
        example: "command: [/usr/local/lib/my-plugin]\n\
                  config: {token: {file: token}}",
    },
    BuiltIn {
        name: "acme_sh",
        title: "A dnsapi script of your install of acme.sh",
        types: TXT,
        changes: "own",
        atomicity: Some(Atomicity::None),
        evidence: "stand-in",
        against: "a script of ours with its calling convention, at BIND",
        note: "Many scripts remove every value at a name: ours stays while others stand there, unless you say by-value.",
        fields: &[
            ("install", true, false, "the folder with acme.sh and dnsapi/"),
            ("script", true, false, "its name, such as dns_cf"),
            ("env", false, false, "the variables it reads; secrets as references"),
            ("removal", false, false, REMOVAL),
        ],
        example: "install: /root/.acme.sh\n\
                  script: dns_cf\n\
                  env: {CF_Token: {file: cf.token}}",
    },
    BuiltIn {
        name: "lexicon",
        title: "dns-lexicon in your own Python",
        types: &[],
        changes: "record",
        atomicity: None,
        evidence: "live",
        against: "dns-lexicon 3.25.2 at PowerDNS",
        note: "TXT everywhere; TLSA where dns-lexicon and the host do it: `danesmith provider check ZONE` tells.",
        fields: &[
            ("provider", true, false, "dns-lexicon's name of the host"),
            ("options", false, false, "its options there; secrets as references"),
            ("python", false, false, "the Python that has it; default python3"),
        ],
        example: "provider: cloudflare\n\
                  options: {auth_token: {file: cf.token}}",
    },
    BuiltIn {
        name: "lego_exec",
        title: "A program made for lego's exec",
        types: TXT,
        changes: "own",
        atomicity: Some(Atomicity::None),
        evidence: "stand-in",
        against: "a program of ours with its calling convention, at BIND",
        note: "Called as PROGRAM present|cleanup NAME VALUE.",
        fields: &[
            ("program", true, false, "the program"),
            ("env", false, false, "its environment beyond PATH; secrets as references"),
            ("removal", false, false, REMOVAL),
        ],
        example: "program: /usr/local/bin/update-dns\n\
                  env: {TOKEN: {file: token}}",
    },
    BuiltIn {
        name: "httpreq",
        title: "A service made for lego's httpreq",
        types: TXT,
        changes: "own",
        atomicity: Some(Atomicity::None),
        evidence: "stand-in",
        against: "a service of ours with its calling convention, at BIND",
        note: "Asked with POST ENDPOINT/present and ENDPOINT/cleanup.",
        fields: &[
            ("endpoint", true, false, "base URL: https, or http on this host"),
            ("username", false, false, "for basic authentication"),
            ("password", false, true, "for basic authentication"),
            ("root", false, false, "PEM file with the only trusted root"),
            ("removal", false, false, REMOVAL),
        ],
        example: "endpoint: https://dns.example.org/\n\
                  username: danesmith\n\
                  password: {file: httpreq.password}",
    },
];

fn built_in(kind: &BuiltIn) -> Kind {
    let field = |(name, required, secret, doc): &(&str, bool, bool, &str)| Setting {
        name: (*name).to_owned(),
        required: *required,
        secret: *secret,
        doc: (*doc).to_owned(),
        default: None,
        env: Vec::new(),
    };
    Kind {
        name: kind.name.to_owned(),
        title: kind.title.to_owned(),
        types: kind.types.to_vec(),
        changes: kind.changes,
        atomicity: kind.atomicity,
        evidence: Grounds {
            level: kind.evidence,
            date: None,
            against: Some(kind.against.to_owned()),
            note: None,
        },
        tlsa_evidence: None,
        ttl: None,
        about_ttl: None,
        fields: kind.fields.iter().map(field).collect(),
        note: Some(kind.note.to_owned()),
        docs: None,
        file: None,
        example: Some(kind.example),
    }
}

fn described(spec: &Spec) -> Kind {
    let field = |field: &crate::http::Field| Setting {
        name: field.name.clone(),
        required: field.required,
        secret: field.secret,
        doc: field.doc.clone().unwrap_or_default(),
        default: field.default.clone(),
        env: field.env.clone(),
    };
    let options = Spec::OPTIONS.map(|(name, doc)| Setting {
        name: name.to_owned(),
        required: false,
        secret: false,
        doc: doc.to_owned(),
        default: None,
        env: Vec::new(),
    });
    Kind {
        name: spec.name.clone(),
        title: spec.title.clone(),
        types: spec.types.clone(),
        changes: spec.semantics.word(),
        atomicity: Some(spec.atomicity),
        evidence: Grounds::from(&spec.evidence),
        tlsa_evidence: spec.tlsa_evidence.as_ref().map(Grounds::from),
        ttl: limits(&spec.ttl),
        about_ttl: about(&spec.ttl),
        fields: spec.fields.iter().map(field).chain(options).collect(),
        note: spec.note.clone(),
        docs: spec.docs.clone(),
        file: Some(spec.file.clone()),
        example: None,
    }
}

/// None where anything goes (RFC 2181 §8).
fn limits(rules: &TtlRules) -> Option<(u32, u32)> {
    let (none, limits) = (TtlRules::default(), (rules.min, rules.max));
    (limits != (none.min, none.max)).then_some(limits)
}

fn about(rules: &TtlRules) -> Option<String> {
    if rules.per_zone {
        return Some("records have none of their own: that of the zone rules".to_owned());
    }
    if rules.min_depends_on_zone() {
        return Some("the smallest is the zone's own".to_owned());
    }
    let allowed: Vec<String> = rules.allowed.iter().map(u32::to_string).collect();
    (!allowed.is_empty()).then(|| format!("only {}", allowed.join(", ")))
}
