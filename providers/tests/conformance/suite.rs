//! The sentences. `mx.example.test` is ours; at `kept.example.test` foreign values stand.

use crate::site::Site;
use crate::support::{change, name, standing, texts, tlsa, txt, zone};
use danesmith_providers::{Applied, Change, Class};
use futures_util::future::join_all;
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{TLSA, TXT};
use hickory_proto::rr::rdata;
use std::sync::atomic::Ordering;

const CHALLENGE: &str = "_acme-challenge.mx.example.test.";
const PINS: &str = "_25._tcp.mx.example.test.";

pub async fn two_txt_values_stand_at_one_name_and_go_one_by_one(site: Site) {
    let provider = site.provider();
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("one")], &[])]).await.unwrap();
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("two \"quoted\" \\")], &[])]).await.unwrap();
    let both = (60, texts(&[txt("one"), txt("two \"quoted\" \\")]));
    assert_eq!(standing(&*provider, CHALLENGE, TXT).await, both);
    provider.apply(&zone(), &[change(CHALLENGE, &[], &[txt("one")])]).await.unwrap();
    assert_eq!(standing(&*provider, CHALLENGE, TXT).await.1, texts(&[txt("two \"quoted\" \\")]));
    provider.apply(&zone(), &[change(CHALLENGE, &[], &[txt("two \"quoted\" \\")])]).await.unwrap();
    assert_eq!(standing(&*provider, CHALLENGE, TXT).await, (0, vec![]));
}

pub async fn a_pair_of_pins_goes_up_together_and_the_old_one_comes_down(site: Site) {
    let provider = site.provider();
    let applied = provider.apply(&zone(), &[change(PINS, &[tlsa(1), tlsa(2)], &[])]).await.unwrap();
    assert_eq!(applied, Applied { writes: 1 });
    assert_eq!(standing(&*provider, PINS, TLSA).await, (60, texts(&[tlsa(1), tlsa(2)])));
    let rotate = Change { ttl: 9999, ..change(PINS, &[tlsa(3)], &[tlsa(1)]) };
    provider.apply(&zone(), &[rotate]).await.unwrap();
    assert_eq!(standing(&*provider, PINS, TLSA).await, (60, texts(&[tlsa(2), tlsa(3)])), "the TTL is kept");
}

pub async fn several_names_change_in_one_call(site: Site) {
    let provider = site.provider();
    let names: Vec<String> = (0..5).map(|n| format!("_acme-challenge.n{n}.example.test.")).collect();
    let mut changes: Vec<Change> = names.iter().map(|at| change(at, &[txt(at)], &[])).collect();
    changes.push(change(PINS, &[tlsa(1), tlsa(2)], &[]));
    let applied = provider.apply(&zone(), &changes).await.unwrap();
    assert_eq!(applied, Applied { writes: 1 });
    for at in &names {
        assert_eq!(standing(&*provider, at, TXT).await.1, texts(&[txt(at)]));
    }
    assert_eq!(standing(&*provider, PINS, TLSA).await.1.len(), 2);
}

pub async fn foreign_values_survive_and_keep_their_ttl(site: Site) {
    let provider = site.provider();
    let names = ["_acme-challenge.kept.example.test.", "_25._tcp.kept.example.test."];
    let before = (standing(&*provider, names[0], TXT).await, standing(&*provider, names[1], TLSA).await);
    assert_eq!((before.0.clone(), before.1.0), ((300, texts(&[txt("foreign")])), 1200));
    let add = [change(names[0], &[txt("ours")], &[]), change(names[1], &[tlsa(7)], &[])];
    provider.apply(&zone(), &add).await.unwrap();
    let with_ours = standing(&*provider, names[1], TLSA).await;
    assert_eq!((with_ours.0, with_ours.1.len()), (1200, 2));
    assert_eq!(standing(&*provider, names[0], TXT).await, (300, texts(&[txt("foreign"), txt("ours")])));
    let remove = [change(names[0], &[], &[txt("ours")]), change(names[1], &[], &[tlsa(7)])];
    provider.apply(&zone(), &remove).await.unwrap();
    let after = (standing(&*provider, names[0], TXT).await, standing(&*provider, names[1], TLSA).await);
    assert_eq!(after, before);
}

