//! One request of a file: rendered, signed, sent, judged, and sent again where that is safe.

use super::client::{self, Client, Failure, Hosts, Reply, Request, quoted};
use super::expression::Scope;
use super::options::{Options, Secrets};
use super::pace::Place;
use super::request;
use super::session::Session;
use super::spec::{Rate, Spec, Step, Verdict, Wait};
use crate::{Class, Error};
use minijinja::value::Value;
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// How often a read is tried when the host fails without saying how long to wait. Our choice.
const TRIES: u32 = 4;
/// First pause between two tries, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause of our own choice.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a request does, which decides what may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes nothing: may be sent again and again.
    Read,
    /// As `Read`, and something is at stake: tried until the deadline.
    PatientRead,
    /// Sent again only when the host said that it did nothing (429).
    Write,
}

/// Limits and sharing of one call of the contract.
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) until: Instant,
    /// Rates of writes, and whose they are.
    pub(super) pace: Option<&'a Place>,
    /// Answers to reads of this round: many names are often in one answer.
    pub(super) memory: Option<&'a Memory>,
}

impl Call<'_> {
    pub(super) fn read(until: Instant) -> Call<'static> {
        Call { kind: Kind::Read, until, pace: None, memory: None }
    }
}

/// Answers by request.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, (Verdict, Reply)>>);

/// A judged answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// The scope of the request with `status`, `body` and `headers`.
    pub(super) scope: Scope,
    /// Where it came from.
    pub(super) url: Url,
    /// How long its body was.
    pub(super) octets: usize,
}

/// All that requests need.
pub(super) struct Engine {
    pub(super) spec: Arc<Spec>,
    /// "cloudflare at https://api.cloudflare.com"
    pub(super) label: String,
    pub(super) base: String,
    pub(super) config: Value,
    pub(super) options: Options,
    pub(super) hosts: Hosts,
    pub(super) secrets: Secrets,
    pub(super) client: Client,
    pub(super) session: Session,
    /// Rates of all requests.
    pub(super) everywhere: Arc<Place>,
}

