//! Key files as commands read and write them.

use crate::error::{Error, Kind, Result};
use crate::model::key::Seen;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Our choice: the longest chains are some 20 KB; anything bigger is the wrong file.
const MAX_SIZE: u64 = 1 << 20;

const TOO_LARGE: &str = "it is larger than 1 MiB, so it is no key or certificate";
const GIVE: &str = "give a certificate, CSR, public key or private key, as PEM or DER";

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Mode 0600.
    Owner,
    /// Mode 0644, less the umask.
    Everybody,
}

/// All of a file, or of standard input for `-`. Wiped when dropped: it may be a private key.
pub fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Local, format!("read {}", file.display()), &error).hint_of(&error)
    };
    if file == Path::new("-") {
        return read_all(std::io::stdin().lock(), 0).map_err(failed);
    }
    let open = File::open(file).map_err(failed)?;
    let size = open.metadata().map_err(failed)?.len();
    if size > MAX_SIZE {
        return Err(Error::new(Kind::Input, format!("read {}", file.display()), TOO_LARGE).hint(GIVE));
    }
    read_all(open, size).map_err(failed)
}

/// Standard input ends once only.
pub fn refuse_two_standard_inputs(files: &[PathBuf]) -> Result<()> {
    if files.iter().filter(|file| file.as_path() == Path::new("-")).count() < 2 {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, "read the files", "standard input (-) was given more than once"))
}

/// Makes a new file; an existing one, even a dangling link, is never touched.
pub fn create(file: &Path, content: &[u8], access: Access) -> Result<()> {
    let failed = |error: std::io::Error| {
        let what = Error::new(Kind::Local, format!("make {}", file.display()), &error);
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => what
                .remains("The existing file was not touched.")
                .hint("give another --out, or move the old file away first"),
            _ => what.hint_of(&error),
        }
    };
    let mode = match access {
        Access::Owner => 0o600,
        Access::Everybody => 0o644,
    };
    let mut open = OpenOptions::new().write(true).create_new(true).mode(mode).open(file).map_err(failed)?;
    let written = open.write_all(content).and_then(|()| open.sync_all());
    if written.is_err() {
        // Half a key is worse than none; that it cannot be removed either would not be news.
        let _ = std::fs::remove_file(file);
    }
    written.map_err(failed)
}

/// One file and its key, for `--json`.
pub fn describe(file: &Path, seen: &Seen) -> serde_json::Value {
    serde_json::json!({
        "file": file.display().to_string(),
        "kind": seen.what.to_string(),
        "algorithm": seen.key.to_string(),
        "spki_sha256": seen.spki,
        "pin_sha256": seen.spki.pin_sha256(),
    })
}

/// `size`: how many octets to expect, so that the buffer need not grow and leave copies behind.
fn read_all(mut from: impl Read, size: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let room = size.clamp(16 << 10, MAX_SIZE) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room as usize));
    from.by_ref().take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(TOO_LARGE));
    }
    Ok(bytes)
}
