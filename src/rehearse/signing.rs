//! Certificates really signed: an intermediate below a root of the rehearsal's own, for whatever key a CSR brings.

use super::time::{DAY, Moment};
use crate::error::{Error, Kind, Result};
use crate::model::certificate::Chain;
use crate::model::csr::Csr;
use crate::model::key::{KeyKind, SpkiDigest};
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use std::time::Duration;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

/// Signs leaves.
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    intermediate: Vec<u8>,
}

/// A signed leaf with its issuer.
pub(super) struct Signed {
    pub(super) spki: SpkiDigest,
    /// Leaf first, DER.
    pub(super) certs: Vec<Vec<u8>>,
    /// What renewal information calls the leaf (RFC 9773 §4.1).
    pub(super) id: String,
}

impl Signed {
    /// Leaf first, PEM.
    pub(super) fn pem(&self) -> String {
        pem(&self.certs)
    }
}

fn pem(certs: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| {
        let text = BASE64.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certs.iter().map(block).collect()
}

/// The CA's keys differ from run to run; what its certificates are called must not: rehearsals are the same byte for byte.
const KEY_IDENTIFIER: &[u8; 20] = b"rehearsal CA's key 1";

/// The public key of a CSR.
struct Public<'a> {
    bits: &'a [u8],
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for Public<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl Signer {
    /// A root and an intermediate, valid for a hundred years from `start`.
    pub(super) fn new(start: Moment) -> Result<Signer> {
        let ca = |name: &str| -> Result<(CertificateParams, KeyPair)> {
            let mut params = CertificateParams::default();
            params.distinguished_name = named(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970(start - DAY);
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(start + 36_500 * DAY);
            Ok((params, KeyPair::generate().map_err(broken)?))
        };
        let (root_params, root_key) = ca("Rehearsal Root")?;
        let root = Issuer::new(root_params, root_key);
        let (mut params, key) = ca("Rehearsal CA")?;
        params.key_identifier_method = KeyIdMethod::PreSpecified(KEY_IDENTIFIER.to_vec());
        let intermediate = params.signed_by(&key, &root).map_err(broken)?.der().to_vec();
        Ok(Signer { issuer: Issuer::new(params, key), intermediate })
    }

    /// A certificate for this CSR's key and these names.
    pub(super) fn sign(
        &self,
        csr: &Csr,
        names: &[String],
        serial: u64,
        (from, until): (Moment, Moment),
    ) -> Result<Signed> {
        let mut params = CertificateParams::new(names.to_vec()).map_err(broken)?;
        params.distinguished_name = DistinguishedName::new();
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970(from);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(until);
        let (_, spki) = SubjectPublicKeyInfo::from_der(&csr.spki_der).map_err(broken)?;
        let algorithm = match csr.key {
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Rsa { .. } => &rcgen::PKCS_RSA_SHA256,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        let public = Public { bits: spki.subject_public_key.data.as_ref(), algorithm };
        let leaf = params.signed_by(&public, &self.issuer).map_err(broken)?;
        let certs = vec![leaf.der().to_vec(), self.intermediate.clone()];
        let id =
            Chain::parse(&pem(&certs))?.certificate_id.ok_or_else(|| broken("it names no issuer's key"))?;
        Ok(Signed { spki: csr.spki, certs, id })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Since 1970, whole seconds: rcgen's dates begin there.
fn since_1970(at: Moment) -> Duration {
    Duration::from_secs(u64::try_from(at / 1000).unwrap_or_default())
}

fn broken(e: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, "sign a certificate of the rehearsal", e)
}
