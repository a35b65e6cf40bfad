//! `danesmith account`: show and register.

use super::ui::Ui;
use super::wiring;
use super::{Finish, Global};
use crate::error::Result;
use crate::flow::account::IfUnknown;
use crate::report::Output;
use std::fmt::Write;

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
}

#[derive(clap::Args)]
struct Which {
    /// Account of zones.yaml
    #[arg(default_value = "default")]
    name: String,
}

pub(super) async fn run(global: &Global, args: &Args, _: &Ui) -> Result<Finish> {
    let (which, if_unknown) = match &args.command {
        Command::Show(which) => (which, IfUnknown::Refuse),
        Command::Register(which) => (which, IfUnknown::AskAndRegister),
    };
    let desired = wiring::load(global)?;
    let configured = wiring::account(&desired, &which.name)?;
    let client = wiring::open_account(&desired, configured, if_unknown).await?;
    let account = client.account().await?;
    let status = format!("{:?}", account.status).to_lowercase();
    let mut text = String::new();
    let _ = writeln!(text, "account    {}", which.name);
    let _ = writeln!(text, "directory  {}", configured.directory);
    let _ = writeln!(text, "url        {}", account.url);
    let _ = writeln!(text, "status     {}", status);
    let _ = writeln!(text, "contact    {}", account.contact.join(", "));
    let _ = writeln!(text, "key        {} (RFC 7638 thumbprint)", client.thumbprint());
    let json = serde_json::json!({ "account": {
        "name": which.name, "directory": configured.directory, "url": account.url, "status": status,
        "contact": account.contact, "thumbprint": client.thumbprint(),
    }});
    Ok(Finish::ok(Output { text, json }))
}
