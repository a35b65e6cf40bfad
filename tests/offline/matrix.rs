//! Every sort of key file that OpenSSL writes: read, or refused by name.

use crate::dir::{Dir, SAN};
use danesmith::model::certificate::Chain;
use danesmith::model::csr::Csr;
use danesmith::model::key::{self, KeyError, KeyKind, SpkiDigest, What};
use danesmith::model::private_key::PrivateKey;

/// Everything that names this key, PEM and DER, has the digest that OpenSSL computes.
fn agrees_with_openssl(dir: &Dir, key: &str, kind: KeyKind) {
    let digest = SpkiDigest::from_hex(&dir.digest(key)).unwrap();
    dir.csr(key, "key.csr", &[SAN]);
    dir.run_words(
        "openssl",
        &["req", "-x509", "-key", key, "-subj", "/CN=mx1.example.org", "-out", "key.crt"],
    );
    dir.openssl(&format!("pkey -in {key} -pubout -out key.pub"));
    dir.openssl("req -in key.csr -outform DER -out key.csr.der");
    dir.openssl("x509 -in key.crt -outform DER -out key.crt.der");
    dir.openssl(&format!("pkey -in {key} -outform DER -out key.der"));
    let files = [
        (key, What::PrivateKey),
        ("key.der", What::PrivateKey),
        ("key.csr", What::Csr),
        ("key.csr.der", What::Csr),
        ("key.crt", What::Certificate),
        ("key.crt.der", What::Certificate),
        ("key.pub", What::PublicKey),
        (&format!("{key}.pub.der"), What::PublicKey),
    ];
    for (file, what) in files {
        assert_eq!(key::read_any(&dir.read(file)), Ok((digest, what)), "{file}");
    }
    let private = PrivateKey::from_bytes(&dir.read(key)).unwrap();
    assert_eq!((private.spki(), private.kind()), (digest, &kind));
    let csr = Csr::parse(&dir.read("key.csr")).unwrap();
    assert_eq!((csr.spki, csr.key), (digest, kind));
    assert_eq!(csr.names, ["mx1.example.org"]);
    let chain = Chain::parse(std::str::from_utf8(&dir.read("key.crt")).unwrap()).unwrap();
    assert_eq!(chain.spki, digest);
    openssl_takes_our_csr(dir, &private);
}

fn openssl_takes_our_csr(dir: &Dir, private: &PrivateKey) {
    std::fs::write(
        dir.path("ours.csr"),
        private.csr(&["MX1.example.org".into(), "*.example.org".into()]).unwrap(),
    )
    .unwrap();
    let told = dir.openssl("req -inform DER -in ours.csr -verify -noout -text");
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("DNS:*.example.org, DNS:mx1.example.org"), "{told}");
    assert!(told.contains("Subject: \n"), "{told}");
    std::fs::write(dir.path("ours.pem"), private.to_pem().as_bytes()).unwrap();
    assert_eq!(dir.digest("ours.pem"), private.spki().to_string());
}

#[test]
fn p256_keys_of_every_container_agree_with_openssl() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    agrees_with_openssl(&dir, "p256.pem", KeyKind::P256);
    dir.openssl("ec -in p256.pem -out sec1.pem");
    agrees_with_openssl(&dir, "sec1.pem", KeyKind::P256);
    dir.openssl("ecparam -name prime256v1 -genkey -out params.pem");
    assert!(dir.read("params.pem").starts_with(b"-----BEGIN EC PARAMETERS-----"));
    agrees_with_openssl(&dir, "params.pem", KeyKind::P256);
    dir.openssl("ec -in p256.pem -outform DER -out sec1.der");
    let digest = SpkiDigest::from_hex(&dir.digest("p256.pem")).unwrap();
    assert_eq!(key::read_any(&dir.read("sec1.der")), Ok((digest, What::PrivateKey)));
}

