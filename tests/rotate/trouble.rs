//! A server that cannot take the new key, and an administrator who thinks again.

use crate::post::{HOST, OWNER, Post, SHORT, TTL, set};
use crate::schedule::make_renewal_due;
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A site whose backup is ripe, and its keys.
fn ripe() -> (Post, String, String) {
    let post = Post::new();
    post.configure("keys: managed", SHORT);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    let (a, b) = post.keys();
    (post, a, b)
}

#[test]
fn a_rotation_whose_reload_command_fails_can_be_aborted() {
    let (post, a, b) = ripe();
    let good = post.lab.read("zones.yaml");
    let reload = post.lab.reload_command(&[MailServer::Mx1, MailServer::Mx2]).join(", ");
    let yaml = post.lab.dir().join("zones.yaml");
    fs::write(&yaml, good.replace(&reload, "/bin/false")).unwrap();
    let sender = post.lab.sender(&[HOST]).start();
    post.run(&["rotate", "mx"]).ends(74).says(&["could not run the reload command"]);
    assert_eq!(post.document()["rotation"]["phase"], "deploying");
    // the command fails again, but for the former key's files
    post.run(&["rotate", "mx", "--abort"]).ends(74).says(&["could not run the reload command"]);
    let document = post.document();
    assert_eq!(
        (&document["rotation"]["phase"], &document["installed"]["spki"]),
        (&"aborting".into(), &a.clone().into())
    );
    let live = "state/certificates/mx/live/cert.pem";
    assert!(
        post.lab.run("danesmith", &["tlsa", live]).contains(&a),
        "whoever reloads by hand gets the former key"
    );
    fs::write(&yaml, good).unwrap();
    post.run(&["apply"]).ends(0);
    assert!(post.document()["rotation"].is_null());
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);
    assert_eq!(post.pins(BIND), set(&[&a, &b]));
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

#[test]
fn who_asks_for_a_rotation_while_an_abort_is_not_done_gets_it_after_the_abort() {
    let (post, a, b) = ripe();
    post.lab.hold(MailServer::Mx1);
    post.run(&["rotate", "mx", "--detailed-exitcode"]).ends(3);
    assert_eq!(post.presented(), [Some(a.clone()), Some(b.clone())]);
    post.lab.hold(MailServer::Mx2);
    post.run(&["rotate", "mx", "--abort", "--detailed-exitcode"]).ends(3);
    assert_eq!(post.document()["rotation"]["phase"], "aborting");
    post.lab.release(MailServer::Mx1);
    post.lab.release(MailServer::Mx2);
    for server in [MailServer::Mx1, MailServer::Mx2] {
        post.lab.reload(server);
    }
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.keys().0, b, "the key that was asked for is the active one");
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
    assert!(!post.pins(BIND).contains(&a));
}

/// As the mail host of README.md: its private keys are files that danesmith does not know.
fn with_csrs(post: &Post, reload: &str, more: &str) {
    let dir = post.lab.dir().join("tls");
    fs::create_dir_all(&dir).unwrap();
    let certificate = format!(
        "  mx:
    names: [{HOST}]
    keys: {{active: {{csr: a.csr}}, backup: {{csr: b.csr}}}}
    tlsa: [{OWNER}]
    rotation: {SHORT}
    deploy: {{dir: {}, reload: [{reload}]{more}}}
",
        dir.display()
    );
    post.write_zones(TTL, &certificate);
}

