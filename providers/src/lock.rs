//! Lock files: one per zone, whatever kind of provider writes there. Most hosts' interfaces read, change and write back
//! without any check, so two runs of this machine that overlap would lose each other's values.

use crate::{Class, Error};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a lock that somebody else holds is tried; our choice.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// Most octets of a zone's name in that of its file: file systems take 255 with the ending. Our choice.
const LONGEST: usize = 200;

/// Waits for the lock of a zone (without final dot, lower case) until `until`. The file that comes back holds it; the
/// kernel frees it whoever dies. `folder` must be one that nobody else can write to.
///
/// Errors: [`Class::Transient`] when others kept it, [`Class::Internal`] when there can be no lock file.
pub(crate) async fn of(folder: &Path, zone: &str, until: Instant) -> Result<File, Error> {
    let path = place(folder, zone);
    let failed = |error: io::Error| {
        Error::new(Class::Internal, format!("the zone cannot be locked by {}: {error}", path.display()))
            .hint("the folder of lock files must exist and be writable")
    };
    loop {
        let file = open(&path).map_err(failed)?;
        while !locked(&file).map_err(failed)? {
            if Instant::now() >= until {
                let message = format!("another run kept writing to zone {zone}: it holds {}", path.display());
                return Err(Error::new(Class::Transient, message).hint("run again when it has ended"));
            }
            sleep(TRY_AGAIN).await;
        }
        if is_still(&path, &file).map_err(failed)? {
            return Ok(file);
        }
    }
}

/// Labels may hold any octet, a slash, too (RFC 2181 §11). Zones that share a file wait for each other, no more.
fn place(folder: &Path, zone: &str) -> PathBuf {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '+' };
    let name: String = zone.chars().map(letter).collect();
    let name = name.get(name.len().saturating_sub(LONGEST)..).unwrap_or_default();
    folder.join(format!("{name}.lock"))
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(0o600).open(path)
}

fn locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Somebody may have cleaned up while we waited: then others lock another file of that name.
fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(60)
    }

    #[tokio::test]
    async fn a_zone_is_locked_once_and_again_when_the_lock_is_gone_or_its_file_was_deleted() {
        let folder = std::env::temp_dir().join(format!("danesmith-lock-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let first = of(&folder, "example.org", soon()).await.unwrap();
        let busy = of(&folder, "example.org", soon()).await.unwrap_err();
        assert_eq!(busy.class, Class::Transient);
        of(&folder, "example.net", soon()).await.unwrap();
        drop(first);
        let second = of(&folder, "example.org", soon()).await.unwrap();
        let waiting = open(&place(&folder, "example.org")).unwrap();
        fs::remove_file(place(&folder, "example.org")).unwrap();
        drop(second);
        assert!(locked(&waiting).unwrap() && !is_still(&place(&folder, "example.org"), &waiting).unwrap());
        of(&folder, "example.org", soon()).await.unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn every_zone_has_a_file_in_the_folder_however_odd_or_long_its_name() {
        let name = |zone: &str| place(Path::new("/locks"), zone).to_string_lossy().into_owned();
        assert_eq!(name("example.org"), "/locks/example.org.lock");
        assert_eq!(name("../a/b.example.org"), "/locks/..+a+b.example.org.lock");
        let long = format!("{}example.org", "abcdefgh.".repeat(27));
        assert!(long.len() > 250 && name(&long).len() < 220 && name(&long).ends_with("h.example.org.lock"));
    }
}
