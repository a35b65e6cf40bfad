//! The danesmith command: parse, run, exit code.

fn main() -> std::process::ExitCode {
    danesmith::cli::defect::prepare();
    // The one crypto provider, before anything opens TLS; a second installation could only fail harmlessly.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::process::ExitCode::from(danesmith::cli::run(std::env::args_os()))
}
