//! A small HTTP server that answers what a test says, lies included, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// "GET /path?query"
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Told {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// A body that never ends.
    Endless,
    /// The connection is closed without a word.
    Nothing,
    /// No word for so long.
    Silence(Duration),
}

impl Told {
    pub fn json(status: u16, body: serde_json::Value) -> Told {
        Told::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Told {
        Told::Answer { status, headers: vec![], body: body.to_owned() }
    }

    pub fn with(self, name: &str, value: &str) -> Told {
        match self {
            Told::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Told::Answer { status, headers, body }
            }
            other => other,
        }
    }
}

pub struct Web {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Serves until the test ends. `tell` gets the request and how many came before it.
    pub fn start(tell: impl Fn(&Asked, usize) -> Told + Send + Sync + 'static) -> Web {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (tell, memory) = (Arc::new(tell), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, memory) = (tell.clone(), memory.clone());
                std::thread::spawn(move || while serve(&stream, &*tell, &memory).is_some() {});
            }
        });
        Web { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Method and target of each request.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

fn serve(
    stream: &TcpStream,
    tell: &(impl Fn(&Asked, usize) -> Told + ?Sized),
    memory: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let asked = read(stream)?;
    let before = {
        let mut memory = memory.lock().unwrap();
        memory.push(asked.clone());
        memory.len() - 1
    };
    let mut stream = stream;
    match tell(&asked, before) {
        Told::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()
        }
        Told::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n[").ok()?;
            let chunk = vec![b' '; 1 << 20];
            loop {
                stream.write_all(&chunk).ok()?;
            }
        }
        Told::Silence(time) => {
            std::thread::sleep(time);
            None
        }
        Told::Nothing => None,
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, target, headers, body: String::from_utf8(body).ok()? })
}
