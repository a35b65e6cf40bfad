//! A child of ours in a process group of its own: scrubbed environment, bounded lines, standard error as log, and an end
//! that takes its whole group along.

use super::redact::Redactor;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zeroize::{Zeroize, Zeroizing};

/// Longest line of standard error that is looked at, octets; our choice.
const MAX_LOG_LINE: usize = 8 * 1024;
/// Lines of standard error that reach the log per process; our choice, against a flood.
const MAX_LOG_LINES: usize = 1000;
/// Last lines that an error quotes.
const QUOTED: usize = 3;
/// How long a child may take to end after its standard input was closed; our choice: one request to log out.
const GRACE: Duration = Duration::from_secs(2);
/// How long its last words may take after its end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);
/// PATH of a child when we have none ourselves.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How to start a child.
#[derive(Clone)]
pub(crate) struct Start {
    /// Program and arguments; never a secret, `ps` shows them.
    pub(crate) argv: Vec<OsString>,
    /// Beyond PATH.
    pub(crate) env: Vec<(OsString, Zeroizing<String>)>,
    /// Working directory.
    pub(crate) dir: PathBuf,
    /// In logs and errors.
    pub(crate) label: String,
    /// What must not be repeated.
    pub(crate) redactor: Redactor,
}

/// What a child's standard output is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Answers, to be read line by line.
    Lines,
    /// More words for the log.
    Log,
}

/// A running child; dropping it kills its group.
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<Lines<ChildStdout>>,
    logs: Vec<JoinHandle<()>>,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

/// One line of a child.
pub(crate) enum Line {
    /// Without its line feed.
    Whole(Zeroizing<Vec<u8>>),
    /// The beginning of one that is longer than allowed.
    TooLong,
    /// No more will come; what came after the last line feed is in it.
    End(Zeroizing<Vec<u8>>),
}

impl Process {
    /// Starts it.
    ///
    /// Errors: the system's, when the program cannot be run.
    pub(crate) fn start(start: &Start, output: Output) -> io::Result<Self> {
        let (program, arguments) =
            start.argv.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&start.dir).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
        for (name, value) in &start.env {
            command.env(name, value.as_str());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let last_words = Arc::default();
        let log = || Log {
            label: start.label.clone(),
            redactor: start.redactor.clone(),
            last_words: Arc::clone(&last_words),
        };
        let mut logs = Vec::new();
        logs.extend(child.stderr.take().map(|stderr| tokio::spawn(log().follow(stderr))));
        let mut stdout = child.stdout.take();
        if output == Output::Log {
            logs.extend(stdout.take().map(|stdout| tokio::spawn(log().follow(stdout))));
        }
        let (stdin, stdout) = (child.stdin.take(), stdout.map(Lines::new));
        Ok(Process { child, group, stdin, stdout, logs, last_words })
    }

    /// The next line of standard output, at most `limit` octets.
    pub(crate) async fn line(&mut self, limit: usize) -> io::Result<Line> {
        match &mut self.stdout {
            Some(lines) => lines.next(limit).await,
            None => Ok(Line::End(Zeroizing::default())),
        }
    }

    /// Waits for the end of the child and leaves it unreaped, so that its id stays its own until its group is killed.
    pub(crate) async fn exited(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        while let Some(leader) = self.group {
            match waitid(Id::Pid(leader), flags) {
                Ok(WaitStatus::StillAlive) => sleep(POLL).await,
                // Gone, or nobody we may wait for any more.
                Ok(_) | Err(_) => break,
            }
        }
    }

    /// Kills the group at once and waits for the child. Returns how it ended.
    pub(crate) async fn kill(&mut self) -> Option<ExitStatus> {
        self.kill_group();
        self.child.wait().await.ok()
    }