#[test]
fn p384_keys_of_every_container_agree_with_openssl() {
    let dir = Dir::new();
    dir.ec("P-384", "p384.pem");
    agrees_with_openssl(&dir, "p384.pem", KeyKind::P384);
    dir.openssl("ec -in p384.pem -out sec1.pem");
    agrees_with_openssl(&dir, "sec1.pem", KeyKind::P384);
}

#[test]
fn rsa_keys_of_every_container_agree_with_openssl() {
    let dir = Dir::new();
    dir.rsa(2048, "rsa.pem");
    agrees_with_openssl(&dir, "rsa.pem", KeyKind::Rsa { bits: 2048 });
    dir.openssl("rsa -in rsa.pem -traditional -out pkcs1.pem");
    assert!(dir.read("pkcs1.pem").starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    agrees_with_openssl(&dir, "pkcs1.pem", KeyKind::Rsa { bits: 2048 });
    let digest = SpkiDigest::from_hex(&dir.digest("rsa.pem")).unwrap();
    dir.openssl("rsa -in rsa.pem -RSAPublicKey_out -out pkcs1.pub");
    dir.openssl("rsa -in rsa.pem -RSAPublicKey_out -outform DER -out pkcs1.pub.der");
    dir.openssl("rsa -in rsa.pem -traditional -outform DER -out pkcs1.der");
    assert_eq!(key::read_any(&dir.read("pkcs1.pub")), Ok((digest, What::PublicKey)));
    assert_eq!(key::read_any(&dir.read("pkcs1.pub.der")), Ok((digest, What::PublicKey)));
    assert_eq!(key::read_any(&dir.read("pkcs1.der")), Ok((digest, What::PrivateKey)));
}

#[test]
fn rsa_of_4096_bits_agrees_with_openssl() {
    let dir = Dir::new();
    dir.rsa(4096, "rsa.pem");
    agrees_with_openssl(&dir, "rsa.pem", KeyKind::Rsa { bits: 4096 });
}

#[test]
fn weak_rsa_is_refused_as_key_and_as_csr() {
    let dir = Dir::new();
    dir.rsa(1024, "rsa.pem");
    dir.csr("rsa.pem", "rsa.csr", &[SAN]);
    let weak = KeyError::Weak { bits: 1024 };
    assert_eq!(PrivateKey::from_bytes(&dir.read("rsa.pem")).unwrap_err(), weak);
    assert_eq!(Csr::parse(&dir.read("rsa.csr")).unwrap_err(), weak);
}

#[test]
fn keys_that_cas_do_not_sign_are_refused_by_name() {
    let dir = Dir::new();
    dir.ec("P-521", "P-521.pem");
    dir.openssl("genpkey -algorithm ED25519 -out Ed25519.pem");
    dir.openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out RSA-PSS.pem");
    for name in ["P-521", "Ed25519", "RSA-PSS"] {
        let file = format!("{name}.pem");
        let refused = KeyError::Unsupported(name.into());
        assert_eq!(PrivateKey::from_bytes(&dir.read(&file)).unwrap_err(), refused);
        dir.csr(&file, "any.csr", &[SAN]);
        assert_eq!(Csr::parse(&dir.read("any.csr")).unwrap_err(), refused);
        // A pin may still name such a key.
        let digest = SpkiDigest::from_hex(&dir.digest(&file)).unwrap();
        assert_eq!(key::read_any(&dir.read(&format!("{file}.pub.der"))), Ok((digest, What::PublicKey)));
        assert_eq!(key::read_any(&dir.read("any.csr")), Ok((digest, What::Csr)));
    }
    dir.openssl("ec -in P-521.pem -out sec1.pem");
    let error = PrivateKey::from_bytes(&dir.read("sec1.pem")).unwrap_err();
    assert_eq!(error, KeyError::Unsupported("P-521".into()));
}

#[test]
fn a_curve_spelled_out_is_refused_as_key_and_hashed_as_it_stands() {
    let dir = Dir::new();
    dir.openssl("ecparam -name prime256v1 -genkey -param_enc explicit -out sec1.pem");
    dir.openssl("pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem");
    dir.openssl("ecparam -name prime256v1 -genkey -noout -param_enc explicit -out bare.pem");
    for file in ["sec1.pem", "pkcs8.pem", "bare.pem"] {
        assert_eq!(
            PrivateKey::from_bytes(&dir.read(file)).unwrap_err(),
            KeyError::ExplicitParameters,
            "{file}"
        );
    }
    dir.csr("sec1.pem", "any.csr", &[SAN]);
    assert_eq!(Csr::parse(&dir.read("any.csr")).unwrap_err(), KeyError::ExplicitParameters);
    dir.run_words("openssl", &["req", "-x509", "-key", "sec1.pem", "-subj", "/CN=a", "-out", "any.crt"]);
    let digest = SpkiDigest::from_hex(&dir.digest("sec1.pem")).unwrap();
    assert_eq!(key::read_any(&dir.read("any.crt")), Ok((digest, What::Certificate)));
}

#[test]
fn encrypted_keys_are_named_as_such() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    dir.openssl("pkcs8 -topk8 -in p256.pem -passout pass:geheim -out pkcs8.pem");
    dir.openssl("pkcs8 -topk8 -in p256.pem -passout pass:geheim -outform DER -out pkcs8.der");
    dir.openssl("ec -in p256.pem -aes256 -passout pass:geheim -out sec1.pem");
    for file in ["pkcs8.pem", "pkcs8.der", "sec1.pem"] {
        assert_eq!(PrivateKey::from_bytes(&dir.read(file)).unwrap_err(), KeyError::Encrypted, "{file}");
        assert_eq!(key::read_any(&dir.read(file)).unwrap_err(), KeyError::Encrypted, "{file}");
    }
}

