//! The system interface of the sweeper: every `unsafe` line of it stands here, behind small safe functions.
#![allow(unsafe_code)] // ptrace, waitpid and reading another process's memory have no safe interface

use std::ffi::OsString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::ptr;

/// A thread or process number.
pub(super) type Pid = libc::pid_t;

/// `AUDIT_ARCH_X86_64` of linux/audit.h: the call uses the 64-bit table.
const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
/// Byte offsets of `rax` and `orig_rax` in `struct user` (sys/user.h).
const RAX: usize = 10 * 8;
const ORIG_RAX: usize = 15 * 8;
/// Longest path the kernel accepts, bytes.
const PATH_MAX: usize = 4096;
/// Memory is read in pieces that never cross a page, so that a string at the end of a mapping is readable.
const PAGE: u64 = 4096;

/// Where in a system call the stopped thread stands.
pub(super) enum Stop {
    /// About to enter the call with this number and these arguments.
    Entry(i64, [u64; 6]),
    /// About to return.
    Exit,
    /// Not a 64-bit system call, or the thread is gone.
    Other,
}

/// One answer of `waitpid`.
pub(super) enum Event {
    /// The thread ended with a code.
    Exited(Pid, i32),
    /// The thread was ended by a signal.
    Signaled(Pid, i32),
    /// The thread stopped at a system call.
    Syscall(Pid),
    /// The thread stopped for ptrace's own reasons (clone, exec, group stop).
    Trace(Pid),
    /// A signal is about to be delivered.
    Signal(Pid, i32),
    /// No traced process is left.
    Nobody,
}

/// Starts `command` so that it stops, traced by this thread, before its first instruction.
pub(super) fn spawn_traced(command: &mut Command) -> io::Result<Child> {
    // SAFETY: PTRACE_TRACEME is one system call without memory arguments, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Follow all threads and children; nobody survives the tracer.
pub(super) fn set_options(pid: Pid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: no memory is passed.
    checked(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) })
}

/// Runs the stopped thread to its next system call stop, delivering `signal` (0: none). A thread that is gone is
/// no error: its end is reported by `waitpid`.
pub(super) fn resume(tid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    tolerate_gone(checked(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, tid, 0, libc::c_long::from(signal)) }))
}

/// Turns the call that the thread is about to enter into none at all.
pub(super) fn skip_call(tid: Pid) -> io::Result<()> {
    poke_user(tid, ORIG_RAX, -1)
}

/// Sets what the call returns to the program; at a [`Stop::Exit`].
pub(super) fn set_result(tid: Pid, value: i64) -> io::Result<()> {
    poke_user(tid, RAX, value)
}

/// SIGKILL for a whole process.
pub(super) fn kill(pid: Pid) {
    // SAFETY: no memory is passed. An error means that it is dead already.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits for the next event of any traced thread.
pub(super) fn wait() -> io::Result<Event> {
    let mut status = 0;
    // SAFETY: `status` is a live i32.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
    if tid < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(Event::Nobody),
            Some(libc::EINTR) => wait(),
            _ => Err(error),
        };
    }
    Ok(event(tid, status))
}

/// Where the thread stands in a system call; PTRACE_GET_SYSCALL_INFO (Linux 5.3) knows entry from exit, so no
/// toggling state has to be kept.
pub(super) fn stop_kind(tid: Pid) -> Stop {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the kernel writes at most `size` bytes into `info`, which is zeroed plain data.
    let written = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, size, info.as_mut_ptr()) };
    if written <= 0 {
        return Stop::Other;
    }
    // SAFETY: every bit pattern of this C structure is valid; the `op` field says which union member is.
    let info = unsafe { info.assume_init() };
    if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
        return Stop::Exit;
    }
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY || info.arch != AUDIT_ARCH_X86_64 {
        return Stop::Other;
    }
    // SAFETY: `op` is ENTRY.
    let entry = unsafe { info.u.entry };
    Stop::Entry(entry.nr.cast_signed(), entry.args)
}

/// The NUL-terminated path at `address` in the thread's memory.
pub(super) fn read_path(tid: Pid, address: u64) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut at = address;
    while bytes.len() < PATH_MAX {
        let piece = read_memory(tid, at, (PAGE - at % PAGE) as usize)?;
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            bytes.extend_from_slice(&piece[..end]);
            return Some(PathBuf::from(OsString::from_vec(bytes)));
        }
        at += piece.len() as u64;
        bytes.extend_from_slice(&piece);
    }
    None
}

/// `len` bytes of the thread's memory.
pub(super) fn read_memory(tid: Pid, address: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: ptr::with_exposed_provenance_mut(address as usize), iov_len: len };
    // SAFETY: `local` describes `bytes`; the kernel checks `remote` against the other process.
    let read = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    (read == len as isize).then_some(bytes)
}

/// The Internet address in a `struct sockaddr` of the thread; `None` for other families.
pub(super) fn read_address(tid: Pid, address: u64, len: u64) -> Option<SocketAddr> {
    let bytes = read_memory(tid, address, len.min(128) as usize)?;
    parse_address(&bytes)
}

/// The peer of a connected Internet socket of the process.
pub(super) fn peer(process: Pid, fd: i32) -> Option<SocketAddr> {
    let socket = borrow_fd(process, fd)?;
    let mut bytes = [0u8; 128];
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: `bytes` is `len` bytes long; both outlive the call.
    let done = unsafe { libc::getpeername(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut len) };
    if done != 0 { None } else { parse_address(bytes.get(..len as usize)?) }
}

/// Our own copy of a file descriptor of another process (Linux 5.6).
fn borrow_fd(process: Pid, fd: i32) -> Option<OwnedFd> {
    let pidfd = owned(raw_call(libc::SYS_pidfd_open, [i64::from(process), 0, 0]))?;
    owned(raw_call(libc::SYS_pidfd_getfd, [i64::from(pidfd.as_raw_fd()), i64::from(fd), 0]))
}

fn raw_call(number: i64, args: [i64; 3]) -> i64 {
    // SAFETY: used with calls that take numbers only.
    unsafe { libc::syscall(number, args[0], args[1], args[2]) }
}

fn owned(fd: i64) -> Option<OwnedFd> {
    // SAFETY: the kernel has just given us this descriptor; nobody else has it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)).
fn parse_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let ip = match family {
        libc::AF_INET => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?)),
        libc::AF_INET6 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn event(tid: Pid, status: i32) -> Event {
    if libc::WIFEXITED(status) {
        return Event::Exited(tid, libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Event::Signaled(tid, libc::WTERMSIG(status));
    }
    match libc::WSTOPSIG(status) {
        signal if signal == libc::SIGTRAP | 0x80 => Event::Syscall(tid), // 0x80: PTRACE_O_TRACESYSGOOD
        libc::SIGTRAP if status >> 16 != 0 => Event::Trace(tid),
        signal if is_group_stop(tid, signal) => Event::Trace(tid),
        signal => Event::Signal(tid, signal),
    }
}

/// A group stop looks like a stop signal about to be delivered, but carries no signal information (ptrace(2)).
fn is_group_stop(tid: Pid, signal: i32) -> bool {
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    stops.contains(&signal)
        // SAFETY: the kernel writes one siginfo_t.
        && unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr()) } < 0
}

fn poke_user(tid: Pid, offset: usize, value: i64) -> io::Result<()> {
    // SAFETY: writes a register of the stopped thread; the offset is inside `struct user`.
    tolerate_gone(checked(unsafe { libc::ptrace(libc::PTRACE_POKEUSER, tid, offset, value) }))
}

fn checked(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn tolerate_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}
