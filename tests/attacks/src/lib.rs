//! A worker to attack, and who notices when something happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this crate is only used by tests"
)]

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use hyper::Method;
use millrace_scenarios::{Answer, Cluster};
use serde_json::{Map, Value, json};

/// Part of every secret: it must be seen nowhere.
pub const CANARY: &str = "canary-7Hq";

/// The variable that connectors may read, which holds a secret.
pub const VARIABLE: &str = "ATTACKS_OPEN";

/// The variable that they may not read.
pub const CLOSED: &str = "ATTACKS_CLOSED";

/// A worker that says everything in its log, and traps beside it.
pub struct Target {
    /// The worker is number 0.
    pub cluster: Cluster,
    /// Nobody may call here.
    listener: TcpListener,
    /// Nobody may create this.
    mark: PathBuf,
    open: tempfile::TempDir,
}

impl Target {
    /// Starts the worker, with two config providers: `env` for one variable, `file` for a folder.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let open = tempfile::tempdir().expect("a folder");
        let allowed = open.path().display().to_string();
        let providers = [
            ("config.providers", "env,file"),
            ("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
            ("config.providers.env.param.allowlist.pattern", VARIABLE),
            ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
            ("config.providers.file.param.allowed.paths", &allowed),
        ];
        let mut cluster = Cluster::new(1, &[settings, &providers].concat());
        let (shown, hidden) = (format!("{CANARY}-open"), format!("{CANARY}-closed"));
        let variables = [(VARIABLE, shown.as_str()), (CLOSED, hidden.as_str()), ("MILLRACE_LOG", "trace")];
        cluster.start_with(0, &variables);
        cluster.healthy(0).await;
        let mark = cluster.path("mark");
        Self { cluster, listener, mark, open }
    }

    /// `host:port` of somebody who must not be called.
    #[must_use]
    pub fn victim(&self) -> String {
        self.listener.local_addr().expect("an address").to_string()
    }

    /// The folder that the config provider `file` may read.
    #[must_use]
    pub fn open_folder(&self) -> &Path {
        self.open.path()
    }

    /// A library that leaves the mark when it is loaded, and a command that does when it is run.
    #[must_use]
    pub fn traps(&self) -> (String, String) {
        let (source, library) = (self.cluster.path("trap.c"), self.cluster.path("trap.so"));
        let mark = self.mark.display();
        let code = format!(
            "#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen(\"{mark}\", \"w\")); }}\n"
        );
        std::fs::write(&source, code).expect("written");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("a C compiler").success());
        let (library, command) = (library.display().to_string(), format!("touch {mark}"));
        // The traps work.
        for trap in [Command::new("true").env("LD_PRELOAD", &library), Command::new("sh").args(["-c", &command])] {
            assert!(trap.status().expect("it runs").success());
            std::fs::remove_file(&self.mark).expect("the trap left its mark");
        }
        (library, command)
    }

    /// Sends JSON.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let url = self.cluster.url(0, path);
        let answer = self.cluster.http.send(method, &url, &[], &body.to_string()).await.expect("an answer");
        assert!(!answer.body.contains(CANARY), "{path} shows a secret: {}", answer.body);
        answer
    }

    /// As [`Target::send`] with nothing to send.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &Value::Null).await
    }

    /// A connector of either kind with these settings is refused, whichever way it comes; the error names what is wrong with which
    /// key, and what to do.
    pub async fn refused(&self, settings: &[(&str, &str)], key: &str) {
        for class in ["FileStreamSource", "FileStreamSink"] {
            let config = self.config(class, settings);
            let post = self.send(Method::POST, "/connectors", &json!({ "name": "evil", "config": config })).await;
            let put = self.send(Method::PUT, "/connectors/evil/config", &config).await;
            for answer in [post, put] {
                let what = format!("{class} with {settings:?}: {} {}", answer.status, answer.body);
                assert_eq!(answer.status, 400, "{what}");
                let message = answer.json()["message"].as_str().unwrap_or_default().to_lowercase();
                assert!(message.contains(&key.to_lowercase()), "it does not name {key}: {what}");
                let fixes = ["use ", "remove", "keep", "end it", "write", "put ", "have ", "set ", "choose"];
                assert!(fixes.iter().any(|fix| message.contains(fix)), "it names no fix: {what}");
            }
            let validate = format!("/connector-plugins/{class}/config/validate");
            let answer = self.send(Method::PUT, &validate, &config).await;
            // A provider that refuses ends it with 500, as in Kafka Connect.
            let refused = answer.status >= 400 || answer.json()["error_count"].as_u64() > Some(0);
            assert!(refused, "{class} with {settings:?} is valid: {}", answer.body);
        }
    }

    /// A connector of this class with these settings.
    #[must_use]
    pub fn config(&self, class: &str, settings: &[(&str, &str)]) -> Value {
        let file = self.cluster.path("lines.txt").display().to_string();
        let mut config = Map::new();
        for (key, value) in [
            ("name", "evil"),
            ("connector.class", class),
            ("tasks.max", "1"),
            ("topic", "t"),
            ("topics", "t"),
            ("file", &file),
        ] {
            if !(class.ends_with("Sink") && key == "topic" || class.ends_with("Source") && key == "topics") {
                config.insert(key.to_owned(), json!(value));
            }
        }
        config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
        Value::Object(config)
    }

    /// Nothing was made, run, loaded, called or said.
    pub async fn unharmed(mut self) {
        assert_eq!(self.get("/connectors").await.body, "[]");
        assert!(!self.mark.exists(), "something was loaded or run");
        assert_eq!(
            self.listener.accept().map(drop).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock),
            "a call"
        );
        self.silent();
    }

    /// Nothing secret is in the log, which has everything.
    pub fn silent(&mut self) {
        self.cluster.stop(0);
        let log = std::fs::read(self.cluster.path("worker-0.log")).expect("a log");
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains(" DEBUG "), "the log is to have everything");
        let said = log.lines().find(|line| line.contains(CANARY));
        assert_eq!(said, None, "a secret in the log");
    }
}