#[test]
fn a_file_with_two_keys_is_ambiguous_and_one_with_key_and_certificate_is_not() {
    let dir = Dir::new();
    dir.ec("P-256", "one.pem");
    dir.ec("P-256", "two.pem");
    dir.run_words("openssl", &["req", "-x509", "-key", "one.pem", "-subj", "/CN=a", "-out", "one.crt"]);
    let certificate = dir.read("one.crt");
    let right = [dir.read("one.pem"), certificate.clone()].concat();
    assert_eq!(key::read_any(&right).unwrap().0.to_string(), dir.digest("one.pem"));
    let wrong = [dir.read("two.pem"), certificate].concat();
    assert_eq!(key::read_any(&wrong), Err(KeyError::Ambiguous));
}

#[test]
fn a_tampered_csr_is_refused() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    dir.csr("p256.pem", "any.csr", &[SAN]);
    dir.openssl("req -in any.csr -outform DER -out any.der");
    let mut der = dir.read("any.der");
    let place = der.windows(3).position(|window| window == b"mx1").unwrap();
    der[place + 2] = b'2';
    assert_eq!(Csr::parse(&der).unwrap_err(), KeyError::Signature("the CSR".into()));
    assert_eq!(key::read_any(&der).unwrap_err(), KeyError::Signature("the CSR".into()));
}

#[test]
fn only_dns_names_can_be_asked_for() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    for (other, told) in [
        ("IP:192.0.2.1", "an IP address (192.0.2.1)"),
        ("IP:2001:db8::1", "an IP address (2001:db8::1)"),
        ("email:a@example.org", "a mail address (a@example.org)"),
        ("URI:https://example.org", "a URI (https://example.org)"),
    ] {
        dir.csr("p256.pem", "any.csr", &[&format!("{SAN},{other}")]);
        let error = Csr::parse(&dir.read("any.csr")).unwrap_err();
        assert_eq!(error.to_string(), format!("the CSR asks for {told}; only DNS names can be had"));
    }
}

