//! One question, one answer: UDP with a random ID and a fresh port each time (RFC 5452 §9.2), resent when lost, over
//! TCP when truncated. Datagrams that are not the answer to our question are skipped, never believed.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Largest answer we ask for by UDP: passes everywhere unfragmented (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// Room for servers that ignore [`UDP_PAYLOAD`]; what is longer is unreadable and therefore skipped.
const BUFFER: usize = 4096;

/// Pauses before a question is sent again; the last one repeats. Our choice: 300 ms is above nearly every round trip,
/// so a lost datagram costs little; then slower, so that a struggling server is not pushed.
const RESEND: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];

/// Whom we ask, and what for, decides three bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// An authoritative server: RD=0, DO=1 (so that signatures come along).
    Authority,
    /// A recursive resolver: RD=1, DO=0.
    Recursive,
    /// A recursive resolver that shall leave validation to us: RD=1, DO=1, CD=1 (RFC 4035 §4.9.2).
    Unchecked,
    /// A recursive resolver whose validation we rely on: RD=1, DO=1, CD=0.
    Checked,
}

/// An answer, read and as it came: signatures are over what came.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) message: Message,
    pub(super) wire: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nothing that answers the question came in time.
    #[error("no answer within {}{}", seconds(.waited), strangers_seen(.strangers))]
    Silent {
        /// How long we waited.
        waited: Duration,
        /// Datagrams that were not the answer.
        strangers: u32,
    },
    /// The operating system said no.
    #[error("{over}: {error}")]
    Io {
        /// UDP or TCP.
        over: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A TCP answer that is none.
    #[error("TCP: {0}")]
    Nonsense(String),
    /// Our question has no wire form.
    #[error("the question cannot be encoded: {0}")]
    Encode(String),
}

/// A fresh question with a random ID.
pub(super) fn question(name: &Name, rtype: RecordType, asked: Asked) -> Message {
    let mut name = name.to_lowercase();
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.recursion_desired = asked != Asked::Authority;
    message.metadata.checking_disabled = asked == Asked::Unchecked;
    message.add_query(Query::query(name, rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(asked != Asked::Recursive);
    message.set_edns(edns);
    message
}

/// Sends `question` to `server`; everything, TCP included, within `limit`.
pub(super) async fn exchange(
    server: SocketAddr,
    question: &Message,
    limit: Duration,
) -> Result<Reply, Trouble> {
    let wire = question.to_vec().map_err(|error| Trouble::Encode(error.to_string()))?;
    let mut strangers = 0;
    let work = async {
        let answer = by_udp(server, &wire, question, &mut strangers).await.map_err(io_over("UDP"))?;
        if !answer.message.metadata.truncation {
            return Ok(answer);
        }
        by_tcp(server, &wire, question).await
    };
    match timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::Silent { waited: limit, strangers }),
    }
}

/// Whether this host has a route to `server`. Connecting a UDP socket sends nothing; the kernel only looks up the way.
pub(super) async fn reachable(server: SocketAddr) -> bool {
    match socket_to(server).await {
        Ok(_) => true,
        Err(error) => !no_route(&error),
    }
}

fn no_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    /// Linux: a kernel without IPv6 has no such sockets at all.
    const EAFNOSUPPORT: i32 = 97;
    [AddrNotAvailable, HostUnreachable, NetworkUnreachable].contains(&error.kind())
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// A connected socket: the kernel drops datagrams from any other source address or port.
async fn socket_to(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Sends until an answer comes; never ends by itself, the caller bounds it. A late answer to an earlier copy counts:
/// all copies share ID and port.
async fn by_udp(
    server: SocketAddr,
    wire: &[u8],
    question: &Message,
    strangers: &mut u32,
) -> io::Result<Reply> {
    let socket = socket_to(server).await?;
    let mut pauses = RESEND.into_iter();
    let mut pause = RESEND[0];
    loop {
        socket.send(wire).await?;
        pause = pauses.next().unwrap_or(pause);
        if let Ok(received) = timeout(pause, receive(&socket, question, strangers)).await {
            return received;
        }
    }
}

/// The first datagram that answers `question`.
async fn receive(socket: &UdpSocket, question: &Message, strangers: &mut u32) -> io::Result<Reply> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(&buffer[..length]) {
            Ok(message) if answers(question, &message) => {
                return Ok(Reply { message, wire: buffer[..length].to_vec() });
            }
            _ => *strangers += 1,
        }
    }
}

