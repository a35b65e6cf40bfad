//! What the administrator wants, checked and typed: the result of reading zones.yaml, the input of `plan` and `flow`.

pub use crate::model::endpoint::{Endpoint, Protocol};
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
pub use crate::model::provider::{
    AcmeSh, Described, Exec, HttpReq, LegoExec, Lexicon, Provider, Removal, Rfc2136, Setting, Settings,
    Transport, TsigAlgorithm,
};
use crate::secret::SecretRef;
use hickory_proto::rr::Name;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything one zones.yaml says.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The state directory.
    pub state: PathBuf,
    /// Recursive resolvers to use for NS names and foreign aliases; empty: those of the system.
    pub resolvers: Vec<String>,
    /// Who validates DNSSEC.
    pub validation: Validation,
    /// ACME accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// Folder with the administrator's own provider files.
    pub provider_files: Option<PathBuf>,
    /// DNS providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// Zones by apex (absolute, lower case).
    pub zones: BTreeMap<Name, Zone>,
    /// Certificates by name.
    pub certificates: BTreeMap<String, Certificate>,
    /// Files that are read only when they are needed, and the line that names each: `zones.yaml:LINE:COLUMN: PATH`.
    pub named: BTreeMap<PathBuf, String>,
}

impl Desired {
    /// The configured zone that covers a name: the longest apex on a label boundary.
    pub fn zone_of(&self, name: &Name) -> Option<&Zone> {
        let mut candidate = name.to_lowercase();
        loop {
            if let Some(zone) = self.zones.get(&candidate) {
                return Some(zone);
            }
            if candidate.is_root() {
                return None;
            }
            candidate = candidate.base_name();
        }
    }
}

/// Who validates DNSSEC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// danesmith itself.
    Own {
        /// DS or DNSKEY records to start from; none: the root's.
        trust_anchor: Option<PathBuf>,
    },
    /// `validate: resolver`: the AD bit of the named resolvers is believed.
    Resolver,
}

/// An ACME account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name in zones.yaml.
    pub name: String,
    /// Directory URL, https only.
    pub directory: String,
    /// PEM file with the CA's own trust root; none: the system's roots.
    pub root: Option<PathBuf>,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// The administrator agreed to the CA's terms of service.
    pub agree_terms: bool,
    /// External account binding (RFC 8555 §7.3.4).
    pub eab: Option<Eab>,
    /// An existing account key to use instead of one of our own.
    pub key: Option<SecretRef>,
}

/// External account binding: HS256 with a key the CA handed out.
#[derive(Debug, Clone)]
pub struct Eab {
    /// Key identifier.
    pub kid: String,
    /// The MAC key, base64url as the CA shows it.
    pub hmac_key: SecretRef,
}

/// One zone of zones.yaml.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Apex.
    pub apex: Name,
    /// The provider's name; `None` (written `provider: none`): danesmith never writes here, it only follows aliases.
    pub provider: Option<String>,
    /// Servers to look at instead of the NS set; empty: the NS set.
    pub check: Vec<String>,
    /// How long to wait for every server to have a change.
    pub propagation: Duration,
    /// TTL of new TXT RRsets, seconds.
    pub txt_ttl: u32,
    /// TTL of new TLSA RRsets, seconds.
    pub tlsa_ttl: u32,
    /// Whether TLSA may be published without DNSSEC.
    pub dnssec: Dnssec,
}

/// The administrator's word on DNSSEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dnssec {
    /// TLSA only in signed zones (the default).
    Required,
    /// `dnssec: unsigned-ok`.
    UnsignedOk,
}

/// One certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Its name in zones.yaml, safe as a folder name: `[a-z0-9][a-z0-9._-]{0,63}`, not ending in a dot.
    pub name: String,
    /// Account name.
    pub account: String,
    /// dns identifiers: A-labels, lower case, no final dot, `*.` leftmost only; sorted, no duplicates.
    pub names: Vec<String>,
    /// Where its keys come from.
    pub keys: Keys,
    /// TLSA owner names (`_25._tcp.mx1.example.org.`).
    pub tlsa: Vec<Name>,
    /// What must present the active key before it is pinned.
    pub endpoints: Endpoints,
    /// Profile to order with (draft-ietf-acme-profiles); none: the CA's default.
    pub profile: Option<String>,
    /// Common name of the topmost issuer of the wanted chain.
    pub preferred_chain: Option<String>,
    /// When to renew.
    pub renew: Renew,
    /// What happens after an installation.
    pub deploy: Deploy,
    /// When danesmith changes keys by itself.
    pub rotate: Rotate,
    /// How long a pin must have been published before its key is served.
    pub policy: Policy,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum Keys {
    /// danesmith makes and keeps active and backup.
    Managed(KeyAlgorithm),
    /// The administrator's own.
    Own {
        /// The key that is served.
        active: ActiveKey,
        /// The key that is pinned but not served.
        backup: Option<BackupKey>,
    },
}

/// Algorithms of keys that we make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA P-256 (default).
    P256,
    /// ECDSA P-384.
    P384,
}

