//! Stands between provider and server and mishandles the first UPDATE.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// What happens to the first UPDATE.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// The server gets it, its answer is dropped.
    AnswerLost,
    /// The server never gets it.
    MessageLost,
    /// The server gets it after this time.
    Late(Duration),
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

struct Shared {
    server: SocketAddr,
    fate: Fate,
    done: AtomicBool,
    late_one_sent: Notify,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Proxy {
    pub async fn start(server: SocketAddr, fate: Fate) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let shared =
            Arc::new(Shared { server, fate, done: AtomicBool::new(false), late_one_sent: Notify::new() });
        let tasks =
            [tokio::spawn(by_udp(Arc::new(udp), shared.clone())), tokio::spawn(by_tcp(tcp, shared.clone()))];
        Proxy { address, shared, tasks }
    }

    /// Returns once the server has answered the late one.
    pub async fn late_one_sent(&self) {
        timeout(Duration::from_secs(10), self.shared.late_one_sent.notified()).await.unwrap();
    }
}

/// One message to the server over its own socket; `None` when there is no answer to give.
async fn forward(
    message: &[u8],
    shared: &Shared,
    socket: impl AsyncFnOnce(&[u8]) -> Vec<u8>,
) -> Option<Vec<u8>> {
    let is_update = (message[2] >> 3) & 0xf == 5;
    if !is_update || shared.done.swap(true, Ordering::SeqCst) {
        return Some(socket(message).await);
    }
    match shared.fate {
        Fate::MessageLost => {}
        Fate::AnswerLost => {
            socket(message).await;
            // the signed copy, which answers questions, follows a moment later
            sleep(Duration::from_millis(500)).await;
        }
        Fate::Late(time) => {
            sleep(time).await;
            socket(message).await;
            shared.late_one_sent.notify_one();
        }
    }
    None
}

async fn by_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut datagram = vec![0; 65_535];
    while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
        let (message, socket, shared) = (datagram[..length].to_vec(), socket.clone(), shared.clone());
        tokio::spawn(async move {
            let server = shared.server;
            let ask = async |message: &[u8]| {
                let out = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                out.send_to(message, server).await.unwrap();
                let mut answer = vec![0; 65_535];
                let length = out.recv(&mut answer).await.unwrap();
                answer.truncate(length);
                answer
            };
            if let Some(answer) = forward(&message, &shared, ask).await {
                let _ = socket.send_to(&answer, peer).await;
            }
        });
    }
}

async fn by_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(shared.server).await.unwrap();
            while let Ok(message) = frame(&mut client).await {
                let ask = async |message: &[u8]| {
                    send(&mut server, message).await;
                    frame(&mut server).await.unwrap()
                };
                // No answer: the connection is closed.
                let Some(answer) = forward(&message, &shared, ask).await else { return };
                send(&mut client, &answer).await;
            }
        });
    }
}

async fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let _ = stream.write_all(&[&length[..], message].concat()).await;
}
