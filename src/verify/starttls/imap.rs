//! IMAP (RFC 9051 §6.2.1, RFC 3501): greeting, CAPABILITY, STARTTLS.

use super::{Line, Talk, first_word, is};
use crate::model::endpoint::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) async fn negotiate<S>(talk: &mut Talk<'_, S>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting =
        talk.answer(|line| if line.starts_with("* ") { Line::Last } else { Line::Garbage }).await?;
    // PREAUTH: STARTTLS is no longer allowed (RFC 9051 §7.1.4).
    if !greeting.iter().all(|line| is(line.split_ascii_whitespace().nth(1), "OK")) {
        return talk.refused("the connection", &greeting);
    }
    talk.say("a CAPABILITY").await?;
    let capabilities = tagged(talk, "a", "CAPABILITY").await?;
    let offered = capabilities.iter().filter_map(|line| line.strip_prefix("* "));
    let mut offered = offered.filter(|line| is(first_word(line), "CAPABILITY"));
    if !offered.any(|line| line.split_ascii_whitespace().any(|word| is(Some(word), "STARTTLS"))) {
        return talk.not_offered("STARTTLS");
    }
    talk.say("b STARTTLS").await?;
    tagged(talk, "b", "STARTTLS").await.map(drop)
}

/// Untagged lines, then the tagged one, which must say OK.
async fn tagged<S>(talk: &mut Talk<'_, S>, tag: &str, command: &str) -> Result<Vec<String>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let kind = |line: &str| match first_word(line) {
        Some("*") => Line::More,
        Some(word) if word == tag => Line::Last,
        _ => Line::Garbage,
    };
    let lines = talk.answer(kind).await?;
    match lines.last() {
        Some(last) if is(last.split_ascii_whitespace().nth(1), "OK") => Ok(lines),
        last => talk.refused(command, last.map_or(&[], std::slice::from_ref)),
    }
}
