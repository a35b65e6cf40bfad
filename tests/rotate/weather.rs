//! What goes wrong around a rotation, when it begins, how it is known to have been felt, and when it is over.

use crate::post::Post;
use crate::support::mail::{Algorithm, MailServer};
use crate::support::{BIND, Daemon, KNOT};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// What disturbs a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// danesmith dies at random moments (it does so beside every other trouble too).
    Kills,
    /// The secondary stops following its primary.
    FrozenSecondary,
    /// The primary is killed.
    KilledPrimary,
    /// The second server does not reload.
    LateInstance,
}

/// All of them.
pub(crate) const TROUBLES: [Trouble; 4] =
    [Trouble::Kills, Trouble::FrozenSecondary, Trouble::LateInstance, Trouble::KilledPrimary];

/// When it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the new backup's pin is published.
    Unpublished,
    /// While the clock of that pin runs.
    Waiting,
    /// While the new key is deployed, before the former one's pin is removed.
    Deploying,
}

/// Numbers at random, the same ones for the same seed (a linear congruential generator, Numerical Recipes' constants).
pub(crate) struct Moments(u32);

impl Moments {
    pub(crate) fn new(seed: u32) -> Moments {
        Moments(seed)
    }

    pub(crate) fn before(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(f64::from(self.next()) / f64::from(1u32 << 24))
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.next() as usize % choices.len()]
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

/// The trouble of one rotation.
pub(crate) struct Weather {
    trouble: Trouble,
    algorithm: Algorithm,
    from: Moment,
    /// How long it stays after it was felt.
    stays: Duration,
    stage: Stage,
    felt: Option<&'static str>,
}

enum Stage {
    Coming,
    /// Since when, and the pins whose clock ran then.
    Here(Instant, BTreeSet<String>),
    Felt(Instant),
    Over,
}

/// Trouble that nobody felt ends after this time all the same.
const UNFELT: Duration = Duration::from_secs(40);

impl Weather {
    pub(crate) fn new(trouble: Trouble, algorithm: Algorithm, moments: &mut Moments) -> Weather {
        use Moment::{Deploying, Unpublished, Waiting};
        let from = moments.one_of(match trouble {
            Trouble::Kills => &[Unpublished][..],
            // what does not change while it waits does not differ either
            Trouble::FrozenSecondary => &[Unpublished, Deploying],
            Trouble::KilledPrimary => &[Unpublished, Waiting, Deploying],
            Trouble::LateInstance => &[Unpublished, Waiting],
        });
        let stays = Duration::from_secs(1) + moments.before(Duration::from_secs(3));
        let stage = if trouble == Trouble::Kills { Stage::Over } else { Stage::Coming };
        Weather { trouble, algorithm, from, stays, stage, felt: None }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether danesmith's own deaths are all the trouble there is.
    pub(crate) fn is_fair(&self) -> bool {
        self.trouble == Trouble::Kills
    }

    /// Whether it made a difference.
    pub(crate) fn was_felt(&self, deaths: usize) -> bool {
        self.felt.is_some() || (self.is_fair() && deaths > 0)
    }

    /// A moment passes: it begins, is felt, or ends.
    pub(crate) fn pass(&mut self, post: &Post, certificate: &str) {
        match &self.stage {
            Stage::Coming if self.is_time(post, certificate) => {
                let running = pins(&post.document_of(certificate), true);
                self.strike(post);
                self.stage = Stage::Here(Instant::now(), running);
            }
            Stage::Here(since, running) => match self.effect(post, certificate, running) {
                Some(effect) => self.feel(effect),
                None if since.elapsed() > UNFELT => self.end(post),
                None => {}
            },
            Stage::Felt(since) if since.elapsed() > self.stays => self.end(post),
            Stage::Coming | Stage::Felt(_) | Stage::Over => {}
        }
    }

    /// A run of danesmith ended by itself.
    pub(crate) fn run_ended(&mut self, status: ExitStatus) {
        if matches!(self.stage, Stage::Here(..)) && !status.success() {
            self.feel("a run failed");
        }
    }

    fn feel(&mut self, effect: &'static str) {
        self.felt = Some(effect);
        self.stage = Stage::Felt(Instant::now());
    }

    fn is_time(&self, post: &Post, certificate: &str) -> bool {
        let document = post.document_of(certificate);
        let begun = !document["rotation"].is_null();
        match self.from {
            Moment::Unpublished => true,
            Moment::Waiting => begun || pins(&document, true).contains(&post.keys_of(certificate).1),
            Moment::Deploying => begun,
        }
    }

    fn strike(&self, post: &Post) {
        match self.trouble {
            Trouble::FrozenSecondary => post.lab.freeze_secondary("example.test"),
            Trouble::KilledPrimary => post.lab.kill_daemon(Daemon::Bind),
            Trouble::LateInstance => post.lab.hold(MailServer::Mx2),
            Trouble::Kills => {}
        }
    }

    fn end(&mut self, post: &Post) {
        match self.trouble {
            Trouble::FrozenSecondary => post.lab.thaw_secondary("example.test"),
            Trouble::KilledPrimary => post.lab.start_daemon(Daemon::Bind),
            Trouble::LateInstance => post.lab.release(MailServer::Mx2),
            Trouble::Kills => {}
        }
        self.stage = Stage::Over;
    }

    fn effect(&self, post: &Post, certificate: &str, running: &BTreeSet<String>) -> Option<&'static str> {
        match self.trouble {
            Trouble::FrozenSecondary => {
                let [primary, secondary] = [BIND, KNOT].map(|at| post.lab.serial(at, "example.test"));
                (primary != secondary).then_some("the secondary was behind")
            }
            Trouble::KilledPrimary => {
                let stopped = pins(&post.document_of(certificate), false);
                (!stopped.is_disjoint(running)).then_some("a clock stopped")
            }
            Trouble::LateInstance => {
                let begun = !post.document_of(certificate)["rotation"].is_null();
                let differ = || {
                    let [one, other] = [MailServer::Mx1, MailServer::Mx2]
                        .map(|server| post.lab.presented(server, self.algorithm));
                    one.is_some() && other.is_some() && one != other
                };
                (begun && differ()).then_some("the second server presented the former key")
            }
            Trouble::Kills => None,
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trouble {
            Trouble::Kills => f.write_str("no other trouble"),
            trouble => write!(f, "{trouble:?} from {:?} on: {}", self.from, self.felt.unwrap_or("not felt")),
        }
    }
}

/// Keys whose pins' clocks run, or do not.
fn pins(document: &Value, running: bool) -> BTreeSet<String> {
    let pins = document["pins"].as_array().cloned().unwrap_or_default();
    let those = pins.iter().filter(|pin| pin["seen_everywhere"].is_null() != running);
    those.filter_map(|pin| Some(pin["spki"].as_str()?.to_owned())).collect()
}
