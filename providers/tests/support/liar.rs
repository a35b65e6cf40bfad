//! A name server that knows the key and lies in one way, over UDP and TCP.

use super::{SECRET, name, now};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{DNSClass, RData, Record, TSigner};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says NOERROR with a good signature: the control of this test server.
    Honest,
    /// NOERROR without TSIG.
    Unsigned,
    /// NOERROR with an empty MAC.
    EmptyMac,
    /// Signed with another secret.
    OtherSecret,
    /// Signed under another key's name.
    OtherName,
    /// Signed, but not over the MAC of the request.
    Unbound,
    /// The answer to an earlier message under the new ID.
    Replay,
    /// Signed, dated a day from now.
    Future,
    /// A record after TSIG.
    Tail,
    /// Octets that are no DNS message.
    Garbage,
    /// Nothing but a length of zero.
    Empty,
    /// A good answer under another ID.
    WrongId,
    /// The request itself, sent back.
    Echo,
    /// Two forgeries first, then the honest answer (UDP).
    ForgeriesFirst,
    /// Holds one TXT value, "just written", which its answers show only 300 ms after it has started: a signed copy that
    /// lags behind. Updates are judged by what is held.
    Lagging,
    /// Says of every update that somebody else has just written there: NXRRSET, signed.
    Contested,
}

pub struct Liar {
    pub address: SocketAddr,
    memory: Memory,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[derive(Default)]
struct Remembered {
    first: Option<Vec<u8>>,
    removed: Option<Instant>,
}

type Memory = Arc<Mutex<Remembered>>;

/// How long a lagging copy lags.
const LAG: Duration = Duration::from_millis(300);

impl Liar {
    pub async fn start(lie: Lie) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let memory = Memory::default();
        let kept = memory.clone();
        let tasks = [tokio::spawn(by_udp(udp, lie, memory.clone())), tokio::spawn(by_tcp(tcp, lie, memory))];
        Liar { address, memory: kept, tasks }
    }

    /// Whether a lagging one was told to remove its value.
    pub fn has_removed(&self) -> bool {
        self.memory.lock().unwrap().removed.is_some()
    }
}

async fn by_udp(socket: UdpSocket, lie: Lie, memory: Memory) {
    let mut datagram = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
        for answer in answers(lie, &datagram[..length], &memory) {
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

async fn by_tcp(listener: TcpListener, lie: Lie, memory: Memory) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, lie, memory.clone()));
    }
}

async fn connection(mut stream: TcpStream, lie: Lie, memory: Memory) {
    while let Ok(length) = stream.read_u16().await {
        let mut request = vec![0; usize::from(length)];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        for answer in answers(lie, &request, &memory) {
            let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
            let _ = stream.write_all(&framed).await;
        }
    }
}

fn answers(lie: Lie, request: &[u8], memory: &Memory) -> Vec<Vec<u8>> {
    let request_message = Message::from_vec(request).unwrap();
    let mac = request_message.signature().unwrap().data.mac.clone();
    let honest = || signed(&request_message, &mac, "k256.", SECRET, now());
    let is_update = request_message.op_code == OpCode::Update;
    let one = match lie {
        Lie::Lagging => {
            let answer = lagging(&request_message, &mut memory.lock().unwrap());
            sign(&request_message, answer, &mac, ("k256.", SECRET), now())
        }
        Lie::Contested if is_update => {
            let answer = response(&request_message, ResponseCode::NXRRSet);
            sign(&request_message, answer, &mac, ("k256.", SECRET), now())
        }
        Lie::Honest | Lie::Contested => honest(),
        Lie::Unsigned => unsigned(&request_message, ResponseCode::NoError),
        Lie::EmptyMac => with_empty_mac(&request_message),
        Lie::OtherSecret => signed(&request_message, &mac, "k256.", b"another secret", now()),
        Lie::OtherName => signed(&request_message, &mac, "k384.", SECRET, now()),
        Lie::Unbound => signed(&request_message, b"", "k256.", SECRET, now()),
        Lie::Replay => replayed(request, memory, honest),
        Lie::Future => signed(&request_message, &mac, "k256.", SECRET, now() + 86_400),
        Lie::Tail => with_tail(honest()),
        Lie::Garbage => [&request[..2], &[0xff; 40]].concat(),
        Lie::Empty => Vec::new(),
        Lie::WrongId => with_id(honest(), request_message.id ^ 1),
        Lie::Echo => request.to_vec(),
        Lie::ForgeriesFirst => {
            let forged = unsigned(&request_message, ResponseCode::NoError);
            return vec![forged, unsigned(&request_message, ResponseCode::Refused), honest()];
        }
    };
    vec![one]
}

