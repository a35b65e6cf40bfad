//! One kept connection (TCP or TLS): requests are written as they come, answers are handed to whoever asked, by
//! message ID (RFC 7766 §6.2.1.1, §7).

use super::tls::Tls;
use super::{outcome::Failure, tsig::Signed};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Whether a message reached the wire when its exchange failed.
pub(super) enum Broken {
    /// Not a byte of it was written: another message with the same ID is on its way.
    IdTaken,
    /// Not a byte of it was written.
    BeforeSending(String),
    /// It may have reached the server.
    AfterSending(String),
}

/// A live connection with its reader and writer; closed when dropped.
pub(super) struct Connection {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
    tasks: [JoinHandle<()>; 2],
}

/// Who waits for which message ID; `None` once the connection is closed.
type Waiting = Arc<Mutex<Option<HashMap<u16, oneshot::Sender<Vec<u8>>>>>>;

impl Connection {
    /// Connects to the first address that accepts; each gets its share of `patience`.
    pub(super) async fn open(
        addresses: &[SocketAddr],
        tls: Option<&Tls>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let stream = connect(addresses, patience).await?;
        // Small messages, each waited for: Nagle's algorithm would only delay them.
        stream.set_nodelay(true).map_err(|e| Failure::Unreachable(e.to_string()))?;
        match tls {
            None => Ok(Self::over(stream)),
            Some(tls) => {
                let secured = tls.connector.connect(tls.name.clone(), stream).await;
                Ok(Self::over(secured.map_err(|e| Failure::Tls(e.to_string()))?))
            }
        }
    }

    /// Whether the connection can take another message, as far as we know.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.waiting).is_some()
    }

    /// Sends `message` and waits for the next message that carries its ID.
    pub(super) async fn exchange(&self, message: &Signed) -> Result<Vec<u8>, Broken> {
        let answer = self.expect(message.id)?;
        let length = u16::try_from(message.wire.len())
            .map_err(|_| Broken::BeforeSending("the message is larger than 64 KiB".into()))?;
        let framed = [&length.to_be_bytes()[..], &message.wire].concat();
        self.outgoing.send(framed).map_err(|_| Broken::BeforeSending(CLOSED.into()))?;
        answer.await.map_err(|_| Broken::AfterSending(CLOSED.into()))
    }

    fn expect(&self, id: u16) -> Result<oneshot::Receiver<Vec<u8>>, Broken> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        let Some(waiting) = waiting.as_mut() else { return Err(Broken::BeforeSending(CLOSED.into())) };
        match waiting.entry(id) {
            Entry::Occupied(_) => return Err(Broken::IdTaken),
            Entry::Vacant(place) => place.insert(answer),
        };
        Ok(receiver)
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (outgoing, messages) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let tasks = [
            tokio::spawn(read(reader, waiting.clone())),
            tokio::spawn(write(writer, messages, waiting.clone())),
        ];
        Connection { outgoing, waiting, tasks }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

const CLOSED: &str = "the connection was closed";

async fn connect(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, Failure> {
    let share = patience / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failures = Vec::new();
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => failures.push(format!("{address}: {e}")),
            Err(_) => failures.push(format!("{address}: no connection within {share:?}")),
        }
    }
    Err(Failure::Unreachable(failures.join("; ")))
}

/// Hands each message to the one who waits for its ID; others are dropped: nobody asked.
async fn read(mut stream: impl AsyncRead + Unpin, waiting: Waiting) {
    while let Ok(message) = frame(&mut stream).await {
        let Some(id) = message.first_chunk::<2>().map(|octets| u16::from_be_bytes(*octets)) else { continue };
        let asker = lock(&waiting).as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(asker) = asker {
            // An error means that the asker has given up.
            let _ = asker.send(message);
        }
    }
    close(&waiting);
}

async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut messages: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Waiting,
) {
    while let Some(message) = messages.recv().await {
        if stream.write_all(&message).await.is_err() || stream.flush().await.is_err() {
            return close(&waiting);
        }
    }
}

/// Everyone who waits learns it by the dropped sender.
fn close(waiting: &Waiting) {
    lock(waiting).take();
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, Option<HashMap<u16, oneshot::Sender<Vec<u8>>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn two_messages_on_their_way_never_share_an_id() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let connection = Connection::over(ours);
        let _answer = connection.expect(7).ok().unwrap();
        assert!(matches!(connection.expect(7), Err(Broken::IdTaken)));
        assert!(connection.expect(8).is_ok());
    }

    #[tokio::test]
    async fn the_servers_close_is_known_before_anything_is_sent() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let connection = Connection::over(ours);
        let answer = connection.expect(7).ok().unwrap();
        drop(theirs);
        assert!(answer.await.is_err());
        assert!(!connection.is_open());
        assert!(matches!(connection.expect(8), Err(Broken::BeforeSending(_))));
    }
}
