//! POP3 (RFC 1939, RFC 2449, RFC 2595 §4): greeting, CAPA, STLS.

use super::{Line, Talk, first_word, is};
use crate::model::endpoint::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) async fn negotiate<S>(talk: &mut Talk<'_, S>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting = talk.answer(status).await?;
    if !ok(&greeting) {
        return talk.refused("the connection", &greeting);
    }
    talk.say("CAPA").await?;
    let mut first = true;
    let capabilities = talk
        .answer(|line| match std::mem::take(&mut first) {
            true if is(first_word(line), "+OK") => Line::More,
            true => status(line),
            false if line == "." => Line::Last,
            false => Line::More,
        })
        .await?;
    // A server without CAPA may still know STLS: its answer tells.
    if ok(&capabilities) && !capabilities.iter().skip(1).any(|line| is(first_word(line), "STLS")) {
        return talk.not_offered("STLS");
    }
    talk.say("STLS").await?;
    let answer = talk.answer(status).await?;
    match (ok(&answer), ok(&capabilities)) {
        (true, _) => Ok(()),
        (false, true) => talk.refused("STLS", &answer),
        (false, false) => talk.not_offered("STLS"),
    }
}

fn status(line: &str) -> Line {
    match first_word(line) {
        Some(word) if is(Some(word), "+OK") || is(Some(word), "-ERR") => Line::Last,
        _ => Line::Garbage,
    }
}

fn ok(answer: &[String]) -> bool {
    answer.first().is_some_and(|line| is(first_word(line), "+OK"))
}
