//! The faults a rotation test injects, each shown to bite.

use crate::support::mail::{Algorithm, MailServer};
use crate::support::sender::{Client, Level, Verdict};
use crate::support::{BIND, Daemon, KNOT, eventually};
use crate::{HOST, Pair, assert_deferred, both, world};
use std::process::Command;
use std::time::Duration;

#[test]
fn a_held_instance_keeps_its_key_through_reloads_until_it_is_released() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    for server in [MailServer::Mx1, MailServer::Mx2, MailServer::Mx3] {
        old.serve_at(&lab, server);
        lab.hold(server);
        lab.set_chain(server, &[&new.ecdsa().pem, &new.rsa().pem]);
        // as danesmith would call it
        let words = lab.reload_command(&[server]);
        let status = Command::new(&words[0]).args(&words[1..]).status().expect("the reload command runs");
        assert!(status.success());
        for (algorithm, key) in [(Algorithm::Ecdsa, old.ecdsa()), (Algorithm::Rsa, old.rsa())] {
            assert_eq!(lab.presented(server, algorithm).as_ref(), Some(&key.spki), "{server:?}");
        }
        lab.release(server);
        for (algorithm, key) in [(Algorithm::Ecdsa, new.ecdsa()), (Algorithm::Rsa, new.rsa())] {
            eventually(Duration::from_secs(5), "the new key", || {
                lab.presented(server, algorithm).as_ref() == Some(&key.spki)
            });
        }
    }
}

#[test]
fn reloads_lose_no_mail() {
    let lab = world();
    let (one, other) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    let hosts = [MailServer::Mx1, MailServer::Mx3];
    for server in hosts {
        one.serve_at(&lab, server);
        lab.publish_tlsa(&server.host(), 25, 5, &both(&one, &other));
    }
    let sender = lab.sender(&[HOST, "mx3.example.test"]).every(Duration::from_millis(300)).start();
    for keys in [&other, &one, &other, &one] {
        for server in hosts {
            keys.serve_at(&lab, server);
        }
    }
    let summary = sender.stop();
    crate::show("reloads", &summary);
    crate::assert_nothing_failed(&summary);
}

#[test]
fn mail_flows_while_the_primary_is_dead_and_records_change_again_when_it_is_back() {
    let lab = world();
    let keys = Pair::new(&lab, "a");
    keys.serve_at(&lab, MailServer::Mx1);
    lab.set_tlsa(HOST, 25, 1, &keys.pins());
    lab.wait_for_tlsa(KNOT, HOST, 25, &keys.pins());
    lab.kill_daemon(Daemon::Bind);
    lab.flush_resolver();
    for client in [Client::Postfix, Client::Exim] {
        assert_eq!(lab.send(client, Level::Mandatory, HOST), Verdict::Verified);
    }
    lab.start_daemon(Daemon::Bind);
    eventually(Duration::from_secs(10), "BIND answers", || lab.answers(BIND, "example.test", "SOA"));
    lab.set_tlsa(HOST, 25, 1, &[keys.ecdsa().pin()]);
    lab.wait_for_tlsa(KNOT, HOST, 25, &[keys.ecdsa().pin()]);
}

#[test]
fn the_resolver_answers_questions_that_took_it_seconds() {
    // What it does not answer, a sender defers: no fault of a rotation that a name server died in.
    let lab = world();
    for daemon in [Daemon::Bind, Daemon::Knot] {
        lab.kill_daemon(daemon);
    }
    lab.flush_resolver();
    std::thread::scope(|scope| {
        let ask = || lab.run("dig", &["@127.0.0.53", "+tries=1", "+time=20", "+short", "MX", "example.test"]);
        let asked = scope.spawn(ask);
        std::thread::sleep(Duration::from_millis(2500));
        for daemon in [Daemon::Knot, Daemon::Bind] {
            lab.start_daemon(daemon);
        }
        assert_eq!(asked.join().expect("dig has an answer").trim(), "10 mx1.example.test.");
    });
}

#[test]
fn a_frozen_mail_server_defers_and_recovers() {
    let lab = world();
    let keys = Pair::new(&lab, "a");
    for server in [MailServer::Mx1, MailServer::Mx3] {
        keys.serve_at(&lab, server);
        lab.publish_tlsa(&server.host(), 25, 60, &keys.pins());
        lab.freeze(Daemon::Mail(server));
        for client in [Client::Postfix, Client::Exim] {
            assert_deferred(&lab.send(client, Level::Mandatory, &server.host()), "");
        }
        lab.resume(Daemon::Mail(server));
        for client in [Client::Postfix, Client::Exim] {
            assert_eq!(lab.send(client, Level::Mandatory, &server.host()), Verdict::Verified);
        }
    }
}