async fn by_tcp(server: SocketAddr, wire: &[u8], question: &Message) -> Result<Reply, Trouble> {
    let wire = tcp_bytes(server, wire).await.map_err(io_over("TCP"))?;
    let message = Message::from_vec(&wire).map_err(|error| Trouble::Nonsense(error.to_string()))?;
    if !answers(question, &message) {
        return Err(Trouble::Nonsense("the message does not answer our question".into()));
    }
    if message.metadata.truncation {
        return Err(Trouble::Nonsense("truncated even here".into()));
    }
    Ok(Reply { message, wire })
}

/// RFC 1035 §4.2.2: two bytes of length, then the message; length and message leave in one segment (RFC 7766 §8).
async fn tcp_bytes(server: SocketAddr, wire: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(wire.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes(), wire].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// RFC 5452 §9.1: same ID and same question. An error may come without a question section.
fn answers(question: &Message, answer: &Message) -> bool {
    let same_exchange = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.metadata.op_code == OpCode::Query;
    let failed = !matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    same_exchange
        && match (question.queries.as_slice(), answer.queries.as_slice()) {
            ([asked], [echoed]) => same_question(asked, echoed),
            (_, []) => failed,
            _ => false,
        }
}

/// Names compare without regard to case (RFC 4343).
fn same_question(asked: &Query, echoed: &Query) -> bool {
    asked.name == echoed.name && asked.query_type == echoed.query_type && echoed.query_class == DNSClass::IN
}

fn io_over(over: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble::Io { over, error }
}

fn seconds(waited: &Duration) -> String {
    format!("{} s", waited.as_secs_f32())
}

fn strangers_seen(strangers: &u32) -> String {
    match strangers {
        0 => String::new(),
        1 => " (1 datagram came that does not answer our question)".into(),
        n => format!(" ({n} datagrams came that do not answer our question)"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn asked() -> Message {
        question(&Name::from_str("Example.ORG").unwrap(), RecordType::TXT, Asked::Authority)
    }

    fn echo(question: &Message) -> Message {
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_queries(question.queries.clone());
        answer
    }

    #[test]
    fn questions_to_authorities_want_signatures_and_no_recursion() {
        let message = asked();
        assert_eq!(message.queries[0].name.to_string(), "example.org.");
        assert!(!message.metadata.recursion_desired);
        let edns = message.edns.unwrap();
        assert!(edns.flags().dnssec_ok);
        assert_eq!(edns.max_payload(), 1232);
    }

    #[test]
    fn questions_to_resolvers_want_recursion() {
        let message = question(&Name::from_str("example.org.").unwrap(), RecordType::NS, Asked::Recursive);
        assert!(message.metadata.recursion_desired);
        assert!(!message.metadata.checking_disabled);
        assert!(!message.edns.unwrap().flags().dnssec_ok);
    }

    #[test]
    fn a_resolver_leaves_validation_to_us_only_when_told_so() {
        let bits = |asked| {
            let message = question(&Name::root(), RecordType::DNSKEY, asked);
            let recursion = message.metadata.recursion_desired;
            (recursion, message.metadata.checking_disabled, message.edns.unwrap().flags().dnssec_ok)
        };
        assert_eq!(bits(Asked::Unchecked), (true, true, true));
        assert_eq!(bits(Asked::Checked), (true, false, true));
    }

    #[test]
    fn an_echo_in_other_case_answers() {
        let question = asked();
        let mut answer = echo(&question);
        answer.queries[0].name = Name::from_str("eXample.org.").unwrap();
        assert!(answers(&question, &answer));
    }

    #[test]
    fn another_id_name_type_or_class_does_not_answer() {
        let question = asked();
        let spoilers: [fn(&mut Message); 6] = [
            |m| m.metadata.id ^= 1,
            |m| m.metadata.message_type = MessageType::Query,
            |m| m.queries[0].name = Name::from_str("example.net.").unwrap(),
            |m| m.queries[0].query_type = RecordType::TLSA,
            |m| m.queries[0].query_class = DNSClass::CH,
            |m| m.queries.push(m.queries[0].clone()),
        ];
        for spoil in spoilers {
            let mut answer = echo(&question);
            spoil(&mut answer);
            assert!(!answers(&question, &answer), "{answer:?}");
        }
    }

    #[test]
    fn no_route_is_told_from_other_errors() {
        let (enetunreach, eaddrnotavail, eafnosupport, eacces, econnrefused) = (101, 99, 97, 13, 111);
        for code in [enetunreach, eaddrnotavail, eafnosupport] {
            assert!(no_route(&io::Error::from_raw_os_error(code)), "{code}");
        }
        for code in [eacces, econnrefused] {
            assert!(!no_route(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }

    #[test]
    fn only_errors_may_come_without_a_question() {
        let question = asked();
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        assert!(!answers(&question, &answer));
        answer.metadata.response_code = ResponseCode::FormErr;
        assert!(answers(&question, &answer));
    }
}
