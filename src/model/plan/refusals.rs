//! The words of refusals: what was refused, why, what remains true, what to do next.

use super::emergency::Caches;
use super::{OwnerView, Refusal, Wanted};
use crate::clock::{full_minute, minute};
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::rotation::Rotation;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Something that must not be done now, and when it may be tried again.
pub(super) struct Blocked {
    /// Earliest time at which it may succeed; `None`: time does not heal it.
    pub(super) until: Option<Timestamp>,
    pub(super) refusal: Box<Refusal>,
    /// What has to be done before even `--emergency --switch-now` may go on; `None`: it goes on at once.
    pub(super) first: Option<&'static str>,
}

impl Blocked {
    /// Time heals it, and nothing else is needed for `--switch-now`.
    pub(super) fn until(until: Timestamp, refusal: Refusal) -> Blocked {
        Blocked { until: Some(until), refusal: Box::new(refusal), first: None }
    }

    /// Not even `--switch-now` helps before this is done.
    pub(super) fn but_first(self, first: &'static str) -> Blocked {
        Blocked { first: Some(first), ..self }
    }
}

impl From<Refusal> for Blocked {
    fn from(refusal: Refusal) -> Blocked {
        Blocked { until: None, refusal: Box::new(refusal), first: Some("do what is said above") }
    }
}

/// The ordinary refusal of `rotate`: senders see the key that they saw before. (Pins may have been added in the same run.)
fn rotate(cause: String, hint: &str) -> Refusal {
    Refusal {
        remote: false,
        action: "make the backup key the active one".into(),
        cause,
        remains: "Mail is safe: the key that is served did not change.".into(),
        hint: hint.into(),
    }
}

/// The words that every refusal of a rotation ends with where a time can be told.
pub(super) fn from(earliest: Timestamp) -> String {
    format!("it may succeed from {} on", full_minute(earliest))
}

fn bare(owner: &str) -> &str {
    owner.trim_end_matches('.')
}

pub(super) fn clock_went_back(now: Timestamp, written: Timestamp) -> Refusal {
    Refusal {
        remote: false,
        action: "decide what to do next".into(),
        cause: format!(
            "this machine's clock says {now}, but the state was last written at {written}: the clock went back"
        ),
        remains: "Nothing was changed.".into(),
        hint: format!(
            "set the clock right; if it is right now, it was wrong when the state was written: {}, or restore the state \
             directory from a backup that was made before the clock went wrong",
            from(written)
        ),
    }
}

pub(super) fn pinned_otherwise(active: Option<SpkiDigest>, owner: &str, view: &OwnerView) -> Refusal {
    let there: Vec<_> = view.somewhere.iter().map(SpkiDigest::to_string).collect();
    let ours = active.map_or_else(|| "a new key".to_owned(), |key| format!("the active key {key}"));
    Refusal {
        remote: false,
        action: format!("get a certificate for {ours}"),
        cause: format!("TLSA at `{}` pins other keys only ({})", bare(owner), there.join(", ")),
        remains: "Nothing was ordered, and no TLSA record was changed.".into(),
        hint: "if the state directory was lost, restore it from a backup, in place of the one that is there now; if zones.yaml calls the certificate otherwise \
               than before, give it its former name; else give the key that the server presents \
               now as `active`, or publish the active key's record beside those that are there, wait two TTLs, and \
               run again"
            .into(),
    }
}

/// ARCHITECTURE.md, "Rules of pins": a key is served only after its pin is ripe. Another active key without a rotation
/// would be served unpinned (RFC 7671 §8.1).
pub(super) fn unpinned_switch(wanted: &Wanted, durable: &Document) -> Refusal {
    let former = durable.installed.as_ref().map(|i| i.spki.to_string()).unwrap_or_default();
    Refusal {
        remote: false,
        action: "get a certificate for another key".into(),
        cause: format!("the active key is now {}, but {former} is pinned and served", wanted.active),
        remains: "Mail is safe: nothing was ordered, the installed certificate and the TLSA records are as they were.".into(),
        hint: "give the former CSR or key as `active` again, the other one as `backup`, and let `danesmith rotate` \
               change them when the new pin is ripe"
            .into(),
    }
}

