//! SMTP (RFC 5321, RFC 3207): greeting, EHLO, STARTTLS.

use super::{Line, Talk, first_word, is};
use crate::model::endpoint::Failure;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) async fn negotiate<S>(talk: &mut Talk<'_, S>, local: IpAddr) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    expect(talk, "the greeting", "220").await?;
    talk.say(&format!("EHLO {}", address_literal(local))).await?;
    let offer = expect(talk, "EHLO", "250").await?;
    // The extension's keyword is the first word of a line after the first (RFC 5321 §4.1.1.1).
    if !offer.iter().skip(1).any(|line| is(line.get(4..).and_then(first_word), "STARTTLS")) {
        return talk.not_offered("STARTTLS");
    }
    talk.say("STARTTLS").await?;
    expect(talk, "STARTTLS", "220").await.map(drop)
}

async fn expect<S>(talk: &mut Talk<'_, S>, to: &str, code: &str) -> Result<Vec<String>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lines = talk.answer(line).await?;
    match lines.iter().all(|line| line.starts_with(code)) {
        true => Ok(lines),
        false => talk.refused(to, &lines),
    }
}

/// `250-text` goes on, `250 text` or `250` is the last line (RFC 5321 §4.2).
fn line(line: &str) -> Line {
    let code = line.get(..3).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    match line.as_bytes().get(3) {
        None | Some(b' ') if code => Line::Last,
        Some(b'-') if code => Line::More,
        _ => Line::Garbage,
    }
}

/// How a client without a host name introduces itself (RFC 5321 §4.1.3).
fn address_literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(four) => format!("[{four}]"),
        IpAddr::V6(six) => format!("[IPv6:{six}]"),
    }
}
