//! Certificate signing requests (RFC 2986), checked before any CA sees them: a request that the CA would refuse, or
//! whose certificate would not be wanted, is cheaper refused here.

use super::key::{KeyError, KeyKind, SpkiDigest};
use super::{der, name, pem};
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension, SubjectAlternativeName};
use x509_parser::prelude::{FromDer, X509CertificationRequest, X509Extension};
use x509_parser::x509::X509Name;

/// A CSR whose self-signature verifies and whose key CAs take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// The request as it came, DER.
    pub der: Vec<u8>,
    /// dNSNames of the subjectAltName and the common name: lower case, sorted, no duplicates.
    pub names: Vec<String>,
    /// The SubjectPublicKeyInfo as it stands in the request.
    pub spki_der: Vec<u8>,
    /// Its digest.
    pub spki: SpkiDigest,
    /// Its algorithm.
    pub key: KeyKind,
    /// The extended key usage asks for clientAuth, which public CAs stop to issue.
    pub client_auth_requested: bool,
    /// What the CA will ignore or may refuse.
    pub warnings: Vec<String>,
}

impl Csr {
    /// Reads PEM ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST") or DER.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        if pem::is_pem(bytes) { Self::from_der(&der_of(bytes)?) } else { Self::from_der(bytes) }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, request) = X509CertificationRequest::from_der(der)
            .map_err(|_| KeyError::malformed("the CSR", "it is cut, altered or no CSR"))?;
        if !rest.is_empty() {
            return Err(KeyError::malformed("the CSR", "something follows it"));
        }
        let info = &request.certification_request_info;
        let key = KeyKind::of_parsed(&info.subject_pki)?;
        key.check()?;
        check_signature(&request)?;
        let asked = Asked::of(&request)?;
        Ok(Csr {
            der: der.to_vec(),
            names: names(&asked, &info.subject)?,
            spki_der: info.subject_pki.raw.to_vec(),
            spki: SpkiDigest::of(info.subject_pki.raw),
            key,
            client_auth_requested: asked.usage.is_some_and(|usage| usage.client_auth),
            warnings: warnings(&asked, &info.subject),
        })
    }
}

/// PEM of a DER request.
pub fn to_pem(der: &[u8]) -> String {
    pem::encode("CERTIFICATE REQUEST", der).to_string()
}

/// Proof of possession (RFC 2986 §3). Signatures are whole octets, and what surrounds the signed part has its shape.
pub(super) fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), KeyError> {
    let whole_octets = request.signature_value.unused_bits == 0;
    if whole_octets && der::is_signed(request.as_raw()) && request.verify_signature().is_ok() {
        return Ok(());
    }
    Err(KeyError::Signature("the CSR".into()))
}

/// The one request in a PEM file.
fn der_of(bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
    let sections = pem::sections(bytes)?;
    let mut requests = sections.iter().filter(|section| section.label.ends_with("CERTIFICATE REQUEST"));
    match (requests.next(), requests.next()) {
        (Some(request), None) => Ok(request.der.to_vec()),
        (Some(_), Some(_)) => Err(KeyError::Request("is one of several in the file".into())),
        (None, _) => Err(KeyError::Absent {
            wanted: "CSR",
            found: sections.into_iter().map(|section| section.label).collect(),
        }),
    }
}

/// The extensions that a request asks for.
#[derive(Default)]
struct Asked<'a> {
    alternative: Option<&'a SubjectAlternativeName<'a>>,
    usage: Option<&'a ExtendedKeyUsage<'a>>,
    must_staple: bool,
    authority: bool,
}

impl<'a> Asked<'a> {
    fn of(request: &'a X509CertificationRequest<'_>) -> Result<Self, KeyError> {
        let mut asked = Asked::default();
        // Other attributes (challengePassword, Microsoft's) mean nothing to an ACME CA and are let through.
        for attribute in request.certification_request_info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(list) = attribute.parsed_attribute() {
                list.extensions.iter().try_for_each(|extension| asked.add(extension))?;
            }
        }
        match asked.usage {
            Some(usage) if !usage.server_auth && !usage.any => {
                Err(KeyError::Request("asks for an extended key usage without serverAuth".into()))
            }
            _ => Ok(asked),
        }
    }

    fn add(&mut self, extension: &'a X509Extension<'_>) -> Result<(), KeyError> {
        let twice = |taken: bool| match taken {
            true => Err(KeyError::Request(format!("has the extension {} twice", extension.oid))),
            false => Ok(()),
        };
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                twice(self.alternative.replace(names).is_some())?
            }
            ParsedExtension::ExtendedKeyUsage(usage) => twice(self.usage.replace(usage).is_some())?,
            ParsedExtension::BasicConstraints(constraints) => self.authority = constraints.ca,
            ParsedExtension::ParseError { .. } => {
                let what = format!("the extension {} of the CSR", extension.oid);
                return Err(KeyError::malformed(what, "it cannot be read"));
            }
            // TLS feature, RFC 7633 §4.1.
            _ if extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24" => self.must_staple = true,
            _ => {}
        }
        Ok(())
    }
}