#[test]
fn names_come_from_alternative_name_and_common_name() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    let request = |subject: &str, extensions: &str| {
        let words =
            ["req", "-new", "-key", "p256.pem", "-subj", subject, "-out", "any.csr", "-addext", extensions];
        dir.run_words("openssl", &words);
        Csr::parse(&dir.read("any.csr"))
    };
    let csr =
        request("/CN=MX2.example.org", "subjectAltName=DNS:mx1.Example.org,DNS:mx2.example.org").unwrap();
    assert_eq!(csr.names, ["mx1.example.org", "mx2.example.org"]);
    assert_eq!(csr.warnings, [""; 0]);
    let csr = request("/O=Example/CN=mx1.example.org", "keyUsage=digitalSignature").unwrap();
    assert_eq!((csr.names.len(), csr.warnings.len()), (1, 1));
    assert!(matches!(request("/CN=Mail server", SAN), Err(KeyError::Name { .. })));
    assert!(matches!(request("/", "keyUsage=digitalSignature"), Err(KeyError::Request(_))));
    assert!(matches!(request("/", "subjectAltName=DNS:a_b.example.org"), Err(KeyError::Name { .. })));
}

#[test]
fn client_authentication_is_warned_of_and_its_exclusive_use_refused() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    let request = |usage: &str| {
        dir.csr("p256.pem", "any.csr", &[SAN, &format!("extendedKeyUsage={usage}")]);
        Csr::parse(&dir.read("any.csr"))
    };
    let both = request("serverAuth,clientAuth").unwrap();
    assert!(both.client_auth_requested && both.warnings[0].contains("clientAuth"), "{both:?}");
    let server = request("serverAuth").unwrap();
    assert!(!server.client_auth_requested && server.warnings.is_empty());
    assert!(matches!(request("clientAuth"), Err(KeyError::Request(_))));
}

#[test]
fn attributes_beside_the_extensions_do_no_harm() {
    let dir = Dir::new();
    dir.ec("P-256", "p256.pem");
    let config = "[req]\nprompt = no\ndistinguished_name = dn\nattributes = attrs\nreq_extensions = ext\n\
                  [dn]\nCN = mx1.example.org\n[attrs]\nchallengePassword = geheim12\nunstructuredName = x\n\
                  [ext]\nsubjectAltName = DNS:mx1.example.org\ntlsfeature = status_request\n";
    std::fs::write(dir.path("req.cnf"), config).unwrap();
    dir.openssl("req -new -key p256.pem -config req.cnf -out any.csr");
    let csr = Csr::parse(&dir.read("any.csr")).unwrap();
    assert_eq!(csr.names, ["mx1.example.org"]);
    assert!(csr.warnings[0].contains("must-staple"), "{:?}", csr.warnings);
}

#[test]
fn no_prefix_of_what_openssl_writes_makes_us_panic() {
    let dir = Dir::new();
    dir.rsa(2048, "rsa.pem");
    dir.csr("rsa.pem", "rsa.csr", &[SAN]);
    dir.run_words("openssl", &["req", "-x509", "-key", "rsa.pem", "-subj", "/CN=a", "-out", "rsa.crt"]);
    dir.openssl("rsa -in rsa.pem -traditional -outform DER -out rsa.der");
    dir.openssl("rsa -in rsa.pem -RSAPublicKey_out -outform DER -out rsa.pub");
    dir.openssl("req -in rsa.csr -outform DER -out csr.der");
    dir.openssl("x509 -in rsa.crt -outform DER -out crt.der");
    for name in ["rsa.pem", "rsa.csr", "rsa.crt", "rsa.der", "rsa.pub", "csr.der", "crt.der"] {
        let whole = dir.read(name);
        for length in 0..whole.trim_ascii_end().len() {
            assert!(key::read_any(&whole[..length]).is_err(), "{name} cut to {length}");
            let _ = Csr::parse(&whole[..length]);
        }
    }
}
