//! Programs made for lego's `exec`: `PROGRAM present|cleanup NAME. VALUE` (its default mode; the raw mode would need the
//! challenge's token, which is none of a DNS host's business).
//!
//! They take credentials from their environment; only the child has them.

use super::acme_sh::check_variable;
use super::program::run;
use super::txt_only::Tool;
use crate::Error;
use crate::exec::check_owner;
use crate::exec::process::Start;
use crate::exec::redact::Redactor;
use crate::exec::value::plain;
use async_trait::async_trait;
use hickory_proto::rr::Name;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Time for one call; our choice.
const TIME: Duration = Duration::from_secs(300);

/// One program.
pub struct LegoExec {
    program: PathBuf,
    env: Vec<(String, Zeroizing<String>)>,
    redactor: Redactor,
}

impl LegoExec {
    /// `program` is an absolute path, `env` what it needs beyond PATH.
    ///
    /// Errors: [`crate::Class::Rejected`] when there is no such program or others may change it.
    pub fn new(program: PathBuf, env: Vec<(String, Zeroizing<String>)>) -> Result<Self, Error> {
        for (name, _) in &env {
            check_variable(name)?;
        }
        let redactor = Redactor::new(env.iter().map(|(_, value)| value.as_str()));
        let tool = LegoExec { program, env, redactor };
        check_owner(&tool.program, &tool.label())?;
        Ok(tool)
    }

    async fn call(&self, action: &str, name: &Name, value: &str) -> Result<(), Error> {
        let fqdn = format!("{}.", plain(name));
        let start = Start {
            argv: vec![self.program.clone().into(), action.into(), fqdn.into(), value.into()],
            env: self.env.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
            dir: "/".into(),
            label: self.label(),
            redactor: self.redactor.clone(),
        };
        run(&start, &format!("{action} {}", plain(name)), TIME).await
    }
}

#[async_trait]
impl Tool for LegoExec {
    fn label(&self) -> String {
        format!("lego-exec {}", self.program.display())
    }

    async fn ready(&self) -> Result<(), Error> {
        check_owner(&self.program, &self.label())
    }

    async fn add(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("present", name, value).await
    }

    async fn remove(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("cleanup", name, value).await
    }
}
