//! Keys: those of Confluent's connector, with its defaults, and a few of our own.

use std::time::Duration;

use elasticsearch::http::Url;
use millrace_api::config::{Password, Props};
use millrace_api::{Error, Result};
use millrace_macros::Config;

use crate::index;

/// Keys of the Elasticsearch sink.
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its own")]
#[derive(Debug, Clone, Config)]
pub struct ElasticsearchSinkConfig {
    /// Addresses of the nodes, for instance `http://es1:9200,http://es2:9200`; requests take turns. `https` checks the
    /// server's certificate. No user name or password in here: they have keys of their own.
    #[config(name = "connection.url", importance = "high", non_empty, group = "Connector")]
    pub urls: Vec<String>,
    /// User name for basic authentication.
    #[config(name = "connection.username", group = "Connector")]
    pub username: Option<String>,
    /// Password for basic authentication.
    #[config(name = "connection.password", group = "Connector")]
    pub password: Option<Password>,
    /// Most documents in one bulk request.
    #[config(name = "batch.size", default = "2000", range = "1..=1000000", kind = "int", group = "Connector")]
    pub batch_size: usize,
    /// Most bytes in one bulk request; a larger document goes alone. -1 is no bound.
    #[config(
        name = "bulk.size.bytes",
        default = "5242880",
        range = "-1..=2147483647",
        importance = "low",
        group = "Connector"
    )]
    pub bulk_size_bytes: i64,
    /// Most bulk requests of a task under way at once.
    #[config(name = "max.in.flight.requests", default = "5", range = "1..=1000", kind = "int", group = "Connector")]
    pub max_in_flight: usize,
    /// Accepted for compatibility; the worker's byte budgets bound what is buffered.
    #[config(name = "max.buffered.records", default = "20000", range = "1..", importance = "low", group = "Connector")]
    pub max_buffered_records: i32,
    /// Accepted for compatibility; what the worker hands over is written at once, and no offset is committed before.
    #[config(name = "linger.ms", default = "1", range = "0..", importance = "low", group = "Connector")]
    pub linger_ms: i64,
    /// Milliseconds a batch may take, tries included, before the worker is told to try it again.
    #[config(name = "flush.timeout.ms", default = "180000", range = "1..", importance = "low", group = "Connector")]
    pub flush_timeout_ms: i64,
    /// Accepted for compatibility; a batch is always written before its offsets are committed.
    #[config(name = "flush.synchronously", default = "false", importance = "low", group = "Connector")]
    pub flush_synchronously: bool,
    /// How often documents that the server had no room for (429, 503) are sent again before the worker is told.
    #[config(name = "max.retries", default = "5", range = "0..=2147483647", importance = "low", group = "Connector")]
    pub max_retries: i32,
    /// Milliseconds before the first of these tries; doubled for each further one, up to 10 s.
    #[config(name = "retry.backoff.ms", default = "100", range = "0..", importance = "low", group = "Connector")]
    pub retry_backoff_ms: i64,
    /// Whether to compress requests with gzip.
    #[config(name = "connection.compression", default = "false", importance = "low", group = "Connector")]
    pub compression: bool,
    /// Accepted for compatibility; idle connections are closed after 90 s.
    #[config(
        name = "max.connection.idle.time.ms",
        default = "60000",
        range = "0..",
        importance = "low",
        group = "Connector"
    )]
    pub max_connection_idle_ms: i32,
    /// Milliseconds to connect; part of the time a request may take.
    #[config(name = "connection.timeout.ms", default = "1000", range = "0..", importance = "low", group = "Connector")]
    pub connection_timeout_ms: i32,
    /// Milliseconds to wait for the answer of a request once connected.
    #[config(name = "read.timeout.ms", default = "3000", range = "1..", importance = "low", group = "Connector")]
    pub read_timeout_ms: i32,

    /// Whether the document id is made of topic, partition and offset instead of the record's key.
    #[config(name = "key.ignore", default = "false", importance = "high", group = "Data Conversion")]
    pub key_ignore: bool,
    /// Whether mappings are left to Elasticsearch instead of being made from the schema of the records.
    #[config(name = "schema.ignore", default = "false", importance = "low", group = "Data Conversion")]
    pub schema_ignore: bool,
    /// Whether maps with string keys become objects; else a list of `{"key":…,"value":…}`. Maps of records without a schema
    /// are always objects.
    #[config(name = "compact.map.entries", default = "true", importance = "low", group = "Data Conversion")]
    pub compact_map_entries: bool,
    /// Topics for which `key.ignore` is true.
    #[config(name = "topic.key.ignore", default = "", importance = "low", group = "Data Conversion")]
    pub topic_key_ignore: Vec<String>,
    /// Topics for which `schema.ignore` is true.
    #[config(name = "topic.schema.ignore", default = "", importance = "low", group = "Data Conversion")]
    pub topic_schema_ignore: Vec<String>,
    /// Whether records that cannot become a document are left out instead of refused.
    #[config(name = "drop.invalid.message", default = "false", importance = "low", group = "Data Conversion")]
    pub drop_invalid: bool,
    /// What a record without value (a tombstone) does: `delete` deletes the document of its key.
    #[config(
        name = "behavior.on.null.values",
        default = "FAIL",
        one_of_ignore_case("ignore", "delete", "fail"),
        importance = "low",
        group = "Data Conversion"
    )]
    pub on_null: String,
    /// What a document does that Elasticsearch refuses: `fail` hands the record to the connector's error tolerance (the task
    /// fails, or the record goes to the dead letter queue), `warn` and `ignore` leave it out.
    #[config(
        name = "behavior.on.malformed.documents",
        default = "FAIL",
        one_of_ignore_case("ignore", "warn", "fail"),
        importance = "low",
        group = "Data Conversion"
    )]
    pub on_malformed: String,
    /// Record header that holds the document's version; the record's offset when unset.
    #[config(name = "external.version.header", default = "", importance = "low", group = "Data Conversion")]
    pub version_header: String,
    /// Where the version of a document comes from when `external.version.header` is unset: `offset` skips writes older than
    /// what the index holds, so replays change nothing, but needs all records of a key in one partition of a topic that is
    /// never recreated; `none` lets the last write win.
    #[config(
        name = "external.version.source",
        default = "offset",
        one_of_ignore_case("offset", "none"),
        group = "Data Conversion"
    )]
    pub version_source: String,
    /// `insert` replaces documents, `upsert` merges fields into them.
    #[config(
        name = "write.method",
        default = "INSERT",
        one_of_ignore_case("insert", "upsert"),
        importance = "low",
        group = "Data Conversion"
    )]
    pub write_method: String,
    /// Whether Elasticsearch chooses document ids. Needs `key.ignore`; records delivered twice are then stored twice.
    #[config(name = "use.autogenerated.ids", default = "false", group = "Data Conversion")]
    pub autogenerated_ids: bool,

    /// Index to write to, in place of the topic's name; `${topic}` stands for it.
    #[config(name = "index", importance = "medium", group = "Index")]
    pub index: Option<String>,
    /// Mappings of indexes that the connector creates, JSON as in `PUT /index`: `{"properties":{…}}`. Comes before what the
    /// schema of the records says.
    #[config(name = "index.mappings", check = index::check_object, group = "Index")]
    pub mappings: Option<String>,
    /// File with the mappings; instead of `index.mappings`.
    #[config(name = "mapping.file", non_empty, group = "Index")]
    pub mapping_file: Option<String>,
    /// Settings of indexes that the connector creates, JSON: `{"number_of_shards":3}`.
    #[config(name = "index.settings", check = index::check_object, group = "Index")]
    pub settings: Option<String>,
    /// What the names in `topic.to.external.resource.mapping` are. They must exist; nothing is created.
    #[config(
        name = "external.resource.usage",
        default = "DISABLED",
        one_of_ignore_case("disabled", "index", "datastream", "alias_index", "alias_datastream"),
        importance = "low",
        group = "Index"
    )]
    pub resource_usage: String,
    /// Which topic is written to which index, alias or data stream: `topic:name,topic:name`.
    #[config(name = "topic.to.external.resource.mapping", default = "", importance = "low", group = "Index")]
    pub resource_mapping: Vec<String>,
    /// Most entries in `topic.to.external.resource.mapping`.
    #[config(
        name = "max.external.resource.mappings",
        default = "15",
        range = "1..",
        importance = "low",
        group = "Index"
    )]
    pub max_resource_mappings: i32,
    /// Whether to write to a data stream `type-dataset-namespace`, and of which type.
    #[config(
        name = "data.stream.type",
        default = "NONE",
        one_of_ignore_case("none", "logs", "metrics"),
        importance = "low",
        group = "Data Stream"
    )]
    pub stream_type: String,
    /// Dataset of the data stream.
    #[config(name = "data.stream.dataset", default = "", importance = "low", group = "Data Stream")]
    pub stream_dataset: String,
    /// Namespace of the data stream; `${topic}` stands for the topic.
    #[config(name = "data.stream.namespace", default = "${topic}", importance = "low", group = "Data Stream")]
    pub stream_namespace: String,
    /// Fields whose value becomes `@timestamp`, the first that is there; else the record's timestamp.
    #[config(name = "data.stream.timestamp.field", default = "", importance = "low", group = "Data Stream")]
    pub stream_timestamp: Vec<String>,

    /// Host of an HTTP proxy.
    #[config(name = "proxy.host", default = "", importance = "low", group = "Proxy")]
    pub proxy_host: String,
    /// Port of the proxy.
    #[config(name = "proxy.port", default = "8080", range = "1..=65535", importance = "low", group = "Proxy")]
    pub proxy_port: i32,
    /// User name for the proxy.
    #[config(name = "proxy.username", default = "", importance = "low", group = "Proxy")]
    pub proxy_username: String,
    /// Password for the proxy.
    #[config(name = "proxy.password", importance = "low", group = "Proxy")]
    pub proxy_password: Option<Password>,
    /// `SSL` asks for `https` addresses.
    #[config(
        name = "elastic.security.protocol",
        default = "PLAINTEXT",
        one_of("PLAINTEXT", "SSL"),
        group = "Security"
    )]
    pub security_protocol: String,
    /// Certificates (PEM) to trust beside the well-known ones.
    #[config(name = "elastic.https.ssl.truststore.certificates", group = "Security")]
    pub certificates: Option<Password>,
    /// Kerberos is not supported; must be unset.
    #[config(name = "kerberos.user.principal", importance = "low", check = no_kerberos, group = "Kerberos")]
    pub kerberos_principal: Option<String>,
    /// Kerberos is not supported; must be unset.
    #[config(name = "kerberos.keytab.path", importance = "low", check = no_kerberos, group = "Kerberos")]
    pub kerberos_keytab: Option<String>,
}

