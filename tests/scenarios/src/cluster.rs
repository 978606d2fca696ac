//! Workers of one group on real Kafka, each a process of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use crate::{Answer, Http, Worker, endpoint, eventually, free_port};

/// State and worker of each connector (by its name) and task (`name/number`).
pub type States = BTreeMap<String, (String, String)>;

/// Counts clusters, as tests of one process may begin in the same millisecond.
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// See the module documentation. Everything ends with it.
pub struct Cluster {
    /// Group, and prefix of the internal topics.
    pub name: String,
    /// Where files of the test go.
    pub dir: tempfile::TempDir,
    /// Asks workers.
    pub http: Http,
    members: Vec<Member>,
}

struct Member {
    port: u16,
    worker: Option<Worker>,
}

impl Cluster {
    /// `count` workers with these settings beside those that every worker needs. None is started.
    #[must_use]
    pub fn new(count: usize, settings: &[(&str, &str)]) -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("group-{}-{since}-{number}", std::process::id());
        let dir = tempfile::tempdir().expect("a directory");
        let members = (0..count).map(|_| Member { port: free_port(), worker: None }).collect();
        let cluster = Self { name, dir, http: Http::default(), members };
        for number in 0..count {
            cluster.write_worker(number, settings);
        }
        cluster
    }

    fn write_worker(&self, number: usize, settings: &[(&str, &str)]) {
        let (name, port) = (&self.name, self.members[number].port);
        let kafka = endpoint("MILLRACE_TEST_KAFKA");
        let data = self.path(&format!("data-{number}")).display().to_string();
        let mut text = format!("bootstrap.servers={kafka}\ngroup.id={name}\nlisteners=http://127.0.0.1:{port}\n");
        let _ = write!(text, "data.dir={data}\nrest.advertised.host.name=127.0.0.1\n");
        for (store, short) in [("config", "configs"), ("offset", "offsets"), ("status", "states")] {
            let _ = write!(text, "{store}.storage.topic={name}-{short}\n{store}.storage.replication.factor=2\n");
        }
        let string = "org.apache.kafka.connect.storage.StringConverter";
        let _ = write!(text, "key.converter={string}\nvalue.converter={string}\n");
        for (key, value) in settings {
            let _ = writeln!(text, "{key}={value}");
        }
        std::fs::write(self.path(&format!("worker-{number}.properties")), text).expect("written");
    }

    /// A file of the test.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Host and port, by which states name a worker.
    #[must_use]
    pub fn id(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.members[number].port)
    }

    /// Where a worker's REST API is.
    #[must_use]
    pub fn url(&self, number: usize, path: &str) -> String {
        format!("http://{}{path}", self.id(number))
    }

    /// Starts a worker.
    pub fn start(&mut self, number: usize) {
        self.start_with(number, &[]);
    }

    /// Starts a worker with these variables in its environment.
    pub fn start_with(&mut self, number: usize, variables: &[(&str, &str)]) {
        let properties = self.path(&format!("worker-{number}.properties")).display().to_string();
        let log = self.path(&format!("worker-{number}.log"));
        let worker = Worker::start_in(Path::new("."), &["distributed", &properties], variables, &log);
        self.members[number].worker = Some(worker);
    }

    /// The process of a worker that was started.
    pub fn worker(&mut self, number: usize) -> &mut Worker {
        self.members[number].worker.as_mut().expect("it was started")
    }

    /// SIGKILL.
    pub fn kill(&mut self, number: usize) {
        self.members[number].worker.take().expect("it runs").kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self, number: usize) {
        self.members[number].worker.take().expect("it runs").stop();
    }

    /// Waits until a worker is in the group.
    pub async fn healthy(&self, number: usize) {
        let ask = || async { self.http.get(&self.url(number, "/health")).await.map(|answer| answer.status) };
        eventually(&format!("worker {number} is healthy"), Duration::from_mins(1), ask, |status| *status == Some(200))
            .await;
    }

    /// Creates a connector at a worker. While the group rebalances the answer is 409 and it is tried again.
    pub async fn create(&self, at: usize, name: &str, config: Value) {
        let mut config = config;
        config["name"] = json!(name);
        let body = json!({ "name": name, "config": config }).to_string();
        let url = self.url(at, "/connectors");
        let ask = || async { self.http.send(Method::POST, &url, &[], &body).await };
        let settled = |answer: &Option<Answer>| answer.as_ref().is_some_and(|answer| answer.status != 409);
        let answer = eventually("a connector is created", Duration::from_mins(1), ask, settled).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 201, "{name}: {}", answer.body);
    }

    /// All states, as a worker shows them; `None` when it does not answer.
    pub async fn states(&self, at: usize) -> Option<States> {
        let all = self.http.get(&self.url(at, "/connectors?expand=status")).await.filter(|all| all.status == 200)?;
        let mut states = States::new();
        for (name, shown) in all.json().as_object()? {
            let (shown, text) = (&shown["status"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
            let of = |state: &Value| (text(&state["state"]), text(&state["worker_id"]));
            states.insert(name.clone(), of(&shown["connector"]));
            for task in shown["tasks"].as_array().into_iter().flatten() {
                states.insert(format!("{name}/{}", task["id"]), of(task));
            }
        }
        Some(states)
    }

    /// Waits until so many connectors and tasks run, and all at these workers; the states, and how long it took.
    pub async fn running(&self, at: usize, count: usize, workers: &[usize]) -> (States, Duration) {
        let began = Instant::now();
        let ids: Vec<String> = workers.iter().map(|number| self.id(*number)).collect();
        let ask = || self.states(at);
        let what = format!("{count} connectors and tasks RUNNING at {ids:?}");
        let seen = eventually(&what, Duration::from_mins(2), ask, |states| {
            states.as_ref().is_some_and(|states| {
                let runs = |(state, id): &(String, String)| state == "RUNNING" && ids.contains(id);
                states.len() == count && states.values().all(runs)
            })
        })
        .await;
        (seen.expect("states"), began.elapsed())
    }

    /// The last lines of a worker's log, for a failure.
    #[must_use]
    pub fn tail_of_log(&self, number: usize) -> String {
        tail(&self.path(&format!("worker-{number}.log")))
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The workers' logs are left behind when `MILLRACE_KEEP_LOGS` says where.
impl Drop for Cluster {
    fn drop(&mut self) {
        let Ok(keep) = std::env::var("MILLRACE_KEEP_LOGS") else { return };
        let keep = Path::new(&keep).join(&self.name);
        let _ = std::fs::create_dir_all(&keep);
        for number in 0..self.members.len() {
            let name = format!("worker-{number}.log");
            let _ = std::fs::copy(self.path(&name), keep.join(&name));
        }
    }
}
