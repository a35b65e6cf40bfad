//! The mirror of zones.yaml: what may stand where. Doc comments become the descriptions in `zones.schema.json`.

use super::problem::{Place, Sink};
pub(super) use super::provider::spec::Provider;
use super::read::{At, DurationText, Fields, Map, PeriodText, Read, mapping, one_of};
use super::tree::{Node, Value};
use schemars::JsonSchema;

mapping! {
    /// danesmith's zones.yaml: which certificates are wanted, for which keys, in which zones.
    Zones {
        /// Version of this file's format: 1.
        version: At<u64>,
        /// State directory, relative to this file. Default `./state`.
        state: Option<At<String>>,
        /// Recursive resolvers (`address` or `address:port`) instead of the system's.
        resolvers: Option<Vec<At<String>>>,
        /// Who validates DNSSEC: `own` (default: danesmith), or `resolver`: the AD bit of `resolvers` is believed.
        validate: Option<At<String>>,
        /// File with DS or DNSKEY records to start from instead of the root's, as in unbound's `root.key`.
        trust_anchor: Option<At<String>>,
        /// ACME accounts; a certificate that names none uses `default`.
        accounts: Option<Map<Account>>,
        /// Folder with your own provider files (`NAME.yaml`): more DNS hosts, or others in place of those built in.
        provider_files: Option<At<String>>,
        /// DNS providers: how records are written.
        providers: Option<Map<Provider>>,
        /// Zones by apex.
        zones: Option<Map<Zone>>,
        /// Certificates by name; the name is a folder name in the state directory.
        certificates: Option<Map<Certificate>>,
        /// How long a pin has to be published before its key is served; certificates may say otherwise.
        rotation: Option<Rotation>,
    }
}

mapping! {
    /// An ACME account (RFC 8555 §7.1.2).
    Account {
        /// `letsencrypt`, `letsencrypt-staging` or an https URL.
        directory: At<String>,
        /// PEM file with a private CA's trust root.
        root: Option<At<String>>,
        /// Mail addresses for the CA's notices.
        contact: Option<Vec<At<String>>>,
        /// You agree to the CA's terms of service.
        agree_terms: Option<bool>,
        /// External account binding (RFC 8555 §7.3.4).
        eab: Option<Eab>,
        /// An existing account key (PEM) to use instead of one that danesmith makes.
        key: Option<Secret>,
    }
}

mapping! {
    /// External account binding: what the CA handed out.
    Eab {
        /// Key identifier.
        kid: At<String>,
        /// MAC key, base64url.
        hmac_key: Secret,
    }
}

/// Where a secret is; it never stands in this file.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Secret {
    /// A file; one final newline is dropped.
    File(At<String>),
    /// An environment variable.
    Env(At<String>),
    /// A command's standard output: argument vector, no shell, cleared environment.
    Command(At<Vec<At<String>>>),
    /// A systemd credential.
    Credential(At<String>),
}

mapping! {
    /// A zone.
    Zone {
        /// A provider's name, or `none`: danesmith only follows aliases through this zone.
        provider: At<String>,
        /// Servers to look at instead of the zone's NS set.
        check: Option<Vec<At<String>>>,
        /// How long to wait until every server has a change, such as `120s` (default).
        propagation: Option<At<DurationText>>,
        /// TTLs of new records.
        ttl: Option<Ttl>,
        /// `required` (default) or `unsigned-ok`: TLSA only where DNSSEC validates, or also elsewhere.
        dnssec: Option<At<String>>,
    }
}

mapping! {
    /// TTLs in seconds.
    Ttl {
        /// Of challenge records; default 60.
        txt: Option<At<u64>>,
        /// Of TLSA records; default 3600.
        tlsa: Option<At<u64>>,
    }
}

