//! The plain-text protocols up to the point where TLS begins: one file per protocol, line by line.
//!
//! The peer is not trusted yet: answers are bounded, and a server that speaks out of turn is refused. What arrives in
//! plain text behind the go-ahead could be taken for an answer given under TLS (the CVE-2011-0411 class).

mod imap;
mod pop3;
mod sieve;
mod smtp;

use crate::model::endpoint::{Failure, FailureKind, Protocol};
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest answer, all lines together. RFC 5321 §4.5.3.1.5 allows 512 octets for a line; the longest EHLO replies seen
/// have about 20 lines.
const ANSWER_LIMIT: usize = 16 * 1024;

/// How much of a peer's words we repeat in a message.
const QUOTE_LIMIT: usize = 200;

/// Brings a fresh connection to the point where TLS begins: nothing to do for [`Protocol::Tls`]. `local` is our end,
/// for SMTP's EHLO.
pub(super) async fn negotiate<S>(protocol: Protocol, stream: &mut S, local: IpAddr) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match protocol {
        Protocol::Tls => Ok(()),
        Protocol::Smtp | Protocol::Submission => smtp::negotiate(&mut Talk::new(stream, "SMTP"), local).await,
        Protocol::Imap => imap::negotiate(&mut Talk::new(stream, "IMAP")).await,
        Protocol::Pop3 => pop3::negotiate(&mut Talk::new(stream, "POP3")).await,
        Protocol::Sieve => sieve::negotiate(&mut Talk::new(stream, "ManageSieve")).await,
    }
}

/// What a client says before it leaves; empty where the protocol under TLS is not known.
pub(super) fn goodbye(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tls => b"",
        Protocol::Smtp | Protocol::Submission | Protocol::Pop3 => b"QUIT\r\n",
        Protocol::Imap => b"z LOGOUT\r\n",
        Protocol::Sieve => b"LOGOUT\r\n",
    }
}

/// What a line is within an answer.
enum Line {
    More,
    Last,
    /// Not of this protocol.
    Garbage,
}

/// A conversation in lines, one answer for each of ours.
struct Talk<'a, S> {
    stream: &'a mut S,
    protocol: &'static str,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    fn new(stream: &'a mut S, protocol: &'static str) -> Self {
        Talk { stream, protocol }
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let sent = self.stream.write_all(format!("{line}\r\n").as_bytes()).await;
        sent.map_err(|error| self.broken(&error))
    }

    /// Reads exactly one answer, line by line, as `kind` knows them; not a byte may follow it, because it is our turn.
    async fn answer(&mut self, mut kind: impl FnMut(&str) -> Line) -> Result<Vec<String>, Failure> {
        let mut received = Vec::new();
        let mut lines = Vec::new();
        let mut read = 0;
        let mut chunk = [0; 1024];
        loop {
            while let Some(end) = received[read..].iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&received[read..read + end]).into_owned();
                let line = line.strip_suffix('\r').unwrap_or(&line).to_owned();
                read += end + 1;
                match kind(&line) {
                    Line::More => lines.push(line),
                    Line::Garbage => return Err(self.failed(format!("`{}` is no answer", quote(&line)))),
                    Line::Last => {
                        lines.push(line);
                        let rest = &received[read..];
                        return if rest.is_empty() { Ok(lines) } else { Err(self.out_of_turn(rest)) };
                    }
                }
            }
            let length = self.stream.read(&mut chunk).await.map_err(|error| self.broken(&error))?;
            if length == 0 {
                return Err(self.failed("the server closed the connection"));
            }
            received.extend_from_slice(&chunk[..length]);
            if received.len() > ANSWER_LIMIT {
                return Err(self.failed(format!("an answer of more than {ANSWER_LIMIT} bytes")));
            }
        }
    }

    fn out_of_turn(&self, rest: &[u8]) -> Failure {
        let words = quote(&String::from_utf8_lossy(rest));
        self.failed(format!("the server spoke out of turn (`{words}`): possible injection, no TLS was begun"))
    }

    /// The server answered, but not with what lets us go on. Who offers TLS and then has none is as if it offered none.
    fn refused<T>(&self, to: &str, lines: &[String]) -> Result<T, Failure> {
        let failure = self.failed(format!("{to} was answered with `{}`", quote(&lines.join(" / "))));
        let kind = if ["STARTTLS", "STLS"].contains(&to) { FailureKind::NoStarttls } else { failure.kind };
        Err(Failure { kind, ..failure })
    }

    fn not_offered<T>(&self, what: &str) -> Result<T, Failure> {
        let words = format!("{}: the server does not offer {what}", self.protocol);
        Err(Failure { kind: FailureKind::NoStarttls, words })
    }

    fn broken(&self, error: &io::Error) -> Failure {
        self.failed(error.to_string())
    }

    fn failed(&self, words: impl AsRef<str>) -> Failure {
        Failure { kind: FailureKind::Dialogue, words: format!("{}: {}", self.protocol, words.as_ref()) }
    }
}

/// Whether this is the word, whatever its case.
fn is(word: Option<&str>, wanted: &str) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(wanted))
}

fn first_word(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().next()
}

/// The peer's words without control characters, cut to a readable length.
fn quote(text: &str) -> String {
    let mut quoted: String = text.trim_end().chars().take(QUOTE_LIMIT).collect();
    quoted = quoted.replace(|c: char| c.is_control(), "?");
    if text.trim_end().chars().count() > QUOTE_LIMIT { quoted + "…" } else { quoted }
}

#[cfg(test)]
mod tests;
