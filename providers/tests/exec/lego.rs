//! The conventions of lego's `exec` and `httpreq`, with a program and a service of our own behind them, at a real BIND.

use crate::support::{Kind, Server, change, standing, txt, zone};
use crate::tools::*;
use danesmith_providers::adapters::httpreq::{Config, HttpReq};
use danesmith_providers::adapters::lego_exec::LegoExec;
use danesmith_providers::adapters::txt_only::{Removal, Tool, TxtOnly};
use danesmith_providers::conformance::Outcome;
use danesmith_providers::{Applied, Class, Provider};
use hickory_proto::rr::RecordType::TXT;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What these tools cannot tell.
const ZONE: &str = "it finds the zone of a name";
const KEPT: &str = "_acme-challenge.kept.example.test.";

/// Adds and removes by value, and notes how it was called.
fn program(dir: &Dir) -> std::path::PathBuf {
    dir.program(
        "update-dns",
        &format!(
            r#"#!/bin/sh
printf '%s|' "$#" "$@" >>{calls}; echo >>{calls}
case $1 in
present) update="update add $2 120 IN TXT \"$3\"" ;;
cleanup) update="update delete $2 IN TXT \"$3\"" ;;
*) exit 64 ;;
esac
printf 'server %s %s\nkey hmac-sha256:k256 %s\n%s\nsend\n' "$SERVER" "$PORT" "$KEY" "$update" | nsupdate
"#,
            calls = dir.path("calls").display()
        ),
    )
}

fn lego_exec(dir: &Dir, server: &Server) -> LegoExec {
    let address = server.address();
    let env = [("SERVER", address.ip().to_string()), ("PORT", address.port().to_string()), ("KEY", secret())];
    let env = env.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    LegoExec::new(program(dir), env).unwrap()
}

#[tokio::test]
async fn a_program_made_for_lego_conforms_when_it_removes_by_value() {
    let (dir, server) = (Dir::new(), Server::start(Kind::Bind));
    let tool = lego_exec(&dir, &server);
    let provider = TxtOnly::new(tool, Arc::new(Witness::of(&server)), Removal::ByValue, None);
    let findings = conformance(&provider, &server).await;
    let not_passed: Vec<_> = findings.iter().filter(|f| f.outcome != Outcome::Passed).collect();
    assert!(
        not_passed
            .iter()
            .all(|f| f.outcome == Outcome::Skipped && (f.check.contains("TLSA") || f.check == ZONE)),
        "{findings:#?}"
    );
    assert_eq!(not_passed.len(), 4);
}

#[tokio::test]
async fn a_program_made_for_lego_gets_the_arguments_it_knows() {
    let (dir, server) = (Dir::new(), Server::start(Kind::Bind));
    let provider =
        TxtOnly::new(lego_exec(&dir, &server), Arc::new(Witness::of(&server)), Removal::ByValue, None);
    provider.apply(&zone(), &[change(KEPT, &[txt("-ours_")], &[])]).await.unwrap();
    provider.apply(&zone(), &[change(KEPT, &[], &[txt("-ours_")])]).await.unwrap();
    assert_eq!(
        dir.read("calls"),
        "3|present|_acme-challenge.kept.example.test.|-ours_|\n3|cleanup|_acme-challenge.kept.example.test.|-ours_|\n"
    );
    let witness = crate::support::provider(server.address(), |_| {});
    assert_eq!(standing(&witness, KEPT, TXT).await.1, ["foreign"]);
}

#[tokio::test]
async fn a_program_that_fails_is_quoted() {
    let dir = Dir::new();
    let failing = dir.program("failing", "#!/bin/sh\necho 'quota exceeded' >&2\nexit 4\n");
    let tool = LegoExec::new(failing, vec![]).unwrap();
    let error = tool.add(&zone(), "x").await.unwrap_err();
    assert_eq!(error.class, Class::Rejected);
    assert!(error.message.contains("exit status: 4") && error.message.contains("quota exceeded"), "{error}");
}

/// A request as the service got it.
#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: serde_json::Value,
}