/// The served key as the administrator gives it.
#[derive(Debug, Clone)]
pub enum ActiveKey {
    /// A pre-generated CSR (PEM or DER); the private key is elsewhere.
    Csr(PathBuf),
    /// A private key file; danesmith makes the CSR and installs the key with the chain.
    PrivateKey(PathBuf),
}

/// The backup key as the administrator gives it.
#[derive(Debug, Clone)]
pub enum BackupKey {
    /// A pre-generated CSR.
    Csr(PathBuf),
    /// A public key file (SubjectPublicKeyInfo, PEM or DER).
    PublicKey(PathBuf),
    /// SHA-256 of the SubjectPublicKeyInfo.
    SpkiSha256(SpkiDigest),
    /// A private key file.
    PrivateKey(PathBuf),
    /// danesmith makes and keeps it, and the next one after each rotation.
    Managed(KeyAlgorithm),
}

/// What `verify` and the first publication connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoints {
    /// These; derived from `tlsa` when the administrator lists none.
    Listed(Vec<Endpoint>),
    /// `endpoints: unchecked`: the administrator's written word that every server presents the active key.
    Unchecked,
}

/// When to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renew {
    /// When a third of the lifetime is left (the default).
    Third,
    /// When this much time is left before notAfter.
    Before(Duration),
}

/// When danesmith makes the backup key the active one by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rotate {
    /// Never (the default): `danesmith rotate` does it.
    #[default]
    Manual,
    /// When the active key has been served for this long.
    Every(Duration),
    /// At the renewal after this many with the same key; at least 1.
    Renewals(u32),
}

/// After an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deploy {
    /// Where servers read their files; none: from the state directory.
    pub files: Option<Files>,
    /// Argument vector to run, never through a shell; empty: nothing.
    pub reload: Vec<String>,
}

impl Deploy {
    /// Nothing is to be done after an installation.
    pub fn is_empty(&self) -> bool {
        self.files.is_none() && self.reload.is_empty()
    }
}

/// Files for a server, in a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The folder.
    pub dir: PathBuf,
    /// User that owns the files; none: whoever runs danesmith.
    pub owner: Option<String>,
    /// Their group; none: that of whoever runs danesmith.
    pub group: Option<String>,
    /// Mode of files with a private key: 0400, 0440, 0600 or 0640. The others can be read by everybody.
    pub mode: u32,
    /// Stable names in the folder, beside `NAME/`.
    pub links: BTreeMap<Part, String>,
    /// `key: by-reload`: the administrator's word that the reload command gives the server the key of the new chain.
    pub key_by_reload: bool,
    /// One file with key and chain, which certificates may share; none where the key is elsewhere, or on request.
    pub chains: Option<Chains>,
}

/// One PEM file with the keys and chains of one or several certificates: Postfix's `smtpd_tls_chain_files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains {
    /// Its name in the folder.
    pub name: String,
    /// The certificates that share it, sorted.
    pub members: Vec<String>,
}

/// One of the files of an installed certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The certificate alone.
    Cert,
    /// Its issuers.
    Chain,
    /// The certificate and its issuers.
    Fullchain,
    /// The private key.
    Privkey,
    /// The private key, the certificate and its issuers.
    Keyandchain,
}

impl Part {
    /// All of them; those with the private key last.
    pub const ALL: [Part; 5] = [Part::Cert, Part::Chain, Part::Fullchain, Part::Privkey, Part::Keyandchain];

    /// Its file name.
    pub fn file(self) -> &'static str {
        match self {
            Part::Cert => "cert.pem",
            Part::Chain => "chain.pem",
            Part::Fullchain => "fullchain.pem",
            Part::Privkey => "privkey.pem",
            Part::Keyandchain => "keyandchain.pem",
        }
    }

    /// Whether the private key is in it.
    pub fn is_secret(self) -> bool {
        matches!(self, Part::Privkey | Part::Keyandchain)
    }
}

impl Keys {
    /// What danesmith makes a backup key with; `None` where the administrator gives it, or none is wanted.
    pub fn managed_backup(&self) -> Option<KeyAlgorithm> {
        match self {
            Keys::Managed(algorithm) | Keys::Own { backup: Some(BackupKey::Managed(algorithm)), .. } => {
                Some(*algorithm)
            }
            Keys::Own { .. } => None,
        }
    }
}

impl Certificate {
    /// Whether danesmith has the private key of what it installs.
    pub fn has_private_key(&self) -> bool {
        !matches!(self.keys, Keys::Own { active: ActiveKey::Csr(_), .. })
    }

    /// Whether a switch to the other key would deploy a chain beside another private key than its own: a server that loads
    /// both stops TLS. Either key may be the one to come, so both have to be here.
    pub fn deploys_without_key(&self) -> bool {
        let here = match &self.keys {
            Keys::Managed(_) => true,
            Keys::Own { active, backup } => {
                matches!(active, ActiveKey::PrivateKey(_))
                    && matches!(backup, Some(BackupKey::PrivateKey(_) | BackupKey::Managed(_)))
            }
        };
        !here && self.deploy.files.as_ref().is_some_and(|files| !files.key_by_reload)
    }
}
