//! What a rehearsal's world makes up, for people: nobody shall take it for more than it is.

use super::administrator;
use super::run::Options;
use super::stand_ins::Files;
use super::time::{HOUR, MINUTE, Moment};
use crate::model::desired::{Desired, Dnssec};

/// What the world makes up, for people.
pub(super) fn notes(
    desired: &Desired,
    files: &Files,
    (every, _): (Moment, Moment),
    options: &Options,
) -> Vec<String> {
    let apply = options.every / 3600;
    let late =
        if every % HOUR == 0 { format!("{} h", every / HOUR) } else { format!("{} min", every / MINUTE) };
    let by_hand = desired.certificates.values().any(administrator::rotates_by_hand);
    let people = match options.seed {
        Some(_) => "; rotations and aborts asked for at any time".to_owned(),
        None if by_hand => "; rotations that are left to you once a year".to_owned(),
        None => String::new(),
    };
    let runs = match options.seed {
        Some(_) => format!("`danesmith apply` every {apply} h at most, and less often now and then"),
        None => format!("`danesmith apply` every {apply} h"),
    };
    let unsigned = desired.zones.values().filter(|zone| zone.dnssec == Dnssec::UnsignedOk);
    let unsigned: Vec<_> =
        unsigned.map(|zone| zone.apex.to_ascii().trim_end_matches('.').to_owned()).collect();
    let signed = match unsigned.as_slice() {
        [] => "every zone signed".to_owned(),
        some => format!("every zone signed but {} (there, senders ignore TLSA)", some.join(", ")),
    };
    let mut notes = vec![format!(
        "made up: a CA with Let's Encrypt's profiles, lifetimes, renewal information and limits; two servers for each mail host, of which the second takes new files every {late} only; name servers as zones.yaml has them under `check`, else two; {signed}; {runs}{people}"
    )];
    notes.push("caches: how many caches of senders hold the pins of which keys; A and B are keys, `?` and `+` records of somebody else".into());
    notes.extend(files.notes.iter().cloned());
    notes
}
