//! ManageSieve (RFC 5804): the capabilities come with the greeting (§1.7), then STARTTLS (§2.2).

use super::{Line, Talk, first_word, is};
use crate::model::endpoint::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) async fn negotiate<S>(talk: &mut Talk<'_, S>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting = expect(talk, "the connection").await?;
    if !greeting.iter().any(|line| is(first_word(line), "\"STARTTLS\"")) {
        return talk.not_offered("STARTTLS");
    }
    talk.say("STARTTLS").await?;
    expect(talk, "STARTTLS").await.map(drop)
}

async fn expect<S>(talk: &mut Talk<'_, S>, to: &str) -> Result<Vec<String>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lines = talk.answer(line).await?;
    match lines.last() {
        Some(last) if is(status(last), "OK") => Ok(lines),
        last => talk.refused(to, last.map_or(&[], std::slice::from_ref)),
    }
}

/// Capabilities are quoted strings; OK, NO or BYE ends an answer (RFC 5804 §1.2, §1.3).
fn line(line: &str) -> Line {
    match status(line) {
        Some(word) if ["OK", "NO", "BYE"].iter().any(|end| is(Some(word), end)) => Line::Last,
        _ if line.starts_with('"') => Line::More,
        _ => Line::Garbage,
    }
}

/// `OK`, also of `OK(TAG "x")`.
fn status(line: &str) -> Option<&str> {
    line.split([' ', '(']).next()
}
