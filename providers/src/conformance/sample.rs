//! The values that a check writes, and how sets of them are compared and shown.

use crate::RrSet;
use crate::exec::value::{holds, to_text};
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{TLSA, TXT};

/// The alphabet of challenges (base64url), with what careless programs take for an option or swallow.
pub(super) const FIRST: &str = "-danesmith_check-A";
pub(super) const SECOND: &str = "danesmith_check-B";
pub(super) const THIRD: &str = "_danesmith-check-C";

pub(super) fn txt(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

/// A `3 1 1` value that matches no key: 32 equal octets.
pub(super) fn tlsa(octet: u8) -> RData {
    RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![octet | 0xa0; 32]))
}

pub(super) fn is(set: &RrSet, values: &[RData]) -> bool {
    set.values.len() == values.len() && values.iter().all(|value| holds(&set.values, value))
}

pub(super) fn spell(values: &[RData]) -> String {
    let texts: Vec<String> = values.iter().filter_map(to_text).collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
}
