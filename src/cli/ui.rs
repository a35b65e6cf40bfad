//! The only printer. Its rules:
//! - stdout is the result and nothing else; progress, logs, warnings, errors and hints go to stderr.
//! - with `--json` stdout is exactly one JSON document, also on failure.
//! - a bar shows on a terminal only; nothing depends on colour.

use crate::error::{Error, Kind, Result};
use crate::flow::world::Progress;
use crate::report::Output;
use crate::report::apply::error_json;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the result is out: there is one.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Whether the result is out already, whole or in part.
pub(super) fn has_printed() -> bool {
    PRINTED.load(Ordering::Relaxed)
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How this run talks.
pub struct Ui {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Ui {
    /// As the global options say.
    pub fn new(json: bool, quiet: bool, color: Color) -> Ui {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Ui { json, quiet, color }
    }

    /// Sends logs to stderr: warnings always, more with each `-v`. Only our own crates speak: libraries below us may
    /// log what passes through them.
    pub fn start_logs(&self, verbose: u8) {
        let level = match (self.quiet, verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "info",
            (false, 2) => "debug",
            _ => "trace",
        };
        let filter = format!("danesmith={level},danesmith_providers={level}");
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(std::io::stderr)
            .with_ansi(self.color)
            .with_target(false)
            .without_time()
            .try_init();
    }

    /// Prints a command's result. `result` is "ok" or the word of an error kind. Fails when it cannot be written.
    pub fn result(&self, result: &str, output: &Output, error: Option<&Error>) -> Result<()> {
        if self.json {
            let mut document = json!({ "version": 1, "result": result, "certificates": [] });
            merge(&mut document, &output.json);
            if let Some(e) = error {
                document["error"] = error_json(e);
            }
            out(&format!("{document:#}\n"))
        } else {
            out(&output.text)
        }
    }

    /// Tells a failure on stderr: what, what remains true, what to do next.
    pub fn error(&self, e: &Error) {
        let mut text = format!("{} {e}\n", self.paint("error:", "1;31"));
        if let Some(remains) = &e.remains {
            text.push_str(&format!("  {remains}\n"));
        }
        for hint in &e.hints {
            text.push_str(&format!("  {} {hint}\n", self.paint("hint:", "1;36")));
        }
        err(&text);
    }

    /// Tells something on stderr that is no failure.
    pub fn warning(&self, text: &str) {
        if !self.quiet {
            err(&format!("{} {text}\n", self.paint("warning:", "1;33")));
        }
    }

    /// A word to a person on stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            err(&format!("{text}\n"));
        }
    }

    /// The bar, or nothing where nobody would see it.
    pub fn bar(&self) -> Bar {
        let shown = !self.quiet && std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if shown {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                    .unwrap_or(ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Bar(bar)
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A spinner with the current step; cleared when dropped.
pub struct Bar(ProgressBar);

impl Progress for Bar {
    fn step(&self, certificate: &str, step: &str) {
        self.0.set_message(format!("{certificate}: {step}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A closed pipe (`| head`) is no failure; a full disk is: a CSR that is cut would look like a result.
fn out(text: &str) -> Result<()> {
    PRINTED.store(true, Ordering::Relaxed);
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Local, "write the result to standard output", e)
                .hint("what was done stays done; run `danesmith status` to see it"))
        }
        _ => Ok(()),
    }
}

fn err(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}
