//! What a login gave, and cookies.

use super::client::Request;
use super::engine::{Call, Engine, Kind};
use super::options::Secrets;
use crate::Error;
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Values that logins saved.
#[derive(Debug, Clone, Default)]
pub(super) struct Open {
    /// Which login this is.
    pub(super) number: u64,
    /// By name.
    pub(super) values: Value,
}

/// The session of one provider.
#[derive(Default)]
pub(super) struct Session {
    open: tokio::sync::Mutex<()>,
    now: Mutex<State>,
}

#[derive(Default)]
struct State {
    logins: u64,
    open: Option<Open>,
    cookies: BTreeMap<String, String>,
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Login `number` is over.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.state();
        if state.open.as_ref().is_some_and(|open| open.number == number) {
            state.open = None;
            state.cookies.clear();
        }
    }

    pub(super) fn add_cookies(&self, request: &mut Request) {
        let cookies: Vec<String> =
            self.state().cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("cookie"));
            request.headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
    }

    /// Name and value of each `Set-Cookie` (RFC 6265 §5.2); they go back to the hosts of the file, and to no other.
    pub(super) fn keep_cookies(&self, lines: &[String], secrets: &Secrets) {
        let mut state = self.state();
        for line in lines {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                secrets.add(value.trim());
                state.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

impl Engine {
    /// The open session; logs in when there is none.
    pub(super) async fn session(&self, until: Instant) -> Result<Open, Error> {
        if self.spec.login.is_empty() {
            return Ok(Open { number: 0, values: none() });
        }
        let _one_at_a_time = self.session.open.lock().await;
        if let Some(open) = &self.session.state().open {
            return Ok(open.clone());
        }
        let mut saved: BTreeMap<String, Value> =
            self.spec.saved.iter().map(|name| (name.clone(), Value::from(()))).collect();
        for step in &self.spec.login {
            let scope = self.scope().with("session", Value::from_pairs(saved.clone()));
            if let Some(only_if) = &step.only_if
                && !only_if.holds(&scope).map_err(|why| self.defect(step, &why))?
            {
                continue;
            }
            // A login may be repeated: at worst it opens a second session.
            let call = Call { kind: Kind::Read, ..Call::read(until) };
            let answer = self.send(step, &scope, None, &call, false).await?;
            for (name, expression) in &step.save {
                let value = expression.value(&answer.scope).map_err(|why| self.defect(step, &why))?;
                if let Some(text) = value.as_str().filter(|text| text.len() >= 8) {
                    self.secrets.add(text);
                }
                saved.insert(name.clone(), value);
            }
        }
        let mut state = self.session.state();
        state.logins += 1;
        let open = Open { number: state.logins, values: Value::from_pairs(saved) };
        state.open = Some(open.clone());
        Ok(open)
    }
}

fn none() -> Value {
    Value::from_pairs(std::iter::empty::<(String, Value)>())
}
