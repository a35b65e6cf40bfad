//! RSA signatures, checked with the public key over what arrived.

use super::drive;
use super::files::here;
use super::wire::Request;
use data_encoding::BASE64;
use ring::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaKeyPair, RsaParameters,
    UnparsedPublicKey,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use std::fs;

fn holds(algorithm: &'static RsaParameters, text: &str, signature: &str) -> bool {
    let pem = fs::read(here().join("tests/catalog/rsa-key.pem")).expect("the test's own key");
    let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).expect("a key");
    let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key");
    let signature = BASE64.decode(signature.as_bytes()).expect("base64");
    UnparsedPublicKey::new(algorithm, pair.public_key().as_ref()).verify(text.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn transip_gets_a_signature_over_the_login_octet_by_octet() {
    let requests = drive::perform("transip").await;
    let login = requests.iter().find(|request| request.path == "/v6/auth").expect("a login");
    assert!(holds(&RSA_PKCS1_2048_8192_SHA512, &login.body, login.header("signature").expect("signed")));
}

#[tokio::test]
async fn oracle_gets_signatures_over_the_headers_that_they_name() {
    let requests = drive::perform("oracle").await;
    let patches = requests.iter().filter(|request| request.method == "PATCH").count();
    assert!(patches > 3, "{patches} writes");
    for request in &requests {
        let given = request.header("authorization").expect("signed");
        let text = signed_text(request, part(given, "headers"));
        assert!(holds(&RSA_PKCS1_2048_8192_SHA256, &text, part(given, "signature")), "{text}");
        if request.method == "PATCH" {
            assert!(part(given, "headers").contains("x-content-sha256"), "the body is signed");
            let digest = ring::digest::digest(&ring::digest::SHA256, request.body.as_bytes());
            assert_eq!(request.header("x-content-sha256"), Some(BASE64.encode(digest.as_ref()).as_str()));
        }
    }
}

/// draft-cavage-http-signatures-08 §2.3.
fn signed_text(request: &Request, headers: &str) -> String {
    let line = |name: &str| match name {
        "(request-target)" => format!("{name}: {} {}", request.method.to_lowercase(), request.target),
        _ => format!("{name}: {}", request.header(name).unwrap_or_else(|| panic!("no {name}"))),
    };
    headers.split(' ').map(line).collect::<Vec<_>>().join("\n")
}

fn part<'a>(authorization: &'a str, name: &str) -> &'a str {
    let rest = authorization.split_once(&format!("{name}=\"")).expect("the part").1;
    rest.split_once('"').expect("its end").0
}
