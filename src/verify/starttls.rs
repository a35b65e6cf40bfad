//! SMTP up to the point where TLS begins (RFC 5321, RFC 3207): greeting, EHLO, STARTTLS.
//!
//! The peer is not trusted yet: replies are bounded, and a server that speaks out of turn is refused. What arrives in
//! plain text behind the go-ahead could be taken for an answer given under TLS (the CVE-2011-0411 class).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest reply, all lines together. RFC 5321 §4.5.3.1.5 allows 512 octets for a line; the longest EHLO replies seen
/// have about 20 lines.
const REPLY_LIMIT: usize = 16 * 1024;

/// How much of a peer's words we repeat in a message.
const QUOTE_LIMIT: usize = 200;

/// One reply: code and the text of its lines.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// Talks SMTP until the server is ready for TLS; the error is the readable reason why it is not. `helo` introduces us:
/// a host name or an address literal such as `[192.0.2.1]`.
pub(super) async fn negotiate<S>(stream: &mut S, helo: &str) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    expect(read_reply(stream).await?, 220, "the greeting")?;
    let offer = expect(command(stream, &format!("EHLO {helo}")).await?, 250, "EHLO")?;
    if !offers_starttls(&offer) {
        return Err("SMTP: the server does not offer STARTTLS".into());
    }
    expect(command(stream, "STARTTLS").await?, 220, "STARTTLS").map(drop)
}

async fn command<S>(stream: &mut S, line: &str) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = stream.write_all(format!("{line}\r\n").as_bytes()).await;
    sent.map_err(|error| format!("SMTP: sending {line}: {error}"))?;
    read_reply(stream).await
}

/// The extension's keyword is the first word of a line after the first (RFC 5321 §4.1.1.1).
fn offers_starttls(reply: &Reply) -> bool {
    let keywords = reply.lines.iter().skip(1).filter_map(|line| line.split_ascii_whitespace().next());
    keywords.into_iter().any(|keyword| keyword.eq_ignore_ascii_case("STARTTLS"))
}

fn expect(reply: Reply, code: u16, to: &str) -> Result<Reply, String> {
    if reply.code == code {
        return Ok(reply);
    }
    Err(format!("SMTP: {to} was answered with `{} {}`", reply.code, quote(&reply.lines.join(" / "))))
}

/// Reads exactly one reply; not a byte may follow it, because it is our turn.
async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Reply, String> {
    let mut received = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let length = stream.read(&mut chunk).await.map_err(|error| format!("SMTP: {error}"))?;
        if length == 0 {
            return Err("SMTP: the server closed the connection".into());
        }
        received.extend_from_slice(&chunk[..length]);
        if let Some((reply, rest)) = parse(&received)? {
            return if rest.is_empty() { Ok(reply) } else { Err(out_of_turn(rest)) };
        }
        if received.len() > REPLY_LIMIT {
            return Err(format!("SMTP: a reply of more than {REPLY_LIMIT} bytes"));
        }
    }
}

fn out_of_turn(rest: &[u8]) -> String {
    let words = quote(&String::from_utf8_lossy(rest));
    format!("SMTP: the server spoke out of turn (`{words}`): possible injection, no TLS was begun")
}

/// The first complete reply and what follows it; `None` while it is incomplete.
fn parse(mut rest: &[u8]) -> Result<Option<(Reply, &[u8])>, String> {
    let mut lines = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        let (code, last, text) =
            read_line(line).ok_or_else(|| format!("SMTP: `{}` is not a reply", quote(line)))?;
        rest = &rest[end + 1..];
        lines.push(text.to_owned());
        if last {
            return Ok(Some((Reply { code, lines }, rest)));
        }
    }
    Ok(None)
}

