//! Providers: the key names the kind, the kind decides the fields. Kinds that are built in have a mirror (`spec`); those
//! of DNS hosts are checked against the file that describes the host.

pub(super) mod ability;
pub(super) mod catalog;
mod described;
mod programs;
mod rfc2136;
mod schema;
mod setting;
pub(super) mod spec;

use super::problem::{Sink, nearest, quote};
use super::read::Read as _;
use crate::model::desired::Provider;
use catalog::Known;
use std::path::Path;

/// Kinds that no file describes.
pub(super) const BUILT_IN: [&str; 6] = ["rfc2136", "exec", "acme_sh", "lexicon", "lego_exec", "httpreq"];

/// Checks a provider's fields; paths are relative to `folder`.
pub(super) fn provider(
    written: &spec::Provider,
    known: &Known,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Provider> {
    let spec::Provider { kind, fields, path } = written;
    match kind.value.as_str() {
        "rfc2136" => {
            let spec = spec::Rfc2136::read(fields, path, sink)?;
            rfc2136::rfc2136(&spec, folder, sink).map(Provider::Rfc2136)
        }
        "exec" => programs::exec(&spec::Exec::read(fields, path, sink)?, folder, sink).map(Provider::Exec),
        "acme_sh" => {
            programs::acme_sh(&spec::AcmeSh::read(fields, path, sink)?, folder, sink).map(Provider::AcmeSh)
        }
        "lexicon" => {
            programs::lexicon(&spec::Lexicon::read(fields, path, sink)?, folder, sink).map(Provider::Lexicon)
        }
        "lego_exec" => programs::lego_exec(&spec::LegoExec::read(fields, path, sink)?, folder, sink)
            .map(Provider::LegoExec),
        "httpreq" => {
            programs::httpreq(&spec::HttpReq::read(fields, path, sink)?, folder, sink).map(Provider::HttpReq)
        }
        host => match known.catalog.get(host) {
            Some(described) => {
                described::described(described, fields, path, folder, sink).map(Provider::Described)
            }
            None => {
                unknown(written, known, sink);
                None
            }
        },
    }
}

fn unknown(written: &spec::Provider, known: &Known, sink: &mut Sink) {
    let word = &written.kind.value;
    if !known.complete || sink.is_full() {
        return; // it may stand in a file that could not be read, which is said already
    }
    let words = || BUILT_IN.into_iter().chain(known.catalog.names());
    let begins =
        words().find(|name| word.len() >= 3 && (name.starts_with(word.as_str()) || word.starts_with(name)));
    let hint = match begins.or_else(|| nearest(word, words())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`danesmith provider list` shows those that there are".to_owned(),
    };
    sink.say_with(&written.kind.place, format!("{} is not a kind of provider", quote(word)), hint);
}
