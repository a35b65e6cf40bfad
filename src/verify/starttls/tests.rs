//! Dialogues with servers that say what the test tells them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// Runs the client against a server that sends `says[0]`, then one of the others after each line it hears.
async fn talk(protocol: Protocol, says: &[&str]) -> (Result<(), Failure>, String) {
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
        let outcome = negotiate(protocol, &mut client, "192.0.2.1".parse().unwrap()).await;
        drop(client);
        outcome
    };
    tokio::join!(client, script)
}

/// The failure of a dialogue that must not reach TLS.
async fn failure(protocol: Protocol, says: &[&str]) -> (FailureKind, String) {
    let failure = talk(protocol, says).await.0.unwrap_err();
    (failure.kind, failure.words)
}

const GOOD: [(Protocol, &[&str], &str); 5] = [
    (
        Protocol::Smtp,
        &["220-mx\r\n220 ready\r\n", "250-mx\r\n250-SIZE 1\r\n250 starttls\r\n", "220 go\r\n"],
        "EHLO [192.0.2.1]\r\nSTARTTLS\r\n",
    ),
    (
        Protocol::Submission,
        &["220 mx\n", "250-mx\n250 STARTTLS\n", "220\n"],
        "EHLO [192.0.2.1]\r\nSTARTTLS\r\n",
    ),
    (
        Protocol::Imap,
        &[
            "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n",
            "* CAPABILITY IMAP4rev1 StartTLS\r\na OK done\r\n",
            "* OK by the way\r\nb ok go\r\n",
        ],
        "a CAPABILITY\r\nb STARTTLS\r\n",
    ),
    (
        Protocol::Pop3,
        &["+OK hi <1.2@mx>\r\n", "+OK list\r\nTOP\r\nSTLS\r\n.\r\n", "+OK begin\r\n"],
        "CAPA\r\nSTLS\r\n",
    ),
    (
        Protocol::Sieve,
        &["\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n", "OK(TAG \"a\") \"go\"\r\n"],
        "STARTTLS\r\n",
    ),
];

#[tokio::test]
async fn every_dialogue_ends_where_tls_begins() {
    for (protocol, says, expected) in GOOD {
        assert_eq!(talk(protocol, says).await, (Ok(()), expected.into()), "{protocol:?}");
    }
}

#[tokio::test]
async fn plain_text_behind_the_go_ahead_is_refused() {
    for (protocol, says, _) in GOOD {
        let mut says = says.to_vec();
        let last = says.pop().unwrap().to_owned() + "250 injected\r\n";
        says.push(&last);
        let (kind, words) = failure(protocol, &says).await;
        assert_eq!(kind, FailureKind::Dialogue, "{protocol:?}");
        assert!(words.contains("`250 injected`): possible injection"), "{words}");
    }
}