mapping! {
    /// A certificate.
    Certificate {
        /// The account that orders it; default `default`.
        account: Option<At<String>>,
        /// Names it is for; a wildcard is quoted: `"*.example.org"`.
        names: At<Vec<At<String>>>,
        /// `managed`, or your own: `{active: …, backup: …}`.
        keys: At<Keys>,
        /// TLSA owner names to keep, such as `_25._tcp.mx1.example.org`.
        tlsa: Option<Vec<At<String>>>,
        /// What presents the certificate (`smtp://host:25`, `submission:`, `imap:`, `pop3:`, `sieve:`, `tls://host:465`), or `unchecked`; default: from `tlsa`.
        endpoints: Option<At<Endpoints>>,
        /// Profile to order with, one that the CA offers (Let's Encrypt: `classic`, `tlsserver`, `shortlived`); default: the CA's.
        profile: Option<At<String>>,
        /// Common name of the topmost issuer of the wanted chain.
        preferred_chain: Option<At<String>>,
        /// When to renew; default: when the CA suggests it (RFC 9773), else when a third of the lifetime is left.
        renew: Option<Renew>,
        /// What to do after an installation.
        deploy: Option<At<Deploy>>,
        /// When danesmith makes the backup key the active one by itself; default `manual`: never.
        rotate: Option<At<Rotate>>,
        /// How long this certificate's pins have to be published before their keys are served.
        rotation: Option<Rotation>,
    }
}

/// Where keys come from.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Keys {
    /// danesmith makes and keeps both keys, P-256.
    Word(Managed),
    /// danesmith makes and keeps both keys.
    Managed {
        /// How.
        managed: ManagedKeys,
    },
    /// Your own keys.
    Own(OwnKeys),
}

/// The word `managed`.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Managed {
    /// danesmith makes and keeps both keys.
    Managed,
}

mapping! {
    /// Keys that danesmith makes.
    ManagedKeys {
        /// `p256` (default) or `p384`.
        algorithm: Option<At<String>>,
    }
}

mapping! {
    /// Keys that you make.
    OwnKeys {
        /// The key that is served.
        active: ActiveKey,
        /// The key that is pinned but not served.
        backup: Option<BackupKey>,
    }
}

/// The served key.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum ActiveKey {
    /// A CSR; the private key is elsewhere.
    Csr(At<String>),
    /// A private key file.
    Key(At<String>),
}

/// The backup key.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum BackupKey {
    /// A CSR; the private key is elsewhere.
    Csr(At<String>),
    /// A public key file.
    PublicKey(At<String>),
    /// SHA-256 of the SubjectPublicKeyInfo, 64 hex digits.
    SpkiSha256(At<String>),
    /// A private key file.
    Key(At<String>),
    /// danesmith makes and keeps it, P-256, and makes the next one after each rotation.
    Managed,
}

/// What presents the certificate.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Endpoints {
    /// These URLs.
    Listed(Vec<At<String>>),
    /// `unchecked`: your word that every server presents the active key.
    Word(At<String>),
}

mapping! {
    /// When to renew.
    Renew {
        /// Time left before expiry, such as `30d`.
        before: Option<At<DurationText>>,
    }
}

mapping! {
    /// After an installation.
    Deploy {
        /// Folder that gets the files: `NAME/` with all of them, and `chains.pem`. Absent: servers read `live` of the
        /// state directory.
        dir: Option<At<String>>,
        /// User that owns the files, by name or number; default: whoever runs danesmith.
        owner: Option<At<String>>,
        /// Their group, by name or number.
        group: Option<At<String>>,
        /// Mode of files with a private key: `"0600"` (default), `"0640"` (default with a group), `"0400"`, `"0440"`.
        mode: Option<At<String>>,
        /// Stable names for single files.
        files: Option<At<DeployFiles>>,
        /// Name of the file with key and chain; certificates with the same `dir` share it, one per key algorithm, ECDSA
        /// first. Default `chains.pem`; `none`: no such file.
        chains: Option<At<String>>,
        /// Argument vector to run, without a shell.
        reload: Option<At<Vec<At<String>>>>,
        /// `by-reload`: your word that `reload` gives the server the private key that belongs to the new chain. A rotation
        /// wants it where only a CSR of a key is here.
        key: Option<At<String>>,
    }
}

mapping! {
    /// Names in the folder; each becomes a link to the file in `NAME/`.
    DeployFiles {
        /// The certificate alone.
        cert: Option<At<String>>,
        /// Its issuers.
        chain: Option<At<String>>,
        /// The certificate and its issuers.
        fullchain: Option<At<String>>,
        /// The private key.
        privkey: Option<At<String>>,
        /// The private key, the certificate and its issuers.
        keyandchain: Option<At<String>>,
    }
}

/// When keys change.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Rotate {
    /// Never by themselves.
    Manual,
    /// When the active key has been served for this long, such as `1y`.
    Every(At<PeriodText>),
    /// After this many renewals with the same key.
    Renewals(At<u64>),
}

