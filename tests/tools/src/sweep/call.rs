//! Which system calls change state, and what they touch.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::sys::{self, Pid};

/// The port of name servers (RFC 1035 §4.2).
const DNS: u16 = 53;

/// What a call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The local file system.
    Files,
    /// Something beyond a socket.
    Net,
}

/// One state-changing call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name in the manual.
    pub name: &'static str,
    /// What it changes.
    pub kind: Kind,
    /// The paths it names, absolute; empty for the network.
    pub paths: Vec<PathBuf>,
    /// The other end, for the network; `None` when it cannot be known.
    pub peer: Option<SocketAddr>,
    /// It sends nothing that the other end would keep: a connection is made, or a DNS question is asked.
    pub asks: bool,
}

impl Call {
    /// Reads the call a stopped thread is about to make; `None` when it changes no state.
    pub(super) fn read(caller: Caller, number: i64, args: [u64; 6]) -> Option<Call> {
        let name = name(number)?;
        match number {
            libc::SYS_connect => {
                let call = network(name, sys::read_address(caller.thread, args[1], args[2])?)?;
                Some(Call { asks: true, ..call })
            }
            libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg => caller.send(name, number, args),
            libc::SYS_write => {
                let asks = caller.is_dns_question(args);
                caller.write(name, args[0]).map(|call| Call { asks: asks && call.is_dns(), ..call })
            }
            libc::SYS_pwrite64 | libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2 => {
                caller.write(name, args[0])
            }
            libc::SYS_sendfile => caller.write(name, args[0]),
            libc::SYS_copy_file_range | libc::SYS_splice => caller.write(name, args[2]),
            _ => caller.file_call(name, number, args),
        }
    }

    /// Does a path lie below `folder`, as written or with symbolic links resolved?
    pub(super) fn is_under(&self, folder: &Path) -> bool {
        self.paths.iter().any(|path| path.starts_with(folder) || physical(path).starts_with(folder))
    }

    /// May it wait for another thread? Then others must not be held while it runs.
    pub(super) fn may_wait(&self) -> bool {
        self.kind == Kind::Net || ["flock", "fcntl"].contains(&self.name)
    }

    /// May something of it stay, here or at the other end? Servers at the ports `looks` are only looked at.
    pub(super) fn may_change(&self, looks: &[u16]) -> bool {
        !self.asks && self.peer.is_none_or(|peer| !looks.contains(&peer.port()))
    }

    fn is_dns(&self) -> bool {
        self.peer.is_some_and(|peer| peer.port() == DNS)
    }

    /// Paths or peer, for people.
    pub fn place(&self) -> String {
        match (self.kind, self.peer) {
            (Kind::Net, Some(peer)) => peer.to_string(),
            (Kind::Net, None) => "socket".into(),
            (Kind::Files, _) => {
                let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
                paths.join(" -> ")
            }
        }
    }

    /// As JSON, with its number.
    pub fn json(&self, index: usize) -> Value {
        json!({"index": index, "name": self.name, "place": self.place(), "shape": self.shape()})
    }
}

/// Who makes the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) thread: Pid,
    pub(super) process: Pid,
}

impl Caller {
    fn file_call(self, name: &'static str, number: i64, args: [u64; 6]) -> Option<Call> {
        let [a, b, c, d, ..] = args;
        let paths = match number {
            libc::SYS_open if opens_for_writing(b) => vec![self.path(a)?],
            libc::SYS_openat if opens_for_writing(c) => vec![self.path_at(a, b)?],
            libc::SYS_openat2 if opens_for_writing(self.open_how(c)?) => vec![self.path_at(a, b)?],
            libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 => return None,
            libc::SYS_fcntl if !sets_lock(b) => return None,
            libc::SYS_rename | libc::SYS_link => vec![self.path(a)?, self.path(b)?],
            libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => {
                vec![self.path_at(a, b)?, self.path_at(c, d)?]
            }
            libc::SYS_symlink => vec![self.path(b)?],
            libc::SYS_symlinkat => vec![self.path_at(b, c)?],
            number if takes_dirfd(number) => vec![self.path_at(a, b)?],
            number if takes_fd(number) => vec![self.descriptor(a)?],
            _ => vec![self.path(a)?],
        };
        let counts = paths.iter().any(|path| !is_virtual(path));
        counts.then_some(Call { name, kind: Kind::Files, paths, peer: None, asks: false })
    }

