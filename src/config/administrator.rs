//! `--providers FILE`: the administrator's own file, for hosts on which zones.yaml comes from people who must not reach
//! the credentials (a repository, a pull request). What could send a secret elsewhere, run a program, or change whom we
//! believe stands in FILE, and is refused in zones.yaml.

use super::foundation::{self, Foundation, Written};
use super::problem::{Place, Sink};
use super::read::{At, Map, mapping};
use super::resolve::Rest;
use super::{folder_of, is_ours, read_root, read_text, spec, tree};
use danesmith_providers::catalog::check_owner;
use std::path::Path;

mapping! {
    /// The administrator's file: providers and credentials for a zones.yaml that others write.
    Administrator {
        /// Version of this file's format: 1.
        version: At<u64>,
        /// State directory, relative to this file. Default `./state`.
        state: Option<At<String>>,
        /// Recursive resolvers.
        resolvers: Option<Vec<At<String>>>,
        /// Who validates DNSSEC.
        validate: Option<At<String>>,
        /// File with DS or DNSKEY records to start from.
        trust_anchor: Option<At<String>>,
        /// ACME accounts, with their credentials.
        accounts: Option<Map<spec::Account>>,
        /// Folder with your own provider files.
        provider_files: Option<At<String>>,
        /// DNS providers.
        providers: Option<Map<spec::Provider>>,
    }
}

/// What zones.yaml stands on: all of `file`, and the accounts without credentials that zones.yaml adds. `None` when `file`
/// cannot be used; problems say so.
pub(super) fn check(
    file: &Path,
    zones: Written,
    rest: &Rest,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Foundation> {
    refuse(&zones, rest, file, sink);
    let added: Vec<At<String>> =
        zones.accounts.iter().flat_map(|map| map.0.iter().map(|(name, _)| name.clone())).collect();
    let own = foundation::check(Written { accounts: zones.accounts, ..Written::default() }, folder, sink);
    let mut problems = Sink::new(&file.display().to_string()).with(sink.files());
    let foundation = read(file, &mut problems);
    sink.elsewhere(problems.finish());
    let mut foundation = foundation?;
    for name in added.iter().filter(|name| foundation.account_names.contains(&name.value)) {
        sink.say(&name.place, format!("this account stands in {} already", file.display()));
    }
    for (name, account) in own.accounts {
        foundation.accounts.entry(name).or_insert(account);
    }
    foundation.account_names.extend(own.account_names);
    Some(foundation)
}

/// Only the folder of the administrator's own provider files.
pub(super) fn provider_files(file: &Path, sink: &mut Sink) -> Option<Option<At<String>>> {
    written(file, sink).map(|spec| spec.provider_files)
}

fn read(file: &Path, sink: &mut Sink) -> Option<Foundation> {
    let spec = written(file, sink).filter(|spec| is_ours(&spec.version, sink))?;
    let written = Written {
        state: spec.state,
        resolvers: spec.resolvers,
        validate: spec.validate,
        trust_anchor: spec.trust_anchor,
        accounts: spec.accounts,
        provider_files: spec.provider_files,
        providers: spec.providers,
    };
    Some(foundation::check(written, &folder_of(file), sink))
}

/// What the file says, if nobody else can change it.
fn written(file: &Path, sink: &mut Sink) -> Option<Administrator> {
    let name = file.display().to_string();
    let whole = Place { line: 0, column: 0, path: String::new() };
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if let Err(why) = check_owner(&absolute) {
        let hint = "the file and all folders above it must belong to root or to you, and nobody else may write there";
        sink.say_with(&whole, why, hint);
        return None;
    }
    let text = read_text(file, &name).map_err(|problem| sink.elsewhere([problem])).ok()?;
    read_root::<Administrator>(&tree::parse(&text, sink)?, sink)
}

/// Every line of zones.yaml that is not for its author to write.
fn refuse(zones: &Written, rest: &Rest, file: &Path, sink: &mut Sink) {
    let mut say = |place: &Place, why: &str| {
        sink.say_with(
            place,
            format!("must not stand here with --providers: {why}"),
            format!("it belongs into {}; drop it here", file.display()),
        );
    };
    let text = [
        (&zones.state, "it says where keys are kept, and which account key is used"),
        (&zones.validate, "it says whom to believe"),
        (&zones.trust_anchor, "it says whom to believe"),
        (&zones.provider_files, "it says where secrets are sent"),
    ];
    for (at, why) in text {
        if let Some(at) = at {
            say(&at.place, why);
        }
    }
    if let Some(first) = zones.resolvers.as_ref().and_then(|list| list.first()) {
        say(&Place { path: "resolvers".to_owned(), ..first.place.clone() }, "it says whom to believe");
    }
    for (name, _) in zones.providers.iter().flat_map(|map| &map.0) {
        say(&name.place, "a provider says where secrets are sent");
    }
    for account in zones.accounts.iter().flat_map(|map| map.0.iter().filter_map(|(_, a)| a.as_ref())) {
        if let Some(root) = &account.root {
            say(&root.place, "it says which CA to believe");
        }
        let credentials = [
            &account.eab.as_ref().map(|eab| eab.kid.place.clone()),
            &account.key.as_ref().map(spec::Secret::place),
        ];
        for place in credentials.into_iter().flatten() {
            say(place, "it names a credential");
        }
    }
    for certificate in rest.certificates.0.iter().filter_map(|(_, c)| c.as_ref()) {
        if let Some(deploy) = &certificate.deploy {
            say(&deploy.place, "it runs a command, or puts keys where others want them");
        }
        if let spec::Keys::Own(own) = &certificate.keys.value {
            let active = match &own.active {
                spec::ActiveKey::Key(file) => Some(file),
                spec::ActiveKey::Csr(_) => None,
            };
            let backup = match &own.backup {
                Some(spec::BackupKey::Key(file)) => Some(file),
                _ => None,
            };
            for file in active.into_iter().chain(backup) {
                say(&file.place, "any private key that danesmith may read could be named; give a CSR");
            }
        }
    }
}
