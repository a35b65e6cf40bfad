//! Why a key, CSR, certificate or pin cannot be used, and what to do about it.

use super::key::SpkiDigest;
use crate::error::{Error, Kind};

/// Why a key file is refused. Never quotes key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing that we can read.
    #[error("no {wanted} was found in it{}", labels(.found))]
    Absent {
        /// What we looked for.
        wanted: &'static str,
        /// PEM labels that are there.
        found: Vec<String>,
    },
    /// Not the structure it claims to be.
    #[error("{what} is broken: {why}")]
    Malformed {
        /// Which part.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Several keys where one is expected.
    #[error("it holds different keys, and which one is meant is unclear")]
    Ambiguous,
    /// The private key has a passphrase.
    #[error("the private key is encrypted with a passphrase")]
    Encrypted,
    /// An elliptic curve written out instead of named (RFC 5480 §2.1.1 allows names only).
    #[error("the key spells out its curve parameters instead of naming the curve")]
    ExplicitParameters,
    /// An algorithm that CAs or our signer do not take.
    #[error("the key is {0}; only RSA of 2048 bits and more, P-256 and P-384 can be used")]
    Unsupported(String),
    /// CA/Browser Forum Baseline Requirements §6.1.5: RSA keys have at least 2048 bits.
    #[error("the RSA key has only {bits} bits; CAs ask for at least 2048")]
    Weak {
        /// Bits of the modulus.
        bits: usize,
    },
    /// ring signs with RSA keys of 2048 to 4096 bits.
    #[error("the RSA private key has {bits} bits; we can sign with 2048 to 4096")]
    TooLarge {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Not 64 hexadecimal digits.
    #[error("{0:?} is not a SHA-256 digest: exactly 64 hexadecimal digits are needed")]
    NotADigest(String),
    /// SHA-256 of no bytes at all: what a failed `openssl … | sha256sum` prints.
    #[error("this is the SHA-256 digest of empty input, so the command that made it failed")]
    EmptyDigest,
    /// A self-signature or chain signature does not verify.
    #[error("the signature of {0} does not verify")]
    Signature(String),
    /// A name that cannot stand in a certificate or a TLSA owner.
    #[error("the name {name:?} {why}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A CSR asks for something that must not be asked for.
    #[error("the CSR {0}")]
    Request(String),
    /// A certificate is not the one that was ordered.
    #[error("the certificate {0}")]
    NotAsOrdered(String),
    /// Backup and active key are one and the same.
    #[error("the backup key is the active key ({0}); if it leaks or is lost, both are gone")]
    SameKey(SpkiDigest),
}

impl KeyError {
    /// Something broken.
    pub fn malformed(what: impl Into<String>, why: impl Into<String>) -> Self {
        KeyError::Malformed { what: what.into(), why: why.into() }
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            KeyError::Absent { wanted: "private key", .. } => {
                "give a private key, as PEM or DER (`danesmith keys new` makes one)"
            }
            KeyError::Absent { .. } => "give a certificate, CSR, public key or private key, as PEM or DER",
            KeyError::Malformed { .. } => "copy the file again from where it was made",
            KeyError::Ambiguous => "give a file with one key",
            KeyError::Encrypted => {
                "decrypt it with `openssl pkey -in KEY -out PLAIN`, or keep it encrypted and give us a CSR made with it"
            }
            KeyError::ExplicitParameters => {
                "make a key with a named curve: `danesmith keys new`, or `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
            }
            KeyError::Unsupported(_) | KeyError::Weak { .. } => "make a new key with `danesmith keys new`",
            KeyError::TooLarge { .. } => "make the CSR elsewhere, with openssl, and give us that",
            KeyError::NotADigest(_) => "`danesmith tlsa FILE` prints the digest of a key, CSR or certificate",
            KeyError::EmptyDigest => "make it with `danesmith tlsa FILE`",
            KeyError::Signature(_) => "the file was altered or mixed up: make it again",
            KeyError::Name { .. } => "give a host name such as mx1.example.org",
            KeyError::Request(_) => "make a new CSR with `danesmith keys csr`",
            KeyError::NotAsOrdered(_) => return None,
            KeyError::SameKey(_) => "make another key with `danesmith keys new` and keep it elsewhere",
        })
    }

    /// The program's error for this trouble with `file`.
    pub fn in_file(self, file: impl std::fmt::Display) -> Error {
        self.during(format!("use {file}"))
    }

    /// The program's error; `action` completes "could not …".
    pub fn during(self, action: impl Into<String>) -> Error {
        let error = Error::new(Kind::Input, action, &self);
        match self.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        error.during("use the key material")
    }
}

fn labels(found: &[String]) -> String {
    if found.is_empty() { String::new() } else { format!(" (only {})", found.join(", ")) }
}
