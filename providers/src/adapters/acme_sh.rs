//! acme.sh's dnsapi scripts from the administrator's own install. acme.sh runs its arguments as a command when the first
//! one has no dash, so its helpers can be used without an account, a certificate or a configuration of its own.
//!
//! The documented exception to "no secret in an environment": these scripts take credentials from there and nowhere else.
//! Only the child that needs them has them, and what scripts would save for later is not saved: the saving functions are
//! replaced, and HOME is an empty folder that is deleted afterwards.

use super::program::run;
use super::txt_only::Tool;
use crate::exec::check_owner;
use crate::exec::process::Start;
use crate::exec::redact::Redactor;
use crate::exec::value::plain;
use crate::{Class, Error};
use async_trait::async_trait;
use data_encoding::HEXLOWER;
use hickory_proto::rr::Name;
use ring::rand::{SecureRandom, SystemRandom};
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Names of everything that reads or writes acme.sh's configuration files.
const CONFIGURATION: [&str; 14] = [
    "_saveaccountconf",
    "_saveaccountconf_mutable",
    "_readaccountconf",
    "_readaccountconf_mutable",
    "_clearaccountconf",
    "_clearaccountconf_mutable",
    "_savedomainconf",
    "_readdomainconf",
    "_cleardomainconf",
    "_savedeployconf",
    "_save_conf",
    "_read_conf",
    "_clear_conf",
    "_savecaconf",
];
/// What is run after the functions of [`CONFIGURATION`] were replaced; names and values come by environment.
const CALL: &str = r#". "$DANESMITH_SCRIPT" || exit 1
"$DANESMITH_FUNCTION" "$DANESMITH_NAME" "$DANESMITH_VALUE""#;
/// Time for one call; our choice: some scripts sleep for a minute between two requests.
const TIME: Duration = Duration::from_secs(300);

/// One dnsapi script.
pub struct AcmeSh {
    program: PathBuf,
    script: PathBuf,
    /// "dns_cf"
    function: String,
    credentials: Vec<(String, Zeroizing<String>)>,
    redactor: Redactor,
}

impl AcmeSh {
    /// `install` is the folder that holds `acme.sh` and `dnsapi/`, `script` a name like `dns_cf`, `credentials` the
    /// variables it reads.
    ///
    /// Errors: [`Class::Rejected`] when the install has no such script, or others may change it.
    pub fn new(
        install: &Path,
        script: &str,
        credentials: Vec<(String, Zeroizing<String>)>,
    ) -> Result<Self, Error> {
        let label = format!("acme.sh {script}");
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !script.starts_with("dns_") || !script.chars().all(letters) {
            let text = format!("`{script}` is no name of a dnsapi script");
            return Err(Error::new(Class::Rejected, text).hint("they begin with `dns_`: dns_cf, dns_hetzner"));
        }
        let (program, path) = (install.join("acme.sh"), install.join("dnsapi").join(format!("{script}.sh")));
        for file in [&program, &path] {
            check_owner(file, &label)?;
        }
        for (name, _) in &credentials {
            check_variable(name)?;
        }
        let redactor = Redactor::new(credentials.iter().map(|(_, value)| value.as_str()));
        Ok(AcmeSh { program, script: path, function: script.to_owned(), credentials, redactor })
    }

    async fn call(&self, action: &str, name: &Name, value: &str) -> Result<(), Error> {
        let home = Home::new().map_err(|why| Error::new(Class::Internal, why))?;
        let function = format!("{}_{action}", self.function);
        let stubs: String = CONFIGURATION.iter().map(|name| format!("{name}() {{ :; }}\n")).collect();
        let argv: [OsString; 4] =
            ["sh".into(), self.program.clone().into(), "eval".into(), format!("{stubs}{CALL}").into()];
        let folder = home.0.to_string_lossy().into_owned();
        let script = self.script.to_string_lossy().into_owned();
        // Ours last: a variable of the administrator's cannot take their place.
        let ours = [
            ("HOME", folder.as_str()),
            ("TMPDIR", folder.as_str()),
            ("LE_WORKING_DIR", folder.as_str()),
            ("LE_CONFIG_HOME", folder.as_str()),
            ("NO_TIMESTAMP", "1"),
            ("DANESMITH_SCRIPT", script.as_str()),
            ("DANESMITH_FUNCTION", function.as_str()),
            ("DANESMITH_NAME", &plain(name)),
            ("DANESMITH_VALUE", value),
        ]
        .map(|(name, value)| (name.into(), Zeroizing::new(value.to_owned())));
        let theirs = self.credentials.iter().map(|(name, value)| (name.into(), value.clone()));
        let start = Start {
            argv: argv.to_vec(),
            env: theirs.chain(ours).collect(),
            dir: home.0.clone(),
            label: self.label(),
            redactor: self.redactor.clone(),
        };
        run(&start, &format!("{function} {}", plain(name)), TIME).await
    }
}

#[async_trait]
impl Tool for AcmeSh {
    fn label(&self) -> String {
        format!("acme.sh {}", self.function)
    }

    async fn ready(&self) -> Result<(), Error> {
        for file in [&self.program, &self.script] {
            check_owner(file, &self.label())?;
        }
        Ok(())
    }

    async fn add(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("add", name, value).await
    }

    async fn remove(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("rm", name, value).await
    }
}

/// A variable that could not be meant as a credential, but would change what is run.
pub(super) fn check_variable(name: &str) -> Result<(), Error> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let reserved = ["PATH", "HOME", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "PS4"];
    if name.is_empty()
        || !name.chars().all(letters)
        || name.starts_with(|c: char| c.is_ascii_digit())
        || name.starts_with("LD_")
        || reserved.contains(&name)
    {
        return Err(Error::new(Class::Rejected, format!("`{name}` cannot be the name of a credential")));
    }
    Ok(())
}

/// A folder for one call, 0700, gone afterwards with all that was written there.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self, String> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no randomness".to_owned())?;
        let path = std::env::temp_dir().join(format!("danesmith-{}", HEXLOWER.encode(&random)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("the folder {} cannot be made: {error}", path.display()))?;
        Ok(Home(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("the folder {} could not be deleted: {error}", self.0.display());
        }
    }
}