/// During a rotation zones.yaml must go on naming both keys.
pub(super) fn keys_changed_meanwhile(wanted: &Wanted, durable: &Document) -> Option<Refusal> {
    let rotation = durable.rotation.as_ref()?;
    if wanted.active == rotation.from && wanted.backup == Some(rotation.to) {
        return None;
    }
    Some(Refusal {
        remote: false,
        action: "go on with the rotation".into(),
        cause: format!(
            "it goes from the key {} to {}, and zones.yaml no longer names both",
            rotation.from, rotation.to
        ),
        remains: "Nothing was changed.".into(),
        hint: "write `keys` as it was (`managed`, or both keys) until the rotation is done".into(),
    })
}

/// The first owner whose zone is not signed, unless the administrator says that it may be so.
pub fn unsigned_zone(unsigned_ok: &BTreeSet<String>, views: &BTreeMap<String, OwnerView>) -> Option<Refusal> {
    let mut open = views.iter().filter(|(owner, _)| !unsigned_ok.contains(*owner));
    open.find_map(|(owner, view)| view.unsigned.as_ref().map(|reason| unsigned(owner, reason)))
}

/// RFC 7671 §2.1, RFC 7672 §2.2: senders ignore TLSA records that are not DNSSEC-secure.
pub(super) fn unsigned(owner: &str, reason: &str) -> Refusal {
    Refusal {
        remote: false,
        action: format!("publish TLSA at `{}`", bare(owner)),
        cause: format!("the zone is not secured by DNSSEC: {reason}; senders ignore such records"),
        remains: "No TLSA record was changed.".into(),
        hint: "sign the zone and have its DS at the parent, or write `dnssec: unsigned-ok` for this zone"
            .into(),
    }
}

/// The same, for who wants to rotate: clocks stand still where senders see no pins.
pub(super) fn unsigned_rotation(owner: &str, reason: &str, earliest: Timestamp) -> Refusal {
    let Refusal { cause, hint, .. } = unsigned(owner, reason);
    Refusal {
        remains: "The key that is served did not change. Senders take no notice of \
                  the records while the zone is like this."
            .into(),
        ..rotate(format!("TLSA at `{}`: {cause}", bare(owner)), &format!("{hint}; {}", again(earliest)))
    }
}

/// RFC 7672 §2.1.2: to validating senders such a host is unreachable.
const UNBELIEVED: &str = "Nothing was changed. Senders that validate DNSSEC defer mail to this host until its zone is valid again.";
const MEND_ZONE: &str =
    "mend the zone's DNSSEC: DS at the parent, DNSKEY, signatures (danesmith verify shows what is wrong)";

pub(super) fn unbelieved(owner: &str, view: &OwnerView) -> Refusal {
    Refusal {
        remote: false,
        action: format!("tell whether TLSA at `{}` is right", bare(owner)),
        cause: format!("no validator believes what is answered there: {}", view.doubtful.join("; ")),
        remains: UNBELIEVED.into(),
        hint: format!("{MEND_ZONE}, and run again"),
    }
}

/// Who asks for nothing but the usual is told that DNS failed, not that a rule was broken.
pub fn unheard(owner: &str, view: &OwnerView) -> Refusal {
    Refusal {
        remote: true,
        action: format!("read TLSA at `{}`", bare(owner)),
        cause: view.silent.join("; "),
        remains: "No TLSA record was changed. The clocks of the pins there stand still until every name server answers."
            .into(),
        hint: "have the name servers of the zone answer, and run again".into(),
    }
}

