//! What the sweeper's own tests sweep: two threads, each replacing one file by temporary file, fsync and rename.
//!
//! `sweep_subject DIR` replaces `DIR/one` and `DIR/two`; `sweep_subject DIR --alone` only the first;
//! `sweep_subject DIR ADDRESS` both, and then sends one datagram.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::thread;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().unwrap_or_default());
    match args.next().as_deref() {
        Some("--alone") => replace(&folder, "one"),
        None => replace_both(&folder),
        Some(address) => {
            replace_both(&folder)?;
            UdpSocket::bind("127.0.0.1:0")?.send_to(b"done", address).map(drop)
        }
    }
}

fn replace_both(folder: &Path) -> io::Result<()> {
    thread::scope(|scope| {
        let jobs = ["one", "two"].map(|name| scope.spawn(move || replace(folder, name)));
        jobs.into_iter().try_for_each(|job| job.join().map_err(|_| io::Error::other("a thread panicked"))?)
    })
}

fn replace(folder: &Path, name: &str) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(b"new")?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}
