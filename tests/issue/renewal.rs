//! What the CA says of renewals (RFC 9773), and profiles, at a real CA.

use crate::first::quick;
use crate::site::Site;
use crate::support::Lab;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";

fn state(site: &Site) -> Value {
    let path = site.lab.dir().join("state/certificates/www/state.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Rewrites the state document; time passes, so the CA's resolver forgets the last challenge.
fn change(site: &Site, change: impl FnOnce(&mut Value)) {
    site.lab.flush_resolver();
    let mut changed = state(site);
    change(&mut changed);
    fs::write(site.lab.dir().join("state/certificates/www/state.json"), changed.to_string()).unwrap();
}

fn hence(hours: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(hours)).to_string()
}

/// Has pebble say this of the installed certificate from now on.
fn suggest(site: &Site, from: i64, until: i64) {
    let info = json!({"suggestedWindow": {"start": hence(from), "end": hence(until)}, "explanationURL": "https://pebble.test/why"});
    let body = json!({"Certificate": site.leaf("www"), "ARIResponse": info.to_string()}).to_string();
    let url = "https://127.0.0.14:15000/set-renewal-info/";
    site.lab.run("curl", &["-sSf", "--cacert", "pebble-root.pem", "-X", "POST", "--data", &body, url]);
}

#[test]
fn the_ca_is_asked_when_to_renew_and_a_certificate_that_it_wants_replaced_is_replaced_at_once() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed, profile: default}"]);
    site.apply().ends(0);
    let before = site.lab.counts();
    site.apply().ends(0);
    assert_eq!(site.lab.counts(), before, "a new certificate is not asked about");

    // Two days later.
    change(&site, |state| state["installed"]["not_before"] = hence(-48).into());
    site.apply().ends(0);
    let told = state(&site)["renewal_info"].clone();
    assert!(told["window"]["start"].is_string(), "{told}");
    assert_eq!(told["certificate_id"], state(&site)["installed"]["certificate_id"]);
    assert_eq!(site.lab.counts().requests - before.requests, 1, "one question");
    assert_eq!(site.lab.counts().orders, before.orders);
    let before = site.lab.counts();
    site.apply().ends(0);
    assert_eq!(site.lab.counts(), before, "not asked again before it wants to be");

    // It revokes the certificate, say.
    let first = site.leaf("www");
    suggest(&site, -2, -1);
    change(&site, |state| state["renewal_info"]["ask_again"] = hence(-1).into());
    let shown = site.run(&["status"]).ends(0);
    assert_eq!(shown.json["certificates"][0]["renewal_info"]["directory"], "https://127.0.0.14:14000/dir");
    let old = state(&site);
    let run = site.run(&["-vv", "apply"]).ends(0);
    assert_ne!(site.leaf("www"), first, "{}", run.stderr);
    assert_eq!(site.lab.counts().orders - before.orders, 1, "the CA took what the order replaces");
    assert!(state(&site)["renewal_info"].is_null(), "nothing is known of the new one yet");
    let key = |state: &Value| state["installed"]["spki"].clone();
    assert_eq!(key(&state(&site)), key(&old), "another certificate for the same key");

    // An older state directory: the CA has replaced that certificate already, and issues all the same.
    change(&site, |state| {
        let generation = state["installed"]["generation"].clone();
        (state["installed"], state["renewal_info"]) = (old["installed"].clone(), old["renewal_info"].clone());
        state["installed"]["generation"] = generation;
        state["renewal_info"]["window"] = json!({"start": hence(-2), "end": hence(-1)});
        state["renewal_info"]["ask_again"] = hence(6).into();
    });
    let run = site.run(&["-vv", "apply"]).ends(0).says(&["alreadyReplaced"]);
    assert_eq!(site.lab.counts().orders - before.orders, 3, "one was refused: {}", run.stderr);
}

#[test]
fn a_certificate_has_the_lifetime_of_its_profile_and_one_that_is_not_offered_is_refused() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed, profile: shortlived}"]);
    site.apply().ends(0);
    let installed = &state(&site)["installed"];
    let at = |what: &str| installed[what].as_str().unwrap().parse::<Timestamp>().unwrap();
    let lifetime = at("not_after").duration_since(at("not_before")).as_hours();
    assert!((143..=145).contains(&lifetime), "{lifetime} h");

    let orders = site.lab.counts().orders;
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed, profile: shortlife}"]);
    site.age("www");
    site.apply().ends(78).says(&[
        "does not offer the profile `shortlife`",
        "default, shortlived",
        "Nothing was ordered",
    ]);
    assert_eq!(site.lab.counts().orders, orders);
}
