//! The reload command: an argument vector, a cleared environment, a limit of time, and its last words in the error.

use super::Facts;
use crate::error::{Error, Kind, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// A command that has not ended by then is killed. Our choice: `systemctl reload` waits 90 s at most.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long output is awaited after the end: a daemon that it started may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Lines of output that an error repeats. Our choice.
const LINES: usize = 5;
/// Bytes of one line that are kept. Our choice.
const WIDTH: u64 = 400;

/// Runs it; `facts` and PATH are all it is told.
pub(super) async fn run(argv: &[String], facts: Facts<'_>) -> Result<()> {
    run_within(argv, facts, TIMEOUT).await
}

async fn run_within(argv: &[String], facts: Facts<'_>, limit: Duration) -> Result<()> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let action = format!("run the reload command `{}` of certificate {}", argv.join(" "), facts.certificate);
    let fail = |cause: String| {
        Error::new(Kind::Local, action.clone(), cause)
            .remains("The new certificate is installed; the server may still present the former one.")
            .hint("run the command by hand and look at its output; the next apply runs it again")
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DANESMITH_CERTIFICATE", facts.certificate)
        .env("DANESMITH_GENERATION", facts.generation.to_string())
        .env("DANESMITH_LIVE", absolute(facts.live))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(dir) = facts.dir {
        command.env("DANESMITH_DIR", absolute(dir));
    }
    let child = command.spawn().map_err(|e| fail(e.to_string()))?;
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let ended = watch(child, &said, limit).await;
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    match ended {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(fail(with_output(&status.to_string(), &said))),
        Ok(None) => Err(fail(with_output(
            &format!("it did not end within {} s and was killed", limit.as_secs()),
            &said,
        ))),
        Err(e) => Err(fail(e.to_string())),
    }
}

/// The command may change its folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Waits for the end; `None` when it came too late and the command was killed with its children.
async fn watch(
    mut child: Child,
    said: &Arc<Mutex<VecDeque<String>>>,
    limit: Duration,
) -> std::io::Result<Option<ExitStatus>> {
    let listeners = [
        child.stdout.take().map(|pipe| tokio::spawn(listen(pipe, said.clone()))),
        child.stderr.take().map(|pipe| tokio::spawn(listen(pipe, said.clone()))),
    ];
    let group = child.id();
    let ended = tokio::time::timeout(limit, child.wait()).await;
    if ended.is_err() {
        if let Some(group) = group.and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        child.wait().await?;
    }
    for listener in listeners.into_iter().flatten() {
        let abort = listener.abort_handle();
        if tokio::time::timeout(LAST_WORDS, listener).await.is_err() {
            abort.abort();
        }
    }
    ended.ok().transpose()
}

/// Keeps the last lines, each cut to a bearable length.
async fn listen(pipe: impl AsyncRead + Unpin, said: Arc<Mutex<VecDeque<String>>>) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match (&mut pipe).take(WIDTH).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            _ => return,
        }
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim_end().chars().filter(|c| !c.is_control()).collect();
        tracing::info!("{text}");
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_back(text);
        if said.len() > LINES {
            said.pop_front();
        }
    }
}

fn with_output(how: &str, said: &VecDeque<String>) -> String {
    let lines: Vec<&str> = said.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => format!("{how}; it said nothing"),
        false => format!("{how}; its last words: {}", lines.join(" / ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn shell(script: &str, limit: Duration) -> Result<()> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        let facts = Facts {
            certificate: "mx1",
            generation: 7,
            live: Path::new("/live"),
            dir: Some(Path::new("/dir")),
        };
        run_within(&argv, facts, limit).await
    }

    #[tokio::test]
    async fn a_failing_command_is_told_with_its_exit_code_and_last_words() {
        let error = shell("for i in 1 2 3 4 5 6; do echo line $i; done; exit 3", TIMEOUT).await.unwrap_err();
        assert_eq!(error.kind, Kind::Local);
        assert_eq!(error.cause, "exit status: 3; its last words: line 2 / line 3 / line 4 / line 5 / line 6");
    }

    #[tokio::test]
    async fn it_is_told_facts_and_nothing_else() {
        let error = shell("env | grep -v '^PWD=\\|^PATH=' | sort; exit 1", TIMEOUT).await.unwrap_err();
        let expected =
            "DANESMITH_CERTIFICATE=mx1 / DANESMITH_DIR=/dir / DANESMITH_GENERATION=7 / DANESMITH_LIVE=/live";
        assert!(error.cause.contains(expected), "{}", error.cause);
        assert!(!error.cause.contains("HOME") && !error.cause.contains("CARGO"), "{}", error.cause);
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_its_children() {
        let mark = format!("{}.25", 86_400 + std::process::id());
        let error =
            shell(&format!("sleep {mark} & echo waiting; wait"), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.cause, "it did not end within 1 s and was killed; its last words: waiting");
        let left =
            std::process::Command::new("pgrep").args(["-f", &format!("sleep {mark}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "the child of the command lives on");
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_the_pipe_open_is_not_waited_for() {
        let began = std::time::Instant::now();
        shell("sleep 30 & exit 0", TIMEOUT).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
