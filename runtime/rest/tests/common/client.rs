//! One request over one connection, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }

    pub(crate) fn code(&self) -> u16 {
        self.status.split(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sends `data` and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(data).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer (a body that nobody read) still leaves the answer.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// A request with these headers and body.
pub(crate) async fn request(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: localhost:8083\r\n");
    }
    for &(name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || !matches!(line.split(' ').next(), Some("GET" | "HEAD" | "DELETE" | "OPTIONS")) {
        let length = body.len().to_string();
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    head.push_str("\r\n");
    Answer::parse(&raw(address, &[head.as_bytes(), body].concat()).await)
}

/// A request without a body.
pub(crate) async fn ask(address: SocketAddr, line: &str) -> Answer {
    request(address, line, &[], b"").await
}

/// A request with a JSON body.
pub(crate) async fn send(address: SocketAddr, line: &str, body: &str) -> Answer {
    request(address, line, &[("Content-Type", "application/json")], body.as_bytes()).await
}
