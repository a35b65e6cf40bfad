//! Twenty rotations in a row, with everything that goes wrong on the way, while Postfix and Exim send a message each second
//! through a resolver that caches: not one may be deferred. Without the waiting rule, some must be.

use crate::post::{HOST, Post};
use crate::support::Daemon;
use crate::support::mail::MailServer;
use std::time::{Duration, Instant};

/// What disturbs a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// danesmith dies at random moments.
    Kills,
    /// The secondary follows its primary only after a while.
    FrozenSecondary,
    /// The primary is killed, and comes back after a while.
    KilledPrimary,
    /// The second server reloads only after a while.
    LateInstance,
}

const TROUBLES: [Trouble; 4] =
    [Trouble::Kills, Trouble::FrozenSecondary, Trouble::LateInstance, Trouble::KilledPrimary];

/// Moments at random, the same ones for the same seed (a linear congruential generator, Numerical Recipes' constants).
struct Moments(u32);

impl Moments {
    fn next(&mut self, below: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        below.mul_f64(f64::from(self.0 >> 8) / f64::from(1u32 << 24))
    }
}

/// One rotation, however often danesmith dies meanwhile.
fn rotate(post: &Post, trouble: Trouble, moments: &mut Moments) -> usize {
    let (before, after) = post.keys();
    let begin = Instant::now();
    match trouble {
        Trouble::FrozenSecondary => post.lab.freeze_secondary("example.test"),
        Trouble::KilledPrimary => post.lab.kill_daemon(Daemon::Bind),
        Trouble::LateInstance => post.lab.hold(MailServer::Mx2),
        Trouble::Kills => {}
    }
    let healing = Duration::from_secs(4);
    let mut ill = trouble != Trouble::Kills;
    let mut deaths = 0;
    loop {
        assert!(begin.elapsed() < Duration::from_secs(100), "{trouble:?}: {:#}", post.document());
        let mut run = post.spawn(&["rotate", "mx", "--wait", "--now"]);
        let mortal = deaths < 3 || ill;
        let life = if mortal { moments.next(Duration::from_secs(6)) } else { Duration::from_secs(60) };
        let born = Instant::now();
        while run.try_wait().unwrap().is_none() && born.elapsed() < life {
            std::thread::sleep(Duration::from_millis(20));
            if ill && trouble != Trouble::LateInstance && begin.elapsed() > healing {
                ill = false;
                match trouble {
                    Trouble::FrozenSecondary => post.lab.thaw_secondary("example.test"),
                    Trouble::KilledPrimary => post.lab.start_daemon(Daemon::Bind),
                    Trouble::LateInstance | Trouble::Kills => {}
                }
            }
        }
        if run.try_wait().unwrap().is_none() {
            run.kill().unwrap();
            deaths += 1;
        }
        run.wait().unwrap();
        if ill && trouble == Trouble::LateInstance && begin.elapsed() > healing {
            // it fetches its files by itself, while danesmith is dead
            ill = false;
            post.lab.release(MailServer::Mx2);
        }
        if post.keys().0 == after && post.document()["rotation"].is_null() && !ill {
            assert_ne!(post.keys().0, before);
            return deaths;
        }
    }
}

#[test]
fn twenty_rotations_with_kills_lag_and_late_servers_defer_no_message() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    let sender = post.lab.sender(&[HOST]).start();
    let seed = std::env::var("DANESMITH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let mut moments = Moments(seed);
    let mut deaths = 0;
    for round in 0..20 {
        let trouble = TROUBLES[round % TROUBLES.len()];
        let begin = Instant::now();
        deaths += rotate(&post, trouble, &mut moments);
        println!("rotation {round}, {trouble:?}: {:.1} s", begin.elapsed().as_secs_f64());
    }
    let summary = sender.stop();
    println!("seed {seed}, {deaths} kills, {} messages", summary.messages.len());
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(deaths >= 20, "danesmith was killed only {deaths} times");
    assert!(summary.messages.len() > 100);
}

#[test]
fn without_the_waiting_rule_messages_are_deferred() {
    let post = Post::new();
    // so long that a rotation without waiting cannot outlast it by chance
    post.configure_with("keys: managed", "{ttls: 2, slack: 1s, ttl_floor: 1}", 30);
    post.run(&["apply"]).ends(0);
    post.lab.flush_resolver();
    let sender = post.lab.sender(&[HOST]).start();
    for _ in 0..3 {
        let mut command = post.command(&["rotate", "mx", "--wait"]);
        let output = command.env("DANESMITH_TEST_WITHOUT_WAITING", "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let summary = sender.stop();
    println!("{:#}", summary.json());
    assert!(!summary.failures().is_empty(), "the test sees nothing");
}
