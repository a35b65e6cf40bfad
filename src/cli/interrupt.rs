//! Ctrl-C and polite kills: told, like every other end. Nothing is tidied up: a run may be killed at any moment, and the
//! next one takes up what it left.

use crate::error::{Error, Kind};
use std::future::pending;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves when SIGINT or SIGTERM comes; never for one that whoever started us ignores (`nohup`, a script's `&`).
pub(super) async fn interrupted() -> Error {
    tokio::select! {
        error = comes(SignalKind::interrupt(), 2, "SIGINT") => error,
        error = comes(SignalKind::terminate(), 15, "SIGTERM") => error,
    }
}

async fn comes(kind: SignalKind, number: u8, name: &str) -> Error {
    if ignored(number) {
        return pending().await;
    }
    match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        // Then the signal does what it does by default.
        Err(_) => pending().await,
    }
    Error::new(Kind::Interrupted(number), "finish", format!("interrupted by {name}"))
        .remains("Files and state are whole; challenge records or an order may be left.")
        .hint("run it again: it takes up what was begun, and removes what is left over")
}

/// proc(5), SigIgn: a bit for each signal, from 1 on.
fn ignored(number: u8) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}