pub(super) fn not_served(
    active: SpkiDigest,
    missing: &[(String, Vec<SpkiDigest>)],
    wrong: &[String],
    stands: bool,
) -> Refusal {
    let owners: Vec<_> = missing.iter().map(|(o, _)| format!("`{}`", bare(o))).collect();
    let who = if wrong.is_empty() { "no endpoint answered".to_owned() } else { wrong.join("; ") };
    Refusal {
        remote: false,
        action: format!("publish TLSA at {}", owners.join(", ")),
        cause: format!("not every endpoint presents the active key {active}: {who}"),
        remains: if stands {
            "No TLSA record was changed. Records of other keys stand there: senders that find none of them matching what the \
             server presents defer mail."
        } else {
            "Mail is safe: no TLSA record was changed; a pin that no server matches would stop it."
        }
        .into(),
        hint: "install the certificate on the server, reload it, and run again; or give the key that the server has as \
               `active`; or write `endpoints: unchecked` if you vouch for it"
            .into(),
    }
}

/// `stands`: its pin is at every server, but not long enough.
pub(super) fn reload_unripe(key: SpkiDigest, stands: bool, presented: &[String]) -> Refusal {
    let why = if stands { "caches may not know its pin yet" } else { "its pin is not at every name server" };
    let who = match presented {
        [] => "which key they present is unknown".to_owned(),
        presented => presented.join("; "),
    };
    Refusal {
        remote: false,
        action: format!("put the certificate for the key {key} where the servers read it"),
        cause: format!("{why}, and {who}"),
        remains: "Mail is safe: the servers' files and what they present are as they were.".into(),
        hint: "the state directory is older than what the servers present (restored from a backup?): bring back the newer \
               one; otherwise `apply` puts the files there when the pin is ripe"
            .into(),
    }
}

pub(super) fn sibling_not_served(certificate: &str, missing: &[(String, Vec<SpkiDigest>)]) -> Refusal {
    let owners: Vec<_> = missing.iter().map(|(o, _)| format!("`{}`", bare(o))).collect();
    Refusal {
        remote: false,
        action: format!("publish TLSA at {}", owners.join(", ")),
        cause: format!(
            "no endpoint presents a key of the certificate {certificate} yet, whose pins will stand there, too: all \
             begin together"
        ),
        remains: "Mail is safe: no TLSA record was changed.".into(),
        hint: format!(
            "install the certificate {certificate} (danesmith apply), or take it out of zones.yaml"
        ),
    }
}

pub(super) fn nothing_to_abort() -> Refusal {
    Refusal {
        remote: false,
        action: "abort the rotation".into(),
        cause: "none is under way".into(),
        remains: "Nothing was changed.".into(),
        hint: "danesmith status shows keys and pins".into(),
    }
}

pub(super) fn too_late_to_abort(rotation: &Rotation) -> Refusal {
    Refusal {
        remote: false,
        action: "abort the rotation".into(),
        cause: format!(
            "every server presents the new key {} already, and the pin of {} is being removed",
            rotation.to, rotation.from
        ),
        remains: "Mail is safe: the served key is pinned.".into(),
        hint: "let it end (danesmith apply), and rotate again".into(),
    }
}

pub(super) fn nothing_pinned() -> Refusal {
    rotate(
        "the certificate has no `tlsa`: there is nothing to rotate with care".into(),
        "replace its key or CSR in zones.yaml, and run apply",
    )
}

pub(super) fn no_backup() -> Refusal {
    rotate(
        "there is no backup key; one that was active before does not count".into(),
        "give one as `backup` in zones.yaml (danesmith keys new, danesmith keys csr) and run apply: its pin is published, \
         and ripe after the waiting time",
    )
}

pub(super) fn backup_used_up(key: SpkiDigest) -> Refusal {
    rotate(format!("the backup key {key} was active before and is retired"), "give a new key as `backup`")
}

pub(super) fn backup_by_digest(key: SpkiDigest, earliest: Timestamp) -> Refusal {
    rotate(
        format!(
            "of the backup key {key} only the digest or public key is known: no certificate can be asked for"
        ),
        &format!("give its CSR or private key as `backup` in zones.yaml; then {}", from(earliest)),
    )
}

