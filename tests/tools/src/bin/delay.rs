//! A proxy that makes a loopback server look as far away as `--rtt-ms`, for TCP and UDP: half the round trip each
//! way, and one more for setting up a TCP connection.
//!
//! ```text
//! delay --rtt-ms 30 127.0.0.111:53=127.0.0.11:53 127.0.0.114:14000=127.0.0.14:14000
//! ```
//! Listens on both protocols at each address; says `ready` on standard output. On SIGTERM or SIGINT it prints what
//! passed as one JSON line and ends. Timers have a grain of 1 ms: a round trip takes up to 2 ms more than asked for.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool: it prints

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

/// How much is read at once, bytes; and how many such pieces may be under way in one direction. 16 MiB at 30 ms are
/// 500 MB/s: bandwidth is not what we model.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 256;
/// A UDP client that is silent for so long is forgotten; our choice, longer than any DNS retry.
const UDP_IDLE: Duration = Duration::from_secs(30);
/// Largest UDP payload, bytes.
const DATAGRAM: usize = 65_535;

#[derive(Parser)]
#[command(about = "Makes loopback servers look far away, for TCP and UDP")]
struct Cli {
    /// Round-trip time in milliseconds
    #[arg(long)]
    rtt_ms: u64,
    /// LISTEN=TARGET, both ip:port
    #[arg(required = true)]
    routes: Vec<Route>,
}

#[derive(Debug, Clone, Copy)]
struct Route {
    listen: SocketAddr,
    target: SocketAddr,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, target) = text.split_once('=').ok_or("expected LISTEN=TARGET")?;
        let address = |text: &str| text.parse().map_err(|_| format!("`{text}` is not ip:port"));
        Ok(Route { listen: address(listen)?, target: address(target)? })
    }
}

/// What passed.
#[derive(Debug, Default)]
struct Counters {
    connections: u64,
    bytes_up: u64,
    bytes_down: u64,
    datagrams_up: u64,
    datagrams_down: u64,
}

#[derive(Clone)]
struct Proxy {
    rtt: Duration,
    counters: Rc<RefCell<Counters>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match LocalSet::new().run_until(serve(&cli)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: &Cli) -> io::Result<()> {
    let proxy = Proxy { rtt: Duration::from_millis(cli.rtt_ms), counters: Rc::default() };
    for route in &cli.routes {
        let tcp = TcpListener::bind(route.listen).await?;
        let udp = Rc::new(UdpSocket::bind(route.listen).await?);
        spawn_local(proxy.clone().accept(tcp, route.target));
        spawn_local(proxy.clone().relay_datagrams(udp, route.target));
    }
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("ready");
    tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
    println!("{}", proxy.report());
    Ok(())
}

impl Proxy {
    fn report(&self) -> serde_json::Value {
        let counters = self.counters.borrow();
        json!({
            "connections": counters.connections,
            "bytes": {"to_server": counters.bytes_up, "to_client": counters.bytes_down},
            "datagrams": {"to_server": counters.datagrams_up, "to_client": counters.datagrams_down},
        })
    }

    async fn accept(self, listener: TcpListener, target: SocketAddr) {
        while let Ok((client, _)) = listener.accept().await {
            self.counters.borrow_mut().connections += 1;
            let proxy = self.clone();
            spawn_local(async move {
                if let Err(error) = proxy.connect(client, target).await {
                    eprintln!("delay: {target}: {error}"); // the client sees its connection closed
                }
            });
        }
    }

    /// The kernel has answered the client's SYN already. On a real path the client's first byte would leave one
    /// round trip after the SYN, and the server would have the connection half a round trip after that.
    async fn connect(self, client: TcpStream, target: SocketAddr) -> io::Result<()> {
        let accepted = Instant::now();
        let server = TcpStream::connect(target).await?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (up, down) = (self.clone(), self.clone());
        let half = self.rtt / 2;
        spawn_local(pass(half, from_client, to_server, accepted + self.rtt, move |bytes| {
            up.counters.borrow_mut().bytes_up += bytes;
        }));
        spawn_local(pass(half, from_server, to_client, accepted + self.rtt * 3 / 2, move |bytes| {
            down.counters.borrow_mut().bytes_down += bytes;
        }));
        Ok(())
    }

    async fn relay_datagrams(self, listener: Rc<UdpSocket>, target: SocketAddr) {
        let clients: Rc<RefCell<HashMap<SocketAddr, Rc<UdpSocket>>>> = Rc::default();
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // an ICMP error of an earlier answer shows up here; it is not the end
            let Ok((length, client)) = listener.recv_from(&mut buffer).await else { continue };
            let known = clients.borrow().get(&client).cloned();
            let upstream = match known {
                Some(upstream) => upstream,
                None => {
                    let Ok(upstream) = connected(target).await else { continue };
                    clients.borrow_mut().insert(client, Rc::clone(&upstream));
                    let answers =
                        self.clone().relay_answers(Rc::clone(&listener), Rc::clone(&upstream), client);
                    let clients = Rc::clone(&clients);
                    spawn_local(async move {
                        answers.await;
                        clients.borrow_mut().remove(&client);
                    });
                    upstream
                }
            };
            self.counters.borrow_mut().datagrams_up += 1;
            self.later(buffer[..length].to_vec(), move |datagram| async move {
                let _ = upstream.send(&datagram).await; // a lost datagram is a lost datagram
            });
        }
    }

    async fn relay_answers(self, listener: Rc<UdpSocket>, upstream: Rc<UdpSocket>, client: SocketAddr) {
        let mut buffer = vec![0; DATAGRAM];
        while let Ok(received) = timeout(UDP_IDLE, upstream.recv(&mut buffer)).await {
            let Ok(length) = received else { continue };
            self.counters.borrow_mut().datagrams_down += 1;
            let listener = Rc::clone(&listener);
            self.later(buffer[..length].to_vec(), move |datagram| async move {
                let _ = listener.send_to(&datagram, client).await;
            });
        }
    }

    /// Does `send` half a round trip from now.
    fn later<F: Future<Output = ()>>(&self, datagram: Vec<u8>, send: impl FnOnce(Vec<u8>) -> F + 'static) {
        let due = Instant::now() + self.rtt / 2;
        spawn_local(async move {
            sleep_until(due).await;
            send(datagram).await;
        });
    }
}

/// One direction of a connection. Nothing leaves before `open`; the end of the stream travels like data.
async fn pass(
    half: Duration,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    open: Instant,
    count: impl Fn(u64),
) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    spawn_local(async move {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from.read(&mut buffer).await.unwrap_or(0); // a reset is passed on as an end
            let arrival = Instant::now().max(open) + half;
            if queue.send((arrival, buffer[..length].to_vec())).await.is_err() || length == 0 {
                return;
            }
        }
    });
    while let Some((arrival, piece)) = due.recv().await {
        sleep_until(arrival).await;
        count(piece.len() as u64);
        if piece.is_empty() || to.write_all(&piece).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await; // the peer may have gone first
}

async fn connected(target: SocketAddr) -> io::Result<Rc<UdpSocket>> {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(Rc::new(socket))
}
