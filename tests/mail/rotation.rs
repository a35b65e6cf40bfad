//! danesmith rotates keys again and again while two senders write to two mail servers behind one name, and things go
//! wrong. Not one message may be deferred.

use crate::site::Site;
use crate::support::mail::{Algorithm, MailServer};
use crate::support::sender::{Client, Sender, Summary};
use crate::support::{BIND, Daemon, KNOT, Lab, Options, eventually};
use crate::{assert_nothing_failed, show};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Both instances' name, and the certificate's.
const NAME: &str = "mx.example.test";
const OWNER: &str = "_25._tcp.mx.example.test";
const INSTANCES: [MailServer; 2] = [MailServer::Mx1, MailServer::Mx2];
/// A rotation with a fault takes about 20 s; past this it is stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// What goes wrong in the middle of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// SIGKILL after this many milliseconds, and the next run a little later than that.
    Kill(u64),
    /// The secondary does not follow for a while.
    FrozenSecondary,
    /// The primary dies, and comes back.
    DeadPrimary,
    /// The second instance deploys late.
    LateInstance,
}

/// Every fault once, kills at other moments each round.
fn fault(rotation: usize) -> Fault {
    let moment = 150 * (1 + rotation as u64 * 7 % 20);
    match rotation % 5 {
        0 => Fault::Kill(moment),
        1 => Fault::FrozenSecondary,
        2 => Fault::LateInstance,
        3 => Fault::DeadPrimary,
        _ => Fault::None,
    }
}

/// A fault and when it ends, if it lasts.
#[derive(Debug)]
struct Pending {
    fault: Fault,
    lift_at: Instant,
}

/// Two Postfix that present what danesmith installs, pinned, with mail under way.
struct Scene {
    sender: Sender, // ends before its world
    site: Site,
}

impl Scene {
    fn new() -> Scene {
        let lab =
            Lab::start(Options { ttl: 2, ..Options::with_mail() }.pebble("PEBBLE_WFE_NONCEREJECT", "0"));
        let chain: PathBuf = lab.dir().join("state/certificates/mail/live/keyandchain.pem");
        for server in INSTANCES {
            lab.set_chain(server, &[&chain]);
        }
        let reload = lab.reload_command(&INSTANCES).join(", ");
        let site = Site::new(lab);
        site.configure(
            &["example.test: {provider: home, propagation: 10s, ttl: {txt: 1, tlsa: 2}}"],
            &[&format!(
                "mail: {{names: [{NAME}], keys: managed, tlsa: [{OWNER}], deploy: {{reload: [{reload}]}}, \
                 rotation: {{ttls: 2, slack: 1s, ttl_floor: 0}}}}"
            )],
        );
        // the servers may take a moment to present the new key, and the first pin waits for it
        eventually(LIMIT, "the first pins", || site.apply().code == 0);
        let sender = site.lab.sender(&[NAME]).probing(&[Client::Finger(Algorithm::Ecdsa, 25)]).start();
        Scene { sender, site }
    }

    fn presented(&self) -> Vec<Option<String>> {
        INSTANCES.map(|server| self.site.lab.presented(server, Algorithm::Ecdsa)).to_vec()
    }

    /// Both instances present this, both name servers have two pins, and nothing is left to do.
    fn settled_on_another_than(&self, old: &str) -> bool {
        let presented = self.presented();
        let [Some(one), Some(other)] = presented.as_slice() else { return false };
        let pins = [BIND, KNOT].map(|server| self.site.pins(server, OWNER));
        one == other
            && one != old
            && pins.iter().all(|p| p.len() == 2 && p.contains(one) && !p.iter().any(|p| p == old))
    }

    /// Runs danesmith until the key has changed; a fault lasts a few seconds of it.
    fn rotate(&mut self, fault: Fault) {
        let old = self.site.leaf_spki("mail");
        self.sender.note(&format!("rotation with {fault:?} from {}…", &old[..8]));
        let lab = &self.site.lab;
        match fault {
            Fault::FrozenSecondary => lab.freeze_secondary("example.test"),
            Fault::LateInstance => lab.hold(MailServer::Mx2),
            Fault::DeadPrimary => lab.kill_daemon(Daemon::Bind),
            Fault::None | Fault::Kill(_) => {}
        }
        let begin = Instant::now();
        let mut fault = Pending { fault, lift_at: begin + Duration::from_secs(5) };
        let mut patience = match fault.fault {
            Fault::Kill(milliseconds) => Duration::from_millis(milliseconds),
            _ => LIMIT,
        };
        while !self.settled_on_another_than(&old) {
            assert!(begin.elapsed() < LIMIT, "{fault:?}: stuck:\n{}\n{}", self.status(), self.said());
            self.run_for(&old, patience, &mut fault);
            patience += Duration::from_millis(700);
        }
        self.lift(fault.fault);
        self.sender.note("settled");
    }

    /// One run, killed when it takes longer. It asks for a rotation as long as none has begun.
    fn run_for(&self, old: &str, limit: Duration, fault: &mut Pending) {
        let begun = self.site.leaf_spki("mail") != old || self.status().contains("\"rotation\":{");
        let words: &[&str] =
            if begun { &["apply", "--wait", "--now"] } else { &["rotate", "mail", "--wait", "--now"] };
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.site.lab.command("danesmith");
        command.args(words).stdout(log.try_clone().expect("a file")).stderr(log);
        let mut child = command.spawn().expect("danesmith starts");
        let end = Instant::now() + limit;
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > end {
                child.kill().expect("it runs");
                child.wait().expect("it ends");
                return;
            }
            if Instant::now() > fault.lift_at {
                self.lift(std::mem::replace(&mut fault.fault, Fault::None));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the runs said.
    fn log(&self) -> PathBuf {
        self.site.lab.dir().join("danesmith.log")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn lift(&self, fault: Fault) {
        let lab = &self.site.lab;
        match fault {
            Fault::FrozenSecondary => lab.thaw_secondary("example.test"),
            Fault::LateInstance => lab.release(MailServer::Mx2),
            Fault::DeadPrimary => {
                lab.start_daemon(Daemon::Bind);
                eventually(Duration::from_secs(10), "BIND is back", || {
                    lab.answers(BIND, "example.test", "SOA")
                });
            }
            Fault::None | Fault::Kill(_) => {}
        }
    }

    /// The document, without its spaces.
    fn status(&self) -> String {
        self.site.lab.read("state/certificates/mail/state.json").split_whitespace().collect()
    }

    fn end(self) -> Summary {
        // what is cached now is what the last rotation left
        std::thread::sleep(Duration::from_secs(5));
        self.sender.stop()
    }
}

/// `DANESMITH_ROTATIONS=20 tests/run rotations_under_faults` is the long one.
#[test]
fn rotations_under_faults_lose_no_mail() {
    let rotations = std::env::var("DANESMITH_ROTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let mut scene = Scene::new();
    for rotation in 0..rotations {
        scene.rotate(fault(rotation));
    }
    let summary = scene.end();
    show(&format!("{rotations} rotations"), &summary);
    assert!(
        summary.sent_by(Client::Postfix) > 5 * rotations && summary.sent_by(Client::Exim) > 5 * rotations
    );
    assert_nothing_failed(&summary);
}
