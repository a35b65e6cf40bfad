//! One plugin process per run, kept open: a request line, an answer line. Whatever is not an orderly answer ends the
//! process, with its whole group; the next request starts another one, a few times.

use super::process::{Line, Output, Process, Start};
use super::protocol::{Answer, Hello, Operation, PROTOCOL, Request, Settings};
use crate::{Capabilities, Class, Error};
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Longest answer line, octets. Our choice: a thousand records of a kilobyte.
const MAX_LINE: usize = 1024 * 1024;
/// How often in a row a plugin may be started without one orderly answer in between.
const MAX_STARTS: u32 = 5;

/// A plugin and how to talk to it.
pub(super) struct Session {
    start: Start,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    process: Option<Process>,
    /// Counts from 1 in each process.
    last_id: u64,
    /// Starts since the last orderly answer to anything but `hello`.
    starts: u32,
    /// A request is on its way; still set when its caller went away.
    asking: bool,
}

impl Session {
    pub(super) fn new(start: Start, settings: Settings) -> Self {
        Session { start, settings, state: Mutex::default() }
    }

    pub(super) fn label(&self) -> &str {
        &self.start.label
    }

    /// What the plugin said, fit for logs and errors.
    pub(super) fn clean(&self, text: &str) -> String {
        self.start.redactor.clean(text)
    }

    /// Starts the plugin and asks what it can do. `time` is for both.
    pub(super) async fn hello(&self, time: Duration) -> Result<Capabilities, Error> {
        let mut state = self.state.lock().await;
        self.started(&mut state, time).await
    }

    /// One request; requests of several callers queue.
    ///
    /// Errors: the plugin's own; [`Class::Transient`] when it did not answer in `time`; [`Class::Internal`] when it ended
    /// or its answer is no answer. After the last two nobody knows what became of the request.
    pub(super) async fn ask(&self, operation: Operation<'_>, time: Duration) -> Result<Value, Error> {
        let mut state = self.state.lock().await;
        if time.is_zero() {
            let text = format!("{}: no time is left for `{}`", self.label(), operation.word());
            return Err(Error::new(Class::Transient, text));
        }
        if state.asking {
            // The answer to a request that nobody waits for any more would be taken for ours.
            self.end(&mut state).await;
        }
        if state.process.is_none() {
            self.started(&mut state, time).await?;
        }
        let answer = self.exchange(&mut state, operation, time).await?;
        state.starts = 0;
        answer
    }

    /// Closes the plugin's standard input and waits for its end, at most 2 s.
    pub(super) async fn close(&self) {
        if let Some(mut process) = self.state.lock().await.process.take() {
            process.close().await;
        }
    }

    async fn started(&self, state: &mut State, time: Duration) -> Result<Capabilities, Error> {
        let label = self.label();
        if state.starts >= MAX_STARTS {
            let text =
                format!("{label} failed {MAX_STARTS} times in a row and is not started again in this run");
            return Err(Error::new(Class::Internal, text));
        }
        state.starts += 1;
        state.last_id = 0;
        state.process =
            Some(Process::start(&self.start, Output::Lines).map_err(|error| self.cannot_run(&error))?);
        let operation = Operation::Hello { protocol: PROTOCOL, config: &self.settings };
        let hello = match self.exchange(state, operation, time).await? {
            Ok(value) => value,
            Err(error) => {
                self.end(state).await;
                return Err(error);
            }
        };
        let understood =
            serde_json::from_value::<Hello>(hello).map_err(|error| self.clean(&error.to_string()));
        match understood.and_then(|hello| hello.capabilities()) {
            Ok(capabilities) => Ok(capabilities),
            Err(why) => {
                self.end(state).await;
                Err(Error::new(
                    Class::Internal,
                    format!("{label} greets in a way we do not understand: {why}"),
                ))
            }
        }
    }

