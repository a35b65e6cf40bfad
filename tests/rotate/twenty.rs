//! Twenty rotations in a row, of an ECDSA and of an RSA key by turns, with everything that goes wrong on the way, while
//! Postfix (which takes ECDSA) and Exim (which takes RSA) send a message each second through a resolver that caches, and
//! posttls-finger asks for either: not one may be deferred. The same without the waiting rule: some must be.

use crate::dual::{configure_with, site_with};
use crate::post::{HOST, Post, TTL};
use crate::support::mail::Algorithm;
use crate::support::sender::{Client, Summary, Verdict};
use crate::weather::{Moments, TROUBLES, Weather};
use std::time::{Duration, Instant};

/// Handshakes beside the messages.
const FINGERS: [Client; 2] = [Client::Finger(Algorithm::Ecdsa, 25), Client::Finger(Algorithm::Rsa, 25)];
/// A rotation that takes longer hangs. Usual are 8 to 25 s.
const LIMIT: Duration = Duration::from_secs(150);
/// How long a run of danesmith lives at most that shall be killed.
const LIFE: Duration = Duration::from_secs(6);
/// The same for the first run of a rotation that has no other trouble: none ends by itself so soon, two TTLs are waited for.
const SHORT_LIFE: Duration = Duration::from_millis(1500);

/// A run of the test.
struct Course {
    rounds: usize,
    /// Of the TLSA records, seconds.
    ttl: u32,
    /// Whether the waiting rule is in force.
    waits: bool,
}

/// What came of it.
struct Story {
    /// Lives until the verdict: what its servers wrote is shown when the test fails.
    #[expect(dead_code, reason = "only its drop matters")]
    post: Post,
    summary: Summary,
    /// How long messages were sent.
    lasted: Duration,
    deaths: usize,
    /// Rounds whose trouble was felt.
    felt: usize,
}

/// One key's turn: which certificate, and the key that shall be served after it.
struct Turn {
    certificate: &'static str,
    algorithm: Algorithm,
    to: String,
}

fn run(course: &Course) -> Story {
    let seed = std::env::var("DANESMITH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let (mut moments, mut deaths, mut felt) = (Moments::new(seed), 0, 0);
    let post = site_with(course.rounds / 2 + 2);
    name_rsa_keys(&post, 1, course);
    post.run(&["apply"]).ends(0);
    post.lab.flush_resolver();
    let sender = post.lab.sender(&[HOST]).probing(&FINGERS).start();
    for round in 0..course.rounds {
        let turn = turn(&post, round, course);
        // each trouble meets both keys
        let trouble = TROUBLES[round / 2 % TROUBLES.len()];
        let begin = Instant::now();
        let mut weather = Weather::new(trouble, turn.algorithm, &mut moments);
        let died = rotate(&post, &turn, &mut weather, &mut moments, course);
        let (took, certificate) = (begin.elapsed().as_secs_f64(), turn.certificate);
        println!("rotation {round} of {certificate}: {took:.1} s, {died} kills, {weather}");
        deaths += died;
        felt += usize::from(weather.was_felt(died));
    }
    let lasted = sender.elapsed();
    let summary = sender.stop();
    println!("seed {seed}: {deaths} kills, {felt} troubles felt, {lasted:.0?}, {:#}", summary.json());
    Story { post, summary, lasted, deaths, felt }
}

/// The administrator names the n-th RSA key and the one after it.
fn name_rsa_keys(post: &Post, n: usize, course: &Course) {
    let keys = format!("{{active: {{key: r{n}.key}}, backup: {{key: r{}.key}}}}", n + 1);
    configure_with(post, &keys, "{ttls: 2, slack: 1s, ttl_floor: 1}", course.ttl);
}

fn turn(post: &Post, round: usize, course: &Course) -> Turn {
    if round.is_multiple_of(2) {
        let to = post.keys_of("ec").1;
        return Turn { certificate: "ec", algorithm: Algorithm::Ecdsa, to };
    }
    let n = round / 2 + 1;
    name_rsa_keys(post, n, course);
    let to = post.digest_of(&format!("r{}", n + 1));
    Turn { certificate: "rsa", algorithm: Algorithm::Rsa, to }
}

/// One rotation, however often danesmith dies meanwhile: three times at most, at random moments.
fn rotate(post: &Post, turn: &Turn, weather: &mut Weather, moments: &mut Moments, course: &Course) -> usize {
    let (begin, mut deaths) = (Instant::now(), 0);
    loop {
        let mut command = post.command(&["rotate", turn.certificate, "--wait", "--now"]);
        if !course.waits {
            command.env("DANESMITH_TEST_WITHOUT_WAITING", "1");
        }
        let mut run = post.start(command);
        let life = match deaths {
            0 if weather.is_fair() => moments.before(SHORT_LIFE),
            0..3 => moments.before(LIFE),
            _ => LIMIT,
        };
        let born = Instant::now();
        while run.try_wait().unwrap().is_none() && born.elapsed() < life {
            std::thread::sleep(Duration::from_millis(20));
            weather.pass(post, turn.certificate);
            let document = || post.document_of(turn.certificate);
            assert!(begin.elapsed() < LIMIT, "{weather}: {:#}", document());
        }
        if run.try_wait().unwrap().is_none() {
            run.kill().unwrap();
            run.wait().unwrap();
            deaths += 1;
        } else {
            weather.run_ended(run.wait().unwrap());
        }
        weather.pass(post, turn.certificate);
        let document = post.document_of(turn.certificate);
        if post.keys_of(turn.certificate).0 == turn.to && document["rotation"].is_null() && weather.is_over()
        {
            return deaths;
        }
    }
}

#[test]
fn twenty_rotations_with_kills_lag_and_late_servers_defer_no_message() {
    let story = run(&Course { rounds: 20, ttl: TTL, waits: true });
    assert!(story.summary.failures().is_empty(), "{:#}", story.summary.json());
    assert!(story.deaths >= 20, "danesmith was killed only {} times", story.deaths);
    assert_eq!(story.felt, 20, "every trouble was felt in its round");
    for client in [Client::Postfix, Client::Exim].iter().chain(&FINGERS) {
        let (sent, seconds) = (story.summary.sent_by(*client), story.lasted.as_secs_f64());
        assert!(sent as f64 >= 0.8 * seconds, "{client:?} tried only {sent} times in {seconds:.0} s");
    }
}

#[test]
fn without_the_waiting_rule_messages_are_deferred() {
    // A TTL so long that a rotation without waiting cannot outlast it by chance; all else as above.
    let story = run(&Course { rounds: 2 * TROUBLES.len(), ttl: 60, waits: false });
    let deferred = |client| {
        let of_client = story.summary.messages.iter().filter(|message| message.client == client);
        of_client.filter(|message| matches!(message.verdict, Verdict::Deferred(_))).count()
    };
    let [postfix, exim] = [Client::Postfix, Client::Exim].map(deferred);
    assert!(postfix > 0 && exim > 0, "deferred: {postfix} by Postfix, {exim} by Exim: the test sees nothing");
}