/// `250-text` goes on, `250 text` or `250` is the last line (RFC 5321 §4.2).
fn read_line(line: &str) -> Option<(u16, bool, &str)> {
    let digits = line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    let code = digits.parse().ok()?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

/// The peer's words without control characters, cut to a readable length.
fn quote(text: &str) -> String {
    let mut quoted: String = text.trim_end().chars().take(QUOTE_LIMIT).collect();
    quoted = quoted.replace(|c: char| c.is_control(), "?");
    if text.trim_end().chars().count() > QUOTE_LIMIT { quoted + "…" } else { quoted }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply { code, lines: lines.iter().map(ToString::to_string).collect() }
    }

    /// Runs the client against a server that sends `says[0]`, then one of the others after each line it hears.
    async fn talk(says: &[&str]) -> (Result<(), String>, String) {
        let (mut client, mut server) = tokio::io::duplex(64 * 1024);
        let script = async {
            let mut heard = String::new();
            for say in says {
                server.write_all(say.as_bytes()).await.unwrap();
                let mut chunk = [0; 512];
                let length = server.read(&mut chunk).await.unwrap();
                heard += &String::from_utf8_lossy(&chunk[..length]);
            }
            heard
        };
        let client = async {
            let outcome = negotiate(&mut client, "[192.0.2.1]").await;
            drop(client);
            outcome
        };
        tokio::join!(client, script)
    }

    #[test]
    fn replies_are_read_line_by_line() {
        assert_eq!(parse(b"220 hi\r\n"), Ok(Some((reply(220, &["hi"]), &b""[..]))));
        assert_eq!(
            parse(b"250-mx\r\n250 STARTTLS\r\nX"),
            Ok(Some((reply(250, &["mx", "STARTTLS"]), &b"X"[..])))
        );
        assert_eq!(parse(b"354\n"), Ok(Some((reply(354, &[""]), &b""[..]))));
        assert_eq!(parse(b"250-mx\r\n250 STAR"), Ok(None));
    }

    #[test]
    fn what_is_not_a_reply_is_quoted_without_control_characters() {
        for garbage in [&b"SSH-2.0-OpenSSH\r\n"[..], b"22\r\n", b"2200 x\r\n", b"\xff\xfe\xfd\n", b"\r\n"] {
            assert!(parse(garbage).unwrap_err().contains("is not a reply"));
        }
        assert_eq!(parse(b"\x1b[31m\n").unwrap_err(), "SMTP: `?[31m` is not a reply");
    }

    #[tokio::test]
    async fn the_dialogue_ends_where_tls_begins() {
        let (outcome, heard) =
            talk(&["220-mx\r\n220 ready\r\n", "250-mx\r\n250-SIZE 1\r\n250 starttls\r\n", "220 go\r\n"])
                .await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(heard, "EHLO [192.0.2.1]\r\nSTARTTLS\r\n");
    }

    #[tokio::test]
    async fn a_server_without_starttls_is_named_as_such() {
        let (outcome, heard) = talk(&["220 mx\r\n", "250-STARTTLS.example\r\n250 XSTARTTLS\r\n"]).await;
        assert_eq!(outcome.unwrap_err(), "SMTP: the server does not offer STARTTLS");
        assert_eq!(heard, "EHLO [192.0.2.1]\r\n");
    }

    #[tokio::test]
    async fn refusals_are_quoted() {
        let (outcome, _) = talk(&["554 5.7.1 go away\r\n"]).await;
        assert_eq!(outcome.unwrap_err(), "SMTP: the greeting was answered with `554 5.7.1 go away`");
        let (outcome, _) = talk(&["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "454 no entropy\r\n"]).await;
        assert_eq!(outcome.unwrap_err(), "SMTP: STARTTLS was answered with `454 no entropy`");
    }

    #[tokio::test]
    async fn plain_text_behind_the_go_ahead_is_refused() {
        let (outcome, _) =
            talk(&["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"]).await;
        assert!(outcome.unwrap_err().contains("`250 injected`): possible injection"));
    }

    #[tokio::test]
    async fn endless_replies_are_cut_off() {
        let endless = "250-x\r\n".repeat(REPLY_LIMIT / 5);
        let (outcome, _) = talk(&["220 mx\r\n", &endless]).await;
        assert!(outcome.unwrap_err().contains("more than 16384 bytes"));
    }
}
