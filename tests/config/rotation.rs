//! `rotate` and `rotation`: when keys change, and the waiting rule.

use super::{SMALL, good, small_with};
use danesmith::model::desired::Rotate;
use danesmith::model::policy::Policy;
use jiff::SignedDuration;
use std::time::Duration;

fn with(line: &str) -> String {
    SMALL.replace("    keys:", &format!("    {line}\n    keys:"))
}

#[track_caller]
fn refused(line: &str, problem: &str) {
    small_with("    keys:", &format!("    {line}\n    keys:"), &format!("14:{problem}"));
}

#[test]
fn keys_change_after_a_time_or_after_renewals_or_by_hand() {
    const DAY: u64 = 86_400;
    let rotate = |line: &str| good(&with(line)).certificates["mx"].rotate;
    assert_eq!(good(SMALL).certificates["mx"].rotate, Rotate::Manual);
    assert_eq!(rotate("rotate: manual"), Rotate::Manual);
    assert_eq!(rotate("rotate: {every: 90d}"), Rotate::Every(Duration::from_secs(90 * DAY)));
    assert_eq!(rotate("rotate: {every: 26w}"), Rotate::Every(Duration::from_secs(182 * DAY)));
    assert_eq!(rotate("rotate: {every: 2y}"), Rotate::Every(Duration::from_secs(730 * DAY)));
    assert_eq!(rotate("rotate: {renewals: 4}"), Rotate::Renewals(4));
}

#[test]
fn what_does_not_say_when_is_refused() {
    refused(
        "rotate: yearly",
        "13: certificates.mx.rotate: must say when keys change\n  hint: `manual`, `{every: 1y}` or `{renewals: 4}`",
    );
    refused(
        "rotate: {every: 1y, renewals: 4}",
        "13: certificates.mx.rotate: must be exactly one of {every: …}, {renewals: …}\n  hint: write one of them; the others belong elsewhere, or nowhere",
    );
    refused(
        "rotate: {every: 365}",
        "21: certificates.mx.rotate.every: lacks its unit\n  hint: write it as in 90d, 26w or 1y",
    );
    refused(
        "rotate: {every: 12h}",
        "21: certificates.mx.rotate.every: `12h`: must be a number and a unit: 90d, 26w or 1y",
    );
    refused("rotate: {every: 11y}", "21: certificates.mx.rotate.every: `11y`: must be from 1d to 3650d");
    refused("rotate: {every: 0d}", "21: certificates.mx.rotate.every: `0d`: must be from 1d to 3650d");
    refused("rotate: {renewals: 0}", "24: certificates.mx.rotate.renewals: must be from 1 to 100");
    refused(
        "rotate: {evry: 1y}",
        "14: certificates.mx.rotate.evry: unknown field\n  hint: did you mean `every`?",
    );
}

#[test]
fn rotation_needs_a_key_to_rotate_to() {
    small_with(
        "    keys: managed",
        "    rotate: {every: 1y}\n    keys: {active: {csr: a.csr}}",
        "14:13: certificates.mx.rotate: there is no backup key to rotate to\n  hint: give a `backup:` key, or write `rotate: manual`",
    );
    let text = SMALL.replace("    keys: managed", "    rotate: manual\n    keys: {active: {csr: a.csr}}");
    assert_eq!(good(&text).certificates["mx"].rotate, Rotate::Manual);
}

#[test]
fn rotation_needs_pins_and_something_to_look_at() {
    let with = SMALL.replace("    keys:", "    rotate: {every: 1y}\n    keys:");
    super::bad(
        &with.replace("    tlsa: [_25._tcp.mx.example.org]\n", ""),
        "14:13: certificates.mx.rotate: has no effect without `tlsa`\n  hint: list the TLSA records to keep, or drop this line",
    );
    super::bad(
        &format!("{with}    endpoints: unchecked\n"),
        "14:13: certificates.mx.rotate: needs endpoints to look at: a key is retired when nobody presents it any more\n  hint: list `endpoints:`, or write `rotate: manual`",
    );
}

#[test]
fn the_waiting_rule_holds_for_all_and_a_certificate_may_differ() {
    let all = format!("{SMALL}rotation: {{ttls: 3, slack: 2h}}\n");
    let policy = good(&all).certificates["mx"].policy;
    assert_eq!(policy, Policy { ttls: 3, slack: SignedDuration::from_hours(2), ..Policy::default() });
    let own = all.replace("    keys:", "    rotation: {slack: 0s, ttl_floor: 0}\n    keys:");
    let policy = good(&own).certificates["mx"].policy;
    assert_eq!(policy, Policy { ttls: 3, slack: SignedDuration::ZERO, floor: SignedDuration::ZERO });
}

#[test]
fn less_than_one_ttl_is_refused() {
    refused("rotation: {ttls: 0}", "22: certificates.mx.rotation.ttls: must be from 1 to 10");
    refused("rotation: {slack: 31d}", "23: certificates.mx.rotation.slack: `31d`: must be from 0d to 30d");
    refused(
        "rotation: {ttl_floor: 1000000}",
        "27: certificates.mx.rotation.ttl_floor: must be from 0 to 604800 seconds",
    );
    super::bad(&format!("{SMALL}rotation: {{ttls: 0}}\n"), "16:18: rotation.ttls: must be from 1 to 10");
}
