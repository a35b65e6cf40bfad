//! `status` as it is typed: from zones.yaml and a state directory alone.

use crate::dir::Dir;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const OWNER: &str = "_25._tcp.mx1.example.org";

/// A certificate half a year old whose backup was seen on every server an hour ago. danesmith has looked for a week.
fn site(rotation: Option<Value>, more: &str) -> (Dir, Timestamp) {
    let dir = Dir::new();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let ago = |hours: i64| (now - SignedDuration::from_hours(hours)).to_string();
    std::fs::write(dir.path("zones.yaml"), format!(
        "version: 1\naccounts: {{default: {{directory: letsencrypt-staging, agree_terms: true}}}}\n\
         providers: {{home: {{rfc2136: {{server: 192.0.2.1, tsig: {{name: k, algorithm: hmac-sha256, secret: {{file: absent}}}}}}}}}}\n\
         zones: {{example.org: {{provider: home}}}}\ncertificates:\n  mx1:\n    names: [mx1.example.org]\n    keys: managed\n    \
         tlsa: [{OWNER}]\n{more}"
    ))
    .unwrap();
    let pin = |key: &str, seen: i64| json!({"owner": format!("{OWNER}."), "spki": key.repeat(32), "first_published": ago(200), "seen_everywhere": ago(seen)});
    let mut document = json!({
        "version": 1,
        "keys": {"active": "01".repeat(32), "backup": "02".repeat(32)},
        "installed": {
            "generation": 1, "names": ["mx1.example.org"], "spki": "01".repeat(32), "serial": "0a", "issuer": "CN=test",
            "not_before": ago(24 * 10), "not_after": (now + SignedDuration::from_hours(24 * 80)).to_string(),
        },
        "pins": [pin("01", 190), pin("02", 1)],
        "history": [{"owner": format!("{OWNER}."), "since": ago(24 * 7), "ttls": [{"ttl": 3600}]}],
        "serving_since": ago(24 * 180),
        "renewals": 2,
    });
    if let Some(rotation) = rotation {
        document["rotation"] = rotation;
    }
    let folder = dir.path("state/certificates/mx1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("state.json"), document.to_string()).unwrap();
    (dir, now)
}

fn run(dir: &Dir, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_danesmith")).args(arguments).current_dir(&dir.0).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn one(dir: &Dir) -> Value {
    let all: Value = serde_json::from_str(&run(dir, &["--json", "status"])).unwrap();
    all["certificates"][0].clone()
}

fn hours(from: Timestamp, hours: i64) -> String {
    (from + SignedDuration::from_hours(hours)).to_string()
}

#[test]
fn a_pin_is_ripe_two_ttls_and_the_slack_after_the_last_server_had_it() {
    let (dir, now) = site(None, "");
    let pins = one(&dir)["pins"].clone();
    // seen an hour ago, two TTLs of an hour, an hour of slack
    assert_eq!((&pins[1]["role"], &pins[1]["ripe"]), (&json!("backup"), &json!(hours(now, 2))));
    assert_eq!(one(&dir)["backup_ripe"], hours(now, 2));
    let text = run(&dir, &["status"]);
    assert!(text.contains("\n            may be served from 20"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let (dir, now) = site(None, "    rotation: {ttls: 1, slack: 30m}\n");
    assert_eq!(one(&dir)["backup_ripe"], (now + SignedDuration::from_mins(30)).to_string());
    // The TTL of a week ago is not known: the floor counts from the first look on.
    let (dir, now) = site(None, "rotation: {ttl_floor: 604800}\n");
    assert_eq!(one(&dir)["backup_ripe"], hours(now, 2), "a week has passed since the first look");
}

#[test]
fn a_certificate_that_zones_yaml_names_no_more_is_not_forgotten() {
    let (dir, _) = site(None, "");
    let zones = String::from_utf8(dir.read("zones.yaml")).unwrap();
    std::fs::write(dir.path("zones.yaml"), zones.replace("\n  mx1:\n", "\n  mail:\n")).unwrap();
    std::fs::create_dir_all(dir.path("state/certificates/lost+found")).unwrap();
    let said = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
        let output = command.args(arguments).current_dir(&dir.0).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = said(&["status"]);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "certificate mx1 is not in zones.yaml now".to_owned(),
        "nobody renews it (it ends 20".to_owned(),
        format!("2 TLSA records stay at {OWNER};"),
        "give it its old name back".to_owned(),
        "state/certificates/mx1".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    let all: Value = serde_json::from_str(&run(&dir, &["--json", "status"])).unwrap();
    assert_eq!(all["forgotten"], json!(["mx1"]));
    assert!(!said(&["status", "mail"]).1.contains("mx1"), "only what was asked for");
    assert!(said(&["plan"]).1.contains("certificate mx1 is not in zones.yaml now"));

    let (dir, _) = site(None, "");
    let all: Value = serde_json::from_str(&run(&dir, &["--json", "status"])).unwrap();
    assert_eq!(all["forgotten"], json!([]));
}

#[test]
fn metrics_are_no_json() {
    let (dir, _) = site(None, "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
    let output = command.args(["--json", "status", "--prometheus"]).current_dir(&dir.0).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["error"]["kind"]), (Some(64), &json!("usage")), "{json}");
}

#[test]
fn the_schedule_says_when_keys_change_next() {
    let (dir, now) = site(None, "    rotate: {every: 1y}\n");
    assert_eq!(one(&dir)["rotation_due"], hours(now, 24 * 185));
    let (dir, _) = site(None, "    rotate: {renewals: 2}\n");
    assert_eq!(one(&dir)["rotation_due"], one(&dir)["renewal_due"], "with the next renewal");
    let (dir, _) = site(None, "    rotate: {renewals: 3}\n");
    assert_eq!(one(&dir)["rotation_due"], Value::Null);
    let (dir, _) = site(None, "");
    assert_eq!(one(&dir)["rotation_due"], Value::Null);
}

#[test]
fn a_rotation_under_way_is_told_in_text_and_metrics() {
    let rotation = json!({"phase": "retiring", "from": "01".repeat(32), "to": "02".repeat(32), "since": "2026-01-02T03:04:00Z"});
    let (dir, now) = site(Some(rotation), "");
    let text = run(&dir, &["status"]);
    assert!(
        text.contains("\n  rotation  retiring since 2026-01-02 03:04 UTC, from 01010101 to 02020202\n"),
        "{text}"
    );
    let metrics = run(&dir, &["status", "--prometheus"]);
    for line in [
        "danesmith_rotation_phase{certificate=\"mx1\",phase=\"retiring\"} 1".to_owned(),
        "danesmith_rotation_since_timestamp_seconds{certificate=\"mx1\"} 1767323040".to_owned(),
        format!("danesmith_backup_ripe_timestamp_seconds{{certificate=\"mx1\"}} {}", now.as_second() + 7200),
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
}

#[test]
fn the_state_directory_is_drawn_with_what_is_to_come() {
    let (dir, now) = site(None, "    rotate: {every: 1y}\n");
    let day = |hours: i64| {
        let at = now + SignedDuration::from_hours(hours);
        at.strftime("datetime=\"%Y-%m-%dT%H:%M:%SZ\"").to_string()
    };
    let text = run(&dir, &["status"]);
    assert_eq!(run(&dir, &["status", "--html", "page.html"]), text, "the page is beside the text");
    let page = String::from_utf8(dir.read("page.html")).unwrap();
    let mode = std::fs::metadata(dir.path("page.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "a web server may read it");
    let (drawing, words) = page.split_once("<h2>Keys</h2>").unwrap();
    assert_eq!(drawing.matches("role=\"img\"").count(), 1, "one certificate");
    // Served for half a year, to be followed by the backup when its year is over.
    assert_eq!(
        drawing.matches("<rect class=\"served\"").count(),
        3,
        "the legend, the active key, the backup to come"
    );
    assert!(words.contains("<td><code>01010101</code></td><td>active</td>"), "{words}");
    assert!(words.contains("<td><code>02020202</code></td><td>backup</td>"), "{words}");
    let row = |at: i64, key: &str, event: &str| {
        let is = |row: &&str| {
            row.contains(&day(at))
                && row.contains(&format!("<td>{key}</td>"))
                && row.contains(&format!("<td>{event}</td>"))
        };
        assert_eq!(words.split("<tr").filter(is).count(), 1, "{event} of the {key} key in {at} h\n{words}");
    };
    row(-200, "active", "published");
    row(-190, "active", "everywhere");
    row(-1, "backup", "everywhere");
    row(2, "backup", "ripe (expected)");
    row(24 * 50, "active", "renewal due (expected)");
    row(24 * 110, "active", "renewal due (expected)");
    row(24 * 185, "backup", "rotation due (expected)");
    assert!(
        !page.contains("EXPIRED") && page.contains("<div class=\"good\"><dt>mx1: certificate</dt>"),
        "{page}"
    );

    let rotation = json!({"phase": "deploying", "from": "01".repeat(32), "to": "02".repeat(32), "since": (now - SignedDuration::from_hours(5)).to_string()});
    let (dir, _) = site(Some(rotation), "");
    run(&dir, &["status", "--html", "page.html"]);
    let page = String::from_utf8(dir.read("page.html")).unwrap();
    assert!(page.contains("begun</td><td>from 01010101 to 02020202</td>"), "{page}");
}

#[test]
fn a_page_that_cannot_be_written_is_a_local_failure() {
    let (dir, _) = site(None, "");
    let output = Command::new(env!("CARGO_BIN_EXE_danesmith"))
        .args(["status", "--html", "absent/page.html"])
        .current_dir(&dir.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent/page.html"), "{output:?}");
}
