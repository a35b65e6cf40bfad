//! The ptrace loop: resumes every thread from stop to stop, numbers the calls, strikes the chosen one.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::call::{Call, Caller, Kind};
use super::sys::{self, Event, Pid, Stop};
use super::{Action, Exit, Options, Report};

/// Runs `command` under trace and does what `options` say. When this returns, the program and all its children
/// are dead; should the sweeper itself die, the kernel kills them (PTRACE_O_EXITKILL).
///
/// # Errors
/// The command cannot be started, or tracing is not permitted.
pub fn run(mut command: Command, options: &Options) -> io::Result<Report> {
    let child = sys::spawn_traced(&mut command)?;
    let main = child.id().cast_signed();
    let mut tracer = Tracer::new(main, options.clone());
    let watchdog = Watchdog::start(main, options.timeout);
    let exit = tracer.follow();
    let timed_out = watchdog.stop();
    tracer.bury();
    Ok(Report {
        exit: exit?,
        timed_out,
        reached: tracer.reached,
        calls: tracer.calls,
        uncounted_children: tracer.uncounted_children,
    })
}

struct Tracer {
    main: Pid,
    options: Options,
    tasks: HashMap<Pid, Task>,
    calls: Vec<Call>,
    uncounted_children: usize,
    reached: bool,
    /// SIGKILL is on its way: nothing counts any more.
    killed: bool,
    /// The call after which we kill is running: no other counted call may start.
    holding: bool,
}

/// One traced thread.
#[derive(Clone, Copy)]
struct Task {
    process: Pid,
    at_exit: Option<AtExit>,
}

/// What to do when the call the thread is in returns.
#[derive(Clone, Copy)]
enum AtExit {
    Return(i64),
    Kill,
}

impl Tracer {
    fn new(main: Pid, options: Options) -> Self {
        Tracer {
            main,
            options,
            tasks: HashMap::new(),
            calls: Vec::new(),
            uncounted_children: 0,
            reached: false,
            killed: false,
            holding: false,
        }
    }

    /// From the first stop to the end of the main process.
    fn follow(&mut self) -> io::Result<Exit> {
        loop {
            match sys::wait()? {
                Event::Exited(tid, code) if tid == self.main => return Ok(self.ended(Exit::Code(code))),
                Event::Signaled(tid, signal) if tid == self.main => {
                    return Ok(self.ended(Exit::Signal(signal)));
                }
                Event::Exited(tid, _) | Event::Signaled(tid, _) => {
                    self.tasks.remove(&tid);
                }
                Event::Syscall(tid) => self.at_syscall(tid)?,
                Event::Trace(tid) => {
                    self.meet(tid)?;
                    sys::resume(tid, 0)?;
                }
                Event::Signal(tid, signal) => {
                    let first_stop = self.meet(tid)?;
                    sys::resume(tid, if first_stop { 0 } else { signal })?;
                }
                Event::Nobody => return Err(io::Error::other("the traced program vanished")),
            }
        }
    }

    fn ended(&mut self, exit: Exit) -> Exit {
        self.tasks.retain(|_, task| task.process != self.main);
        exit
    }

    /// Registers a thread seen for the first time. True if so: its stop is ptrace's own (SIGSTOP of a new thread,
    /// SIGTRAP of the first exec), not a signal for the program.
    fn meet(&mut self, tid: Pid) -> io::Result<bool> {
        if self.tasks.contains_key(&tid) {
            return Ok(false);
        }
        if tid == self.main {
            sys::set_options(tid)?;
        }
        let process = process_of(tid).unwrap_or(tid);
        self.tasks.insert(tid, Task { process, at_exit: None });
        Ok(true)
    }

    fn at_syscall(&mut self, tid: Pid) -> io::Result<()> {
        self.meet(tid)?;
        match sys::stop_kind(tid) {
            Stop::Entry(number, args) => self.entering(tid, number, args),
            Stop::Exit => self.leaving(tid),
            Stop::Other => sys::resume(tid, 0),
        }
    }