    /// The outer error means that the process is gone, the inner one that it refused in good order.
    async fn exchange(
        &self,
        state: &mut State,
        operation: Operation<'_>,
        time: Duration,
    ) -> Result<Result<Value, Error>, Error> {
        state.last_id += 1;
        let request = Request { id: state.last_id, operation, deadline_ms: milliseconds(time) };
        let mut line = Zeroizing::new(serde_json::to_vec(&request).map_err(|error| {
            Error::new(Class::Internal, format!("a request to {} cannot be written: {error}", self.label()))
        })?);
        line.push(b'\n');
        state.asking = true;
        let answered = match timeout(time, send_and_receive(state, &line)).await {
            Ok(Ok(Line::Whole(answer))) => self.understood(&answer, request.id),
            Ok(Ok(Line::TooLong)) => Err(format!("its answer is longer than {MAX_LINE} octets")),
            Ok(Ok(Line::End(rest))) if rest.is_empty() => Err("it ended without an answer".to_owned()),
            Ok(Ok(Line::End(_))) => Err("it ended in the middle of a line".to_owned()),
            Ok(Err(error)) => Err(format!("it cannot be talked to: {error}")),
            Err(_) => {
                let error = self.lost(state, operation, &format!("no answer within {time:?}")).await;
                return Err(Error { class: Class::Transient, ..error });
            }
        };
        match answered {
            Ok(answer) => {
                state.asking = false;
                Ok(answer)
            }
            Err(why) => Err(self.lost(state, operation, &why).await),
        }
    }

    /// The answer to request `id`, or why this line is none.
    fn understood(&self, line: &[u8], id: u64) -> Result<Result<Value, Error>, String> {
        let answer: Answer = serde_json::from_slice(line).map_err(|error| {
            format!("its answer is not JSON as agreed ({})", self.clean(&error.to_string()))
        })?;
        if answer.id != id {
            return Err(format!("it answers request {}, asked was {id}", answer.id));
        }
        match (answer.ok, answer.error) {
            (Some(value), None) => Ok(Ok(value)),
            (None, Some(failure)) => Ok(Err(failure.into_error(self.label(), |text| self.clean(text)))),
            _ => Err("its answer has not exactly one of `ok` and `error`".to_owned()),
        }
    }

    /// Ends the process and says what happened, with its last words.
    async fn lost(&self, state: &mut State, operation: Operation<'_>, why: &str) -> Error {
        let mut text = format!("{} failed at `{}`: {why}", self.label(), operation.word());
        state.asking = false;
        if let Some(mut process) = state.process.take() {
            let status = process.kill().await;
            if let Some(code) = status.and_then(|status| status.code()) {
                text.push_str(&format!(" (exit code {code})"));
            }
            text.push_str(&process.last_words().await);
        }
        Error::new(Class::Internal, text).hint(
            "this is a defect of the plugin or of its host's service; `danesmith provider check` shows which step fails",
        )
    }

    async fn end(&self, state: &mut State) {
        state.asking = false;
        if let Some(mut process) = state.process.take() {
            process.kill().await;
        }
    }

    fn cannot_run(&self, error: &io::Error) -> Error {
        let program = self.start.argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        Error::new(Class::Rejected, format!("{}: `{program}` cannot be run: {error}", self.label()))
            .hint("the file must exist, be executable, and begin with `#!` if it is a script")
    }
}

impl Drop for Session {
    /// EOF ends a plugin: it may log out. Without a runtime there is no time for that, and its group is killed.
    fn drop(&mut self) {
        let Some(mut process) = self.state.get_mut().process.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { process.close().await });
        }
    }
}

async fn send_and_receive(state: &mut State, line: &[u8]) -> io::Result<Line> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let process = state.process.as_mut().ok_or_else(gone)?;
    let stdin = process.stdin.as_mut().ok_or_else(gone)?;
    let sent = async {
        stdin.write_all(line).await?;
        stdin.flush().await
    };
    match sent.await {
        // It may have said why before it went.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        outcome => outcome?,
    }
    process.line(MAX_LINE).await
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