pub async fn the_apex_and_long_values_are_written_like_others(site: Site) {
    let provider = site.provider();
    let octets = "x".repeat(600).into_bytes();
    let long = RData::TXT(rdata::TXT::from_bytes(octets.chunks(255).collect()));
    let apex = change("example.test.", &[long.clone(), txt("short")], &[]);
    provider.apply(&zone(), std::slice::from_ref(&apex)).await.unwrap();
    assert_eq!(standing(&*provider, "example.test.", TXT).await.1, texts(&[long.clone(), txt("short")]));
    provider.apply(&zone(), &[change("example.test.", &[], &[long])]).await.unwrap();
    assert_eq!(standing(&*provider, "example.test.", TXT).await.1, texts(&[txt("short")]));
}

pub async fn applying_twice_writes_once(site: Site) {
    let provider = site.provider();
    let add = [change(CHALLENGE, &[txt("a"), txt("b")], &[])];
    assert_eq!(provider.apply(&zone(), &add).await.unwrap(), Applied { writes: 1 });
    assert_eq!(provider.apply(&zone(), &add).await.unwrap(), Applied { writes: 0 });
    let gone = [change(CHALLENGE, &[], &[txt("never there")])];
    assert_eq!(provider.apply(&zone(), &gone).await.unwrap(), Applied { writes: 0 });
}

pub async fn twelve_writers_lose_nothing(site: Site) {
    let writers: Vec<_> = (0..12).map(|_| site.provider()).collect();
    let value = |n: usize| txt(&format!("writer {n}"));
    let writes = writers.iter().enumerate().map(|(n, writer)| {
        let (writer, value) = (writer.clone(), value(n));
        tokio::spawn(async move { writer.apply(&zone(), &[change(CHALLENGE, &[value], &[])]).await })
    });
    for outcome in join_all(writes).await {
        outcome.unwrap().unwrap();
    }
    let all: Vec<RData> = (0..12).map(value).collect();
    assert_eq!(standing(&*writers[0], CHALLENGE, TXT).await.1, texts(&all));
}

pub async fn a_preflight_leaves_nothing(site: Site) {
    let provider = site.provider();
    let kept = "_acme-challenge.kept.example.test.";
    let targets = [(name(CHALLENGE), TXT), (name(PINS), TLSA), (name(kept), TXT)];
    provider.preflight(&zone(), &targets).await.unwrap();
    assert_eq!(standing(&*provider, CHALLENGE, TXT).await.1.len(), 0);
    assert_eq!(standing(&*provider, PINS, TLSA).await.1.len(), 0);
    assert_eq!(standing(&*provider, kept, TXT).await, (300, texts(&[txt("foreign")])));
}