fn lagging(request: &Message, memory: &mut Remembered) -> Message {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    if request.op_code == OpCode::Update {
        // RFC 2136 §2.4: prerequisites stand where answers stand
        let expects_nothing = request.answers.iter().any(|record| record.dns_class == DNSClass::NONE);
        return match (expects_nothing, memory.removed) {
            (true, None) => response(request, ResponseCode::YXRRSet),
            (false, Some(_)) => response(request, ResponseCode::NXRRSet),
            (false, None) => {
                memory.removed = Some(Instant::now());
                response(request, ResponseCode::NoError)
            }
            (true, Some(_)) => response(request, ResponseCode::NoError),
        };
    }
    let mut answer = response(request, ResponseCode::NoError);
    let shown = start.elapsed() >= LAG && memory.removed.is_none_or(|at| at.elapsed() < LAG);
    if shown && let Some(query) = request.queries.first() {
        answer.add_answer(Record::from_rdata(query.name().clone(), 60, super::txt("just written")));
    }
    answer
}

fn response(request: &Message, rcode: ResponseCode) -> Message {
    let mut answer = Message::response(request.id, request.op_code);
    answer.metadata.response_code = rcode;
    answer.metadata.authoritative = true;
    answer.queries = request.queries.clone();
    answer
}

fn unsigned(request: &Message, rcode: ResponseCode) -> Vec<u8> {
    response(request, rcode).to_vec().unwrap()
}

fn signed(request: &Message, mac: &[u8], key: &str, secret: &[u8], time: u64) -> Vec<u8> {
    sign(request, response(request, ResponseCode::NoError), mac, (key, secret), time)
}

fn sign(
    request: &Message,
    mut answer: Message,
    mac: &[u8],
    (key, secret): (&str, &[u8]),
    time: u64,
) -> Vec<u8> {
    let signer = TSigner::new(secret.to_vec(), TsigAlgorithm::HmacSha256, name(key), 300).unwrap();
    let stub = TSIG::new(TsigAlgorithm::HmacSha256, time, 300, vec![], request.id, None, vec![]);
    let mut tbs = signer.encode_response_tbs(mac, &answer.to_vec().unwrap(), &stub).unwrap();
    if mac.is_empty() {
        tbs.drain(..2); // the length of the request's MAC is left out together with it
    }
    let tsig = stub.set_mac(signer.sign(&tbs).unwrap());
    answer.set_signature(tsig_record(key, tsig));
    answer.to_vec().unwrap()
}

fn with_empty_mac(request: &Message) -> Vec<u8> {
    let mut answer = response(request, ResponseCode::NoError);
    let tsig = TSIG::new(TsigAlgorithm::HmacSha256, now(), 300, vec![], request.id, None, vec![]);
    answer.set_signature(tsig_record("k256.", tsig));
    answer.to_vec().unwrap()
}

fn tsig_record(key: &str, tsig: TSIG) -> Box<Record<TSIG>> {
    let mut record = Record::from_rdata(name(key), 0, tsig);
    record.dns_class = DNSClass::ANY;
    Box::new(record)
}

fn replayed(request: &[u8], memory: &Memory, honest: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let first = memory.lock().unwrap().first.get_or_insert_with(honest).clone();
    [&request[..2], &first[2..]].concat()
}

/// One more record in the additional section (ARCOUNT is the last field of the header).
fn with_tail(mut answer: Vec<u8>) -> Vec<u8> {
    answer[11] += 1;
    let record: Record<RData> = Record::from_rdata(name("tail."), 0, super::txt("x"));
    let mut extra = Message::query();
    extra.add_additional(record);
    answer.extend_from_slice(&extra.to_vec().unwrap()[12..]);
    answer
}

fn with_id(mut answer: Vec<u8>, id: u16) -> Vec<u8> {
    answer[..2].copy_from_slice(&id.to_be_bytes());
    answer
}
