//! `tlsa`: the TLSA records that pin the keys in some files. Offline.

use crate::cli::files;
use crate::error::{Error, Kind, Result};
use crate::model::key::{self, Seen};
use crate::model::{name, pin};
use crate::report::Output;
use crate::report::tlsa::{Format, Records};
use hickory_proto::rr::Name;
use std::path::{Path, PathBuf};

/// Print TLSA 3 1 1 records, or other pins, for certificates, CSRs, public or private keys. Offline.
#[derive(Debug, Clone, clap::Args)]
pub struct TlsaArgs {
    /// Certificate, CSR, public or private key, PEM or DER; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the records stand, such as _25._tcp.mx1.example.org; may be repeated
    #[arg(long, value_name = "NAME")]
    pub owner: Vec<String>,
    /// Host that serves the key: with each --port one owner name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// TCP port at each --host, 25 when none is given; may be repeated
    #[arg(long, value_name = "PORT", requires = "host", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Time to live in seconds
    // RFC 7671 §13 advises against long ones; RFC 2181 §8 sets the bound.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(..=0x7fff_ffff))]
    pub ttl: u32,
    /// How to write them
    #[arg(long, value_enum, default_value_t = Format::Zone)]
    pub format: Format,
    /// With --format nsupdate: the zone to change, when nsupdate shall not look for it
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
}

/// Reads the files; says their records.
pub fn run(args: &TlsaArgs) -> Result<Output> {
    let owners = owners(args)?;
    check_format(args, &owners)?;
    files::refuse_two_standard_inputs(&args.files)?;
    let seen = args.files.iter().map(|file| look(file)).collect::<Result<Vec<_>>>()?;
    let records =
        Records { owners, keys: unique(seen.iter().map(|seen| seen.spki)), ttl: args.ttl, zone: zone(args)? };
    Ok(Output { text: records.text(args.format), json: json(args, &seen, &records) })
}

fn look(file: &Path) -> Result<Seen> {
    let bytes = files::read(file)?;
    key::look(&bytes).map_err(|error| error.in_file(file.display()))
}

/// --owner as given, then every --host with every --port.
fn owners(args: &TlsaArgs) -> Result<Vec<Name>> {
    let usage = |error: key::KeyError| Error { kind: Kind::Usage, ..error.during("read the owner names") };
    let given = args.owner.iter().map(|owner| pin::owner(owner));
    let ports: &[u16] = if args.port.is_empty() { &[25] } else { &args.port };
    let made = args.host.iter().flat_map(|host| {
        ports.iter().map(move |port| pin::TlsaOwner::new(host, *port).and_then(|owner| owner.name()))
    });
    Ok(unique(given.chain(made).collect::<Result<Vec<_>, _>>().map_err(usage)?))
}

fn zone(args: &TlsaArgs) -> Result<Option<Name>> {
    let refused = |cause: String| Error::new(Kind::Usage, "read --zone", cause);
    let Some(typed) = &args.zone else { return Ok(None) };
    let zone = name::owner(typed).map_err(|error| refused(error.to_string()))?;
    Name::from_ascii(format!("{zone}.")).map(Some).map_err(|error| refused(error.to_string()))
}

fn check_format(args: &TlsaArgs, owners: &[Name]) -> Result<()> {
    let refused = |cause: &str| Err(Error::new(Kind::Usage, "write the records", cause));
    match args.format {
        Format::Nsupdate if owners.is_empty() => refused("--format nsupdate needs --owner or --host"),
        Format::Nsupdate => Ok(()),
        _ if args.zone.is_some() => refused("--zone belongs to --format nsupdate"),
        _ => Ok(()),
    }
}

fn json(args: &TlsaArgs, seen: &[Seen], records: &Records) -> serde_json::Value {
    let keys: Vec<_> = args.files.iter().zip(seen).map(|(file, seen)| files::describe(file, seen)).collect();
    serde_json::json!({ "keys": keys, "records": records.json() })
}

/// Without repetitions, in the order of first appearance.
fn unique<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}