mapping! {
    /// The waiting rule: `ttls` times the largest TTL, and `slack` (RFC 7671 §8.1).
    Rotation {
        /// How many TTLs, 1 to 10; default 2.
        ttls: Option<At<u64>>,
        /// Added to that, such as `1h` (default), for servers and caches that nobody can ask.
        slack: Option<At<DurationText>>,
        /// Seconds; taken for the TTL while it is not known which one the records had before. Default 86400.
        ttl_floor: Option<At<u64>>,
    }
}

impl Secret {
    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        match self {
            Secret::File(at) | Secret::Env(at) | Secret::Credential(at) => at.place.clone(),
            Secret::Command(at) => at.place.clone(),
        }
    }
}

impl Read for Secret {
    /// Nothing that stands here is ever echoed: not the text, not even an unknown key.
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let wanted = "write where it is: {file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}";
        let Value::Map(map) = &node.value else {
            sink.say_with(&node.place(path), "a secret must not stand in zones.yaml", wanted);
            return None;
        };
        let [(Node { value: Value::Text(kind), .. }, _)] = &map[..] else {
            sink.say_with(&node.place(path), "must name one place of the secret", wanted);
            return None;
        };
        let kinds = ["file", "env", "command", "credential"];
        if !kinds.contains(&kind.as_str()) {
            sink.say_with(&node.place(path), "is not a place of a secret that danesmith knows", wanted);
            return None;
        }
        let (kind, value, path) = one_of(node, path, &kinds, sink)?;
        Some(match kind {
            "file" => Secret::File(At::read(value, &path, sink)?),
            "env" => Secret::Env(At::read(value, &path, sink)?),
            "command" => Secret::Command(At::read(value, &path, sink)?),
            _ => Secret::Credential(At::read(value, &path, sink)?),
        })
    }
}

impl Read for Keys {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "managed" => Some(Keys::Word(Managed::Managed)),
            Value::Map(map)
                if map.iter().any(|(key, _)| matches!(&key.value, Value::Text(t) if t == "managed")) =>
            {
                let fields = Fields::open(node, path, &["managed"], sink)?;
                Some(Keys::Managed { managed: fields.take("managed", sink)? })
            }
            Value::Map(_) => OwnKeys::read(node, path, sink).map(Keys::Own),
            _ => {
                let hint = "`keys: managed`, or `keys: {active: {csr: a.csr}, backup: {csr: b.csr}}`";
                sink.say_with(&node.place(path), "must say where the keys come from", hint);
                None
            }
        }
    }
}

impl Read for ActiveKey {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let (kind, value, path) = one_of(node, path, &["csr", "key"], sink)?;
        let file = At::read(value, &path, sink)?;
        Some(if kind == "csr" { ActiveKey::Csr(file) } else { ActiveKey::Key(file) })
    }
}

impl Read for BackupKey {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if matches!(&node.value, Value::Text(word) if word == "managed") {
            return Some(BackupKey::Managed);
        }
        let (kind, value, path) = one_of(node, path, &["csr", "public_key", "spki_sha256", "key"], sink)?;
        let text = At::read(value, &path, sink)?;
        Some(match kind {
            "csr" => BackupKey::Csr(text),
            "public_key" => BackupKey::PublicKey(text),
            "spki_sha256" => BackupKey::SpkiSha256(text),
            _ => BackupKey::Key(text),
        })
    }
}

impl Read for Endpoints {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        match &node.value {
            Value::Text(_) => At::read(node, path, sink).map(Endpoints::Word),
            _ => Vec::read(node, path, sink).map(Endpoints::Listed),
        }
    }
}

impl Read for Rotate {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if matches!(&node.value, Value::Text(word) if word == "manual") {
            return Some(Rotate::Manual);
        }
        let Value::Map(_) = &node.value else {
            let hint = "`manual`, `{every: 1y}` or `{renewals: 4}`";
            sink.say_with(&node.place(path), "must say when keys change", hint);
            return None;
        };
        let (kind, value, path) = one_of(node, path, &["every", "renewals"], sink)?;
        match kind {
            "every" => At::read(value, &path, sink).map(Rotate::Every),
            _ => At::read(value, &path, sink).map(Rotate::Renewals),
        }
    }
}
