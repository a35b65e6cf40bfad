//! DNS providers as zones.yaml names them: kind and settings, checked; secrets as references.

use crate::secret::SecretRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A DNS provider; its kind decides the fields.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Dynamic update.
    Rfc2136(Rfc2136),
    /// A DNS host with an HTTP interface that a file describes.
    Described(Described),
    /// A program that speaks our plugin protocol.
    Exec(Exec),
    /// A dnsapi script of an acme.sh install.
    AcmeSh(AcmeSh),
    /// A provider of dns-lexicon.
    Lexicon(Lexicon),
    /// A program made for lego's `exec`.
    LegoExec(LegoExec),
    /// A service made for lego's `httpreq`.
    HttpReq(HttpReq),
}

/// The value of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// May be shown.
    Text(String),
    /// A whole number.
    Number(u64),
    /// `true` or `false`.
    Flag(bool),
    /// Never shown.
    Secret(SecretRef),
}

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// A DNS host that a file describes (`providers/catalog/`, or one of the administrator's own).
#[derive(Debug, Clone)]
pub struct Described {
    /// The file's name.
    pub kind: String,
    /// What the file's `config` asks for: text and secrets only.
    pub settings: Settings,
    /// PEM trust roots instead of the system's.
    pub root: Option<PathBuf>,
    /// `allow_http`: secrets may travel unencrypted to other hosts than this one.
    pub allow_http: bool,
    /// Time for one request; none: the engine's own.
    pub timeout: Option<Duration>,
}

/// An exec plugin.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Argument vector; no shell.
    pub command: Vec<String>,
    /// What it is given with `hello`.
    pub config: Settings,
    /// Its environment beyond PATH.
    pub env: Settings,
    /// Time for one request and its answer; none: the engine's own.
    pub timeout: Option<Duration>,
}

/// acme.sh's dnsapi: TXT only.
#[derive(Debug, Clone)]
pub struct AcmeSh {
    /// The folder with `acme.sh` and `dnsapi/`.
    pub install: PathBuf,
    /// `dns_cf`
    pub script: String,
    /// The variables it reads.
    pub env: Settings,
    /// How it removes.
    pub removal: Removal,
}

/// dns-lexicon as a library of the administrator's own Python.
#[derive(Debug, Clone)]
pub struct Lexicon {
    /// Absolute path, or a name in PATH.
    pub python: String,
    /// `cloudflare`
    pub provider: String,
    /// Its options there.
    pub options: Settings,
}

/// A program called as lego's `exec` does: TXT only.
#[derive(Debug, Clone)]
pub struct LegoExec {
    /// The program.
    pub program: PathBuf,
    /// Its environment beyond PATH.
    pub env: Settings,
    /// How it removes.
    pub removal: Removal,
}

/// A service asked as lego's `httpreq` does: TXT only.
#[derive(Debug, Clone)]
pub struct HttpReq {
    /// Base URL.
    pub endpoint: String,
    /// For basic authentication.
    pub username: Option<String>,
    /// For basic authentication.
    pub password: Option<SecretRef>,
    /// PEM of the only trusted root; none: the system's.
    pub root: Option<PathBuf>,
    /// How it removes.
    pub removal: Removal,
}

/// What the administrator says about how a foreign tool removes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// Perhaps everything at the name: nothing is removed while other values stand there.
    #[default]
    MayTakeAll,
    /// `removal: by-value`: exactly the value it is given.
    ByValue,
}

/// RFC 2136 with TSIG.
#[derive(Debug, Clone)]
pub struct Rfc2136 {
    /// Address, `address:port`, name or `name:port`; port 53 (853 with DoT) when absent.
    pub server: String,
    /// How messages travel.
    pub transport: Transport,
    /// PEM trust roots for DoT; none: the system's.
    pub tls_root: Option<PathBuf>,
    /// Name that the DoT certificate must carry; none: the host part of `server`.
    pub tls_name: Option<String>,
    /// TSIG key name.
    pub key_name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: TsigAlgorithm,
    /// Base64 secret.
    pub secret: SecretRef,
    /// Time for one message and its answer.
    pub timeout: Duration,
}

/// Transport of dynamic updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The default.
    Tcp,
    /// Each message in one datagram; unknown outcomes are re-read.
    Udp,
    /// DNS over TLS (RFC 7858).
    Tls,
}

/// RFC 8945 §6 algorithms that we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// hmac-sha256
    HmacSha256,
    /// hmac-sha384
    HmacSha384,
    /// hmac-sha512
    HmacSha512,
}