#[tokio::test]
async fn answers_that_come_in_pieces_are_put_together() {
    for (protocol, says, _) in GOOD {
        let (mut client, mut server) = tokio::io::duplex(3);
        let whole = async {
            for say in says {
                server.write_all(say.as_bytes()).await.unwrap();
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") && server.read_buf(&mut line).await.unwrap() > 0 {}
            }
        };
        let client = async {
            let outcome = negotiate(protocol, &mut client, "192.0.2.1".parse().unwrap()).await;
            drop(client);
            outcome
        };
        let (outcome, ()) = tokio::join!(client, whole);
        assert_eq!(outcome, Ok(()), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_named_as_such() {
    let cases: [(Protocol, &[&str], &str); 5] = [
        (
            Protocol::Smtp,
            &["220 mx\r\n", "250-STARTTLS.example\r\n250 XSTARTTLS\r\n"],
            "SMTP: the server does not offer STARTTLS",
        ),
        (
            Protocol::Imap,
            &["* OK hi\r\n", "* CAPABILITY IMAP4rev1\r\na OK STARTTLS\r\n"],
            "IMAP: the server does not offer STARTTLS",
        ),
        (Protocol::Pop3, &["+OK hi\r\n", "+OK\r\nTOP\r\n.\r\n"], "POP3: the server does not offer STLS"),
        (
            Protocol::Pop3,
            &["+OK hi\r\n", "-ERR what?\r\n", "-ERR what?\r\n"],
            "POP3: the server does not offer STLS",
        ),
        (
            Protocol::Sieve,
            &["\"SIEVE\" \"starttls\"\r\nOK\r\n"],
            "ManageSieve: the server does not offer STARTTLS",
        ),
    ];
    for (protocol, says, words) in cases {
        assert_eq!(failure(protocol, says).await, (FailureKind::NoStarttls, words.into()));
    }
}

#[tokio::test]
async fn refusals_are_quoted() {
    let cases: [(Protocol, &[&str], &str); 7] = [
        (
            Protocol::Smtp,
            &["554 5.7.1 go away\r\n"],
            "SMTP: the greeting was answered with `554 5.7.1 go away`",
        ),
        (
            Protocol::Smtp,
            &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "454 no entropy\r\n"],
            "SMTP: STARTTLS was answered with `454 no entropy`",
        ),
        (Protocol::Imap, &["* BYE full\r\n"], "IMAP: the connection was answered with `* BYE full`"),
        (Protocol::Imap, &["* PREAUTH hi\r\n"], "IMAP: the connection was answered with `* PREAUTH hi`"),
        (
            Protocol::Imap,
            &["* OK\r\n", "* CAPABILITY STARTTLS\r\na OK\r\n", "b NO later\r\n"],
            "IMAP: STARTTLS was answered with `b NO later`",
        ),
        (
            Protocol::Pop3,
            &["+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "-ERR later\r\n"],
            "POP3: STLS was answered with `-ERR later`",
        ),
        (
            Protocol::Sieve,
            &["\"STARTTLS\"\r\nOK\r\n", "NO \"later\"\r\n"],
            "ManageSieve: STARTTLS was answered with `NO \"later\"`",
        ),
    ];
    for (protocol, says, words) in cases {
        let kind = if words.contains("TLS was") { FailureKind::NoStarttls } else { FailureKind::Dialogue };
        assert_eq!(failure(protocol, says).await, (kind, words.into()));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_quoted_without_control_characters() {
    for garbage in ["SSH-2.0-OpenSSH\r\n", "22\r\n", "2200 x\r\n", "\u{fffd}\n", "\r\n"] {
        for (protocol, _, _) in GOOD {
            let (_, words) = failure(protocol, &[garbage]).await;
            assert!(words.contains("is no answer"), "{protocol:?}: {words}");
        }
    }
    let (_, words) = failure(Protocol::Smtp, &["\x1b[31m\n"]).await;
    assert_eq!(words, "SMTP: `?[31m` is no answer");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_so() {
    let (mut client, server) = tokio::io::duplex(64);
    drop(server);
    let ended = negotiate(Protocol::Imap, &mut client, "::1".parse().unwrap()).await.unwrap_err();
    assert_eq!(ended.words, "IMAP: the server closed the connection");
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    let endless = "250-x\r\n".repeat(ANSWER_LIMIT / 5);
    let (_, words) = failure(Protocol::Smtp, &["220 mx\r\n", &endless]).await;
    assert!(words.contains("more than 16384 bytes"), "{words}");
    let endless = "x".repeat(ANSWER_LIMIT + 1024);
    let (_, words) = failure(Protocol::Sieve, &[&endless]).await;
    assert!(words.contains("more than 16384 bytes"), "{words}");
}

#[tokio::test]
async fn we_introduce_ourselves_with_an_address_literal() {
    let (mut client, mut server) = tokio::io::duplex(64);
    server.write_all(b"220 mx\r\n").await.unwrap();
    let mut heard = vec![0; 21];
    let client = negotiate(Protocol::Smtp, &mut client, "2001:db8::1".parse().unwrap());
    let server = async {
        server.read_exact(&mut heard).await.unwrap();
        drop(server);
    };
    let _ = tokio::join!(client, server);
    assert_eq!(String::from_utf8(heard).unwrap(), "EHLO [IPv6:2001:db8::");
}
