//! One signed UPDATE per zone, and looks at every authoritative server.

use std::cell::Cell;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode, UpdateMessage};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{interval, timeout};

use super::Result;

/// Larger messages go by TCP, bytes (the common EDNS size that is never fragmented).
const UDP_LIMIT: usize = 1232;
/// So many challenge records of short names make a message that may pass [`UDP_LIMIT`].
const UDP_RECORDS: usize = 12;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds that clocks may differ (RFC 8945 §10).
const FUDGE: u16 = 300;
const TTL: u32 = 5;

/// The challenge records of one order.
pub type Records = Vec<(Name, String)>;

/// The servers.
pub struct Dns {
    /// Takes the updates.
    pub update: SocketAddr,
    /// Must all show the records.
    pub check: Vec<SocketAddr>,
    /// Pause between two looks.
    pub look_every: Duration,
    signer: TSigner,
    /// How many looks were sent.
    pub looks: Cell<usize>,
}

impl Dns {
    /// With a TSIG key for HMAC-SHA-256.
    ///
    /// # Errors
    /// Name or secret are malformed.
    pub fn new(
        update: SocketAddr,
        check: Vec<SocketAddr>,
        look_every: Duration,
        tsig: (&str, &[u8]),
    ) -> Result<Self> {
        let signer =
            TSigner::new(tsig.1.to_vec(), TsigAlgorithm::HmacSha256, Name::from_str(tsig.0)?, FUDGE)?;
        Ok(Dns { update, check, look_every, signer, looks: Cell::new(0) })
    }

    /// Opens the TCP connection that an update of so many records will want; early, so that it costs no time.
    ///
    /// # Errors
    /// The server is not reachable.
    pub async fn prepare(&self, records: usize) -> Result<Option<TcpStream>> {
        if records <= UDP_RECORDS {
            return Ok(None);
        }
        let stream = TcpStream::connect(self.update).await?;
        stream.set_nodelay(true)?;
        Ok(Some(stream))
    }

    /// Adds the records in one UPDATE.
    ///
    /// # Errors
    /// No authentic answer, or not NOERROR.
    pub async fn publish(&self, zone: &Name, records: &Records, open: &mut Option<TcpStream>) -> Result<()> {
        let add = records.iter().map(|(owner, value)| txt(owner, value, DNSClass::IN, TTL));
        self.send(zone, add.collect(), open).await
    }

    /// Removes the records by value (RFC 2136 §2.5.4).
    ///
    /// # Errors
    /// As [`Dns::publish`].
    pub async fn withdraw(&self, zone: &Name, records: &Records, open: &mut Option<TcpStream>) -> Result<()> {
        let remove = records.iter().map(|(owner, value)| txt(owner, value, DNSClass::NONE, 0));
        self.send(zone, remove.collect(), open).await
    }

    /// Asks one server until it shows the records of one owner. An UPDATE and the transfer of it are applied whole
    /// (RFC 2136 §3.4, RFC 1995 §4), so one owner stands for all of the zone.
    ///
    /// # Errors
    /// They did not appear in time.
    pub async fn wait_for(&self, server: SocketAddr, records: &Records) -> Result<()> {
        let (owner, _) = records.last().ok_or("no records to wait for")?;
        let values: Vec<_> =
            records.iter().filter(|(name, _)| name == owner).map(|(_, value)| value).collect();
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(server).await?;
        let mut tick = interval(self.look_every);
        let mut buffer = [0; 4096];
        let seen = async {
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        self.looks.set(self.looks.get() + 1);
                        socket.send(&question(owner)?).await?;
                    }
                    length = socket.recv(&mut buffer) => {
                        let found = texts(&Message::from_vec(&buffer[..length?])?);
                        if values.iter().all(|value| found.contains(value)) {
                            return Result::Ok(());
                        }
                    }
                }
            }
        };
        timeout(PATIENCE, seen).await.map_err(|_| format!("{owner} did not appear on {server}"))?
    }

    async fn send(&self, zone: &Name, records: Vec<Record>, open: &mut Option<TcpStream>) -> Result<()> {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_zone(query(zone, RecordType::SOA));
        message.add_updates(records);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let verifier = message.finalize(&self.signer, now)?;
        let answer = timeout(PATIENCE, self.exchange(&message.to_vec()?, open)).await??;
        verifier.ok_or("the update is not signed")?.verify(&answer)?;
        match Message::from_vec(&answer)?.response_code {
            ResponseCode::NoError => Ok(()),
            code => Err(format!("{zone}: the update was answered {code}").into()),
        }
    }

    async fn exchange(&self, wire: &[u8], open: &mut Option<TcpStream>) -> Result<Vec<u8>> {
        if wire.len() > UDP_LIMIT && open.is_none() {
            *open = Some(TcpStream::connect(self.update).await?);
        }
        if let Some(stream) = open {
            stream.write_all(&[&u16::try_from(wire.len())?.to_be_bytes(), wire].concat()).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            return Ok(answer);
        }
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(self.update).await?;
        socket.send(wire).await?;
        let mut answer = vec![0; 4096];
        let length = socket.recv(&mut answer).await?;
        answer.truncate(length);
        Ok(answer)
    }
}

fn txt(owner: &Name, value: &str, class: DNSClass, ttl: u32) -> Record {
    let mut record = Record::from_rdata(owner.clone(), ttl, RData::TXT(TXT::new(vec![value.to_owned()])));
    record.dns_class = class;
    record
}

fn query(name: &Name, kind: RecordType) -> Query {
    let mut query = Query::new();
    query.set_name(name.clone()).set_query_type(kind).set_query_class(DNSClass::IN);
    query
}

fn question(owner: &Name) -> Result<Vec<u8>> {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(query(owner, RecordType::TXT));
    Ok(message.to_vec()?)
}

fn texts(answer: &Message) -> Vec<String> {
    if answer.message_type != MessageType::Response {
        return Vec::new();
    }
    let texts = answer.answers.iter().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    });
    texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}
