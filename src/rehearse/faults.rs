//! What goes wrong, by seed: servers that do not answer, answers that are lost, kills between any two effects, a full
//! disk, a CA that has trouble. Drawn ahead of time where it lasts, and question by question where it does not.

use super::administrator::Act;
use super::dice::Dice;
use super::time::{DAY, HOUR, MINUTE, Moment};

/// Whom something may happen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// A name server by index.
    NameServer(usize),
    /// An instance of every mail host.
    MailServer(usize),
    Ca,
    Provider,
    Disk,
    Reload,
    /// The recursive resolver.
    Resolver,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// It never arrives.
    Lost,
    /// It arrives, its answer does not.
    AnswerLost,
    /// The CA wants to be left alone.
    Limited,
    /// The CA fails by itself: nothing of it is done.
    Broken,
}

/// A run is killed at its n-th effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kill {
    at: u64,
    /// After the effect, or before it.
    after: bool,
}

/// One time of trouble.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    peer: Peer,
    from: Moment,
    to: Moment,
}

/// The plan of a rehearsal's faults. Without a seed nothing goes wrong.
pub(super) struct Faults {
    on: bool,
    questions: Dice,
    requests: Dice,
    kills: Dice,
    lags: Dice,
    validations: Dice,
    troubles: Vec<Trouble>,
    /// One question in so many is lost.
    loses: u64,
    effects: u64,
    kill: Option<Kill>,
    killed: bool,
}

impl Faults {
    /// Nothing goes wrong; transfers take seconds.
    pub(super) fn none() -> Faults {
        Faults { on: false, ..Faults::new(0, 0, 0, 0) }
    }

    /// The faults of a seed between two moments.
    pub(super) fn new(seed: u64, start: Moment, end: Moment, servers: usize) -> Faults {
        let mut plan = Dice::new(seed, "troubles");
        let mut troubles = Vec::new();
        let mut peers: Vec<(Peer, Moment)> =
            (0..servers).map(|server| (Peer::NameServer(server), 20 * DAY)).collect();
        peers.extend([
            (Peer::MailServer(0), 40 * DAY),
            (Peer::MailServer(1), 25 * DAY),
            (Peer::Ca, 30 * DAY),
            (Peer::Provider, 40 * DAY),
            (Peer::Disk, 40 * DAY),
            (Peer::Reload, 40 * DAY),
            (Peer::Resolver, 40 * DAY),
        ]);
        for (peer, every) in peers {
            let mut from = start + plan.from(0, 2 * every);
            while from < end {
                let to = from + plan.one_of(30 * MINUTE, &[3 * HOUR, 9 * HOUR, 2 * DAY]);
                troubles.push(Trouble { peer, from, to });
                from = to + plan.from(HOUR, 2 * every);
            }
        }
        let loses = plan.one_of(0, &[400, 60]);
        Faults {
            on: true,
            questions: Dice::new(seed, "questions"),
            requests: Dice::new(seed, "requests"),
            kills: Dice::new(seed, "kills"),
            lags: Dice::new(seed, "lags"),
            validations: Dice::new(seed, "validations"),
            troubles,
            loses,
            effects: 0,
            kill: None,
            killed: false,
        }
    }

    /// A run begins; perhaps it will be killed.
    pub(super) fn run_begins(&mut self) {
        (self.effects, self.killed, self.kill) = (0, false, None);
        if self.on && self.kills.once_in(4) {
            // A first issue has some forty effects, a rotation with --wait more than a hundred.
            let most = self.kills.one_of(4, &[12, 40, 160]);
            let at = self.kills.from(1, most) as u64;
            self.kill = Some(Kill { at, after: self.kills.once_in(2) });
        }
    }

    /// Whether the run was killed.
    pub(super) fn killed(&self) -> bool {
        self.killed
    }

    fn troubled(&self, peer: Peer, now: Moment) -> bool {
        self.troubles.iter().any(|t| t.peer == peer && t.from <= now && now < t.to)
    }

    /// Whether a question to this server is answered.
    pub(super) fn hears(&mut self, peer: Peer, now: Moment) -> bool {
        !self.on || !(self.troubled(peer, now) || self.questions.once_in(self.loses))
    }

    /// An effect is about to happen: its fate, or `None` when the run is killed before it.
    pub(super) fn before(&mut self, peer: Peer, now: Moment) -> Option<Fate> {
        self.effects += 1;
        // The others of a killed run get no further either.
        if self.killed || self.kill.is_some_and(|kill| kill.at == self.effects && !kill.after) {
            self.killed = true;
            return None;
        }
        if !self.on {
            return Some(Fate::Fine);
        }
        let troubled = self.troubled(peer, now);
        let drawn = self.requests.from(0, 199);
        Some(match (peer, troubled, drawn) {
            (Peer::Ca, true, 0..70) => Fate::Limited,
            (Peer::Ca, true, 70..120) => Fate::Broken,
            (_, true, _) => Fate::Lost,
            (Peer::Disk | Peer::Reload, ..) => Fate::Fine,
            (_, _, 0..2) => Fate::Lost,
            (_, _, 2..4) => Fate::AnswerLost,
            (Peer::Ca, _, 4) => Fate::Limited,
            (Peer::Ca, _, 5) => Fate::Broken,
            _ => Fate::Fine,
        })
    }

    /// The CA looked at a challenge, and saw trouble between itself and the name servers.
    pub(super) fn misjudges(&mut self) -> bool {
        self.on && self.validations.once_in(40)
    }

    /// An effect has happened: whether the run goes on.
    pub(super) fn after(&mut self) -> bool {
        let kill = self.kill.is_some_and(|kill| kill.at == self.effects && kill.after);
        self.killed |= kill;
        !self.killed
    }

    /// How much later than the primary a secondary has a change: NOTIFY within seconds; when it is lost, the next refresh;
    /// in bad times a day and more.
    pub(super) fn lag(&mut self) -> Moment {
        if !self.on {
            return 1_500;
        }
        match self.lags.from(0, 99) {
            0..80 => self.lags.from(200, 8_000),
            80..97 => self.lags.from(10_000, HOUR),
            _ => self.lags.from(HOUR, 30 * HOUR),
        }
    }

    /// Effects of this run so far.
    pub(super) fn effects(&self) -> u64 {
        self.effects
    }

    /// What lasts, for people: each when it begins.
    pub(super) fn told(&self) -> Vec<(Moment, Act)> {
        let told = self.troubles.iter().filter(|_| self.on);
        told.map(|t| (t.from, Act::Told(format!("{} for {}", t.peer.words(), long(t.to - t.from)), t.to)))
            .collect()
    }
}

fn long(time: Moment) -> String {
    if time < 3 * HOUR { format!("{} min", time / MINUTE) } else { format!("{} h", time / HOUR) }
}

impl Peer {
    fn words(self) -> String {
        match self {
            Peer::NameServer(index) => format!("name server {} does not answer danesmith", index + 1),
            Peer::MailServer(instance) => {
                format!("mail server {} of every host does not answer danesmith", instance + 1)
            }
            Peer::Ca => "the CA has trouble".into(),
            Peer::Provider => "the primary takes no updates".into(),
            Peer::Disk => "the disk is full".into(),
            Peer::Reload => "the reload command fails".into(),
            Peer::Resolver => "the resolver does not answer".into(),
        }
    }
}