/// A service on loopback that does what is asked at `server`, or answers with a fixed response.
async fn service(server: Option<&Server>, fixed: Option<&'static str>) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (notes, backend) = (seen.clone(), server.map(|server| server.address()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
            let (head, body) = loop {
                let length = stream.read(&mut chunk).await.unwrap();
                assert!(length > 0);
                request.extend_from_slice(&chunk[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str::<serde_json::Value>(body)
                {
                    break (head.to_owned(), body);
                }
            };
            notes.lock().unwrap().push(Seen { head: head.clone(), body: body.clone() });
            if let Some(backend) = backend {
                let provider = crate::support::provider(backend, |_| {});
                let (name, value) = (body["fqdn"].as_str().unwrap(), txt(body["value"].as_str().unwrap()));
                let present = head.contains("/present ");
                let (add, remove) = if present { (vec![value], vec![]) } else { (vec![], vec![value]) };
                provider.apply(&zone(), &[change(name, &add, &remove)]).await.unwrap();
            }
            let answer = fixed.unwrap_or("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (format!("http://{address}/dns"), seen)
}

fn httpreq(endpoint: &str) -> HttpReq {
    HttpReq::new(Config {
        endpoint: endpoint.to_owned(),
        username: Some("danesmith".to_owned()),
        password: Some("c4n4ry-of-httpreq".to_owned().into()),
        root_pem: None,
        clock: Arc::new(crate::support::now),
    })
    .unwrap()
}

#[tokio::test]
async fn a_service_made_for_lego_conforms_when_it_removes_by_value() {
    let server = Server::start(Kind::Bind);
    let (endpoint, seen) = service(Some(&server), None).await;
    let provider = TxtOnly::new(httpreq(&endpoint), Arc::new(Witness::of(&server)), Removal::ByValue, None);
    let findings = conformance(&provider, &server).await;
    let not_passed: Vec<_> = findings.iter().filter(|f| f.outcome != Outcome::Passed).collect();
    assert!(
        not_passed
            .iter()
            .all(|f| f.outcome == Outcome::Skipped && (f.check.contains("TLSA") || f.check == ZONE)),
        "{findings:#?}"
    );

    let first = seen.lock().unwrap().first().cloned().unwrap();
    assert!(first.head.starts_with("POST /dns/present HTTP/1.1\r\n"), "{first:?}");
    let head = first.head.to_lowercase();
    assert!(head.contains("content-type: application/json"), "{head}");
    let basic = data_encoding::BASE64.encode(b"danesmith:c4n4ry-of-httpreq");
    assert!(first.head.contains(&format!("Basic {basic}")), "{}", first.head);
    assert_eq!(first.body.as_object().unwrap().len(), 2);
    let fqdn = first.body["fqdn"].as_str().unwrap();
    assert!(fqdn.starts_with("_danesmith-check-") && fqdn.ends_with(".example.test."), "{fqdn}");
}

#[tokio::test]
async fn foreign_values_are_not_put_at_risk_by_a_service_nobody_vouches_for() {
    let server = Server::start(Kind::Bind);
    let (endpoint, seen) = service(Some(&server), None).await;
    let provider = TxtOnly::new(httpreq(&endpoint), Arc::new(Witness::of(&server)), Removal::default(), None);
    provider.apply(&zone(), &[change(KEPT, &[txt("ours")], &[])]).await.unwrap();
    let removed = provider.apply(&zone(), &[change(KEPT, &[], &[txt("ours")])]).await.unwrap();
    assert_eq!((removed, seen.lock().unwrap().len()), (Applied { writes: 0 }, 1));
}

#[tokio::test]
async fn the_service_s_status_decides_the_class() {
    for (answer, class) in [
        ("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\nno c4n4ry-of-httpreq", Class::Auth),
        // the header as it was sent
        (
            "HTTP/1.1 403 No\r\nconnection: close\r\n\r\nBasic ZGFuZXNtaXRoOmM0bjRyeS1vZi1odHRwcmVx",
            Class::Auth,
        ),
        ("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n", Class::NotFound),
        ("HTTP/1.1 429 Too Many\r\nretry-after: 7\r\nconnection: close\r\n\r\n", Class::RateLimited),
        ("HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n", Class::Transient),
        ("HTTP/1.1 400 Bad\r\nconnection: close\r\n\r\n", Class::Rejected),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n", Class::Rejected),
    ] {
        let (endpoint, seen) = service(None, Some(answer)).await;
        let error = httpreq(&endpoint).add(&zone(), "value").await.unwrap_err();
        assert_eq!((error.class, seen.lock().unwrap().len()), (class, 1), "{error}");
        assert!(!error.message.contains("c4n4ry") && !error.message.contains("ZGFuZXNtaXRo"), "{error}");
        assert_eq!(error.retry_after.is_some(), class == Class::RateLimited);
    }
    let away = httpreq("http://127.0.0.1:1/").add(&zone(), "value").await.unwrap_err();
    assert_eq!(away.class, Class::Transient);
    assert!(away.retry_after.unwrap_or(Duration::ZERO).is_zero());
}

#[tokio::test]
async fn both_forms_of_retry_after_are_understood() {
    // 08:49:07 on the day of RFC 9110 §5.6.7
    let config = |endpoint: String| Config {
        endpoint,
        username: None,
        password: None,
        root_pem: None,
        clock: Arc::new(|| 784_111_747),
    };
    for (answer, seconds) in [
        ("HTTP/1.1 429 Slow\r\nretry-after: 7\r\nconnection: close\r\n\r\n", Some(7)),
        (
            "HTTP/1.1 429 Slow\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\nconnection: close\r\n\r\n",
            Some(30),
        ),
        (
            "HTTP/1.1 503 Busy\r\nretry-after: Sun, 06 Nov 1994 08:48:37 GMT\r\nconnection: close\r\n\r\n",
            Some(0),
        ),
        ("HTTP/1.1 429 Slow\r\nretry-after: tomorrow\r\nconnection: close\r\n\r\n", None),
    ] {
        let (endpoint, _) = service(None, Some(answer)).await;
        let tool = HttpReq::new(config(endpoint)).unwrap();
        let error = tool.add(&zone(), "value").await.unwrap_err();
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{answer}");
    }
}

#[tokio::test]
async fn a_password_is_never_sent_in_the_clear_over_a_network() {
    for endpoint in
        ["http://192.0.2.1/", "ftp://127.0.0.1/", "https://u:p@192.0.2.1/", "https://192.0.2.1/?t=x", "x"]
    {
        let config = Config {
            endpoint: endpoint.to_owned(),
            username: None,
            password: None,
            root_pem: None,
            clock: Arc::new(|| 0),
        };
        assert_eq!(HttpReq::new(config).err().unwrap().class, Class::Rejected, "{endpoint}");
    }
}
