//! Chains made on the spot, right and wrong in one respect each.
#![allow(clippy::unwrap_used)]

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair, PublicKeyData,
    SanType, SerialNumber,
};

const NAMES: [&str; 2] = ["mx1.example.org", "mx2.example.org"];

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
    params.not_before = rcgen::date_time_ymd(2029, 12, 1);
    params.not_after = rcgen::date_time_ymd(2030, 3, 1);
    params
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A chain of leaf and issuer, with the digest and names of the order.
fn chain(params: CertificateParams) -> (Chain, SpkiDigest, Vec<String>) {
    let (issuer, key) = (authority("Test CA"), KeyPair::generate().unwrap());
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let chain = Chain::parse(&format!("{}{}", leaf.pem(), issuer.pem())).unwrap();
    (chain, SpkiDigest::of(&key.subject_public_key_info()), NAMES.map(String::from).to_vec())
}

#[test]
fn the_chain_that_was_ordered_is_taken() {
    let (chain, spki, names) = chain(params(&["MX2.example.org", "mx1.example.org"]));
    assert_eq!(chain.check(spki, &names, now()), Ok(()));
    assert_eq!((chain.names.as_slice(), chain.certs_der.len()), (names.as_slice(), 2));
    assert_eq!(chain.topmost_issuer, "Test CA");
    assert_eq!(chain.not_after, "2030-03-01T00:00:00Z".parse().unwrap());
    assert_eq!(chain.leaf_pem() + &chain.rest_pem(), chain.full_pem());
    assert_eq!(Chain::parse(&chain.full_pem()).unwrap(), chain);
}

#[test]
fn another_key_is_refused() {
    let (chain, _, names) = chain(params(&NAMES));
    assert!(matches!(chain.check(SpkiDigest([1; 32]), &names, now()), Err(KeyError::NotAsOrdered(_))));
}

#[test]
fn more_fewer_and_other_sorts_of_names_are_refused() {
    let mut with_address = params(&NAMES);
    with_address.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
    for params in [params(&NAMES[..1]), params(&[NAMES[0], NAMES[1], "x.example.org"]), with_address] {
        let (chain, spki, names) = chain(params);
        assert!(matches!(chain.check(spki, &names, now()), Err(KeyError::NotAsOrdered(_))));
    }
}

#[test]
fn validity_has_an_hour_of_slack_at_its_start_and_none_at_its_end() {
    let (chain, spki, names) = chain(params(&NAMES));
    let at = |text: &str| chain.check(spki, &names, text.parse().unwrap()).is_ok();
    assert!(at("2029-11-30T23:00:00Z"));
    assert!(!at("2029-11-30T22:59:59Z"));
    assert!(at("2030-02-28T23:59:59Z"));
    assert!(!at("2030-03-01T00:00:00Z"));
}

#[test]
fn a_certificate_without_end_is_valid() {
    let mut endless = params(&NAMES);
    endless.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let (chain, spki, names) = chain(endless);
    assert_eq!((chain.check(spki, &names, now()), chain.not_after), (Ok(()), Timestamp::MAX));
}

#[test]
fn a_ca_certificate_is_no_leaf() {
    let mut authority = params(&NAMES);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (chain, spki, names) = chain(authority);
    assert_eq!(chain.check(spki, &names, now()).unwrap_err().to_string(), "the certificate is a CA's own");
}

#[test]
fn an_issuer_of_another_name_or_key_is_refused() {
    let (right, spki, names) = chain(params(&NAMES));
    for (name, expected) in [("Other CA", "was issued by"), ("Test CA", "does not verify")] {
        let wrong = Chain::parse(&format!("{}{}", right.leaf_pem(), authority(name).pem())).unwrap();
        let error = wrong.check(spki, &names, now()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_endless_chain_is_refused() {
    let (right, spki, names) = chain(params(&NAMES));
    let long = Chain::parse(&(right.leaf_pem() + &right.rest_pem().repeat(10))).unwrap();
    assert!(long.check(spki, &names, now()).unwrap_err().to_string().contains("10 issuers"));
    let fits = Chain::parse(&(right.leaf_pem() + &right.rest_pem().repeat(9))).unwrap();
    assert_eq!(fits.check(spki, &names, now()), Ok(()));
}

#[test]
fn no_prefix_of_a_certificate_is_one() {
    let (chain, ..) = chain(params(&NAMES));
    let pem = chain.leaf_pem();
    assert!((0..pem.trim_end().len()).all(|length| Chain::parse(&pem[..length]).is_err()));
    assert!((0..chain.certs_der[0].len()).all(|length| parse_one(&chain.certs_der[0][..length]).is_err()));
}

#[test]
fn flipped_bits_never_panic() {
    let (chain, spki, names) = chain(params(&NAMES));
    for index in 0..chain.certs_der[0].len() {
        let mut der = chain.certs_der[0].clone();
        der[index] ^= 0x81;
        if let Ok(altered) = Chain::parse(&(joined(&[der]) + &chain.rest_pem())) {
            assert!(altered.check(spki, &names, now()).is_err(), "octet {index}");
        }
    }
}

/// The example of RFC 9773 §4.1.
#[test]
fn a_certificate_is_called_in_renewal_information_as_the_rfc_has_it() {
    let issuer = [
        0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde,
        0x01, 0xc8, 0xd4,
    ];
    let mut above = CertificateParams::default();
    above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    above.key_identifier_method = KeyIdMethod::PreSpecified(issuer.to_vec());
    let authority = CertifiedIssuer::self_signed(above, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = params(&["a.example"]);
    leaf.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let pem = leaf.clone().signed_by(&key, &authority).unwrap().pem();
    let id = Chain::parse(&pem).unwrap().certificate_id;
    assert_eq!(id.as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
    leaf.use_authority_key_identifier_extension = false;
    assert_eq!(Chain::parse(&leaf.signed_by(&key, &authority).unwrap().pem()).unwrap().certificate_id, None);
}