#[test]
fn a_chain_is_not_switched_beside_a_private_key_that_stays() {
    let post = Post::new();
    let (a, b) = (post.key_file("a"), post.key_file("b"));
    for name in ["a", "b"] {
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        post.lab.run("danesmith", &["keys", "csr", "--key", &key, "--name", HOST, "--out", &csr]);
    }
    let both = [MailServer::Mx1, MailServer::Mx2];
    let chain = post.lab.dir().join("tls/mx/fullchain.pem");
    for server in both {
        post.lab.set_chain(server, &[&post.lab.dir().join("a.key"), &chain]);
    }
    let reload = post.lab.reload_command(&both);
    with_csrs(&post, &reload.join(", "), "");
    post.run(&["apply"]).ends(0);
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    let sender = post.lab.sender(&[HOST]).start();
    let words = ["does not fit", "stops TLS", "key: by-reload", "Mail is safe"];
    post.run(&["rotate", "mx"]).ends(5).says(&words);
    assert!(post.document()["rotation"].is_null());
    assert_eq!(post.presented(), [Some(a.clone()), Some(a)]);

    // a command that looks which key the chain is for
    let joined = post.lab.dir().join("joined.pem");
    for server in both {
        post.lab.set_chain(server, &[&joined]);
    }
    let script = post.lab.dir().join("fit");
    let text = "#!/bin/sh -e
cd \"$(dirname \"$0\")\"
for key in a.key b.key; do
    [ \"$(openssl pkey -in $key -pubout)\" = \"$(openssl x509 -in tls/mx/cert.pem -noout -pubkey)\" ] || continue
    cat $key tls/mx/fullchain.pem >joined.new
    mv joined.new joined.pem
done
";
    fs::write(&script, format!("{text}exec {}\n", reload.join(" "))).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    with_csrs(&post, &script.display().to_string(), ", key: by-reload");
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert_eq!(post.pins(BIND), [b]);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

#[test]
fn an_address_is_not_gone_while_a_name_leads_to_it() {
    let post = Post::new();
    let certificate = format!(
        "  mx:
    names: [{HOST}]
    keys: managed
    tlsa: [{OWNER}]
    endpoints: ['smtp://127.0.0.25:25', 'smtp://127.0.0.26:25']
"
    );
    post.write_zones(TTL, &certificate);
    let still = format!("{HOST} still has this address");
    post.run(&["rotate", "mx", "--gone", "127.0.0.26"]).ends(5).says(&[&still, "Nothing was changed"]);
}

#[test]
fn records_at_a_name_that_zones_yaml_lost_stop_the_rotation_that_would_leave_them_matching_nothing() {
    const OTHER: &str = "_465._tcp.mx.example.test";
    let post = Post::new();
    post.configure("keys: managed", SHORT);
    let one = post.lab.read("zones.yaml");
    let two = one.replace(&format!("tlsa: [{OWNER}]"), &format!("tlsa: [{OWNER}, {OTHER}]"));
    let yaml = post.lab.dir().join("zones.yaml");
    fs::write(&yaml, two).unwrap();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    fs::write(&yaml, one).unwrap();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.pins_at(BIND, OTHER), set(&[&a, &b]), "the key that is served is among them");
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    post.run(&["rotate", "mx"]).ends(5).says(&[OTHER, "no longer names", "or remove them"]);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    for key in [&a, &b] {
        post.lab.delete_record("example.test", OTHER, "TLSA", &format!("3 1 1 {key}"));
    }
    eventually(Duration::from_secs(90), "no server has them", || post.pins_at(KNOT, OTHER).is_empty());
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_ne!(post.keys().0, b);
}

#[test]
fn a_server_that_does_not_take_the_renewed_certificate_is_named() {
    let (post, a, _) = ripe();
    make_renewal_due(&post);
    let run = post.run(&["apply"]).ends(0);
    assert_eq!(run.json["certificates"][0]["warnings"], serde_json::json!([]), "both took it in time");
    post.lab.hold(MailServer::Mx2);
    make_renewal_due(&post);
    let run = post
        .run(&["apply"])
        .ends(0)
        .says(&["mx.example.test", "presents another certificate for the same key"]);
    let warnings = run.json["certificates"][0]["warnings"].to_string();
    assert!(warnings.contains("127.0.0.26") && !warnings.contains("127.0.0.25"), "{warnings}");
    assert_eq!(post.presented(), [Some(a.clone()), Some(a)], "mail is as safe as before");
}

#[test]
fn names_that_change_in_the_middle_of_a_rotation_get_a_certificate_for_the_new_key() {
    let (post, a, b) = ripe();
    post.lab.hold(MailServer::Mx2);
    post.run(&["rotate", "mx", "--detailed-exitcode"]).ends(3);
    let yaml = post.lab.dir().join("zones.yaml");
    let two = post
        .lab
        .read("zones.yaml")
        .replace(&format!("names: [{HOST}]"), &format!("names: [{HOST}, mx1.{HOST}]"));
    fs::write(&yaml, two).unwrap();
    let run = post.run(&["plan"]).ends(0);
    let changes = run.json["certificates"][0]["changes"].to_string();
    assert!(
        changes.contains("its names changed") && changes.contains(&b) && changes.contains("~ run "),
        "{changes}"
    );
    assert!(!changes.contains("withdraw"), "{changes}");
    post.run(&["apply", "--detailed-exitcode"]).ends(3);
    assert_eq!(post.presented(), [Some(b.clone()), Some(a)]);
    post.lab.release(MailServer::Mx2);
    post.run(&["apply", "--wait"]).ends(0);
    assert_eq!((post.keys().0, post.document()["rotation"].is_null()), (b, true));
}