pub(super) fn key_elsewhere(key: SpkiDigest) -> Refusal {
    rotate(
        format!(
            "only the CSR of one key is here: `deploy` would put the chain for the key {key} beside a private key that it \
             does not fit, and a server that loads both stops TLS"
        ),
        "have the reload command give the server the private key that belongs to the new chain, and write `key: by-reload` \
         below `deploy`; or drop `deploy` and install the chain by hand (danesmith waits for it); or give private keys \
         instead of CSRs",
    )
}

pub(super) fn endpoints_unchecked() -> Refusal {
    rotate(
        "`endpoints: unchecked` leaves nobody to see when every server presents the new key".into(),
        "list the endpoints in zones.yaml",
    )
}

/// The clock of a pin starts again.
fn again(earliest: Timestamp) -> String {
    format!("the pin's clock starts when every name server is seen to have it: {}", from(earliest))
}

pub(super) fn not_sure(owner: &str, view: &OwnerView, earliest: Timestamp) -> Refusal {
    let doubts: Vec<_> = view.silent.iter().chain(&view.doubtful).cloned().collect();
    let mend =
        if view.unbelieved { MEND_ZONE } else { "have every name server of the zone answer correctly" };
    let refusal = rotate(
        format!(
            "TLSA at `{}` could not be seen, validated, at every name server: {}",
            bare(owner),
            doubts.join("; ")
        ),
        &format!("{mend}; {}", again(earliest)),
    );
    if view.unbelieved { Refusal { remains: UNBELIEVED.into(), ..refusal } } else { refusal }
}

pub(super) fn not_everywhere(owner: &str, key: SpkiDigest, earliest: Timestamp) -> Refusal {
    rotate(format!("not every name server has the pin of {key} at `{}`", bare(owner)), &again(earliest))
}

pub(super) fn signatures_end(owner: &str, end: Timestamp, earliest: Timestamp) -> Refusal {
    rotate(
        format!("a signature over TLSA at `{}` ends at {}, too soon to rely on", bare(owner), minute(end)),
        &format!("have the zone signed again; then {}", from(earliest)),
    )
}

pub(super) fn unripe(key: SpkiDigest, ripe: Timestamp, caches: &Caches) -> Refusal {
    rotate(
        format!(
            "the pin of {key} is not ripe before {}: caches may hold TLSA records of before ({})",
            minute(ripe),
            caches.words()
        ),
        &format!("run again then, or let `--wait` wait: {}", from(ripe)),
    )
}

pub(super) fn clock_stands(key: SpkiDigest, earliest: Timestamp) -> Refusal {
    rotate(
        format!("the clock of the pin of {key} does not run: it was not seen at every name server"),
        &again(earliest),
    )
}

pub(super) fn third_key(strangers: &[String], earliest: Timestamp) -> Refusal {
    Refusal {
        remains: "Nothing was changed. That server's key is not one whose TLSA records danesmith keeps: where no record of \
                  somebody else matches it, senders that validate DANE defer mail to it now."
            .into(),
        ..rotate(
            format!(
                "a server presents a key that is neither the active nor the backup key: {}",
                strangers.join("; ")
            ),
            &format!("install the certificate of the active key there; then {}", from(earliest)),
        )
    }
}

/// Another certificate's key is shown where ours should be, too (RFC 7671 §8.1: senders choose the algorithm).
pub(super) fn only_beside(bare: &[String], earliest: Timestamp) -> Refusal {
    rotate(
        format!("a server presents no key of this certificate now: {}", bare.join("; ")),
        &format!(
            "have it present this certificate, too, or take it out of its `endpoints`; then {}",
            from(earliest)
        ),
    )
}

pub(super) fn others_would_match_nothing(unmatched: &[String]) -> Refusal {
    rotate(
        format!(
            "TLSA records that danesmith does not keep would match nothing any more: {}",
            unmatched.join("; ")
        ),
        "publish their counterparts for the backup key, wait two TTLs, and rotate then; or remove them",
    )
}