/// What to do with something that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Fail,
    Warn,
    Ignore,
    Delete,
}

impl ElasticsearchSinkConfig {
    /// What more than one key says.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, Error)> {
        let wrong = |key: &'static str, value: &str, cause: &str| {
            (key, Error::config(format!("Invalid value {value} for configuration {key}: {cause}")))
        };
        for url in &self.urls {
            // The value is not repeated: it may hold a password.
            self.check_url(url).map_err(|cause| wrong("connection.url", Password::HIDDEN, &cause))?;
        }
        if self.username.is_some() != self.password.is_some() {
            let key = if self.username.is_some() { "connection.password" } else { "connection.username" };
            return Err(wrong(key, "null", "User name and password come together; set both or neither"));
        }
        if self.autogenerated_ids && !self.key_ignore {
            return Err(wrong("use.autogenerated.ids", "true", "Needs key.ignore=true"));
        }
        if self.is_upsert() && self.is_stream() {
            return Err(wrong("write.method", &self.write_method, "A data stream is only appended to; use INSERT"));
        }
        if self.mappings.is_some() && self.mapping_file.is_some() {
            return Err(wrong("mapping.file", "given", "index.mappings is given too; keep one of them"));
        }
        index::Names::new(self).map(|_| ())?;
        self.index_body().map_err(|error| ("mapping.file", error))?;
        Ok(())
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let url = Url::parse(text).map_err(|error| format!("Not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("Expected http://host:port or https://host:port".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("Holds a user name or password; use connection.username and connection.password".to_owned());
        }
        if self.security_protocol == "SSL" && url.scheme() != "https" {
            return Err("elastic.security.protocol=SSL needs https".to_owned());
        }
        Ok(())
    }

    /// Body of the request that creates an index: settings and mappings.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the file; it never tells what is in there.
    pub(crate) fn index_body(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let mut body = serde_json::Map::new();
        if let Some(text) = &self.settings {
            body.extend([("settings".to_owned(), index::object(text).map_err(Error::config)?)]);
        }
        let mappings = match (&self.mappings, &self.mapping_file) {
            (Some(text), _) => Some(index::object(text).map_err(Error::config)?),
            (None, Some(path)) => Some(index::object_of_file(path)?),
            (None, None) => None,
        };
        body.extend(mappings.map(|mappings| ("mappings".to_owned(), mappings)));
        Ok(body)
    }

    pub(crate) fn on_null(&self) -> Behavior {
        behavior(&self.on_null)
    }

    pub(crate) fn on_malformed(&self) -> Behavior {
        behavior(&self.on_malformed)
    }

    pub(crate) fn is_upsert(&self) -> bool {
        self.write_method.eq_ignore_ascii_case("upsert")
    }

    /// Whether what is written to is a data stream, which is only appended to.
    pub(crate) fn is_stream(&self) -> bool {
        self.makes_stream() || self.resource_usage.to_ascii_lowercase().ends_with("datastream")
    }

    /// Whether the connector names and makes the data stream itself.
    pub(crate) fn makes_stream(&self) -> bool {
        !self.stream_type.eq_ignore_ascii_case("none")
    }

    pub(crate) fn is_versioned(&self) -> bool {
        !self.version_header.is_empty() || self.version_source.eq_ignore_ascii_case("offset")
    }

    pub(crate) fn ignores_key(&self, topic: &str) -> bool {
        self.key_ignore || self.topic_key_ignore.iter().any(|ignored| ignored == topic)
    }

    pub(crate) fn ignores_schema(&self, topic: &str) -> bool {
        self.schema_ignore || self.topic_schema_ignore.iter().any(|ignored| ignored == topic)
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        millis(self.connection_timeout_ms.into()) + millis(self.read_timeout_ms.into())
    }
}

/// A struct of checked keys.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the key.
pub(crate) fn checked(props: &Props) -> Result<ElasticsearchSinkConfig> {
    use millrace_api::config::Config as _;
    let config = ElasticsearchSinkConfig::parse(props)?;
    config.check().map_err(|(_, error)| error)?;
    Ok(config)
}

pub(crate) fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn behavior(text: &str) -> Behavior {
    match text.to_ascii_lowercase().as_str() {
        "ignore" => Behavior::Ignore,
        "warn" => Behavior::Warn,
        "delete" => Behavior::Delete,
        _ => Behavior::Fail,
    }
}

fn no_kerberos(_: &str) -> Result<(), String> {
    Err("Kerberos is not supported; use connection.username and connection.password".to_owned())
}
