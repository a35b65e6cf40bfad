//! A place to work in, and OpenSSL at work there.

use std::path::PathBuf;
use std::process::Command;

/// Enough of a request for most tests.
pub(crate) const SAN: &str = "subjectAltName=DNS:mx1.example.org";

/// A directory of our own, removed at the end.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        Dir(tempfile::Builder::new().prefix("danesmith-offline-").tempdir().unwrap().keep())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs a program here; its arguments are separated by blanks.
    pub(crate) fn run(&self, program: &str, arguments: &str) -> Vec<u8> {
        self.run_words(program, &arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_words(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(program).args(arguments).current_dir(&self.0).output();
        let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {told}");
        output.stdout
    }

    pub(crate) fn openssl(&self, arguments: &str) -> Vec<u8> {
        self.run("openssl", arguments)
    }

    /// OpenSSL's own digest of the public half.
    pub(crate) fn digest(&self, key: &str) -> String {
        self.openssl(&format!("pkey -in {key} -pubout -outform DER -out {key}.pub.der"));
        let told = self.openssl(&format!("dgst -sha256 -r {key}.pub.der"));
        String::from_utf8(told).unwrap()[..64].to_owned()
    }

    pub(crate) fn ec(&self, curve: &str, out: &str) {
        self.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {out}"));
    }

    pub(crate) fn rsa(&self, bits: usize, out: &str) {
        self.openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out {out}"));
    }

    pub(crate) fn csr(&self, key: &str, out: &str, extensions: &[&str]) {
        let mut words = vec!["req", "-new", "-key", key, "-subj", "/", "-out", out];
        words.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
        self.run_words("openssl", &words);
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
