//! `danesmith revoke`: have the CA revoke certificates.

use super::files;
use super::wiring;
use super::{Finish, Global};
use crate::acme::{Revocation, RevocationReason};
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::flow::account::IfUnknown;
use crate::flow::revoke::{Revoked, Revoker, Which};
use crate::model::certificate::Chain;
use crate::report::Output;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Arguments of `revoke`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The certificate of zones.yaml; its account signs
    certificate: String,
    /// Why, for everybody to read
    #[arg(long, value_enum, default_value_t = Reason::Unspecified, value_name = "REASON")]
    reason: Reason,
    /// Instead of the installed one, those of keys that a rotation retired, as far as their files are here
    #[arg(long)]
    retired: bool,
    /// Instead of the installed one, the one in this file (PEM, - for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "retired")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Reason {
    Unspecified,
    /// Somebody else may have the private key: only for a key that is not in use any more
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}

impl Reason {
    fn revocation(self) -> RevocationReason {
        match self {
            Reason::Unspecified => RevocationReason::Unspecified,
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}

pub(super) async fn run(global: &Global, args: &Args) -> Result<Finish> {
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, std::slice::from_ref(&args.certificate))?;
    let account = chosen.first().map_or("default", |c| c.account.as_str());
    let which = match &args.file {
        Some(file) => Which::Given(Box::new(given(file)?)),
        None if args.retired => Which::Retired,
        None => Which::Installed,
    };
    let (holder, store) = wiring::holder(&desired, wiring::account(&desired, account)?)?;
    let client = holder.open(IfUnknown::Refuse).await?;
    let revoker = Revoker { store: &store, client: &client, now: holder.clock.now() };
    let revoked = revoker.revoke(&args.certificate, which, args.reason.revocation()).await?;
    Ok(Finish::ok(told(&args.certificate, &revoked)))
}

fn given(file: &Path) -> Result<Chain> {
    let bytes = files::read(file)?;
    let action = format!("read the certificate in {}", file.display());
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Error::new(Kind::Input, &action, "it is no PEM file")
            .hint("openssl x509 -inform DER -in FILE -out NEW.pem")
    })?;
    Chain::parse(text).map_err(|e| e.during(action))
}

fn told(certificate: &str, revoked: &[Revoked]) -> Output {
    let mut text = String::new();
    for Revoked { chain, revocation, by_own_key, installed } in revoked {
        let word = match revocation {
            Revocation::Done => "revoked",
            Revocation::Already => "revoked before",
        };
        let signer = if *by_own_key { "its own key" } else { "the account" };
        let _ = writeln!(text, "{word}: {} of {}", chain.serial, chain.names.join(", "));
        let _ = writeln!(text, "  key {}, valid until {}", chain.spki.short(), minute(chain.not_after));
        let _ = writeln!(text, "  asked for by {signer}");
        if *installed {
            let _ = writeln!(text, "  it is installed: the next run of apply orders another");
        }
    }
    let json: Vec<_> = revoked
        .iter()
        .map(|r| {
            serde_json::json!({
                "serial": r.chain.serial, "names": r.chain.names, "spki": r.chain.spki.to_string(),
                "not_after": r.chain.not_after, "before": r.revocation == Revocation::Already,
                "signed_by": if r.by_own_key { "certificate-key" } else { "account" }, "installed": r.installed,
            })
        })
        .collect();
    Output { text, json: serde_json::json!({ "certificate": certificate, "revoked": json }) }
}
