//! A worker of its own process, and a client of its REST API.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

/// `millrace standalone` until it is dropped.
pub(crate) struct Worker {
    child: Child,
    address: String,
}

impl Worker {
    /// Starts on the embedded log in `dir` with these lines in its file; its log goes to `dir/log`.
    pub(crate) fn start(dir: &Path, settings: &str, environment: &[(&str, &str)]) -> Self {
        let properties = dir.join("worker.properties");
        let data = dir.join("data");
        std::fs::write(&properties, format!("listeners=http://127.0.0.1:0\ndata.dir={}\n{settings}", data.display()))
            .expect("written");
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let mut child = Command::new(MILLRACE)
            .args(["--log", "trace", "standalone", "--json"])
            .arg(&properties)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("not ready: {line}{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default())
        });
        let address = ready["rest"].as_str().expect("an address").trim_start_matches("http://").to_owned();
        Self { child, address }
    }

    /// Status and body of an answer.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// Asks until the answer is as wanted.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let (_, body) = self.request("GET", path, None);
            if wanted(&body) {
                return body;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{path} is still {body}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
