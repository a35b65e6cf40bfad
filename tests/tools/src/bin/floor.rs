//! The floor danesmith is compared with: see the module `floor`.
//!
//! ```text
//! floor register --directory https://127.0.0.114:14000/dir --root ca.pem --account account.json
//! floor run --account account.json --root ca.pem --update 127.0.0.111:53 --tsig-name danesmith-key \
//!     --tsig-secret tsig.secret --check 127.0.0.111:53 --check 127.0.0.112:53 --order z01.test:z01.test,*.z01.test
//! ```
//! `run` orders all at once and prints one JSON line.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool: it prints

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser};
use danesmith_testtools::floor::Result;
use danesmith_testtools::floor::acme::Acme;
use danesmith_testtools::floor::dns::Dns;
use danesmith_testtools::floor::issue::{Wanted, issue_all};
use danesmith_testtools::usage;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// From one look at a server for one zone to the next; our choice: a third of the round trip we model.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// With many zones fewer, so that the looks do not slow down the servers on the same machine.
const LOOKS_PER_SECOND: u32 = 2000;

#[derive(Parser)]
#[command(about = "Obtains certificates as fast as they can be had at all")]
enum Cli {
    /// Register an account and write it to a file
    Register {
        /// URL of the directory
        #[arg(long)]
        directory: String,
        /// Roots to trust, PEM
        #[arg(long)]
        root: PathBuf,
        /// The account file to write
        #[arg(long)]
        account: PathBuf,
    },
    /// Order certificates
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// The account file
    #[arg(long)]
    account: PathBuf,
    /// Roots to trust, PEM
    #[arg(long)]
    root: PathBuf,
    /// The server that takes updates, ip:port
    #[arg(long)]
    update: SocketAddr,
    /// Name of the TSIG key (HMAC-SHA-256)
    #[arg(long)]
    tsig_name: String,
    /// File with its secret in base64
    #[arg(long)]
    tsig_secret: PathBuf,
    /// A server that must show the records, ip:port
    #[arg(long, required = true)]
    check: Vec<SocketAddr>,
    /// One certificate: ZONE:NAME,NAME
    #[arg(long = "order", required = true)]
    orders: Vec<Wanted>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let start = Instant::now();
    let outcome = match Cli::parse() {
        Cli::Register { directory, root, account } => Acme::register(&directory, &root, &account).await,
        Cli::Run(run) => run.go(start).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Run {
    async fn go(self, start: Instant) -> Result<()> {
        let secret = BASE64.decode(std::fs::read(&self.tsig_secret)?.trim_ascii())?;
        let pairs = u32::try_from(self.check.len() * self.orders.len())?;
        let look_every = LOOK_EVERY.max(Duration::from_secs(1) / LOOKS_PER_SECOND * pairs);
        let dns = Dns::new(self.update, self.check, look_every, (&self.tsig_name, &secret))?;
        let acme = Acme::open(&self.account, &self.root).await?;
        let steps = issue_all(&acme, &dns, &self.orders).await?;
        let cost = usage::of_self();
        let steps: Map<String, Value> =
            steps.iter().map(|(name, end)| ((*name).into(), json!(end))).collect();
        let report = json!({
            "seconds": start.elapsed().as_secs_f64(),
            "cpu_ms": cost.cpu.as_secs_f64() * 1000.0,
            "requests": acme.requests(),
            "looks": dns.looks.get(),
            "certificates": self.orders.len(),
            "slowest_order_ms": steps,
        });
        println!("{report}");
        Ok(())
    }
}
