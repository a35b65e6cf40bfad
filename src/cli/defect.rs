//! A panic is a defect of ours. It is told like every other end, with exit code 70, and leaves no core file: memory holds
//! private keys.

use super::ui::{Color, Ui, has_printed};
use super::{asks_for_json, failed};
use crate::error::{Error, Kind};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::panic::PanicHookInfo;

/// From here on panics end the process with exit code 70, and crashes leave no core file.
pub fn prepare() {
    // The hard limit stays, so that a server which a reload command starts may set its own.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
    std::panic::set_hook(Box::new(|panic| std::process::exit(tell(panic).into())));
}

/// The place, but not the words: they may quote what was being read, a secret as well as anything else.
fn tell(panic: &PanicHookInfo<'_>) -> u8 {
    let place = panic.location().map_or_else(|| "a place unknown".to_owned(), ToString::to_string);
    let error = Error::new(Kind::Internal, "finish", format!("danesmith has a defect at {place}"))
        .remains("Files and state are whole; challenge records or an order may be left.")
        .hint("run it again: it takes up what was begun, and removes what is left over")
        .hint(format!(
            "report this line, danesmith's version ({}) and the command",
            env!("CARGO_PKG_VERSION")
        ));
    let arguments: Vec<_> = std::env::args_os().collect();
    let ui = Ui::new(asks_for_json(&arguments) && !has_printed(), false, Color::Auto);
    failed(&error, &ui)
}

/// Debug builds only: a test sees how a defect ends.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "that is what it is for")]
pub(super) fn on_purpose() {
    if let Some(words) = std::env::var_os("DANESMITH_TEST_PANIC") {
        std::panic::panic_any(words);
    }
}
