//! What a process has cost so far (getrusage(2)).
#![allow(unsafe_code)] // getrusage has no safe interface

use std::mem::MaybeUninit;
use std::time::Duration;

/// CPU time and memory.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time together.
    pub cpu: Duration,
    /// Largest resident size, KiB.
    pub max_rss_kb: i64,
}

/// Of this process.
pub fn of_self() -> Usage {
    usage(libc::RUSAGE_SELF)
}

/// Of the children that were waited for.
pub fn of_children() -> Usage {
    usage(libc::RUSAGE_CHILDREN)
}

fn usage(who: i32) -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one rusage; all zeros is a valid value should it fail, which it cannot with these
    // arguments.
    let usage = unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    };
    Usage { cpu: duration(usage.ru_utime) + duration(usage.ru_stime), max_rss_kb: usage.ru_maxrss }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
}