impl Engine {
    /// The variables that are always there.
    pub(super) fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        scope.set("config", self.config.clone());
        scope.set("session", Value::from_pairs(std::iter::empty::<(String, Value)>()));
        scope.set("now", (self.options.clock)());
        scope
    }

    /// Sends a step; `url` overrides its own path (the next page). Logs in first where the file says how, and again
    /// when the session has ended.
    pub(super) async fn step(
        &self,
        step: &Step,
        scope: &Scope,
        url: Option<&Url>,
        call: &Call<'_>,
    ) -> Result<Answer, Error> {
        let first = self.session(call.until).await?;
        let answer = self.attempt(step, &scope.with("session", first.values.clone()), url, call).await;
        match answer {
            Err(error) if error.class == Class::Auth && !self.spec.login.is_empty() => {
                self.session.forget(first.number);
                let second = self.session(call.until).await?;
                self.attempt(step, &scope.with("session", second.values), url, call).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &self,
        step: &Step,
        scope: &Scope,
        url: Option<&Url>,
        call: &Call<'_>,
    ) -> Result<Answer, Error> {
        let answer = self.send(step, scope, url, call, true).await?;
        if let Some(wait) = &step.wait {
            self.wait(wait, &answer.scope, call.until).await?;
        }
        Ok(answer)
    }

    /// Sends until an answer counts. Without `shared`, what all requests have in common is left out (login).
    pub(super) async fn send(
        &self,
        step: &Step,
        scope: &Scope,
        url: Option<&Url>,
        call: &Call<'_>,
        shared: bool,
    ) -> Result<Answer, Error> {
        let mut tries = 0;
        loop {
            let mut request = self.render(step, scope, url, shared)?;
            let key =
                format!("{} {} {}", request.method, request.url, String::from_utf8_lossy(&request.payload));
            let known = call.memory.and_then(|memory| memory.recall(&key));
            let outcome = match known {
                Some((verdict, reply)) => Ok((verdict, reply)),
                None => self.exchange(step, scope, &mut request, call, shared).await,
            };
            match outcome {
                Ok((verdict, reply)) => {
                    if let Some(memory) = call.memory {
                        memory.keep(key, verdict, &reply);
                    }
                    let (scope, octets) = (with_reply(scope, &reply), reply.octets);
                    return Ok(Answer { verdict, scope, url: request.url, octets });
                }
                Err(error) => {
                    tries += 1;
                    let Some(pause) = pause(&error, call, tries) else { return Err(error) };
                    tracing::debug!("{error}; again in {} ms", pause.as_millis());
                    sleep(pause).await;
                }
            }
        }
    }

    fn render(&self, step: &Step, scope: &Scope, url: Option<&Url>, shared: bool) -> Result<Request, Error> {
        request::build(&self.spec.http, &self.base, step, scope, url, shared)
            .map_err(|why| self.defect(step, &why))
    }

    async fn exchange(
        &self,
        step: &Step,
        scope: &Scope,
        request: &mut Request,
        call: &Call<'_>,
        shared: bool,
    ) -> Result<(Verdict, Reply), Error> {
        self.in_time(call.until)?;
        if let Some(place) = call.pace {
            self.pass(place, &self.spec.http.writes, call.until).await?;
        }
        self.pass(&self.everywhere, &self.spec.http.requests, call.until).await?;
        if shared && let Some(sign) = &self.spec.http.sign {
            request::signed(sign, request, scope, (self.options.clock)())
                .map_err(|why| self.defect(step, &why))?;
        }
        if self.spec.http.cookies {
            self.session.add_cookies(request);
        }
        self.hosts.check(&request.url).map_err(|why| self.strange(request, &why))?;
        let started = Instant::now();
        let outcome = self.client.send(request, call.until.saturating_duration_since(started)).await;
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shown = self.secrets.redact(&request.shown());
        match outcome {
            Err(failure) => {
                tracing::debug!(request = shown, ms, "no answer");
                Err(self.no_answer(request, &failure))
            }
            Ok(reply) => {
                tracing::debug!(request = shown, status = reply.status, ms, "answer");
                if self.spec.http.cookies {
                    self.session.keep_cookies(&reply.cookies, &self.secrets);
                }
                let verdict = self.judge(step, request, &reply)?;
                Ok((verdict, reply))
            }
        }
    }

    /// A call that turns pages for too long ends.
    pub(super) fn in_time(&self, until: Instant) -> Result<(), Error> {
        if Instant::now() < until {
            return Ok(());
        }
        let seconds = self.options.deadline.as_secs_f32();
        let message = format!("{}: the time for one call, {seconds} s, is used up", self.label);
        Err(Error::new(Class::Transient, message)
            .hint("the host is slow, or lists very much; run again later"))
    }

    async fn pass(&self, place: &Place, rates: &[Rate], until: Instant) -> Result<(), Error> {
        place.pass(rates, until).await.map_err(|wait| {
            let message = format!("{} takes no more requests for now: its rate is used up", self.label);
            Error { retry_after: Some(wait), ..Error::new(Class::RateLimited, message) }
        })
    }

    /// What an answer means: the file's rules first, then the status (RFC 9110 §15).
    fn judge(&self, step: &Step, request: &Request, reply: &Reply) -> Result<Verdict, Error> {
        let scope = with_reply(&Scope::default(), reply);
        let ruled = self.spec.errors.iter().find(|rule| rule.when.holds(&scope).unwrap_or(false));
        let verdict = ruled.map_or_else(|| of_status(reply.status), |rule| rule.verdict);
        match verdict {
            Verdict::Ok if !reply.readable => Err(self.unreadable(request, reply)),
            Verdict::Failed(Class::NotFound) if step.missing_is_empty => Ok(verdict),
            Verdict::Failed(class) => Err(self.refusal(class, request, reply)),
            fine => Ok(fine),
        }
    }

    /// Asks until a change is done.
    async fn wait(&self, wait: &Wait, scope: &Scope, until: Instant) -> Result<(), Error> {
        let holds = |expression: &super::expression::Expression, scope: &Scope| {
            expression.holds(scope).map_err(|why| self.defect(&wait.step, &why))
        };
        if let Some(only_if) = &wait.only_if
            && !holds(only_if, scope)?
        {
            return Ok(());
        }
        loop {
            let call = Call { kind: Kind::PatientRead, ..Call::read(until) };
            let answer = self.send(&wait.step, scope, None, &call, true).await?;
            if holds(&wait.until, &answer.scope)? {
                return Ok(());
            }
            if let Some(failed) = &wait.failed
                && holds(failed, &answer.scope)?
            {
                return Err(self.given_up(&answer.scope));
            }
            if Instant::now() + wait.every > until {
                // Then there is no time to send it again: the host has it.
                sleep_until(until).await;
                let message = format!("{} took the change and is still not done with it", self.label);
                return Err(Error::new(Class::Transient, message));
            }
            sleep(wait.every).await;
        }
    }

    fn given_up(&self, scope: &Scope) -> Error {
        let says = self.spec.says.as_ref().and_then(|says| says.lookup(scope)).filter(Value::is_true);
        let words = says.or_else(|| scope.value().get_attr("body").ok()).unwrap_or_default().to_string();
        let words = quoted(&words, &self.secrets);
        Error::new(Class::Rejected, format!("{} took the change and gave it up: “{words}”", self.label))
    }

    fn no_answer(&self, request: &Request, failure: &Failure) -> Error {
        let error = client::failed(&self.label, request, failure);
        Error { message: self.secrets.redact(&error.message), ..error }
    }

    fn refusal(&self, class: Class, request: &Request, reply: &Reply) -> Error {
        let scope = with_reply(&Scope::default(), reply);
        let says = self.spec.says.as_ref().and_then(|says| says.lookup(&scope));
        let says = says.map(|value| value.to_string()).filter(|text| !text.is_empty());
        let words = request.redact(&says.unwrap_or_else(|| reply.text.clone()));
        let words = quoted(&words, &self.secrets);
        let words = if words.is_empty() { " without a word".to_owned() } else { format!(": “{words}”") };
        let shown = self.secrets.redact(&request.shown());
        let mut message = format!("{}: {shown} answered {}{words}", self.label, reply.status);
        if (300..400).contains(&reply.status) {
            let place = quoted(reply.location.as_deref().unwrap_or("nowhere"), &self.secrets);
            message = format!(
                "{}: {shown} answered {}, a redirect to {place}, which is not followed",
                self.label, reply.status
            );
        }
        let error = Error { retry_after: reply.retry_after, ..Error::new(class, message) };
        match class {
            Class::Auth => error.hint(self.credentials()),
            _ => error,
        }
    }

    /// Which settings carry credentials.
    fn credentials(&self) -> String {
        let names: Vec<String> =
            self.spec.fields.iter().filter(|f| f.secret).map(|f| format!("`{}`", f.name)).collect();
        format!("check {} of this provider and what they are allowed to do", names.join(", "))
    }

    fn unreadable(&self, request: &Request, reply: &Reply) -> Error {
        let shown = self.secrets.redact(&request.shown());
        let words = quoted(&request.redact(&reply.text), &self.secrets);
        let message =
            format!("{}: {shown} answered {} with what is no answer: “{words}”", self.label, reply.status);
        Error::new(Class::Internal, message).hint("check the address: is this the interface itself?")
    }

    fn strange(&self, request: &Request, why: &str) -> Error {
        let message = format!("{}: {} was not sent: {why}", self.label, request.method);
        Error::new(Class::Rejected, self.secrets.redact(&message))
    }

    /// The answer or the file is not what the other expects.
    pub(super) fn defect(&self, step: &Step, why: &str) -> Error {
        let message = format!(
            "{}: {} ({}, line {}) does not fit what came before: {why}",
            self.label, step.method, self.spec.file, step.at.line
        );
        Error::new(Class::Internal, self.secrets.redact(&message))
    }
}

impl Memory {
    fn recall(&self, key: &str) -> Option<(Verdict, Reply)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: String, verdict: Verdict, reply: &Reply) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (verdict, reply.clone()));
    }
}