    /// Closes standard input, gives the child 2 s to end, and kills what is left of its group.
    pub(crate) async fn close(&mut self) -> Option<ExitStatus> {
        drop(self.stdin.take());
        let ended = timeout(GRACE, self.drain()).await;
        if ended.is_err() {
            tracing::debug!("a child did not end within {} s after its input was closed", GRACE.as_secs());
        }
        self.kill().await
    }

    /// What it said last on standard error, cleaned: " It said: …" or nothing.
    pub(crate) async fn last_words(&mut self) -> String {
        for log in self.logs.drain(..) {
            let _ = timeout(LAST_WORDS, log).await; // a grandchild may hold the pipe open: then as much as came
        }
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" | ")) }
    }

    /// Reads standard output to its end, which comes when the child and all who inherited from it are gone.
    async fn drain(&mut self) {
        while let Ok(line) = self.line(MAX_LOG_LINE).await {
            if matches!(line, Line::End(_)) {
                break;
            }
        }
    }

    /// While the leader is not reaped its id cannot be given to anybody else, so this hits nobody else's group.
    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = killpg(group, Signal::SIGKILL); // it fails when nobody is left
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
        for log in &self.logs {
            log.abort();
        }
    }
}

/// Lines with a bound.
struct Lines<R> {
    reader: BufReader<R>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(stream: R) -> Self {
        Lines { reader: BufReader::new(stream) }
    }

    async fn next(&mut self, limit: usize) -> io::Result<Line> {
        self.next_or_beginning(limit).await.map(|(mut line, end)| match end {
            LineEnd::Feed => Line::Whole(line),
            LineEnd::Cut => {
                line.zeroize();
                Line::TooLong
            }
            LineEnd::Stream => Line::End(line),
        })
    }

    /// At most `limit` octets of the line; stops reading as soon as it is longer.
    async fn next_or_beginning(&mut self, limit: usize) -> io::Result<(Zeroizing<Vec<u8>>, LineEnd)> {
        let mut line = Zeroizing::new(Vec::new());
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok((line, LineEnd::Stream));
            }
            let feed = chunk.iter().position(|octet| *octet == b'\n');
            let piece = chunk.get(..feed.unwrap_or(chunk.len())).unwrap_or_default();
            let fits = limit.saturating_sub(line.len());
            line.extend_from_slice(piece.get(..fits.min(piece.len())).unwrap_or_default());
            let (used, cut) = (piece.len() + usize::from(feed.is_some()), piece.len() > fits);
            self.reader.consume(used);
            match (feed, cut) {
                (_, true) => return Ok((line, LineEnd::Cut)),
                (Some(_), false) => return Ok((line, LineEnd::Feed)),
                (None, false) => {}
            }
        }
    }
}

#[derive(PartialEq)]
enum LineEnd {
    Feed,
    Cut,
    Stream,
}

/// Where standard error goes.
struct Log {
    label: String,
    redactor: Redactor,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

impl Log {
    async fn follow(self, stderr: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(stderr);
        let mut count = 0_usize;
        let mut within = false;
        while let Ok((line, end)) = lines.next_or_beginning(MAX_LOG_LINE).await {
            // Of a line that is too long only the beginning is shown.
            if !within && !line.is_empty() {
                self.show(&self.redactor.clean_bytes(&line, end == LineEnd::Cut), count);
                count = count.saturating_add(1);
            }
            within = end == LineEnd::Cut;
            if end == LineEnd::Stream {
                break;
            }
        }
    }

    fn show(&self, line: &str, count: usize) {
        match count.cmp(&MAX_LOG_LINES) {
            std::cmp::Ordering::Less => tracing::info!("{}: {line}", self.label),
            std::cmp::Ordering::Equal => {
                tracing::warn!("{}: more than {MAX_LOG_LINES} lines; the others are dropped", self.label);
            }
            std::cmp::Ordering::Greater => {}
        }
        let mut words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() >= QUOTED {
            words.pop_front();
        }
        words.push_back(line.to_owned());
    }
}
