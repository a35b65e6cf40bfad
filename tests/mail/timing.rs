//! What waiting is for: keys that change under a sender which does not stop.

use crate::support::mail::MailServer;
use crate::support::sender::{Client, Level, Sender, Summary, Verdict};
use crate::support::{BIND, KNOT, Lab};
use crate::{
    FINGERS, HOST, Pair, assert_bounced, assert_deferred, assert_nothing_failed, between, both, show, world,
};
use std::time::Duration;

/// TTL of the TLSA records, seconds.
const TTL: u32 = 4;
/// Beyond the TTL: Postfix rounds a lookup's remaining life up to whole seconds, and a message takes its time.
const SLACK: Duration = Duration::from_secs(3);

fn ttl() -> Duration {
    Duration::from_secs(u64::from(TTL))
}

fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// The old keys are served and pinned, and mail flows.
fn under_way(lab: &Lab, old: &Pair, server: MailServer) -> Sender {
    old.serve_at(lab, server);
    lab.publish_tlsa(&server.host(), 25, TTL, &old.pins());
    let sender = lab.sender(&[&server.host()]).probing(&FINGERS).start();
    sleep(Duration::from_secs(2));
    sender
}

/// Every client sent, and before `until` nothing failed.
#[track_caller]
fn assert_flowed(summary: &Summary, until: Duration) {
    for client in [Client::Postfix, Client::Exim, FINGERS[0], FINGERS[1]] {
        assert!(summary.sent_by(client) > 2, "{client:?} sent nothing");
    }
    let early = between(summary, Duration::ZERO, until);
    assert!(early.iter().all(|message| message.verdict == Verdict::Verified), "{early:#?}");
}

#[test]
fn s1_publishing_and_switching_at_once_stops_mail_until_the_old_records_leave_the_caches() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    let mut sender = under_way(&lab, &old, MailServer::Mx1);
    lab.flush_resolver();
    lab.warm_resolver(HOST, 25);
    let begin = sender.elapsed();
    sender.note("publish {old, new} and switch");
    lab.set_tlsa(HOST, 25, TTL, &both(&old, &new));
    new.serve_at(&lab, MailServer::Mx1);
    sleep(ttl() + SLACK * 2);
    let summary = sender.stop();
    show("S1", &summary);
    assert_flowed(&summary, begin.saturating_sub(Duration::from_secs(1)));
    for client in [Client::Postfix, Client::Exim, FINGERS[0], FINGERS[1]] {
        let failed = summary.failures().iter().filter(|message| message.client == client).count();
        assert!(failed >= 1, "{client:?} never failed: {:#}", summary.json());
    }
    let late = between(&summary, begin + ttl() + SLACK, Duration::MAX);
    assert!(!late.is_empty() && late.iter().all(|m| m.verdict == Verdict::Verified), "{:#}", summary.json());
}

#[test]
fn s2_publishing_waiting_and_then_switching_loses_nothing() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    let mut sender = under_way(&lab, &old, MailServer::Mx1);
    sender.note("publish {old, new}");
    lab.set_tlsa(HOST, 25, TTL, &both(&old, &new));
    lab.wait_for_tlsa(KNOT, HOST, 25, &both(&old, &new));
    sleep(ttl() * 2);
    sender.note("switch");
    new.serve_at(&lab, MailServer::Mx1);
    sender.note("retire old");
    lab.set_tlsa(HOST, 25, TTL, &new.pins());
    sleep(ttl() + SLACK);
    let summary = sender.stop();
    show("S2", &summary);
    assert_flowed(&summary, Duration::MAX);
    assert_nothing_failed(&summary);
}