pub async fn an_alias_is_a_conflict(site: Site) {
    let provider = site.provider();
    let at = "alias.example.test.";
    let error = provider.apply(&zone(), &[change(at, &[txt("a")], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "{error}");
    assert!(error.message.contains("alias.example.test is an alias of mx.example.test"), "{error}");
    let error = provider.list(&zone(), &name(at), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "{error}");
}

pub async fn a_wrong_key_is_told_as_such(site: Site) {
    let intruder = site.intruder();
    let error = intruder.preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error}");
    let hint = error.hint.expect("what to do");
    assert!(hint.contains("key"), "{hint}");
    let error = intruder.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap_err();
    assert_eq!(error.class, site.class_of_a_question_with_a_wrong_key(), "{error}");
    assert_eq!(standing(&*site.provider(), PINS, TLSA).await.1.len(), 0);
}

pub async fn an_unknown_zone_is_told_as_such(site: Site) {
    let (provider, other) = (site.provider(), name("other.test."));
    let at = name("_25._tcp.other.test.");
    for error in [
        provider.preflight(&other, &[(at.clone(), TLSA)]).await.unwrap_err(),
        provider.list(&other, &at, TLSA).await.unwrap_err(),
    ] {
        assert_eq!(error.class, Class::NotFound, "{error}");
        assert!(error.message.contains("other.test") || error.hint.is_some_and(|h| h.contains("other.test")));
    }
}

pub async fn a_killed_server_is_transient(mut site: Site) {
    let provider = site.provider();
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap();
    site.kill();
    let error = provider.apply(&zone(), &[change(CHALLENGE, &[txt("b")], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    let error = site.provider().list(&zone(), &name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
}

/// After the server another program has its port: a captive portal, or one that speaks something else.
pub async fn what_is_no_answer_is_never_believed(mut site: Site) {
    let provider = site.provider();
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap();
    site.kill();
    let asked = site.answer_garbage();
    let add = [change(CHALLENGE, &[txt("b")], &[]), change(PINS, &[], &[tlsa(1)])];
    let errors = [
        provider.list(&zone(), &name(CHALLENGE), TXT).await.unwrap_err(),
        provider.apply(&zone(), &add).await.unwrap_err(),
        site.provider().preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap_err(),
        site.provider().zone(&name(PINS)).await.unwrap_err(),
    ];
    for error in errors {
        let told = matches!(error.class, Class::Transient | Class::Rejected | Class::Internal);
        assert!(told, "{:?}: {error}", error.class);
    }
    assert!(asked.load(Ordering::SeqCst) >= 4, "it was asked");
}

pub async fn the_zone_of_a_name_is_found(site: Site) {
    let provider = site.provider();
    for at in [PINS, "example.test.", "not.there.example.test."] {
        assert_eq!(provider.zone(&name(at)).await.unwrap(), zone(), "{at}");
    }
    let error = provider.zone(&name("_25._tcp.mx.nowhere.invalid.")).await.unwrap_err();
    assert_eq!(error.class, Class::NotFound, "{error}");
}

/// Puts a record into the database that is there and answers nobody.
fn disable(site: &Site, owner: &str, rtype: &str, content: &str) {
    site.sql(&format!(
        "INSERT INTO records (domain_id, name, type, content, ttl, disabled, auth) \
         SELECT id, '{owner}', '{rtype}', '{content}', 300, 1, 1 FROM domains WHERE name = 'example.test'"
    ));
}

/// Contents of the disabled records.
fn disabled(site: &Site) -> String {
    site.sql("SELECT content FROM records WHERE disabled = 1 ORDER BY content")
}

pub async fn disabled_records_survive_where_nothing_else_stands(site: Site) {
    let pin = format!("3 1 1 {}", "0f".repeat(32));
    disable(&site, "_acme-challenge.mx.example.test", "TXT", "\"sleeping\"");
    disable(&site, "_25._tcp.mx.example.test", "TLSA", &pin);
    let provider = site.provider();
    let add = [change(CHALLENGE, &[txt("ours")], &[]), change(PINS, &[tlsa(1), tlsa(2)], &[])];
    provider.apply(&zone(), &add).await.unwrap();
    assert_eq!(standing(&*provider, CHALLENGE, TXT).await.1, texts(&[txt("ours")]), "it is not listed");
    assert_eq!(disabled(&site), format!("\"sleeping\"\n{pin}"));
}

/// Adds and removes beside a foreign record and a disabled one; what is left of the latter.
async fn disabled_beside_others(site: &Site) -> String {
    disable(site, "_acme-challenge.kept.example.test", "TXT", "\"sleeping\"");
    let (provider, kept) = (site.provider(), "_acme-challenge.kept.example.test.");
    provider.apply(&zone(), &[change(kept, &[txt("ours")], &[])]).await.unwrap();
    provider.apply(&zone(), &[change(kept, &[], &[txt("ours")])]).await.unwrap();
    assert_eq!(standing(&*provider, kept, TXT).await.1, texts(&[txt("foreign")]));
    disabled(site)
}

pub async fn disabled_records_survive_beside_others(site: Site) {
    assert_eq!(disabled_beside_others(&site).await, "\"sleeping\"");
}

/// PowerDNS 4.7 reads the RRset without its disabled records and replaces it in the database; no client of RFC 2136 can
/// see them, or keep them. Should this fail one day, PowerDNS is better than we say.
pub async fn disabled_records_beside_others_are_lost_to_powerdns_itself(site: Site) {
    assert_eq!(disabled_beside_others(&site).await, "");
}