    fn entering(&mut self, tid: Pid, number: i64, args: [u64; 6]) -> io::Result<()> {
        let process = self.tasks.get(&tid).map_or(tid, |task| task.process);
        let call = Call::read(Caller { thread: tid, process }, number, args);
        match call.filter(|call| self.counts(call, process)) {
            Some(_) if self.killed || self.holding => Ok(()), // stays stopped until it dies
            Some(call) => self.counted(tid, call),
            None => sys::resume(tid, 0),
        }
    }

    fn counts(&mut self, call: &Call, process: Pid) -> bool {
        let filter = &self.options.filter;
        let wanted = filter.only.is_none_or(|kind| kind == call.kind)
            && (call.kind == Kind::Net || filter.under.as_ref().is_none_or(|folder| call.is_under(folder)))
            && filter.shape.as_ref().is_none_or(|shape| *shape == call.shape())
            && filter.changes.as_ref().is_none_or(|looks| call.may_change(looks));
        if wanted && process != self.main && !filter.children {
            self.uncounted_children += 1;
            return false;
        }
        wanted
    }

    fn counted(&mut self, tid: Pid, call: Call) -> io::Result<()> {
        let may_wait = call.may_wait();
        self.calls.push(call);
        if self.options.action.target() != Some(self.calls.len()) {
            return sys::resume(tid, 0);
        }
        self.reached = true;
        match self.options.action {
            Action::Count => {}
            Action::KillBefore(_) => {
                sys::skip_call(tid)?;
                self.kill_all();
                return Ok(());
            }
            Action::KillAfter(_) => {
                self.holding = !may_wait;
                self.at_exit(tid, AtExit::Kill);
            }
            Action::Fail(_, errno) => {
                sys::skip_call(tid)?;
                self.at_exit(tid, AtExit::Return(-i64::from(errno)));
            }
        }
        sys::resume(tid, 0)
    }

    fn at_exit(&mut self, tid: Pid, action: AtExit) {
        if let Some(task) = self.tasks.get_mut(&tid) {
            task.at_exit = Some(action);
        }
    }

    fn leaving(&mut self, tid: Pid) -> io::Result<()> {
        match self.tasks.get_mut(&tid).and_then(|task| task.at_exit.take()) {
            Some(AtExit::Kill) => {
                self.kill_all();
                return Ok(());
            }
            Some(AtExit::Return(value)) => sys::set_result(tid, value)?,
            None => {}
        }
        sys::resume(tid, 0)
    }

    fn kill_all(&mut self) {
        self.killed = true;
        sys::kill(self.main);
        for task in self.tasks.values() {
            sys::kill(task.process);
        }
    }

    /// Ends what the main process left behind, and waits until it is gone.
    fn bury(&mut self) {
        self.kill_all();
        loop {
            match sys::wait() {
                Ok(Event::Syscall(tid) | Event::Trace(tid) | Event::Signal(tid, _)) => {
                    sys::kill(process_of(tid).unwrap_or(tid));
                }
                Ok(Event::Exited(..) | Event::Signaled(..)) => {}
                Ok(Event::Nobody) | Err(_) => return,
            }
        }
    }
}

/// The process a thread belongs to: `Tgid:` of proc(5).
fn process_of(tid: Pid) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// Kills the program when its time is over.
struct Watchdog {
    done: mpsc::Sender<()>,
    fired: Arc<AtomicBool>,
}

impl Watchdog {
    fn start(main: Pid, timeout: Duration) -> Self {
        let (done, wait) = mpsc::channel::<()>();
        let fired = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&fired);
        thread::spawn(move || {
            if wait.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
                flag.store(true, Ordering::SeqCst);
                sys::kill(main);
            }
        });
        Watchdog { done, fired }
    }

    fn stop(self) -> bool {
        drop(self.done);
        self.fired.load(Ordering::SeqCst)
    }
}
