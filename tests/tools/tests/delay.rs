//! The delay proxy in front of small echo servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Long enough to be told from the noise of a busy machine.
const RTT: Duration = Duration::from_millis(300);

struct Proxy {
    child: Child,
    listen: SocketAddr,
}

impl Proxy {
    fn before(target: SocketAddr) -> Self {
        let listen = free_address();
        let mut child = Command::new(env!("CARGO_BIN_EXE_delay"))
            .args(["--rtt-ms", &RTT.as_millis().to_string(), &format!("{listen}={target}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Proxy { child, listen }
    }

    fn end(mut self) -> Value {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for both protocols.
fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn echo_server() -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).unwrap();
            udp.send_to(&buffer[..length], from).unwrap();
        }
    });
    address
}

/// Did it take `round_trips`, and not half a one more?
fn assert_round_trips(start: Instant, round_trips: u32) {
    let took = start.elapsed();
    assert!(took >= RTT * round_trips, "{took:?} is too fast for {round_trips} round trips");
    assert!(took < RTT * round_trips + RTT * 2 / 3, "{took:?} is too slow for {round_trips} round trips");
}

#[test]
fn a_tcp_connection_costs_one_round_trip_and_so_does_each_exchange() {
    let proxy = Proxy::before(echo_server());
    let start = Instant::now();
    let mut stream = TcpStream::connect(proxy.listen).unwrap();
    let mut buffer = [0; 4];
    for exchange in 1..=3 {
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut buffer).unwrap();
        assert_round_trips(start, 1 + exchange);
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut buffer).unwrap(), 0, "the end travels too");
    let counted = proxy.end();
    assert_eq!(
        (&counted["connections"], &counted["bytes"]["to_server"], &counted["bytes"]["to_client"]),
        (&1.into(), &12.into(), &12.into())
    );
}

#[test]
fn datagrams_take_one_round_trip_and_do_not_wait_for_each_other() {
    let proxy = Proxy::before(echo_server());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    for _ in 0..20 {
        socket.send_to(b"ping", proxy.listen).unwrap();
    }
    let mut buffer = [0; 4];
    for _ in 0..20 {
        socket.recv_from(&mut buffer).unwrap();
    }
    assert_round_trips(start, 1);
    assert_eq!(proxy.end()["datagrams"], serde_json::json!({"to_server": 20, "to_client": 20}));
}
