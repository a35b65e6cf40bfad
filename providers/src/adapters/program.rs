//! Runs a tool to its end: no standard input, what it says to the log, its group killed when it takes too long.

use crate::exec::process::{Output, Process, Start};
use crate::{Class, Error};
use std::time::Duration;

/// Runs `start`.
///
/// Errors: [`Class::Rejected`] when it cannot be run or fails (these tools know no classes of errors),
/// [`Class::Transient`] when it does not end in `time`; with the last lines it said.
pub(super) async fn run(start: &Start, what: &str, time: Duration) -> Result<(), Error> {
    let label = &start.label;
    let mut process = Process::start(start, Output::Log).map_err(|error| {
        Error::new(Class::Rejected, format!("{label} cannot be run: {error}"))
            .hint("the program must exist and be executable")
    })?;
    drop(process.stdin.take());
    let ended = tokio::time::timeout(time, process.exited()).await;
    let status = process.kill().await;
    let said = process.last_words().await;
    if ended.is_err() {
        let text = format!("{label} did not end within {time:?}: {what}{said}");
        return Err(Error::new(Class::Transient, text)
            .hint("nobody knows whether it did its work; run again: what stands is read first"));
    }
    match status {
        Some(status) if status.success() => Ok(()),
        status => {
            let how =
                status.map_or_else(|| "in an unknown way".to_owned(), |status| format!("with {status}"));
            Err(Error::new(Class::Rejected, format!("{label} failed {how}: {what}{said}"))
                .hint("wrong credentials and unknown zones look alike here; its own words are above"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::exec::redact::Redactor;
    use std::path::Path;

    fn shell(script: &str) -> Start {
        Start {
            argv: vec!["sh".into(), "-c".into(), script.into()],
            env: vec![],
            dir: "/".into(),
            label: "tool".to_owned(),
            redactor: Redactor::new(["hunter2"]),
        }
    }

    #[tokio::test]
    async fn a_tool_that_hangs_is_killed_with_its_children() {
        let file = std::env::temp_dir().join(format!("danesmith-hangs-{}", std::process::id()));
        let script = format!("sleep 300 & echo $! >{}; echo hunter2; wait", file.display());
        let error = run(&shell(&script), "add", Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(error.class, Class::Transient);
        assert_eq!(error.message, "tool did not end within 500ms: add; it said: [secret]");
        let child = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let alive = || {
            let status = std::fs::read_to_string(Path::new("/proc").join(child.trim()).join("status"));
            status.is_ok_and(|status| status.lines().any(|l| l.starts_with("State:") && !l.contains('Z')))
        };
        for _ in 0..100 {
            if !alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!alive());
    }

    #[tokio::test]
    async fn a_tool_that_leaves_a_child_behind_is_not_waited_for() {
        run(&shell("sleep 300 & exit 0"), "add", Duration::from_secs(60)).await.unwrap();
        let error = run(&shell("echo no >&2; exit 7"), "add", Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.message, "tool failed with exit status: 7: add; it said: no");
    }
}
