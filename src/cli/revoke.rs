//! `danesmith revoke`: have the CA revoke certificates.

use super::files;
use super::wiring;
use super::{Finish, Global};
use crate::acme::RevocationReason;
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::flow::account::IfUnknown;
use crate::flow::revoke::{Revoked, Revoker, Which};
use crate::model::certificate::Chain;
use crate::report::Output;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Arguments of `revoke`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The certificate of zones.yaml; its account signs
    certificate: String,
    /// Why, for everybody to read
    #[arg(long, value_enum, default_value_t = RevocationReason::Unspecified, value_name = "REASON")]
    reason: RevocationReason,
    /// Instead of the installed one, those of keys that a rotation retired, as far as their files are here: until the next renewal
    #[arg(long)]
    retired: bool,
    /// Instead of the installed one, the one in this file (PEM, - for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "retired")]
    file: Option<PathBuf>,
}

impl ValueEnum for RevocationReason {
    fn value_variants<'a>() -> &'a [Self] {
        use RevocationReason::{
            AffiliationChanged, CessationOfOperation, KeyCompromise, Superseded, Unspecified,
        };
        &[Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(word(*self));
        let leaked = "Somebody else may have the private key: only for a key that is not in use any more";
        Some(if *self == RevocationReason::KeyCompromise { value.help(leaked) } else { value })
    }
}

fn word(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Unspecified => "unspecified",
        RevocationReason::KeyCompromise => "key-compromise",
        RevocationReason::AffiliationChanged => "affiliation-changed",
        RevocationReason::Superseded => "superseded",
        RevocationReason::CessationOfOperation => "cessation-of-operation",
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
    let listed = desired.certificates.keys().cloned().collect();
    let revoker = Revoker { store: &store, client: &client, listed, now: holder.clock.now() };
    let revoked = revoker.revoke(&args.certificate, which, args.reason).await?;
    Ok(Finish::ok(told(args.reason, &revoked)))
}

fn given(file: &Path) -> Result<Chain> {
    let bytes = files::read(file)?;
    let refuse = |why: String| {
        Error::new(Kind::Input, format!("read the certificate in {}", file.display()), why)
            .remains("The CA was not asked.")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        refuse("it is no PEM file".into()).hint("openssl x509 -inform DER -in FILE -out NEW.pem")
    })?;
    let chain = Chain::parse(text).map_err(|e| {
        refuse(e.to_string()).hint("give the certificate in PEM, alone or with its chain after it")
    })?;
    if chain.begins_with_a_ca() {
        return Err(refuse("its first certificate is a CA's own".into())
            .hint("give the server's certificate, alone or before its chain"));
    }
    Ok(chain)
}

fn told(reason: RevocationReason, revoked: &[Revoked]) -> Output {
    let mut text = String::new();
    for Revoked { chain, before, by_own_key, installed_by } in revoked {
        let done = if *before { "revoked before" } else { "revoked" };
        let signer = if *by_own_key { "its own key" } else { "the account" };
        let _ = writeln!(text, "{done}: {}", chain.serial);
        let _ = writeln!(text, "  names     {}", chain.names.join(", "));
        let _ = writeln!(text, "  key       {}, valid until {}", chain.spki.short(), minute(chain.not_after));
        let _ = writeln!(text, "  asked by  {signer}");
        if *before {
            let _ = writeln!(text, "  reason    the one that the CA was given before");
        } else {
            let _ = writeln!(text, "  reason    {}", word(reason));
        }
        if let Some(name) = installed_by {
            let _ =
                writeln!(text, "  next      installed for {name}: danesmith apply {name} --now gets another");
        }
    }
    let json: Vec<_> = revoked
        .iter()
        .map(|r| {
            serde_json::json!({
                "serial": r.chain.serial, "names": r.chain.names, "spki": r.chain.spki.to_string(),
                "not_after": r.chain.not_after, "before": r.before, "installed_for": r.installed_by,
                "reason": (!r.before).then(|| word(reason)),
                "signed_by": if r.by_own_key { "certificate-key" } else { "account" },
            })
        })
        .collect();
    Output { text, json: serde_json::json!({ "revoked": json }) }
}
