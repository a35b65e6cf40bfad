//! Interfaces that want a login or a signature.

use super::features::{HEAD, ZONE, feature, the_zone};
use super::*;
use crate::support::{Told, Web, change, standing, txt, zone};
use danesmith_providers::Provider;
use danesmith_providers::{Applied, Class};
use hickory_proto::rr::RecordType::TXT;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn a_login_with_cookie_and_second_factor_is_done_once_and_again_when_it_ends() {
    let body = r#"
http: {base: "{{ config.url }}", cookies: true, headers: {X-Token: "{{ session.token }}"}}
login:
  - post: /login
    json: {user: "{{ config.user }}", pass: "{{ config.key }}"}
    save: {token: body.token, factor: "body.factor | default(none)"}
  - if: session.factor
    post: /unlock
    headers: {X-Token: "{{ session.token }}"}
    form: {code: "{{ 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' | totp(59) }}"}
zone: {list: {get: /zones, items: body}, zone: {name: "{{ item }}"}}
list: {get: /records, items: body, name: item.name, type: item.type, ttl: "60", value: "{{ item.value }}", id: item.id}
add: {post: /records, json: {value: "{{ value }}"}}
remove: {delete: "/records/{{ id }}"}
"#;
    let logins = AtomicUsize::new(0);
    let web = Web::start(move |asked, _| {
        let current = format!("token-number-{}", logins.load(Ordering::SeqCst));
        match asked.line().as_str() {
            "POST /login" => {
                assert_eq!(asked.json(), json!({"user": "me", "pass": "s3cret-k3y"}));
                assert!(asked.header("x-token").is_none(), "what needs the session is not sent to open it");
                let token = format!("token-number-{}", logins.fetch_add(1, Ordering::SeqCst) + 1);
                Told::json(200, json!({"token": token, "factor": "totp"}))
                    .with("Set-Cookie", "sid=c00kie-c00kie; Path=/")
            }
            "POST /unlock" => {
                assert_eq!(
                    (asked.body.as_str(), asked.header("cookie")),
                    ("code=287082", Some("sid=c00kie-c00kie"))
                );
                Told::json(200, json!({}))
            }
            // The first session ends after the zones were listed.
            "GET /records" if logins.load(Ordering::SeqCst) == 1 => Told::text(401, "session over"),
            _ if asked.header("x-token") != Some(current.as_str()) => Told::text(401, "no"),
            "GET /zones" => Told::json(200, json!(["other.test", "example.test"])),
            "GET /records" => Told::json(200, json!([])),
            _ => Told::text(405, ""),
        }
    });
    let provider = feature(body, &web, &[("user", "me"), ("key", "s3cret-k3y")]);
    assert_eq!(standing(&provider, CHALLENGE, TXT).await.1.len(), 0);
    assert_eq!(standing(&provider, PINS, hickory_proto::rr::RecordType::TLSA).await.1.len(), 0);
    assert_eq!(
        web.lines(),
        [
            "POST /login",
            "POST /unlock",
            "GET /zones",
            "GET /records",
            "POST /login",
            "POST /unlock",
            "GET /records",
            "GET /records",
        ]
    );
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_as_such() {
    let body = format!(
        "{ZONE}{}",
        r#"
http: {base: "{{ config.url }}"}
login: {post: /login, form: {key: "{{ config.key }}"}, save: {token: body.access_token}}
list: {get: /records, items: body, ttl: "60", value: "{{ item }}"}
add: {post: /records}
remove: {post: /gone}
"#
    );
    let web = Web::start(|asked, _| match asked.body.as_str() {
        "key=a%2Fb%26c%20d" => Told::json(401, json!({"error": "invalid_client: a/b&c d"})),
        other => Told::text(500, other),
    });
    let provider = feature(&body, &web, &[("key", "a/b&c d")]);
    let error = provider.list(&zone(), &support::name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error}");
    assert!(error.message.contains("invalid_client: [secret]"), "{error}");
    assert!(error.hint.unwrap().contains("`key`"));
}

#[tokio::test]
async fn a_signature_of_ones_own_covers_the_request() {
    let body = format!(
        "{ZONE}{}",
        r#"
http:
  base: "{{ config.url }}"
  answers: json
  sign:
    own:
      headers:
        X-Date: "{{ date }}"
        X-Signature: "{{ (method ~ path ~ payload) | hmac_sha256(config.key) | hex }}"
      query: {key: "{{ config.user }}"}
list: {get: /r, items: body, ttl: "60", value: "{{ item }}"}
add: {post: /r, json: {v: "{{ value }}"}}
remove: {post: /r}
probe: {delete: "/r/{{ nonce }}", expect: not-found}
"#
    );
    let web = Web::start(|asked, _| {
        let path = asked.target.split('?').next().unwrap();
        the_zone(path).unwrap_or_else(|| {
            if asked.method == "DELETE" { Told::text(404, "") } else { Told::json(200, json!([])) }
        })
    });
    let provider = feature(&body, &web, &[("key", "Jefe"), ("user", "u&u")]);
    provider.preflight(&zone(), &[(support::name(CHALLENGE), TXT)]).await.unwrap();
    let asked = web.asked();
    assert_eq!(asked.iter().map(|a| a.method.as_str()).collect::<Vec<_>>(), ["GET", "GET", "DELETE"]);
    for asked in &asked {
        let (path, query) = asked.target.split_once('?').unwrap();
        assert_eq!(query, "key=u%26u");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
        let signature = ring::hmac::sign(&key, format!("{}{path}", asked.method).as_bytes());
        let hex = data_encoding::HEXLOWER.encode(signature.as_ref());
        assert_eq!(asked.header("x-signature"), Some(hex.as_str()));
        assert!(asked.header("x-date").unwrap().ends_with(" GMT"));
    }
}

#[tokio::test]
async fn a_google_service_account_logs_in_with_an_assertion_it_signed() {
    let body = r#"
http: {base: "{{ config.url }}", headers: {Authorization: "Bearer {{ session.token }}"}}
login:
  post: /token
  form: {assertion: "{{ config.key | fromjson | google_jwt('https://scope.example', now) }}"}
  save: {token: body.access_token}
zone: {list: {get: /zones, items: body}, zone: {name: "{{ item }}"}}
list: {get: /r, items: body, ttl: "60", value: "{{ item }}"}
add: {post: /r}
remove: {post: /r}
"#;
    let openssl = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl").args(arguments).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let file = json!({"private_key": pem, "private_key_id": "id1", "client_email": "me@p.example", "token_uri": "https://t.example"});
    let web = Web::start(|asked, _| match asked.line().as_str() {
        "POST /token" => Told::json(200, json!({"access_token": "t0ken-t0ken"})),
        "GET /zones" => Told::json(200, json!(["example.test"])),
        _ if asked.header("authorization") == Some("Bearer t0ken-t0ken") => Told::json(200, json!([])),
        _ => Told::text(401, ""),
    });
    let provider = feature(body, &web, &[("key", &file.to_string())]);
    assert_eq!(standing(&provider, CHALLENGE, TXT).await.1.len(), 0);

    let form = web.asked()[0].body.clone();
    let parts: Vec<&str> = form.strip_prefix("assertion=").unwrap().split('.').collect();
    let decode = |part: &str| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)).unwrap();
    assert_eq!(json(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": "id1"}));
    let claims = json(parts[1]);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("me@p.example"), &json!("https://t.example")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    let rustls_pki_types::PrivateKeyDer::Pkcs8(key) = key else { panic!("PKCS#8") };
    let pair = ring::signature::RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let public = ring::signature::UnparsedPublicKey::new(
        &ring::signature::RSA_PKCS1_2048_8192_SHA256,
        ring::signature::KeyPair::public_key(&pair).as_ref(),
    );
    public.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &decode(parts[2])).unwrap();
}