    /// A write to a regular file or to a socket of the Internet family; pipes, terminals and the like are not
    /// state, nor is what the sweeper itself was given as standard output.
    fn write(self, name: &'static str, fd: u64) -> Option<Call> {
        let path = self.descriptor(fd)?;
        if path.to_string_lossy().starts_with("socket:") {
            return network(name, sys::peer(self.process, fd as i32)?);
        }
        let file = fs::metadata(self.proc().join("fd").join(fd.to_string())).ok()?;
        let counts = file.is_file() && !is_virtual(&path) && !is_our_output(&file);
        counts.then(|| Call { name, kind: Kind::Files, paths: vec![path], peer: None, asks: false })
    }

    fn send(self, name: &'static str, number: i64, args: [u64; 6]) -> Option<Call> {
        let (address, len) = match number {
            libc::SYS_sendto => (args[4], args[5]),
            // struct msghdr, and struct mmsghdr that begins with one: msg_name, then msg_namelen (4 bytes).
            _ => {
                let header = sys::read_memory(self.thread, args[1], 12)?;
                let len = u32::from_ne_bytes(header.get(8..12)?.try_into().ok()?);
                (u64::from_ne_bytes(header.get(..8)?.try_into().ok()?), u64::from(len))
            }
        };
        let call = match address {
            0 => network(name, sys::peer(self.process, args[0] as i32)?)?,
            _ => network(name, sys::read_address(self.thread, address, len)?)?,
        };
        let asks = number == libc::SYS_sendto && call.is_dns() && self.is_dns_question(args);
        Some(Call { asks, ..call })
    }

    /// Is what `write` or `sendto` sends a DNS message with the opcode QUERY (RFC 1035 §4.1.1), over TCP behind its length?
    fn is_dns_question(self, args: [u64; 6]) -> bool {
        let [_, address, length, ..] = args;
        let Some(bytes) = sys::read_memory(self.thread, address, length.min(8) as usize) else {
            return false;
        };
        let framed =
            matches!(bytes[..], [high, low, ..] if u64::from(u16::from_be_bytes([high, low])) + 2 == length);
        let flags = bytes.get(if framed { 4 } else { 2 });
        flags.is_some_and(|flags| flags & 0b0111_1000 == 0)
    }

    fn path(self, address: u64) -> Option<PathBuf> {
        self.path_at(libc::AT_FDCWD as u64, address)
    }

    /// A path relative to a folder descriptor; an empty one means the descriptor itself (AT_EMPTY_PATH).
    fn path_at(self, dirfd: u64, address: u64) -> Option<PathBuf> {
        let path = if address == 0 { PathBuf::new() } else { sys::read_path(self.thread, address)? };
        if path.is_absolute() {
            return Some(path);
        }
        let base = if dirfd as i32 == libc::AT_FDCWD {
            fs::read_link(self.proc().join("cwd")).ok()?
        } else {
            self.descriptor(dirfd)?
        };
        Some(if path.as_os_str().is_empty() { base } else { lexical(&base.join(path)) })
    }

    /// What a descriptor stands for; a removed file keeps its name.
    fn descriptor(self, fd: u64) -> Option<PathBuf> {
        let target = fs::read_link(self.proc().join("fd").join((fd as i32).to_string())).ok()?;
        let text = target.to_string_lossy();
        Some(match text.strip_suffix(" (deleted)") {
            Some(name) => PathBuf::from(name),
            None => target,
        })
    }

    /// The `flags` of openat2's `struct open_how`: its first eight bytes.
    fn open_how(self, address: u64) -> Option<u64> {
        let bytes = sys::read_memory(self.thread, address, 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }

    fn proc(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.thread))
    }
}

fn network(name: &'static str, peer: SocketAddr) -> Option<Call> {
    Some(Call { name, kind: Kind::Net, paths: Vec::new(), peer: Some(peer), asks: false })
}

fn opens_for_writing(flags: u64) -> bool {
    let flags = flags as i32;
    flags & libc::O_PATH == 0
        && (flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_CREAT | libc::O_TRUNC) != 0)
}

