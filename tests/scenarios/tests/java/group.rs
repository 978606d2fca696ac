//! A group of workers: real ones of Kafka Connect, started by `tests/services`, and processes of Millrace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use millrace_scenarios::{Worker, endpoint, eventually, free_port, repository};

use crate::rest::Rest;

/// What all workers of a group have in common.
pub(crate) struct Group {
    /// The group, and the prefix of its topics.
    pub(crate) name: String,
    /// Further properties, one a line.
    properties: String,
    dir: tempfile::TempDir,
    started: AtomicU32,
}

impl Group {
    /// A group that nobody else has, which speaks `protocol` (`connect.protocol`).
    pub(crate) fn new(label: &str, protocol: &str) -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
        // A lost worker is noticed after 6 s instead of 10, the least that brokers allow.
        let properties = format!("connect.protocol={protocol}\nsession.timeout.ms=6000\nheartbeat.interval.ms=1000");
        let dir = tempfile::tempdir().expect("a directory");
        Self { name: format!("{label}-{since}"), properties, dir, started: AtomicU32::new(0) }
    }

    /// The same with one more property.
    pub(crate) fn with(mut self, property: &str) -> Self {
        self.properties = format!("{}\n{property}", self.properties);
        self
    }

    /// A file of this run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder of a worker.
    fn folder(&self, kind: &str) -> PathBuf {
        let path = self.path(&format!("{kind}-{}", self.started.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&path).expect("a folder");
        path
    }

    /// A Java worker that has joined.
    pub(crate) fn java(&self) -> JavaWorker {
        let run = self.folder("java");
        ctl(&run, &["start", "connect"], &self.name, &self.properties);
        JavaWorker { rest: Rest::of(&run.join("connect/connect.properties")), run, group: self.name.clone() }
    }

    /// The file of another worker of the group, without a Java worker to take it from.
    pub(crate) fn properties(&self) -> PathBuf {
        let (path, port) = (self.folder("properties").join("worker.properties"), free_port());
        let (name, kafka) = (&self.name, endpoint("MILLRACE_TEST_KAFKA"));
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let text = format!(
            "bootstrap.servers={kafka}\ngroup.id={name}\nlisteners=HTTP://127.0.0.1:{port}\n\
             rest.advertised.host.name=127.0.0.1\nrest.advertised.port={port}\n\
             key.converter={json}\nvalue.converter={json}\n\
             key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n\
             config.storage.topic={name}-configs\noffset.storage.topic={name}-offsets\nstatus.storage.topic={name}-status\n\
             config.storage.replication.factor=1\noffset.storage.replication.factor=1\n\
             status.storage.replication.factor=1\noffset.storage.partitions=5\nstatus.storage.partitions=2\n\
             offset.flush.interval.ms=1000\nscheduled.rebalance.max.delay.ms=0\n{}\n",
            self.properties
        );
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A Millrace worker with these properties that has joined.
    pub(crate) async fn millrace(&self, properties: &Path) -> MillraceWorker {
        let folder = self.folder("millrace");
        // Components are compiled once for all workers of all runs.
        let compiled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
        std::fs::create_dir_all(&compiled).expect("a folder");
        std::fs::create_dir(folder.join("millrace-data")).expect("a folder");
        std::os::unix::fs::symlink(compiled, folder.join("millrace-data/components")).expect("a link");
        let log = folder.join("millrace.log");
        let process = Worker::start_in(&folder, &["distributed", &properties.display().to_string()], &[], &log);
        let worker = MillraceWorker { process, rest: Rest::of(properties), log };
        let asked = || worker.rest.get("/connectors");
        eventually("Millrace has joined", Duration::from_mins(5), asked, |answer| {
            answer.as_ref().is_some_and(|answer| answer.status == 200)
        })
        .await;
        worker
    }
}

/// Properties as Java reads them.
pub(crate) fn read_properties(path: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(path).expect("properties");
    java_properties::read(text.as_bytes()).expect("properties")
}

fn ctl(run: &Path, words: &[&str], group: &str, properties: &str) {
    let done = Command::new(repository().join("tests/services/ctl"))
        .args(words)
        .env("MILLRACE_RUN_DIR", run)
        .env("MILLRACE_CONNECT_GROUP", group)
        .env("MILLRACE_CONNECT_PROPS", properties)
        .env("MILLRACE_CONNECT_MIRROR", "1")
        .env("MILLRACE_CONNECT_JVM", "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
        .env("MILLRACE_TEST_KAFKA", endpoint("MILLRACE_TEST_KAFKA"))
        .env_remove("MILLRACE_TEST_KAFKA_DIR")
        .env_remove("MILLRACE_TEST_CONNECT")
        .env_remove("MILLRACE_TEST_CONNECT_DIR")
        .stdout(Stdio::null())
        .status()
        .expect("ctl");
    assert!(done.success(), "tests/services/ctl {}", words.join(" "));
}

/// All records of a topic as Kafka's own tool prints them: partition, key and value.
pub(crate) fn records(topic: &str) -> Vec<(String, String, String)> {
    let kafka = endpoint("MILLRACE_TEST_KAFKA");
    let words = [
        "tool",
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "--bootstrap-server",
        &kafka,
        "--topic",
        topic,
        "--from-beginning",
        "--timeout-ms",
        "5000",
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "print.partition=true",
    ];
    let ran = Command::new(repository().join("tests/services/ctl")).args(words).stderr(Stdio::null()).output();
    let text = String::from_utf8(ran.expect("ctl").stdout).expect("text");
    let fields = |line: &str| {
        let mut fields = line.splitn(3, '\t').map(str::to_owned);
        Some((fields.next()?, fields.next()?, fields.next()?))
    };
    text.lines().filter_map(fields).collect()
}

/// A real worker, ended when it is dropped.
pub(crate) struct JavaWorker {
    pub(crate) rest: Rest,
    run: PathBuf,
    group: String,
}

impl JavaWorker {
    /// Its file.
    pub(crate) fn properties(&self) -> PathBuf {
        self.run.join("connect/connect.properties")
    }

    /// SIGTERM, and waits for an orderly end.
    pub(crate) fn stop(&self) {
        self.ctl("end");
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.ctl("kill");
    }

    /// Starts it again, with the same properties; it has joined then.
    pub(crate) fn restart(&self) {
        self.ctl("restart");
    }

    /// What it has logged as an error since it was started first.
    pub(crate) fn errors(&self) -> Vec<String> {
        errors(&std::fs::read_to_string(self.run.join("connect/1.log")).expect("a log"))
    }

    fn ctl(&self, word: &str) {
        ctl(&self.run, &[word, "connect"], &self.group, "");
    }
}

impl Drop for JavaWorker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.run.join("connect/1.log")).unwrap_or_default();
            show("Java", &log);
        }
        let word = |word: &str| {
            Command::new(repository().join("tests/services/ctl"))
                .args([word, "connect"])
                .env("MILLRACE_RUN_DIR", &self.run)
                .status()
        };
        let _ = word("kill").and_then(|_| word("stop"));
    }
}

/// A worker of Millrace.
pub(crate) struct MillraceWorker {
    pub(crate) process: Worker,
    pub(crate) rest: Rest,
    log: PathBuf,
}

impl MillraceWorker {
    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has logged as an error.
    pub(crate) fn errors(&self) -> Vec<String> {
        errors(&self.log())
    }
}

impl Drop for MillraceWorker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show("Millrace", &self.log());
        }
    }
}

fn errors(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect()
}

/// The end of a log that may say why a test failed.
#[allow(clippy::print_stderr, reason = "tests may")]
fn show(whose: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let folder = std::env::var_os("MILLRACE_TEST_LOGS").map(PathBuf::from);
    if let Some(folder) = folder {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let _ = std::fs::write(folder.join(format!("{whose}-{since}.log")), log);
    }
    eprintln!("--- {whose}\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
}