#[tokio::test]
async fn a_login_may_sign_its_body_and_a_list_may_be_slow_and_counted_by_offset() {
    let body = r#"
http: {base: "{{ config.url }}"}
ttl: {allowed: [300, 600, 3600]}
login:
  post: /auth
  json: {user: "{{ config.user }}"}
  headers: {Signature: "{{ payload | hmac_sha256(config.key) | hex }}"}
  save: {token: body.token}
zone: {list: {get: /zones, items: body}, zone: {name: "{{ item }}"}}
list:
  get: /r
  query: {from: "{{ offset }}"}
  items: body.rows
  more: body.rows
  settle: 5
  ttl: item.ttl
  value: "{{ item.v }}"
  id: item.id
add: {post: /r, json: {v: "{{ value }}", ttl: "{{ ttl }}"}}
remove: {delete: "/r/{{ id }}"}
"#;
    let looks = AtomicUsize::new(0);
    let web = Web::start(move |asked, _| match asked.line().as_str() {
        "POST /auth" => {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret-k3y");
            let signature = ring::hmac::sign(&key, asked.body.as_bytes());
            assert_eq!(
                asked.header("signature"),
                Some(data_encoding::HEXLOWER.encode(signature.as_ref()).as_str())
            );
            Told::json(200, json!({"token": "t"}))
        }
        "GET /zones" => Told::json(200, json!(["example.test"])),
        "GET /r?from=0" => match looks.fetch_add(1, Ordering::SeqCst) {
            // The first look, and two that come before the host shows what it took.
            0..3 => Told::json(
                200,
                json!({"rows": [{"v": "a", "ttl": 600, "id": 1}, {"v": "b", "ttl": 600, "id": 2}]}),
            ),
            _ => Told::json(
                200,
                json!({"rows": [{"v": "a", "ttl": 600, "id": 1}, {"v": "ours", "ttl": 600, "id": 3}]}),
            ),
        },
        "GET /r?from=2" => Told::json(200, json!({"rows": []})),
        "POST /r" => Told::text(200, ""),
        other => Told::text(404, other),
    });
    let provider = feature(body, &web, &[("user", "me"), ("key", "s3cret-k3y")]);
    let applied = provider.apply(&zone(), &[change(CHALLENGE, &[txt("ours")], &[])]).await.unwrap();
    assert_eq!(applied, Applied { writes: 1 }, "not written twice");
    let other = Spec::parse(&format!("{HEAD}{body}"), "t").unwrap().ttl;
    assert_eq!(other.allowed, [300, 600, 3600]);
}
