//! After an installation: the administrator's reload command.

use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A hook that has not ended by then is killed. Our choice: `systemctl reload` waits 90 s at most.
const HOOK_TIMEOUT: Duration = Duration::from_secs(120);

/// Running commands, as an effect.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Runs `argv` without a shell; `live` is the folder with the installed files.
    async fn run(&self, argv: &[String], certificate: &str, live: &Path) -> Result<()>;
}

/// Real processes: argument vector, cleared environment (PATH and two variables of ours), no standard input.
pub struct Processes;

#[async_trait]
impl Hooks for Processes {
    async fn run(&self, argv: &[String], certificate: &str, live: &Path) -> Result<()> {
        let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
        let action = format!("run the reload command `{}` of certificate {certificate}", argv.join(" "));
        let fail = |cause: String| {
            Error::new(Kind::Local, action.clone(), cause)
                .remains("The new certificate is installed; the server may still present the former one.")
                .hint("run the command by hand and look at its output; the next apply runs it again")
        };
        let run = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DANESMITH_CERTIFICATE", certificate)
            .env("DANESMITH_LIVE", live)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(HOOK_TIMEOUT, run)
            .await
            .map_err(|_| fail(format!("it did not end within {} s", HOOK_TIMEOUT.as_secs())))?
            .map_err(|e| fail(e.to_string()))?;
        for line in String::from_utf8_lossy(&output.stderr).lines().take(20) {
            tracing::info!("{program}: {line}");
        }
        if output.status.success() { Ok(()) } else { Err(fail(output.status.to_string())) }
    }
}
