//! Secrets: where they are, never what they are. A [`SecretRef`] stands in the configuration; reading it gives a
//! [`Secret`], which has no `Display` and a redacted `Debug`. Errors say where a secret was sought, never what was found.

use crate::error::{Error, Kind, Result};
use std::ffi::OsString;
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

/// Where a secret is, and which line of the configuration says so. The configuration never holds one itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// Where it is.
    pub source: Source,
    /// `FILE:LINE:COLUMN: PATH` in the configuration, for errors; none for one that the command line names.
    pub named_at: Option<String>,
}

/// A place that can hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
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

impl Secret {
    /// Takes the bytes; the caller's copy is gone.
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(zeroize::Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that needs them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// This secret followed by something public (a key and its chain).
    pub fn joined(first: &Secret, rest: &[u8]) -> Self {
        let mut all = Vec::with_capacity(first.0.len() + rest.len());
        all.extend_from_slice(&first.0);
        all.extend_from_slice(rest);
        Secret::new(all)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<Source> for SecretRef {
    fn from(source: Source) -> Self {
        SecretRef { source, named_at: None }
    }
}

impl SecretRef {
    /// Reads the secret; one trailing newline (also CRLF) is dropped. A command may block for up to 10 s.
    ///
    /// # Errors
    /// [`Kind::Config`] when the environment lacks what the reference names, [`Kind::Local`] when the file or the
    /// command fails, or gives nothing or more than 64 KiB.
    pub fn read(&self) -> Result<Secret> {
        let bytes = match &self.source {
            Source::File(path) => read_file(path).map_err(|why| self.failed(Kind::Local, why)),
            Source::Env(name) => std::env::var_os(name)
                .map(|value| Zeroizing::new(value.into_encoded_bytes()))
                .ok_or_else(|| self.failed(Kind::Config, "the variable is not set".to_owned())),
            Source::Command(argv) => run(argv, COMMAND_TIME).map_err(|why| self.failed(Kind::Local, why)),
            Source::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY");
                let path = credential(name, folder).map_err(|why| self.failed(Kind::Config, why))?;
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
        let place = match &self.source {
            Source::File(path) => format!("the file {}", path.display()),
            Source::Env(name) => format!("the environment variable {name}"),
            // Only the program: an argument may be a password, against all advice.
            Source::Command(argv) => format!("the command {}", argv.first().map_or("", String::as_str)),
            Source::Credential(name) => format!("the systemd credential {name}"),
        };
        let line = self.named_at.as_ref().map(|at| format!(", which {at} names")).unwrap_or_default();
        Error::new(kind, format!("read a secret from {place}{line}"), why)
            .hint("put the secret there, or name its place anew")
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

fn credential(name: &str, folder: Option<OsString>) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err("this is not the name of a credential".to_owned());
    }
    let folder = folder
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

/// Warns when the owner of a secret file is not the only one who may read it.
#[cfg(unix)]
pub(crate) fn warn_if_shared(path: &Path, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o044 != 0 {
        tracing::warn!(
            "{} can be read by others (mode {mode:04o}); `chmod 600` keeps the secret",
            path.display()
        );
    }
}

/// Warns when the owner of a secret file is not the only one who may read it.
#[cfg(not(unix))]
pub(crate) fn warn_if_shared(_: &Path, _: &std::fs::Metadata) {}

/// Up to one byte more than allowed, into a buffer that never moves: a moved one would leave copies behind.
fn read_limited(source: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 64));
    source.take(MAX_BYTES + 3).read_to_end(&mut bytes)?; // 3: a final CRLF, and one byte too many
    Ok(bytes)
}

/// Runs a command and gives its standard output.
fn run(argv: &[String], time: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| format!("it cannot be run: {error}"))?;
    let answer = attend(&mut child, time);
    if answer.is_err() {
        // Already gone is as good as killed; what it left unread does not matter any more.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer
}

/// Waits for both streams and the exit, at most `time` in all. Threads read, so that no full pipe blocks it.
fn attend(child: &mut Child, time: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let deadline = Instant::now() + time;
    // Standard error is read, so that a full pipe does not block the program, and dropped.
    let (stdout, _stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let late = || format!("it did not end within {} s", time.as_secs());
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
    // Its words are not repeated: a careless script prints what it was asked for.
    Err(format!("it failed ({status}); run it by hand to see why"))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const CANARY: &str = "c4n4ryHunter2c4n4ry";

    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("danesmith-secret-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn read_bytes(bytes: &[u8], name: &str) -> Result<Secret> {
        let path = file(name, bytes);
        let secret = SecretRef::from(Source::File(path.clone())).read();
        std::fs::remove_file(path).unwrap();
        secret
    }

    fn sh(script: &str) -> SecretRef {
        Source::Command(["sh", "-c", script].map(str::to_owned).to_vec()).into()
    }

    #[test]
    fn one_trailing_newline_is_dropped() {
        for (bytes, secret) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(*read_bytes(bytes.as_bytes(), "newline").unwrap().0, secret.as_bytes());
        }
    }

    #[test]
    fn an_empty_or_endless_secret_is_refused() {
        assert_eq!(read_bytes(b"\n", "empty").unwrap_err().cause, "it is empty");
        let largest = vec![b'a'; 64 * 1024];
        assert_eq!(read_bytes(&largest, "largest").unwrap().0.len(), 64 * 1024);
        let error = read_bytes(&[&largest[..], b"a"].concat(), "too-large").unwrap_err();
        assert_eq!(error.cause, "it is larger than 64 KiB");
        let endless = SecretRef::from(Source::File("/dev/zero".into())).read().unwrap_err();
        assert_eq!(endless.cause, "it is larger than 64 KiB");
    }

    #[test]
    fn errors_say_where() {
        let error = SecretRef::from(Source::File("/nonexistent/tsig".into())).read().unwrap_err();
        assert_eq!(error.kind, Kind::Local);
        assert_eq!(
            error.to_string(),
            "could not read a secret from the file /nonexistent/tsig: No such file or directory (os error 2)"
        );
        let source = Source::Env("DANESMITH_NO_SUCH_VARIABLE".into());
        let error = SecretRef { source, named_at: Some("zones.yaml:7:31: a.b".into()) }.read().unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert_eq!(
            error.to_string(),
            "could not read a secret from the environment variable DANESMITH_NO_SUCH_VARIABLE, which zones.yaml:7:31: a.b \
             names: the variable is not set"
        );
    }

    #[test]
    fn a_credential_is_a_file_in_the_folder_that_systemd_names() {
        assert_eq!(credential("tsig", Some("/run/c".into())).unwrap(), Path::new("/run/c/tsig"));
        assert!(credential("tsig", None).unwrap_err().contains("CREDENTIALS_DIRECTORY is not set"));
        for name in ["", "..", ".", "a/b", "/etc/shadow"] {
            assert!(credential(name, Some("/run/c".into())).is_err(), "{name}");
        }
    }

    #[test]
    fn a_command_gives_its_output_without_shell_or_environment() {
        assert_eq!(*sh("echo secret").read().unwrap().0, b"secret");
        assert_eq!(
            *sh("cat; env | grep -v -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= | wc -l").read().unwrap().0,
            b"0"
        );
        let literal = SecretRef::from(Source::Command(["echo", "$HOME;x"].map(str::to_owned).to_vec()));
        assert_eq!(*literal.read().unwrap().0, b"$HOME;x");
    }

    #[test]
    fn the_words_of_a_failing_command_are_not_repeated() {
        let script = format!("echo {CANARY}; echo no such entry >&2; echo {CANARY} >&2; exit 3");
        let error = sh(&script).read().unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not read a secret from the command sh: it failed (exit status: 3); run it by hand to see why"
        );
        let error = SecretRef::from(Source::Command(vec!["/nonexistent/pass".into()])).read().unwrap_err();
        assert!(error.cause.starts_with("it cannot be run: "), "{error}");
    }

    #[test]
    fn a_command_that_hangs_or_floods_is_ended() {
        let argv = |script: &str| ["sh", "-c", script].map(str::to_owned);
        let time = Duration::from_millis(300);
        let started = Instant::now();
        assert!(run(&argv("exec sleep 60"), time).unwrap_err().contains("did not end"));
        assert!(run(&argv("exec >&-; exec sleep 60"), time).unwrap_err().contains("did not end"));
        assert!(run(&argv("sleep 2 & exit 0"), time).unwrap_err().contains("did not end"));
        let flood = run(&argv("exec cat /dev/zero"), Duration::from_secs(10)).unwrap_err();
        assert_eq!(flood, "it printed more than 64 KiB");
        assert!(started.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", read_bytes(CANARY.as_bytes(), "debug").unwrap()), "[secret]");
    }
}
