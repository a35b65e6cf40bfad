//! Keys of a certificate: files that must be readable, CSRs that must be for the same names, digests that must be ones.
//! Private key files are not looked at: `plan` runs where they are not.

use super::problem::{Files, Place, Sink, quote};
use super::read::At;
use super::resolve::{Context, file_path};
use super::spec;
use crate::model::desired::{ActiveKey, BackupKey, KeyAlgorithm, Keys};
use crate::model::key::SpkiDigest;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// SHA-256 of nothing: what a script pins when its key command printed nothing.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Checks keys against the names the certificate is for.
pub(super) fn keys(
    spec: &At<spec::Keys>,
    names: &[String],
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Keys> {
    match &spec.value {
        spec::Keys::Word(_) => Some(Keys::Managed(KeyAlgorithm::P256)),
        spec::Keys::Managed { managed } => algorithm(managed.algorithm.as_ref(), sink).map(Keys::Managed),
        spec::Keys::Own(own) => {
            let active = active(&own.active, names, context, sink);
            let backup = match &own.backup {
                Some(backup) => backup_key(backup, names, context, sink).map(Some),
                None => Some(None),
            };
            let (active, backup) = (active?, backup?);
            refuse_the_same_file(&active, &backup, &spec.place, sink)?;
            Some(Keys::Own { active, backup })
        }
    }
}

fn algorithm(word: Option<&At<String>>, sink: &mut Sink) -> Option<KeyAlgorithm> {
    let Some(At { value, place }) = word else { return Some(KeyAlgorithm::P256) };
    match value.as_str() {
        "p256" => Some(KeyAlgorithm::P256),
        "p384" => Some(KeyAlgorithm::P384),
        _ => {
            let why = format!("{} is not an algorithm danesmith makes keys for", quote(value));
            sink.say_with(place, why, "write p256 or p384, or drop the line: then it is p256");
            None
        }
    }
}

fn active(
    spec: &spec::ActiveKey,
    names: &[String],
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<ActiveKey> {
    match spec {
        spec::ActiveKey::Csr(file) => csr(file, names, context, sink).map(ActiveKey::Csr),
        spec::ActiveKey::Key(file) => Some(ActiveKey::PrivateKey(named(file, context.folder, sink))),
    }
}

fn backup_key(
    spec: &spec::BackupKey,
    names: &[String],
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<BackupKey> {
    match spec {
        spec::BackupKey::Csr(file) => csr(file, names, context, sink).map(BackupKey::Csr),
        spec::BackupKey::PublicKey(file) => readable(file, context.folder, sink).map(BackupKey::PublicKey),
        spec::BackupKey::Key(file) => Some(BackupKey::PrivateKey(named(file, context.folder, sink))),
        spec::BackupKey::Managed => Some(BackupKey::Managed(KeyAlgorithm::P256)),
        spec::BackupKey::SpkiSha256(At { value, place }) => match digest(value) {
            Ok(digest) => Some(BackupKey::SpkiSha256(digest)),
            Err(why) => {
                sink.say_with(place, why, "`danesmith tlsa FILE` prints it for a key, CSR or certificate");
                None
            }
        },
    }
}

fn digest(text: &str) -> Result<SpkiDigest, String> {
    if text.eq_ignore_ascii_case(SHA256_OF_NOTHING) {
        return Err("is the SHA-256 of nothing: the command that made it got no key".to_owned());
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("must be 64 hex digits; {} is none", quote(&odd.to_string())));
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)
        .map_err(|_| format!("must be 64 hex digits (SHA-256), not {}", text.len()))?;
    Ok(SpkiDigest(digest))
}

/// A backup that is the active key protects against nothing.
fn refuse_the_same_file(
    active: &ActiveKey,
    backup: &Option<BackupKey>,
    place: &Place,
    sink: &mut Sink,
) -> Option<()> {
    let same = match (active, backup) {
        (ActiveKey::Csr(a), Some(BackupKey::Csr(b))) => a == b,
        (ActiveKey::PrivateKey(a), Some(BackupKey::PrivateKey(b))) => a == b,
        _ => false,
    };
    if same {
        let hint = "make a second key, or drop `backup`";
        sink.say_with(place, "the backup is the active key: nothing would be left when that is lost", hint);
    }
    (!same).then_some(())
}

/// A CSR file that is readable and for exactly these names.
fn csr(file: &At<String>, names: &[String], context: &Context<'_>, sink: &mut Sink) -> Option<PathBuf> {
    let path = readable(file, context.folder, sink)?;
    if sink.files() == Files::Unread {
        return Some(path);
    }
    let found = match (context.csr_names)(&path) {
        Ok(found) => found,
        Err(why) => {
            let hint = "`danesmith keys csr` makes one of a private key";
            sink.say_with(&file.place, format!("{} is not a usable CSR: {why}", quote(&file.value)), hint);
            return None;
        }
    };
    let canonical = |name: &String| name.trim_end_matches('.').to_ascii_lowercase();
    let found: BTreeSet<String> = found.iter().map(canonical).collect();
    let wanted: BTreeSet<String> = names.iter().cloned().collect();
    if wanted.is_empty() || found == wanted {
        return Some(path); // without usable names there is already a problem; comparing would add noise
    }
    sink.say_with(
        &file.place,
        difference(&file.value, &wanted, &found),
        "the CA certifies what the CSR says; make the two lists equal",
    );
    None
}

fn difference(file: &str, wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let list = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
        a.difference(b).map(|name| quote(name)).collect::<Vec<_>>().join(", ")
    };
    let (missing, extra) = (list(wanted, found), list(found, wanted));
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("it lacks {missing}"));
    }
    if !extra.is_empty() {
        parts.push(format!("it also has {extra}"));
    }
    format!("the CSR {} is not for the certificate's names: {}", quote(file), parts.join("; "))
}

/// A file that is read when it is needed, which can be after it has gone.
fn named(file: &At<String>, folder: &Path, sink: &mut Sink) -> PathBuf {
    let path = file_path(&file.value, folder);
    sink.names(&path, &file.place);
    path
}

/// A path whose first byte can be read.
pub(super) fn readable(file: &At<String>, folder: &Path, sink: &mut Sink) -> Option<PathBuf> {
    let path = named(file, folder, sink);
    if sink.files() == Files::Unread {
        return Some(path);
    }
    match first_byte(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            let hint = "put the file there, or name its place anew; a relative path begins at the folder of zones.yaml";
            sink.say_with(&file.place, format!("cannot read {}: {error}", quote(&file.value)), hint);
            None
        }
    }
}

fn first_byte(path: &Path) -> std::io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(std::io::Error::other("it is not a regular file")); // opening a FIFO would wait forever
    }
    let mut byte = [0];
    match std::fs::File::open(path)?.read(&mut byte)? {
        0 => Err(std::io::Error::other("the file is empty")),
        _ => Ok(()),
    }
}