#[test]
fn s3_waiting_for_the_primary_alone_stops_mail_while_a_secondary_is_behind() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    old.serve_at(&lab, MailServer::Mx1);
    lab.publish_tlsa(HOST, 25, 1, &old.pins());
    let mut sender = lab.sender(&[HOST]).probing(&FINGERS).start();
    sender.note("the secondary is frozen; publish {old, new}");
    lab.freeze_secondary("example.test");
    lab.set_tlsa(HOST, 25, 1, &both(&old, &new));
    sleep(Duration::from_secs(4)); // more than twice the TTL
    assert_eq!(lab.dig(BIND, &format!("_25._tcp.{HOST}"), "TLSA").len(), 4);
    assert_eq!(lab.dig(KNOT, &format!("_25._tcp.{HOST}"), "TLSA").len(), 2);
    let switch = sender.elapsed();
    sender.note("switch");
    new.serve_at(&lab, MailServer::Mx1);
    // the resolver asks again every second, one of the two at random: all at the primary has odds of 1 : 2^14
    sleep(Duration::from_secs(15));
    sender.note("the secondary follows");
    lab.thaw_secondary("example.test");
    let thawed = sender.elapsed();
    sleep(Duration::from_secs(6));
    let summary = sender.stop();
    show("S3", &summary);
    assert_flowed(&summary, switch.saturating_sub(Duration::from_secs(1)));
    assert!(!summary.failures().is_empty(), "{:#}", summary.json());
    let late = between(&summary, thawed + Duration::from_secs(1) + SLACK, Duration::MAX);
    assert!(!late.is_empty() && late.iter().all(|m| m.verdict == Verdict::Verified), "{:#}", summary.json());
}

#[test]
fn s4_deleting_before_adding_stops_mandatory_dane_and_leaves_the_others_unprotected() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    let mut sender = under_way(&lab, &old, MailServer::Mx1);
    sender.note("delete");
    let begin = sender.elapsed();
    lab.set_tlsa(HOST, 25, TTL, &[]);
    lab.wait_for_tlsa(KNOT, HOST, 25, &[]);
    sleep(ttl() + Duration::from_secs(2));
    assert_deferred(&lab.send(Client::Postfix, Level::Mandatory, HOST), "no TLSA records found");
    // Exim does not even try again later
    assert_bounced(&lab.send(Client::Exim, Level::Mandatory, HOST), "tlsa lookup FAIL");
    for client in [Client::Postfix, Client::Exim] {
        assert_eq!(lab.send(client, Level::Opportunistic, HOST), Verdict::Unverified);
    }
    new.serve_at(&lab, MailServer::Mx1);
    sender.note("switched; add {new}");
    lab.set_tlsa(HOST, 25, TTL, &new.pins());
    lab.wait_for_tlsa(KNOT, HOST, 25, &new.pins());
    let added = sender.elapsed();
    sleep(SLACK * 2);
    let summary = sender.stop();
    show("S4", &summary);
    assert_flowed(&summary, begin);
    assert!(!summary.failures().is_empty());
    // the denial lives one second here (SOA MINIMUM)
    let late = between(&summary, added + Duration::from_secs(1) + SLACK, Duration::MAX);
    assert!(!late.is_empty() && late.iter().all(|m| m.verdict == Verdict::Verified), "{:#}", summary.json());
}

#[test]
fn retiring_the_old_pin_while_one_instance_still_has_the_old_key_stops_mail_to_that_one() {
    let lab = world();
    let (old, new) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    let host = "mx.example.test"; // both instances
    for server in [MailServer::Mx1, MailServer::Mx2] {
        old.serve_at(&lab, server);
    }
    lab.publish_tlsa(host, 25, 1, &both(&old, &new));
    let mut sender = lab.sender(&[host]).probing(&FINGERS).start();
    lab.hold(MailServer::Mx2);
    new.serve_at(&lab, MailServer::Mx1);
    lab.set_chain(MailServer::Mx2, &[&new.ecdsa().pem, &new.rsa().pem]);
    lab.reload(MailServer::Mx2);
    sleep(Duration::from_secs(4));
    let retired = sender.elapsed();
    sender.note("one instance is late; retire old");
    lab.set_tlsa(host, 25, 1, &new.pins());
    lab.wait_for_tlsa(KNOT, host, 25, &new.pins());
    // each message goes to one of the two at random
    sleep(Duration::from_secs(10));
    sender.note("the late instance deploys");
    lab.release(MailServer::Mx2);
    let released = sender.elapsed();
    sleep(SLACK * 2);
    let summary = sender.stop();
    show("late instance", &summary);
    assert_flowed(&summary, retired);
    assert!(!summary.failures().is_empty());
    let late = between(&summary, released + SLACK, Duration::MAX);
    assert!(!late.is_empty() && late.iter().all(|m| m.verdict == Verdict::Verified), "{:#}", summary.json());
}