fn sets_lock(command: u64) -> bool {
    [libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_SETLK, libc::F_OFD_SETLKW].contains(&(command as i32))
}

fn takes_dirfd(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_unlinkat
            | libc::SYS_mkdirat
            | libc::SYS_mknodat
            | libc::SYS_fchmodat
            | libc::SYS_fchmodat2
            | libc::SYS_fchownat
            | libc::SYS_utimensat
    )
}

fn takes_fd(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_syncfs
            | libc::SYS_sync_file_range
            | libc::SYS_ftruncate
            | libc::SYS_fallocate
            | libc::SYS_fchmod
            | libc::SYS_fchown
            | libc::SYS_flock
            | libc::SYS_fcntl
            | libc::SYS_fsetxattr
            | libc::SYS_fremovexattr
    )
}

/// Devices and kernel windows are no state of the program's.
fn is_virtual(path: &Path) -> bool {
    !path.is_absolute() || ["/dev", "/proc", "/sys"].iter().any(|root| path.starts_with(root))
}

/// Is it the file our own standard output or error goes to? The program inherits them, and its report is not state.
fn is_our_output(file: &fs::Metadata) -> bool {
    ["/proc/self/fd/1", "/proc/self/fd/2"]
        .iter()
        .filter_map(|own| fs::metadata(own).ok())
        .any(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()))
}

/// Without `.` and `..`, by the text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// With the symbolic links of its folder resolved; the last component may not exist yet.
fn physical(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// The name of a call that may change state.
fn name(number: i64) -> Option<&'static str> {
    Some(match number {
        libc::SYS_open => "open",
        libc::SYS_openat => "openat",
        libc::SYS_openat2 => "openat2",
        libc::SYS_creat => "creat",
        libc::SYS_write => "write",
        libc::SYS_pwrite64 => "pwrite64",
        libc::SYS_writev => "writev",
        libc::SYS_pwritev => "pwritev",
        libc::SYS_pwritev2 => "pwritev2",
        libc::SYS_sendfile => "sendfile",
        libc::SYS_copy_file_range => "copy_file_range",
        libc::SYS_splice => "splice",
        libc::SYS_rename => "rename",
        libc::SYS_renameat => "renameat",
        libc::SYS_renameat2 => "renameat2",
        libc::SYS_link => "link",
        libc::SYS_linkat => "linkat",
        libc::SYS_symlink => "symlink",
        libc::SYS_symlinkat => "symlinkat",
        libc::SYS_unlink => "unlink",
        libc::SYS_unlinkat => "unlinkat",
        libc::SYS_mkdir => "mkdir",
        libc::SYS_mkdirat => "mkdirat",
        libc::SYS_rmdir => "rmdir",
        libc::SYS_mknod => "mknod",
        libc::SYS_mknodat => "mknodat",
        libc::SYS_fsync => "fsync",
        libc::SYS_fdatasync => "fdatasync",
        libc::SYS_syncfs => "syncfs",
        libc::SYS_sync_file_range => "sync_file_range",
        libc::SYS_truncate => "truncate",
        libc::SYS_ftruncate => "ftruncate",
        libc::SYS_fallocate => "fallocate",
        libc::SYS_chmod => "chmod",
        libc::SYS_fchmod => "fchmod",
        libc::SYS_fchmodat => "fchmodat",
        libc::SYS_fchmodat2 => "fchmodat2",
        libc::SYS_chown => "chown",
        libc::SYS_lchown => "lchown",
        libc::SYS_fchown => "fchown",
        libc::SYS_fchownat => "fchownat",
        libc::SYS_utimensat => "utimensat",
        libc::SYS_setxattr => "setxattr",
        libc::SYS_lsetxattr => "lsetxattr",
        libc::SYS_fsetxattr => "fsetxattr",
        libc::SYS_removexattr => "removexattr",
        libc::SYS_fremovexattr => "fremovexattr",
        libc::SYS_flock => "flock",
        libc::SYS_fcntl => "fcntl",
        libc::SYS_connect => "connect",
        libc::SYS_sendto => "sendto",
        libc::SYS_sendmsg => "sendmsg",
        libc::SYS_sendmmsg => "sendmmsg",
        _ => return None,
    })
}
