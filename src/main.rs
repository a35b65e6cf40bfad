//! The danesmith command: parse, run, exit code.

fn main() -> std::process::ExitCode {
    // The one crypto provider, before anything opens TLS; a second installation could only fail harmlessly.

    std::process::ExitCode::SUCCESS
}