fn names(asked: &Asked<'_>, subject: &X509Name<'_>) -> Result<Vec<String>, KeyError> {
    let mut names = Vec::new();
    for entry in asked.alternative.iter().flat_map(|alternative| &alternative.general_names) {
        match entry {
            GeneralName::DNSName(dns) => names.push(ascii_host(dns)?),
            other => {
                return Err(KeyError::Request(format!(
                    "asks for {}; only DNS names can be had",
                    sort(other)
                )));
            }
        }
    }
    // CAs take the common name for one more DNS name.
    for attribute in subject.iter_common_name() {
        let common =
            attribute.as_str().map_err(|_| KeyError::Request("has an unreadable common name".into()))?;
        names.push(ascii_host(common)?);
    }
    names.sort();
    names.dedup();
    if names.is_empty() { Err(KeyError::Request("names no host".into())) } else { Ok(names) }
}

/// A host name that is ASCII already: what is signed is not ours to translate.
fn ascii_host(text: &str) -> Result<String, KeyError> {
    let name = name::host(text)?;
    if name.eq_ignore_ascii_case(text) {
        return Ok(name);
    }
    Err(KeyError::Name { name: text.to_owned(), why: format!("must be written \"{name}\" in a CSR") })
}

fn warnings(asked: &Asked<'_>, subject: &X509Name<'_>) -> Vec<String> {
    let common_names = subject.iter_common_name().count();
    let rest = subject.iter_attributes().count() > common_names;
    let told = [
        (
            asked.usage.is_some_and(|usage| usage.client_auth),
            "asks for clientAuth: public CAs leave it out or refuse",
        ),
        (asked.must_staple, "asks for OCSP must-staple: CAs without OCSP refuse it"),
        (asked.authority, "asks to be a CA: this is left out or refused"),
        (rest, "has a subject beside the common name: CAs with domain validation leave it out"),
    ];
    told.into_iter().filter(|(is, _)| *is).map(|(_, text)| format!("the CSR {text}")).collect()
}

/// What a subjectAltName entry is, for people.
pub(super) fn sort(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(dns) => format!("the DNS name {dns}"),
        GeneralName::IPAddress(octets) => format!("an IP address ({})", address(octets)),
        GeneralName::RFC822Name(mail) => format!("a mail address ({mail})"),
        GeneralName::URI(uri) => format!("a URI ({uri})"),
        _ => "another sort of name".into(),
    }
}

fn address(octets: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
    let sixteen = || <[u8; 16]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
    four.or_else(|_| sixteen()).unwrap_or_else(|_| hex::encode(octets))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::desired::KeyAlgorithm;
    use crate::model::private_key::PrivateKey;

    fn request() -> Vec<u8> {
        PrivateKey::generate(KeyAlgorithm::P256).unwrap().csr(&["mx.example.org".into()]).unwrap()
    }

    #[test]
    fn both_pem_labels_and_der_are_the_same_request() {
        let der = request();
        let csr = Csr::parse(&der).unwrap();
        for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"] {
            assert_eq!(Csr::parse(pem::encode(label, &der).as_bytes()).unwrap(), csr);
        }
        assert!(csr.warnings.is_empty());
    }

    #[test]
    fn no_prefix_of_a_request_is_a_request() {
        let der = request();
        let text = pem::encode("CERTIFICATE REQUEST", &der);
        assert!((0..der.len()).all(|length| Csr::parse(&der[..length]).is_err()));
        assert!((0..text.trim_end().len()).all(|length| Csr::parse(&text.as_bytes()[..length]).is_err()));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let der = request();
        for index in 0..der.len() {
            let mut bytes = der.clone();
            bytes[index] ^= 1;
            assert!(Csr::parse(&bytes).is_err(), "octet {index}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut der = request();
        der.push(0);
        assert_eq!(Csr::parse(&der).unwrap_err().to_string(), "the CSR is broken: something follows it");
    }
}
