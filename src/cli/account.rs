//! `danesmith account`: show, register, give another key, end.

use super::wiring;
use super::{Finish, Global, files};
use crate::acme::AccountKey;
use crate::error::{Error, Kind, Result};
use crate::flow::account::{Holder, IfUnknown};
use crate::flow::account_change::{End, KeyChange};
use crate::report::Output;
use crate::secret::Secret;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NAME_THE_NEW_KEY: &str = "name the new key in zones.yaml: the CA refuses the former one";

/// Arguments of `account`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// What the CA knows of the account
    Show(Which),
    /// Register the account, or find it by its key
    Register(Which),
    /// Give the account another key; its URL and its certificates stay
    Rollover {
        #[command(flatten)]
        which: Which,
        /// The new private key (PEM), where zones.yaml names the former one; name this one there afterwards
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// End the account at the CA; nothing brings it back
    Deactivate {
        #[command(flatten)]
        which: Which,
        /// Yes, for ever
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Which {
    /// Account of zones.yaml
    #[arg(default_value = "default")]
    name: String,
}

pub(super) async fn run(global: &Global, args: &Args) -> Result<Finish> {
    let (Command::Show(Which { name })
    | Command::Register(Which { name })
    | Command::Rollover { which: Which { name }, .. }
    | Command::Deactivate { which: Which { name }, .. }) = &args.command;
    let desired = wiring::load(global)?;
    let configured = wiring::account(&desired, name)?;
    if let Command::Deactivate { yes: false, .. } = &args.command {
        let action = format!("deactivate account `{name}` at {}", configured.directory);
        return Err(Error::new(Kind::Usage, action, "that cannot be taken back: it takes --yes")
            .remains("Nothing was changed.")
            .hint("its certificates stay valid, but none can be renewed or revoked by it any more"));
    }
    let (holder, _store) = wiring::holder(&desired, configured)?;
    let output = match &args.command {
        Command::Show(_) => show(&holder, IfUnknown::Refuse).await?,
        Command::Register(_) => show(&holder, IfUnknown::AskAndRegister).await?,
        Command::Rollover { key, .. } => {
            let own = key.as_deref().map(new_key).transpose()?;
            changed(&holder, holder.change_key(own).await?)
        }
        Command::Deactivate { .. } => ended(&holder, holder.deactivate().await?),
    };
    Ok(Finish::ok(output))
}

/// A key that comes through a pipe may lie nowhere, and would be lost with the account.
fn new_key(file: &Path) -> Result<Secret> {
    let action = format!("use {} as the account key", file.display());
    if file == Path::new("-") {
        return Err(
            Error::new(Kind::Usage, action, "the new key must lie in a file").remains("Nothing was changed.")
        );
    }
    let pem = Secret::new(files::read(file)?.to_vec());
    match AccountKey::from_pem(pem.bytes()) {
        Ok(_) => Ok(pem),
        Err(e) => Err(Error { kind: Kind::Input, action, ..e }.remains("Nothing was changed.")),
    }
}

async fn show(holder: &Holder<'_>, if_unknown: IfUnknown) -> Result<Output> {
    let client = holder.open(if_unknown).await?;
    let account = client.account().await?;
    let status = format!("{:?}", account.status).to_lowercase();
    let mut text = head(holder, &account.url);
    let _ = writeln!(text, "status     {status}");
    if !account.contact.is_empty() {
        let _ = writeln!(text, "contact    {}", account.contact.join(", "));
    }
    let _ = writeln!(text, "key        {} (RFC 7638 thumbprint)", client.thumbprint());
    let json = serde_json::json!({ "account": {
        "name": holder.account.name, "directory": holder.account.directory, "url": account.url, "status": status,
        "contact": account.contact, "thumbprint": client.thumbprint(),
    }});
    Ok(Output { text, json })
}

fn changed(holder: &Holder<'_>, KeyChange { url, thumbprint, before }: KeyChange) -> Output {
    let mut text = head(holder, &url);
    let _ = writeln!(text, "key        {thumbprint} (RFC 7638 thumbprint)");
    if before {
        let _ = writeln!(text, "           the CA had taken it before");
    }
    if holder.account.key.is_some() {
        let _ = writeln!(text, "next       {NAME_THE_NEW_KEY}");
    }
    let json = serde_json::json!({ "account": {
        "name": holder.account.name, "directory": holder.account.directory, "url": url, "thumbprint": thumbprint,
        "before": before, "next": holder.account.key.is_some().then_some(NAME_THE_NEW_KEY),
    }});
    Output { text, json }
}

fn ended(holder: &Holder<'_>, End { url, aside, before }: End) -> Output {
    let mut text = head(holder, &url);
    let _ = writeln!(text, "status     deactivated{}", if before { ", before this run" } else { "" });
    let _ = writeln!(text, "kept in    {}", aside.display());
    let next = match holder.account.key {
        Some(_) => "name another key in zones.yaml: the CA takes this one no more",
        None => "an apply that needs the account registers another, with a new key",
    };
    let _ = writeln!(text, "next       {next}");
    let json = serde_json::json!({ "account": {
        "name": holder.account.name, "directory": holder.account.directory, "url": url, "status": "deactivated",
        "aside": aside, "before": before, "next": next,
    }});
    Output { text, json }
}

fn head(holder: &Holder<'_>, url: &str) -> String {
    let account = holder.account;
    format!("account    {}\ndirectory  {}\nurl        {url}\n", account.name, account.directory)
}
