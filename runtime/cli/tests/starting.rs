//! A worker of a group answers while it is still starting: here Kafka is out of reach for good.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Status and body; none while nobody listens.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

#[test]
fn health_is_starting_until_the_internal_topics_are_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, nobody) = (free_port(), free_port());
    let properties = dir.path().join("worker.properties");
    let converter = "org.apache.kafka.connect.storage.StringConverter";
    let text = format!(
        "bootstrap.servers=127.0.0.1:{nobody}\ngroup.id=g\nlisteners=http://127.0.0.1:{port}\ndata.dir={}\n\
         config.storage.topic=c\noffset.storage.topic=o\nstatus.storage.topic=s\n\
         key.converter={converter}\nvalue.converter={converter}\n",
        dir.path().join("data").display()
    );
    std::fs::write(&properties, text).expect("written");
    let log = std::fs::File::create(dir.path().join("log")).expect("a log");
    let started = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("distributed")
        .arg(&properties)
        .stderr(log)
        .stdout(Stdio::null())
        .spawn();
    let mut worker = Running(started.expect("it starts"));
    let began = Instant::now();
    let (status, body) = loop {
        if let Some(answer) = get(port, "/health") {
            break answer;
        }
        let text = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(worker.0.try_wait().expect("a state").is_none(), "it ended: {text}");
        assert!(began.elapsed() < Duration::from_mins(1), "nobody listens: {text}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("\"status\":\"starting\""), "{body}");
    let (status, body) = get(port, "/connector-plugins").expect("what is known without the group is answered");
    assert!(status == 200 && body.contains("FileStreamSinkConnector"), "{status} {body}");
}
