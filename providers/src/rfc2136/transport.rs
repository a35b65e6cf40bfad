//! How signed messages travel to the one primary: over a kept connection, or one datagram each.

use super::outcome::Failure;
use super::stream::{Broken, Connection};
use super::tls::Tls;
use super::tsig::{Key, Signed};
use hickory_proto::op::{Message, OpCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Largest datagram that survives any path unfragmented (DNS flag day 2020); larger messages go by TCP.
const MAX_DATAGRAM: usize = 1232;
/// How often a question is sent over UDP within the timeout. An UPDATE is sent once: the duplicate of an UPDATE whose
/// answer got lost looks like a conflict.
const QUESTION_SENDS: u32 = 3;
/// How long a signed answer may still follow an unsigned error over UDP, where anyone can send one; our choice, a few
/// times the round trip of a distant server.
const HINT_GRACE: Duration = Duration::from_millis(300);

/// What to do when a connection breaks after a message was sent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfLost {
    /// Send it again on a new connection, once: a second copy changes nothing.
    Repeat,
    /// Say that nobody knows.
    Report,
}

/// The way to one server.
pub(super) struct Link {
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
    datagrams: bool,
    timeout: Duration,
    kept: Mutex<Option<Arc<Connection>>>,
}

impl Link {
    /// `datagrams`: UDP where a message fits; never together with `tls`.
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        tls: Option<Tls>,
        datagrams: bool,
        timeout: Duration,
    ) -> Self {
        Link { addresses, tls, datagrams, timeout, kept: Mutex::new(None) }
    }

    /// Opens the connection that later exchanges use; nothing to do for UDP.
    pub(super) async fn open(&self) -> Result<(), Failure> {
        if self.datagrams {
            return Ok(());
        }
        timeout(self.timeout, self.connection()).await.unwrap_or_else(|_| Err(self.no_connection())).map(drop)
    }

    /// Signs and sends `message` and returns its authenticated answer, whatever the response code.
    pub(super) async fn exchange(
        &self,
        key: &Key,
        message: &Message,
        if_lost: IfLost,
    ) -> Result<Message, Failure> {
        if self.datagrams {
            let signed = key.sign(message)?;
            if signed.wire.len() <= MAX_DATAGRAM {
                let answer = self.by_udp(&signed).await?;
                // An UPDATE was done all the same.
                if !answer.truncation || signed.op_code == OpCode::Update {
                    return Ok(answer);
                }
            }
        }
        self.by_stream(key, message, if_lost).await
    }

    /// The kept connection may turn out to be dead; what was not sent is always sent again.
    async fn by_stream(&self, key: &Key, message: &Message, if_lost: IfLost) -> Result<Message, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut repeated = false;
        loop {
            let opened = timeout_at(deadline, self.connection()).await;
            let connection = opened.unwrap_or_else(|_| Err(self.no_connection()))?;
            let signed = key.sign(message)?;
            let answer = timeout_at(deadline, connection.exchange(&signed)).await;
            let harmless = match &answer {
                Ok(Ok(raw)) => return signed.open(raw),
                Ok(Err(Broken::IdTaken)) => continue,
                Ok(Err(Broken::BeforeSending(_))) => true,
                Ok(Err(Broken::AfterSending(_))) => if_lost == IfLost::Repeat,
                Err(_) => false,
            };
            self.forget(&connection).await;
            if !harmless || repeated {
                return Err(self.silence(answer));
            }
            repeated = true;
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let mut kept = self.kept.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| connection.is_open()) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(Connection::open(&self.addresses, self.tls.as_ref(), self.timeout).await?);
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// A connection that swallowed a message is not trusted with the next one.
    async fn forget(&self, broken: &Arc<Connection>) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, broken)) {
            *kept = None;
        }
    }

    fn silence(&self, answer: Result<Result<Vec<u8>, Broken>, tokio::time::error::Elapsed>) -> Failure {
        match answer {
            Ok(Err(Broken::BeforeSending(why))) => Failure::Unreachable(why),
            Ok(Err(Broken::AfterSending(why))) => Failure::Unknown(why),
            _ => self.no_answer(),
        }
    }

    fn no_connection(&self) -> Failure {
        let what = if self.tls.is_some() { "connection with TLS" } else { "connection" };
        Failure::Unreachable(format!("no {what} within {:?}", self.timeout))
    }

    fn no_answer(&self) -> Failure {
        Failure::Unknown(format!("no answer within {:?}", self.timeout))
    }

    /// The addresses are tried in order; an UPDATE goes on to the next one only when it was not sent.
    async fn by_udp(&self, signed: &Signed) -> Result<Message, Failure> {
        let mut last = Failure::Unreachable("no address".into());
        for address in &self.addresses {
            match self.by_udp_to(*address, signed).await {
                Err(failure @ Failure::Unreachable(_)) => last = failure,
                Err(failure @ Failure::Unknown(_)) if signed.op_code == OpCode::Query => last = failure,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    /// One socket, so one random port (RFC 5452 §9.2), per message.
    async fn by_udp_to(&self, address: SocketAddr, signed: &Signed) -> Result<Message, Failure> {
        let unreachable = |e: std::io::Error| Failure::Unreachable(format!("{address}: {e}"));
        let local: &str = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(local).await.map_err(unreachable)?;
        socket.connect(address).await.map_err(unreachable)?;
        let sends = if signed.op_code == OpCode::Query { QUESTION_SENDS } else { 1 };
        let deadline = Instant::now() + self.timeout;
        for send in 1..=sends {
            socket.send(&signed.wire).await.map_err(unreachable)?;
            let until = deadline - self.timeout * (sends - send) / sends;
            if let Some(outcome) = listen(&socket, signed, until).await {
                return outcome;
            }
        }
        Err(self.no_answer())
    }
}

/// Waits for an authenticated answer and skips what others send; `None` when none came in time. An unsigned error
/// counts only when nothing better follows it.
async fn listen(socket: &UdpSocket, signed: &Signed, until: Instant) -> Option<Result<Message, Failure>> {
    let mut datagram = vec![0; usize::from(u16::MAX)];
    let mut hint: Option<(Failure, Instant)> = None;
    loop {
        let patience = hint.as_ref().map_or(until, |(_, patience)| *patience);
        let received = tokio::select! {
            biased;
            received = socket.recv(&mut datagram) => received,
            () = sleep_until(patience) => return hint.map(|(failure, _)| Err(failure)),
        };
        let opened = match received {
            Ok(length) => signed.open(&datagram[..length]),
            // ICMP port unreachable: can be forged, so for an UPDATE it proves nothing.
            Err(e) if signed.op_code == OpCode::Query => {
                return Some(Err(Failure::Unreachable(e.to_string())));
            }
            Err(e) => return Some(Err(Failure::Unknown(e.to_string()))),
        };
        match opened {
            Err(Failure::Forged(why)) => tracing::debug!("skipped a datagram: {why}"),
            Err(failure @ Failure::Hint { .. }) => {
                hint = hint.or(Some((failure, until.min(Instant::now() + HINT_GRACE))));
            }
            outcome => return Some(outcome),
        }
    }
}
