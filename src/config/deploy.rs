//! What happens after an installation: the folder that servers read, and who shares it.

use super::problem::{Place, Sink, quote};
use super::read::{At, Map};
use super::resolve::{argv_of, checked, file_path, optional};
use super::{defaults, spec};
use crate::model::desired::{Certificate, Chains, Deploy, Files, Keys, Part};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Checks what a certificate's `deploy` says by itself; [`share`] looks at all of them together.
pub(super) fn deploy(
    certificate: &At<String>,
    spec: Option<&spec::Deploy>,
    key_is_here: bool,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Deploy> {
    let Some(spec) = spec else { return Some(Deploy::default()) };
    let reload = optional(spec.reload.as_ref(), |argv| argv_of(argv, folder, sink));
    let files = files(certificate, spec, key_is_here, folder, sink);
    Some(Deploy { files: files?, reload: reload?.unwrap_or_default() })
}

fn files(
    certificate: &At<String>,
    spec: &spec::Deploy,
    key_is_here: bool,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Option<Files>> {
    let Some(dir) = &spec.dir else {
        without_folder(spec, sink);
        return Some(None);
    };
    let before = sink.count();
    let owner = optional(spec.owner.as_ref(), |at| checked(at, account_name, sink));
    let group = optional(spec.group.as_ref(), |at| checked(at, account_name, sink));
    let mode = optional(spec.mode.as_ref(), |at| mode(at, sink));
    let links = links(spec.files.as_ref(), key_is_here, sink);
    let chains = chains(spec.chains.as_ref(), key_is_here, sink);
    let key_by_reload =
        optional(spec.key.as_ref(), |at| checked(at, by_reload, sink)).is_some_and(|k| k.is_some());
    if sink.count() > before {
        return None;
    }
    let group = group?;
    Some(Some(Files {
        dir: file_path(&dir.value, folder),
        owner: owner?,
        mode: mode?.unwrap_or(if group.is_some() { 0o640 } else { 0o600 }),
        group,
        links,
        key_by_reload,
        chains: chains.map(|name| Chains { name, members: vec![certificate.value.clone()] }),
    }))
}

fn without_folder(spec: &spec::Deploy, sink: &mut Sink) {
    let names = [&spec.owner, &spec.group, &spec.mode, &spec.chains, &spec.key];
    let places =
        names.into_iter().flatten().map(|at| &at.place).chain(spec.files.as_ref().map(|at| &at.place));
    for place in places {
        sink.say_with(place, "has no effect without `dir`", "add `dir: FOLDER` or drop this line");
    }
}

fn by_reload(text: &str) -> Result<(), String> {
    if text == "by-reload" { Ok(()) } else { Err("must be `by-reload`, or absent".to_owned()) }
}

/// A user or group: resolved where it is used, because the host that checks zones.yaml may be another.
fn account_name(text: &str) -> Result<String, String> {
    match text.contains([':', '/', ',']) || text.contains(char::is_whitespace) || text.starts_with('-') {
        true => Err("is not the name or number of a user or group".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn mode(at: &At<String>, sink: &mut Sink) -> Option<u32> {
    let octal = at.value.len() <= 4 && at.value.bytes().all(|b| b.is_ascii_digit());
    let mode = octal.then(|| u32::from_str_radix(&at.value, 8).ok()).flatten();
    let hint =
        "write one of \"0600\", \"0640\", \"0400\", \"0440\"; certificates can be read by everybody anyway";
    match mode {
        Some(mode) if defaults::KEY_MODES.contains(&mode) => return Some(mode),
        Some(mode) if mode & 0o007 != 0 => {
            sink.say_with(
                &at.place,
                format!("{}: a private key that everybody may use is refused", quote(&at.value)),
                hint,
            );
        }
        _ => sink.say_with(&at.place, format!("{} is not a mode for private keys", quote(&at.value)), hint),
    }
    None
}

/// A name in the folder; `.danesmith` and hidden files are ours.
fn file_name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match plain && !text.starts_with(['.', '-']) && text.len() <= 64 {
        true => Ok(text.to_owned()),
        false => {
            Err("is not a file name: 1 to 64 of letters, digits, `.`, `_`, `-`; first no dot".to_owned())
        }
    }
}

fn links(spec: Option<&At<spec::DeployFiles>>, key_is_here: bool, sink: &mut Sink) -> BTreeMap<Part, String> {
    let Some(At { value, .. }) = spec else { return BTreeMap::new() };
    let named = [
        (Part::Cert, &value.cert),
        (Part::Chain, &value.chain),
        (Part::Fullchain, &value.fullchain),
        (Part::Privkey, &value.privkey),
        (Part::Keyandchain, &value.keyandchain),
    ];
    let mut links = BTreeMap::new();
    for (part, at) in named {
        let Some(at) = at else { continue };
        if part.is_secret() && !key_is_here {
            key_elsewhere(&at.place, sink);
        } else if let Some(name) = checked(at, file_name, sink) {
            links.insert(part, name);
        }
    }
    links
}

fn chains(at: Option<&At<String>>, key_is_here: bool, sink: &mut Sink) -> Option<String> {
    match at {
        None => key_is_here.then(|| defaults::CHAINS.to_owned()),
        Some(at) if at.value == "none" => None,
        Some(at) if !key_is_here => {
            key_elsewhere(&at.place, sink);
            None
        }
        Some(at) => checked(at, file_name, sink),
    }
}

fn key_elsewhere(place: &Place, sink: &mut Sink) {
    let hint = "drop this line: cert.pem, chain.pem and fullchain.pem are deployed";
    sink.say_with(place, "cannot be written: only a CSR is here, the private key is elsewhere", hint);
}

/// Where each certificate says `deploy.dir`.
pub(super) fn places(certificates: &Map<spec::Certificate>) -> BTreeMap<String, Place> {
    let entries = certificates.0.iter();
    let place = |spec: &spec::Certificate| Some(spec.deploy.as_ref()?.value.dir.as_ref()?.place.clone());
    entries.filter_map(|(name, spec)| Some((name.value.clone(), place(spec.as_ref()?)?))).collect()
}

/// Certificates that share a folder: no name twice, and one file with key and chain for those that share its name.
pub(super) fn share(
    certificates: &mut BTreeMap<String, Certificate>,
    places: &BTreeMap<String, Place>,
    sink: &mut Sink,
) {
    let mut taken: BTreeMap<(PathBuf, String), String> = BTreeMap::new();
    let mut shared: BTreeMap<(PathBuf, String), Vec<String>> = BTreeMap::new();
    for (name, certificate) in certificates.iter() {
        let (Some(files), Some(place)) = (&certificate.deploy.files, places.get(name)) else { continue };
        let own = files.links.values().chain([name]);
        for file in own {
            take(&mut taken, (files.dir.clone(), file.clone()), name, place, sink);
        }
        let Some(chains) = &files.chains else { continue };
        let members = shared.entry((files.dir.clone(), chains.name.clone())).or_default();
        if let Some(first) = members.first().and_then(|first| certificates.get(first)) {
            agree(first, certificate, files, place, sink);
        }
        members.push(name.clone());
    }
    for ((dir, file), members) in &shared {
        if let (Some(other), Some(place)) =
            (taken.get(&(dir.clone(), file.clone())), members.first().and_then(|first| places.get(first)))
        {
            sink.say_with(place, twice(file, other), "name them differently");
        }
        for member in members {
            let files = certificates.get_mut(member).and_then(|c| c.deploy.files.as_mut());
            if let Some(chains) = files.and_then(|files| files.chains.as_mut()) {
                chains.members.clone_from(members);
            }
        }
    }
}

fn take(
    taken: &mut BTreeMap<(PathBuf, String), String>,
    at: (PathBuf, String),
    name: &str,
    place: &Place,
    sink: &mut Sink,
) {
    if let Some(other) = taken.get(&at) {
        sink.say_with(place, twice(&at.1, other), "name them differently");
        return;
    }
    taken.insert(at, name.to_owned());
}

fn twice(file: &str, other: &str) -> String {
    format!("{} would be two things in this folder: see certificate {other}", quote(file))
}

/// A server takes one key per algorithm, and a file has one owner. Keys of the administrator's own are compared when
/// they are deployed.
fn agree(first: &Certificate, second: &Certificate, files: &Files, place: &Place, sink: &mut Sink) {
    let Some(others) = &first.deploy.files else { return };
    let file = files.chains.as_ref().map_or("", |chains| &chains.name);
    let hint = format!("write `chains: {}.pem`, or `chains: none`, or use another folder", second.name);
    if (&others.owner, &others.group, others.mode) != (&files.owner, &files.group, files.mode) {
        let message = format!(
            "shares {} with certificate {}, but wants another owner, group or mode",
            quote(file),
            first.name
        );
        sink.say_with(place, message, hint);
    } else if let (Keys::Managed(_), Keys::Managed(_)) = (&first.keys, &second.keys) {
        let message = format!(
            "shares {} with certificate {}, and both have ECDSA keys: a server takes one per algorithm",
            quote(file),
            first.name
        );
        sink.say_with(place, message, hint);
    }
}
