//! `millrace topics` beside a worker that holds the embedded log, and without it: the same output either way.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

/// A data directory and the file of its worker.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(settings: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory") };
        let data = place.data().display().to_string();
        let text = format!("listeners=http://127.0.0.1:0\ndata.dir={data}\ntopics.orders.partitions=2\n{settings}");
        std::fs::write(place.properties(), text).expect("written");
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn properties(&self) -> PathBuf {
        self.dir.path().join("worker.properties")
    }

    fn topics(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MILLRACE);
        command.arg("topics").arg("--data").arg(self.data()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Standard output of a command that succeeds.
    fn shown(&self, arguments: &[&str]) -> String {
        text_of(&self.topics(arguments).output().expect("it runs"))
    }

    /// Standard error of a command that fails with this exit code.
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.topics(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    fn produce(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self.topics(arguments).stdin(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        text_of(&child.wait_with_output().expect("it ends"))
    }
}

fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// A worker that is ready; killed when it is dropped.
struct Worker {
    child: Child,
}

impl Worker {
    fn start(place: &Place) -> Self {
        let log = std::fs::File::create(place.dir.path().join("worker.log")).expect("a log");
        let mut command = Command::new(MILLRACE);
        command.arg("standalone").arg(place.properties()).arg("--json");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut worker = Self { child: command.spawn().expect("it starts") };
        let output = worker.child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert!(
            line.contains("\"rest\":\"http://127.0.0.1:"),
            "{line}: {}",
            read(&place.dir.path().join("worker.log"))
        );
        worker
    }

    /// SIGTERM, and an orderly end.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let until = Instant::now() + Duration::from_secs(40);
        while self.child.try_wait().expect("wait").is_none() {
            assert!(Instant::now() < until, "the worker does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().expect("wait").success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Everything that can be looked at, in one text.
fn everything(place: &Place) -> String {
    let looks: [&[&str]; 6] = [
        &["list"],
        &["list", "--json"],
        &["tail", "logs"],
        &["tail", "logs", "--from-beginning"],
        &["tail", "logs", "--from-beginning", "--json"],
        &["tail", "logs", "--from-beginning", "-n", "2"],
    ];
    let mut text: Vec<String> = looks.iter().map(|arguments| place.shown(arguments)).collect();
    text.push(place.refused(&["tail", "none"], 1));
    text.concat()
}

#[test]
fn topics_are_the_same_beside_a_worker_and_without_it() {
    let place = Place::new("");
    std::fs::create_dir(place.data()).expect("a directory");
    // The embedded log itself: nobody holds it yet.
    let produced = place.produce(&["produce", "logs", "--keyed"], "a\tfirst\nb\tsecond\n");
    assert_eq!(produced, "2 records appended to logs\n");

    let worker = Worker::start(&place);
    let input: Vec<String> = (3..=14).map(|number| format!("number {number}\n")).collect();
    assert_eq!(place.produce(&["produce", "logs"], &input.concat()), "12 records appended to logs\n");
    assert_eq!(place.produce(&["produce", "new"], ""), "0 records appended to new\n");
    let listed = place.shown(&["list"]);
    let columns: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected: [&[&str]; 3] = [
        &["connect-configs", "1", "partitions", "0", "records"],
        &["logs", "1", "partitions", "14", "records"],
        &["orders", "2", "partitions", "0", "records"],
    ];
    assert_eq!(columns, expected);
    let tail = place.shown(&["tail", "logs"]);
    let expected: Vec<String> =
        (5..=14).map(|number| format!("logs-0@{}\tnull\tnumber {number}\n", number - 1)).collect();
    assert_eq!(tail, expected.concat());
    assert_eq!(place.shown(&["tail", "logs", "--from-beginning", "-n", "1"]), "logs-0@0\ta\tfirst\n");
    let configs = place.refused(&["tail", "connect-configs"], 2);
    assert!(configs.contains("The records of connect-configs are not shown"), "{configs}");

    let beside = everything(&place);
    worker.stop();
    assert!(!place.data().join("worker.json").exists());
    assert_eq!(everything(&place), beside);
}

/// Bytes that `tail` prints for these lines: place, null key and value, with three bytes for a control character.
fn expected_length(lines: &str) -> usize {
    let value = |line: &str| line.len() + 2 * line.matches('\u{1}').count();
    let lines = lines.lines().enumerate();
    lines.map(|(offset, line)| format!("large-0@{offset}\tnull\t\n").len() + value(line)).sum()
}

#[test]
fn tail_follows_what_others_append_beside_the_worker() {
    let place = Place::new("");
    let worker = Worker::start(&place);
    // Lines beyond the limits of one request, and the largest record there can be in a topic, at its worst in JSON.
    let large = format!("{}\n{}\n", format!("{}\n", "x".repeat(3_000)).repeat(1_000), "\u{1}".repeat(1_000_000));
    assert_eq!(place.produce(&["produce", "large"], &large), "1002 records appended to large\n");
    assert_eq!(place.shown(&["tail", "large", "--from-beginning"]).len(), expected_length(&large));

    place.produce(&["produce", "orders", "--keyed"], "k\told\n");
    let mut tail = place.topics(&["tail", "orders", "--follow", "--json", "-n", "3"]).spawn().expect("it starts");
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("\"key\":\"k\",\"value\":\"old\",\"headers\":[]}"));
    for value in ["one", "two"] {
        place.produce(&["produce", "orders", "--keyed"], &format!("k\t{value}\n"));
        let line = next();
        assert!(
            line.starts_with("{\"topic\":\"orders\",\"partition\":")
                && line.contains(&format!("\"value\":\"{value}\"")),
            "{line}"
        );
    }
    assert!(tail.wait().expect("it ends").success());
    worker.stop();
}

#[test]
fn a_worker_that_shows_no_topics_says_so_and_one_that_was_killed_is_not_asked() {
    let place = Place::new("topics.rest.enable=false\n");
    let worker = Worker::start(&place);
    let refused = place.refused(&["list"], 2);
    assert!(refused.contains("topics.rest.enable is false"), "{refused}");
    // Dropping kills it.
    drop(worker);
    assert!(place.data().join("worker.json").exists());
    assert!(place.shown(&["list"]).contains("orders"));
    // A new worker takes the place of the old one's file.
    std::fs::write(place.properties(), read(&place.properties()).replace("=false", "=true")).expect("written");
    let worker = Worker::start(&place);
    assert!(place.shown(&["list"]).contains("orders"));
    worker.stop();
}
