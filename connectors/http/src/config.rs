//! Keys.

use millrace_api::config::Config as _;
use millrace_api::config::{ConfigValue, Props};
use millrace_api::{Error, Result};
use millrace_macros::Config;

use crate::rules::{self, Rules};

/// Keys of the HTTP source.
#[derive(Debug, Clone, Config)]
pub struct HttpSourceConfig {
    /// Topic that records are produced to.
    #[config(importance = "high", non_empty)]
    pub topic: String,
    /// Address to listen on, `host:port`. Port 0 picks a free one and logs it.
    #[config(name = "http.listen", default = "127.0.0.1:8084", importance = "high", check = listen_address)]
    pub listen: String,
    /// Path of the requests.
    #[config(name = "http.path", default = "/", importance = "high", check = absolute_path)]
    pub path: String,
    /// Method of the requests.
    #[config(name = "http.method", default = "POST", one_of("POST", "PUT", "PATCH"))]
    pub method: String,
    /// Field of the record that becomes its key: a name, or a JSON pointer when it starts with `/`. A record without it is
    /// refused. Unset: records have no key.
    #[config(name = "key.field", importance = "high", non_empty)]
    pub key_field: Option<String>,
    /// JSON Schema that every record must satisfy, inline.
    #[config(name = "http.schema", importance = "high", check = rules::check_inline)]
    pub schema: Option<String>,
    /// File with the JSON Schema that every record must satisfy; instead of `http.schema`.
    #[config(name = "http.schema.file", importance = "high", non_empty)]
    pub schema_file: Option<String>,
    /// Largest body in bytes; a larger one is answered with 413.
    #[config(name = "http.max.body.bytes", default = "1048576", range = "1..=268435456")]
    pub max_body_bytes: usize,
    /// Most records in one request whose body is an array.
    #[config(name = "http.max.records", default = "10000", range = "1..=1000000")]
    pub max_records: usize,
    /// Milliseconds a client may take to send its body before it is answered with 408.
    #[config(name = "http.body.timeout.ms", default = "10000", range = "1..")]
    pub body_timeout_ms: u64,
    /// Milliseconds a request waits for the log's acknowledgement before it is answered with 503 (nothing was produced) or
    /// 504 (outcome unknown).
    #[config(name = "http.ack.timeout.ms", default = "30000", range = "1..")]
    pub ack_timeout_ms: u64,
    /// Most bytes of requests that were received and not answered yet. Above it, requests are answered with 503.
    #[config(name = "http.max.pending.bytes", default = "33554432", range = "1..")]
    pub max_pending_bytes: usize,
    /// Most requests that were received and not answered yet. Above it, requests are answered with 503.
    #[config(name = "http.max.pending.requests", default = "2000", range = "1..")]
    pub max_pending_requests: usize,
    /// Most open connections. Further ones wait to be accepted.
    #[config(name = "http.max.connections", default = "2000", range = "1..=1000000")]
    pub max_connections: usize,
    /// Most bytes handed to the log at once. A request is never split.
    #[config(name = "http.batch.max.bytes", default = "4194304", range = "1..", importance = "low")]
    pub batch_max_bytes: usize,
    /// Most records handed to the log at once. A request is never split.
    #[config(name = "http.batch.max.records", default = "5000", range = "1..", importance = "low")]
    pub batch_max_records: usize,
    /// Request headers to copy into record headers, under their lower-case names.
    #[config(name = "http.headers.include", default = "")]
    pub headers_include: Vec<String>,
    /// Whether a request whose idempotency key was seen before is answered without producing again.
    #[config(name = "idempotency.enable", default = "true")]
    pub idempotency_enable: bool,
    /// Request header that holds the idempotency key.
    #[config(name = "idempotency.header", default = "Idempotency-Key", check = header_name)]
    pub idempotency_header: String,
    /// Milliseconds an idempotency key is remembered.
    #[config(name = "idempotency.window.ms", default = "3600000", range = "1..")]
    pub idempotency_window_ms: i64,
    /// Most idempotency keys remembered; the oldest are forgotten first. Also the records read back from the end of each
    /// partition when the task starts.
    #[config(name = "idempotency.max.keys", default = "100000", range = "1..=10000000")]
    pub idempotency_max_keys: usize,
}

impl HttpSourceConfig {
    /// The header of the key, unless idempotency is off.
    pub(crate) fn key_header(&self) -> Option<&str> {
        self.idempotency_enable.then_some(self.idempotency_header.as_str())
    }

    /// The rules of `http.schema` or `http.schema.file`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub(crate) fn rules(&self) -> Result<Rules> {
        match (&self.schema, &self.schema_file) {
            (Some(_), Some(_)) => Err(Error::config(
                "Invalid value for configuration http.schema.file: http.schema is given too; keep one of them",
            )),
            (Some(text), None) => Rules::inline(text),
            (None, Some(path)) => Rules::file(path),
            (None, None) => Ok(Rules::none()),
        }
    }
}

/// Value and errors of every key, with those that need more than one key or a file.
pub(crate) fn validate(props: &Props) -> Vec<ConfigValue> {
    let mut values = HttpSourceConfig::def().validate(props);
    if let Ok(config) = HttpSourceConfig::parse(props)
        && let Err(error) = config.rules()
    {
        let key = if config.schema_file.is_some() { "http.schema.file" } else { "http.schema" };
        if let Some(value) = values.iter_mut().find(|value| value.name == key) {
            value.errors.push(error.message().to_owned());
        }
    }
    if let Ok(config) = HttpSourceConfig::parse(props) {
        for name in &config.headers_include {
            if let (Err(cause), Some(value)) =
                (header_name(name), values.iter_mut().find(|value| value.name == "http.headers.include"))
            {
                value.errors.push(format!("Invalid value {name} for configuration http.headers.include: {cause}"));
            }
        }
    }
    values
}

fn listen_address(text: &str) -> Result<(), String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        _ => Err("Expected host:port, for instance 127.0.0.1:8084".to_owned()),
    }
}

fn absolute_path(text: &str) -> Result<(), String> {
    if text.starts_with('/') && !text.contains(['?', '#']) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("Expected a path that starts with /, percent-encoded and without query".to_owned())
    }
}

fn header_name(text: &str) -> Result<(), String> {
    match hyper::header::HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err("Expected the name of an HTTP header".to_owned()),
    }
}
