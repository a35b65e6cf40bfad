//! Whose program this is. One that somebody else may change or replace would run with our credentials.

use crate::{Class, Error};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Group and others may write.
const WRITABLE: u32 = 0o022;
/// Only owners may replace what is in this folder.
const STICKY: u32 = 0o1000;

/// Names without a slash are found in PATH, which is the administrator's.
///
/// Errors: [`Class::Rejected`] when the file or a folder above it belongs to, or may be changed by, somebody who is neither
/// root nor us; when it does not exist; for a relative path.
pub(crate) fn check_owner(program: &Path, label: &str) -> Result<(), Error> {
    if program.components().count() < 2 {
        return Ok(());
    }
    let refuse = |why: String| Error::new(Class::Rejected, format!("{label}: `{}` {why}", program.display()));
    if !program.is_absolute() {
        return Err(refuse("is no absolute path".to_owned()));
    }
    // What a link points at is what runs.
    let real = program.canonicalize().map_err(|error| refuse(format!("cannot be run: {error}")))?;
    for (depth, path) in real.ancestors().enumerate() {
        let metadata = path.metadata().map_err(|error| refuse(format!("cannot be run: {error}")))?;
        let guarded = depth > 0 && metadata.mode() & STICKY != 0;
        if let Some(why) = in_foreign_hands(&metadata, guarded) {
            let text = if depth == 0 { why } else { format!("lies in {}, which {why}", path.display()) };
            let hint = format!("chown root {0} && chmod go-w {0}", path.display());
            return Err(refuse(text).hint(hint));
        }
    }
    Ok(())
}

fn in_foreign_hands(metadata: &Metadata, guarded: bool) -> Option<String> {
    let ours = nix::unistd::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != ours {
        return Some(format!("belongs to user {}, neither to root nor to us", metadata.uid()));
    }
    let open = metadata.mode() & WRITABLE != 0 && !guarded;
    open.then(|| "may be changed by others (group or world may write)".to_owned())
}