fn with_reply(scope: &Scope, reply: &Reply) -> Scope {
    let mut scope = scope.clone();
    scope.set("status", reply.status);
    scope.set("body", reply.body.clone());
    scope.set("headers", reply.headers.clone());
    scope
}

fn of_status(status: u16) -> Verdict {
    Verdict::Failed(match status {
        200..=299 => return Verdict::Ok,
        401 | 403 | 407 => Class::Auth,
        404 | 410 => Class::NotFound,
        409 | 412 | 423 => Class::Conflict,
        429 => Class::RateLimited,
        408 | 425 | 500..=599 => Class::Transient,
        _ => Class::Rejected,
    })
}

/// How long to wait before the same request goes out again; none when it must not, or when there is no time.
fn pause(error: &Error, call: &Call<'_>, tries: u32) -> Option<Duration> {
    let own = (FIRST_PAUSE * 2_u32.saturating_pow(tries.min(8) - 1)).min(LONGEST_PAUSE);
    let left = call.until.saturating_duration_since(Instant::now());
    let repeatable = match (error.class, call.kind) {
        (Class::RateLimited, _) => true,
        (Class::Transient, Kind::Read) => error.retry_after.is_some() || tries < TRIES,
        (Class::Transient, Kind::PatientRead) => true,
        _ => false,
    };
    let pause = error.retry_after.unwrap_or(own).max(Duration::from_millis(1));
    (repeatable && pause < left).then_some(pause)
}
