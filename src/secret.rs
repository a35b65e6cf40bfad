//! Secrets: where they are, never what they are. A [`SecretRef`] stands in the configuration; reading it gives a
//! [`Secret`], which has no `Display` and a redacted `Debug`. Errors say where a secret was sought, never what was found.

use crate::error::{Error, Kind, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Largest secret in bytes. Our choice: an RSA-8192 key in PEM has 6.4 KiB.
const MAX_BYTES: u64 = 64 * 1024;
/// How long a command may take. Our choice: a password manager that waits for a person belongs into an agent.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Where a secret is. The configuration never holds one itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `{file: PATH}`; one trailing newline is dropped.
    File(PathBuf),
    /// `{env: NAME}`
    Env(String),
    /// `{command: [argv…]}`: its standard output, run without a shell and with a cleared environment.
    Command(Vec<String>),
    /// `{credential: NAME}`: a file in `$CREDENTIALS_DIRECTORY` (systemd).
    Credential(String),
}

/// A secret's bytes; wiped when dropped.
#[derive(Clone)]
pub struct Secret(pub zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl SecretRef {
    /// Reads the secret; one trailing newline (also CRLF) is dropped. A command may block for up to 10 s.
    ///
    /// # Errors
    /// [`Kind::Config`] when the environment lacks what the reference names, [`Kind::Local`] when the file or the
    /// command fails, or gives nothing or more than 64 KiB.
    pub fn read(&self) -> Result<Secret> {
        let bytes = match self {
            SecretRef::File(path) => read_file(path).map_err(|why| self.failed(Kind::Local, why)),
            SecretRef::Env(name) => std::env::var_os(name)
                .map(|value| Zeroizing::new(value.into_encoded_bytes()))
                .ok_or_else(|| self.failed(Kind::Config, "the variable is not set".to_owned())),
            SecretRef::Command(argv) => run(argv).map_err(|why| self.failed(Kind::Local, why)),
            SecretRef::Credential(name) => {
                let path = credential(name).map_err(|why| self.failed(Kind::Config, why))?;
                read_file(&path).map_err(|why| self.failed(Kind::Local, why))
            }
        }?;
        let secret = without_newline(bytes);
        match secret.len() as u64 {
            0 => Err(self.failed(Kind::Local, "it is empty".to_owned())),
            1..=MAX_BYTES => Ok(Secret(secret)),
            _ => Err(self.failed(Kind::Local, "it is larger than 64 KiB".to_owned())),
        }
    }

    fn failed(&self, kind: Kind, why: String) -> Error {
        let place = match self {
            SecretRef::File(path) => format!("the file {}", path.display()),
            SecretRef::Env(name) => format!("the environment variable {name}"),
            // Only the program: an argument may be a password, against all advice.
            SecretRef::Command(argv) => format!("the command {}", argv.first().map_or("", String::as_str)),
            SecretRef::Credential(name) => format!("the systemd credential {name}"),
        };
        Error::new(kind, format!("read a secret from {place}"), why)
    }
}

fn without_newline(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

fn credential(name: &str) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err("this is not the name of a credential".to_owned());
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or("CREDENTIALS_DIRECTORY is not set; systemd sets it for services with LoadCredential=")?;
    Ok(Path::new(&folder).join(name))
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let kind = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if kind.is_dir() {
        return Err("it is a folder".to_owned());
    }
    warn_if_shared(path, &kind);
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    read_limited(file).map_err(|error| error.to_string())
}

#[cfg(unix)]
fn warn_if_shared(path: &Path, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o044 != 0 {
        tracing::warn!(
            "{} can be read by others (mode {mode:04o}); `chmod 600` keeps the secret",
            path.display()
        );
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path, _: &std::fs::Metadata) {}

/// Up to one byte more than allowed, into a buffer that never moves: a moved one would leave copies behind.
fn read_limited(source: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 64));
    source.take(MAX_BYTES + 3).read_to_end(&mut bytes)?; // 3: a final CRLF, and one byte too many
    Ok(bytes)
}

/// Runs a command and gives its standard output.
fn run(argv: &[String]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| format!("it cannot be run: {error}"))?;
    let answer = attend(&mut child);
    if answer.is_err() {
        // Already gone is as good as killed; what it left unread does not matter any more.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer
}

/// Waits for both streams and the exit, at most [`COMMAND_TIME`] in all. Threads read, so that no full pipe blocks it.
fn attend(child: &mut Child) -> Result<Zeroizing<Vec<u8>>, String> {
    let deadline = Instant::now() + COMMAND_TIME;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let late = || format!("it did not end within {} s", COMMAND_TIME.as_secs());
    let left = || deadline.saturating_duration_since(Instant::now());
    let output = stdout.recv_timeout(left()).map_err(|_| late())?.map_err(|error| error.to_string())?;
    if output.len() as u64 > MAX_BYTES + 2 {
        return Err("it printed more than 64 KiB".to_owned());
    }
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if left().is_zero() => return Err(late()),
            None => std::thread::sleep(POLL),
        }
    };
    if status.success() {
        return Ok(output);
    }
    let said = stderr.recv_timeout(POLL * 10).ok().and_then(Result::ok).map(|bytes| first_line(&bytes));
    let said = said.filter(|line| !line.is_empty()).map_or(String::new(), |line| format!(": {line}"));
    Err(format!("it failed ({status}){said}"))
}

type Bytes = std::io::Result<Zeroizing<Vec<u8>>>;

fn drain(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let bytes = match stream {
            Some(stream) => read_limited(stream),
            None => Ok(Zeroizing::new(Vec::new())),
        };
        let _ = sender.send(bytes); // nobody waits any more after a timeout
    });
    receiver
}

/// What a failing command complains about: one line, at most 200 characters, without control characters.
fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}
