//! What only PowerDNS has: disabled records, comments, a database that is busy.

use super::*;
use crate::support::{API_KEY, PowerDns, change, standing, texts, tlsa, txt, zone};
use danesmith_providers::Provider;
use danesmith_providers::{Applied, Class};
use hickory_proto::rr::RecordType::TXT;

fn at(server: &PowerDns) -> HttpProvider {
    builtin("powerdns", &[("url", &server.url()), ("api_key", API_KEY)], options())
}

fn disabled(server: &PowerDns, name: &str, content: &str) {
    server.sql(&format!(
        "INSERT INTO records (domain_id, name, type, content, ttl, disabled, auth) \
         SELECT id, '{name}', 'TXT', '{content}', 77, 1, 1 FROM domains WHERE name = 'example.test'"
    ));
}

#[tokio::test]
async fn disabled_records_of_others_survive_every_change() {
    let server = PowerDns::start();
    let owner = "_acme-challenge.mx.example.test";
    disabled(&server, owner, "\"sleeping\"");
    let provider = at(&server);
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (0, vec![]), "a disabled record does not stand");
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("ours")], &[])]).await.unwrap();
    assert_eq!(
        standing(&provider, CHALLENGE, TXT).await,
        (77, texts(&[txt("ours")])),
        "the set keeps its TTL"
    );
    provider.apply(&zone(), &[change(CHALLENGE, &[], &[txt("ours")])]).await.unwrap();
    let rows = server.sql(&format!("SELECT content, disabled, ttl FROM records WHERE name = '{owner}'"));
    assert_eq!(rows, "\"sleeping\"|1|77");
}

#[tokio::test]
async fn our_own_disabled_value_counts_as_absent_and_wakes_up() {
    let server = PowerDns::start();
    disabled(&server, "_acme-challenge.mx.example.test", "\"ours\"");
    let provider = at(&server);
    let change = [change(CHALLENGE, &[txt("ours")], &[])];
    assert_eq!(provider.apply(&zone(), &change).await.unwrap(), Applied { writes: 1 });
    assert_eq!(standing(&provider, CHALLENGE, TXT).await.1, texts(&[txt("ours")]));
    let rows = server.sql("SELECT disabled FROM records WHERE name = '_acme-challenge.mx.example.test'");
    assert_eq!(rows, "0");
}

#[tokio::test]
async fn comments_survive() {
    let server = PowerDns::start();
    server.sql(
        "INSERT INTO comments (domain_id, name, type, modified_at, account, comment) SELECT id, \
         '_acme-challenge.kept.example.test', 'TXT', 1, 'admin', 'do not touch' FROM domains WHERE name = 'example.test'",
    );
    let provider = at(&server);
    let kept = "_acme-challenge.kept.example.test.";
    provider.apply(&zone(), &[change(kept, &[txt("ours")], &[])]).await.unwrap();
    assert_eq!(standing(&provider, kept, TXT).await.1.len(), 2);
    assert_eq!(server.sql("SELECT comment FROM comments"), "do not touch");
}

#[tokio::test]
async fn writers_of_two_processes_are_kept_apart_by_the_lock_file() {
    let server = PowerDns::start();
    let locks = tempfile::Builder::new().prefix("pdns-locks-").tempdir().unwrap().keep();
    let mut options = options();
    options.locks = Some(locks.clone());
    options.deadline = Duration::from_secs(2);
    let provider =
        Arc::new(builtin("powerdns", &[("url", &server.url()), ("api_key", API_KEY)], options.clone()));
    provider.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&locks).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "one lock file per zone: {files:?}");

    // Another process: flock knows open files, not processes.
    let held = std::fs::File::options().write(true).open(&files[0]).unwrap();
    held.lock().unwrap();
    let error = provider.apply(&zone(), &[change(PINS, &[tlsa(2)], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.message.contains(&files[0].display().to_string()), "{error}");

    options.deadline = Duration::from_secs(20);
    let patient = Arc::new(builtin("powerdns", &[("url", &server.url()), ("api_key", API_KEY)], options));
    let waiting = tokio::spawn({
        let patient = patient.clone();
        async move { patient.apply(&zone(), &[change(PINS, &[tlsa(2)], &[])]).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap(), Applied { writes: 1 });
    std::fs::remove_dir_all(&locks).unwrap();
}
