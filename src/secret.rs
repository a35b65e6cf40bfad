//! Secrets: where they are, never what they are. A [`SecretRef`] stands in the configuration; reading it gives a
//! [`Secret`], which has no `Display` and a redacted `Debug`.

use std::path::PathBuf;

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
