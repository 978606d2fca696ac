//! A server that answers bulk requests by a script, for what a healthy one does not do on command.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a harness of tests"
)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to answer to the next bulk request; when the script is over, everything succeeds.
pub enum Reply {
    /// Status and error type of each item.
    Bulk(Vec<(u16, &'static str)>),
    /// A status about the whole request.
    Status(u16),
    Redirect(String),
    Close,
    Hang,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Reply>>,
    heads: Mutex<Vec<String>>,
    bulks: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
    ping_too: AtomicBool,
}

pub struct Scripted {
    pub url: String,
    state: Arc<State>,
}

impl Scripted {
    pub async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State { script: Mutex::new(script.into()), ..State::default() });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// The script holds for `GET /` as well.
    pub fn also_for_ping(&self) {
        self.state.ping_too.store(true, Ordering::SeqCst);
    }

    pub fn bulks(&self) -> Vec<String> {
        self.state.bulks.lock().unwrap().clone()
    }

    pub fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }

    pub fn most_at_once(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

pub fn bulk_answer(items: &[(u16, &str)]) -> String {
    let item = |(status, class): &(u16, &str)| match *class {
        "" => json!({"index": {"status": status}}),
        class => json!({"index": {"status": status, "error": {"type": class, "reason": "because"}}}),
    };
    let failed = items.iter().any(|(_, class)| !class.is_empty());
    json!({"errors": failed, "items": items.iter().map(item).collect::<Vec<Value>>()}).to_string()
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut buffer).await else { return };
        state.heads.lock().unwrap().push(head.clone());
        let is_bulk = head.contains("/_bulk");
        if !is_bulk && !state.ping_too.load(Ordering::SeqCst) {
            let text = if head.starts_with("HEAD") { "" } else { "{}" };
            respond(&mut stream, 200, text, "").await;
            continue;
        }
        let now = state.now.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(now, Ordering::SeqCst);
        state.bulks.lock().unwrap().push(body.clone());
        let reply = state.script.lock().unwrap().pop_front();
        tokio::time::sleep(Duration::from_millis(5)).await;
        state.now.fetch_sub(1, Ordering::SeqCst);
        match reply {
            None => {
                let actions = body.lines().filter(|line| line.contains("\"_index\"")).count();
                respond(&mut stream, 200, &bulk_answer(&vec![(201, ""); actions]), "").await;
            }
            Some(Reply::Bulk(items)) => respond(&mut stream, 200, &bulk_answer(&items), "").await,
            Some(Reply::Status(status)) => {
                let error = json!({"error": {"type": "scripted_exception", "reason": "because"}, "status": status});
                respond(&mut stream, status, &error.to_string(), "").await;
            }
            Some(Reply::Redirect(to)) => respond(&mut stream, 307, "", &format!("location: {to}\r\n")).await,
            Some(Reply::Close) => return,
            Some(Reply::Hang) => tokio::time::sleep(Duration::from_mins(1)).await,
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    let mut chunk = vec![0; 65_536];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).unwrap();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(n @ 1..) => buffer.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}

async fn respond(stream: &mut TcpStream, status: u16, body: &str, extra: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}
