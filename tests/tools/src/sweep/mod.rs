//! The sweeper: number the state-changing system calls of a program, then crash it at each, or fail each.
//!
//! A program that is killed between two calls that change no state is in the same situation as one killed at the
//! next call that does. So killing it before and after every *state-changing* call covers every crash there is.
//! Calls are counted in one global order over all threads, in the order in which they enter the kernel.
//!
//! Not seen: stores through a shared memory mapping, and io_uring. Linux on x86-64 only.

mod call;
mod shape;
mod sys;
mod tracer;

use std::path::PathBuf;
use std::time::Duration;

pub use call::{Call, Kind};
pub use tracer::run;

/// What to do with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Only number its calls.
    Count,
    /// SIGKILL before call `n` takes effect.
    KillBefore(usize),
    /// SIGKILL after call `n` has taken effect, before the program sees its result.
    KillAfter(usize),
    /// Let call `n` return this error without taking effect; the program goes on.
    Fail(usize, i32),
}

impl Action {
    /// The number of the call that is struck, from 1.
    pub fn target(self) -> Option<usize> {
        match self {
            Action::Count => None,
            Action::KillBefore(n) | Action::KillAfter(n) | Action::Fail(n, _) => Some(n),
        }
    }
}

/// Which calls count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only calls of this kind.
    pub only: Option<Kind>,
    /// Of the file-system calls, only those with a path below this folder.
    pub under: Option<PathBuf>,
    /// Only calls of this [shape](Call::shape).
    pub shape: Option<String>,
    /// Calls of child processes count too, in the same order.
    pub children: bool,
    /// Of the network's, only calls that the other end may keep something of: no connecting, no DNS questions, nothing to
    /// these ports, whose servers are only looked at.
    pub changes: Option<Vec<u16>>,
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What happened.
#[derive(Debug)]
pub struct Report {
    /// The counted calls in order; the first has number 1.
    pub calls: Vec<Call>,
    /// How many calls of child processes were seen that did not count.
    pub uncounted_children: usize,
    /// Was the call that was to be struck reached?
    pub reached: bool,
    /// Did the program run out of time (and was killed for it)?
    pub timed_out: bool,
    /// How the program ended.
    pub exit: Exit,
}

/// Everything [`run`] needs besides the command.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// What counts.
    pub filter: Filter,
    /// The program is killed after this time.
    pub timeout: Duration,
}
