//! The keys of the sink: Confluent's names, and Aiven's where they differ.

use millrace_api::config::{Config as _, FromConfig, Parsed, Password, Props};
use millrace_api::{Error, Result};
use millrace_macros::Config;

use crate::convert::Zone;

/// How records become rows (`insert.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InsertMode {
    Insert,
    Upsert,
    Update,
}

/// Where the key columns come from (`pk.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PkMode {
    None,
    Kafka,
    RecordKey,
    RecordValue,
}

impl FromConfig for InsertMode {
    fn from_config(value: Parsed) -> Self {
        match text(&value).as_str() {
            "upsert" => Self::Upsert,
            "update" => Self::Update,
            _ => Self::Insert,
        }
    }
}

impl FromConfig for PkMode {
    fn from_config(value: Parsed) -> Self {
        match text(&value).as_str() {
            "kafka" => Self::Kafka,
            "record_key" => Self::RecordKey,
            "record_value" => Self::RecordValue,
            _ => Self::None,
        }
    }
}

fn text(value: &Parsed) -> String {
    if let Parsed::Text(text) = value { text.to_ascii_lowercase() } else { String::new() }
}

/// Writes records into the tables of a relational database.
#[derive(Debug, Clone, Config)]
#[allow(
    dead_code,
    reason = "some of Kafka Connect's keys are accepted and have no meaning here; their documentation says so"
)]
#[allow(clippy::struct_excessive_bools, reason = "the keys are Kafka Connect's")]
pub(crate) struct SinkConfig {
    /// Where the database is: `jdbc:mysql://host:port/database`, `jdbc:mariadb://…`, `jdbc:postgresql://…`,
    /// `jdbc:sqlite:/path/of/an/existing/file` or `jdbc:sqlite::memory:`. Only the parameters listed in the documentation of
    /// this connector are accepted; the password belongs in `connection.password`.
    #[config(importance = "high", group = "Connection", order = 1, width = "long", display = "JDBC URL")]
    pub(crate) connection_url: String,
    /// User to connect as.
    #[config(importance = "high", group = "Connection", order = 2, display = "JDBC User")]
    pub(crate) connection_user: Option<String>,
    /// Password of the user.
    #[config(importance = "high", group = "Connection", order = 3, display = "JDBC Password")]
    pub(crate) connection_password: Option<Password>,
    /// PEM certificates of the authorities that may have signed the database's certificate, beside the public ones. For
    /// `sslMode=VERIFY_CA` and stricter.
    #[config(name = "connection.ssl.truststore.certificates", group = "Connection", importance = "low", order = 4)]
    pub(crate) trusted: Option<Password>,
    /// Only Kafka Connect's default is known: user and password come from `connection.user` and `connection.password`.
    #[config(
        name = "jdbc.credentials.provider.class",
        kind = "class",
        importance = "low",
        group = "Connection",
        order = 5
    )]
    pub(crate) credentials_provider: Option<String>,
    /// The dialect, `MySqlDatabaseDialect`, `PostgreSqlDatabaseDialect` or `SqliteDatabaseDialect`. It follows from
    /// `connection.url`; another one than that is refused.
    #[config(name = "dialect.name", default = "", importance = "low", group = "Connection", order = 6)]
    pub(crate) dialect_name: String,
    /// Accepted for compatibility: the worker tries again with back-off, without end.
    #[config(default = "3", range = "1..", importance = "low", group = "Connection", order = 7)]
    pub(crate) connection_attempts: i32,
    /// Accepted for compatibility, as `connection.attempts`.
    #[config(
        name = "connection.backoff.ms",
        default = "10000",
        range = "0..",
        importance = "low",
        group = "Connection",
        order = 8
    )]
    pub(crate) connection_backoff: i64,

    /// `insert` adds rows, `upsert` adds or replaces them by the key columns (a primary key or any unique constraint), `update`
    /// changes rows that exist. `upsert` and `update` need `pk.mode` and are safe to repeat.
    #[config(
        default = "insert",
        one_of_ignore_case("insert", "upsert", "update"),
        recommended("insert", "upsert", "update"),
        importance = "high",
        group = "Writes",
        order = 1
    )]
    pub(crate) insert_mode: InsertMode,
    /// Most rows in one statement.
    #[config(default = "3000", range = "1..", group = "Writes", order = 2, kind = "int")]
    pub(crate) batch_size: usize,
    /// Whether a record without a value deletes the row of its key. Needs `pk.mode=record_key`.
    #[config(default = "false", group = "Writes", order = 3)]
    pub(crate) delete_enabled: bool,
    /// Kinds of tables to write to: `TABLE`, `PARTITIONED TABLE`, `VIEW`.
    #[config(default = "TABLE", importance = "low", group = "Writes", order = 4)]
    pub(crate) table_types: Vec<String>,
    /// Whether a null in a field whose schema has a default becomes that default.
    #[config(name = "replace.null.with.default", default = "true", importance = "low", group = "Writes", order = 5)]
    pub(crate) null_as_default: bool,

    /// Name of the table of a topic; `${topic}` is the topic. `schema.table` where the database has schemas.
    #[config(
        name = "table.name.format",
        default = "${topic}",
        non_empty,
        group = "Data Mapping",
        order = 1,
        width = "long"
    )]
    pub(crate) table_name_format: String,
    /// Aiven's: whether every character of a topic other than letters, digits and underscores becomes an underscore.
    #[config(name = "table.name.normalize", default = "false", group = "Data Mapping", order = 2)]
    pub(crate) table_name_normalize: bool,
    /// Aiven's: tables by topic, `topic:table`, before `table.name.format`.
    #[config(name = "topics.to.tables.mapping", group = "Data Mapping", order = 3, width = "long")]
    pub(crate) topics_to_tables: Option<Vec<String>>,
    /// Where the key columns come from: `none`, `kafka` (topic, partition and offset), `record_key` or `record_value`.
    #[config(
        name = "pk.mode",
        default = "none",
        one_of_ignore_case("none", "kafka", "record_key", "record_value"),
        recommended("none", "kafka", "record_key", "record_value"),
        importance = "high",
        group = "Data Mapping",
        order = 4
    )]
    pub(crate) pk_mode: PkMode,
    /// The key columns. `kafka`: three names, `__connect_topic,__connect_partition,__connect_offset` if empty. `record_key`:
    /// fields of the key, all if empty; one name for a key that is a single value. `record_value`: fields of the value, all if
    /// empty.
    #[config(name = "pk.fields", default = "", group = "Data Mapping", order = 5, width = "long")]
    pub(crate) pk_fields: Vec<String>,
    /// Fields of the value to write, all if empty. Key columns are always written.
    #[config(name = "fields.whitelist", default = "", group = "Data Mapping", order = 6, width = "long")]
    pub(crate) fields_whitelist: Vec<String>,
    /// Time zone of columns without one: what a timestamp is written as there, and what a text without an offset means.
    #[config(name = "db.timezone", default = "UTC", check = Zone::check, group = "Data Mapping", order = 7)]
    pub(crate) db_timezone: Zone,
    /// Accepted for compatibility: a date is written as the date it is.
    #[config(
        name = "date.timezone",
        default = "DB_TIMEZONE",
        one_of_ignore_case("DB_TIMEZONE", "UTC"),
        importance = "low",
        group = "Data Mapping",
        order = 8
    )]
    pub(crate) date_timezone: String,
    /// Fields whose whole numbers are timestamps in the unit of `timestamp.precision.mode` instead of milliseconds.
    #[config(name = "timestamp.fields.list", default = "", importance = "low", group = "Data Mapping", order = 9)]
    pub(crate) timestamp_fields: Vec<String>,
    /// Unit of `timestamp.fields.list`.
    #[config(
        name = "timestamp.precision.mode",
        default = "microseconds",
        one_of_ignore_case("microseconds", "nanoseconds"),
        importance = "low",
        group = "Data Mapping",
        order = 10
    )]
    pub(crate) timestamp_precision: String,
    /// Accepted for compatibility: dates are of the proleptic Gregorian calendar, as ISO 8601 and the databases have them.
    #[config(
        name = "date.calendar.system",
        default = "LEGACY",
        one_of_ignore_case("LEGACY", "PROLEPTIC_GREGORIAN"),
        importance = "low",
        group = "Data Mapping",
        order = 11
    )]
    pub(crate) date_calendar: String,
    /// Column of a value that is text and nothing else.
    #[config(
        name = "string.output.value.column.name",
        default = "record_value",
        non_empty,
        importance = "low",
        group = "Data Mapping",
        order = 12
    )]
    pub(crate) text_column: String,

    /// Whether to create a table that is missing, from the records' schema or, without one, from the types of their values.
    #[config(name = "auto.create", default = "false", group = "DDL Support", order = 1)]
    pub(crate) auto_create: bool,
    /// Whether to add columns that are missing. Nothing is ever changed or dropped.
    #[config(name = "auto.evolve", default = "false", group = "DDL Support", order = 2)]
    pub(crate) auto_evolve: bool,
    /// Whether names of tables and columns stand in quotes: `always` or `never`.
    #[config(
        name = "quote.sql.identifiers",
        default = "always",
        one_of_ignore_case("always", "never"),
        group = "DDL Support",
        order = 3
    )]
    pub(crate) quote: String,
    /// Aiven's name of `quote.sql.identifiers`: `false` is `never`.
    #[config(name = "sql.quote.identifiers", default = "true", group = "DDL Support", order = 4)]
    pub(crate) quote_aiven: bool,
    /// Accepted for compatibility: there is no SQL Server here.
    #[config(
        name = "mssql.use.merge.holdlock",
        default = "true",
        importance = "low",
        group = "DDL Support",
        order = 5
    )]
    pub(crate) merge_holdlock: bool,

    /// Accepted for compatibility: the worker tries again after errors that may pass, without end.
    #[config(name = "max.retries", default = "10", range = "0..", group = "Retries", order = 1)]
    pub(crate) max_retries: i32,
    /// Accepted for compatibility, as `max.retries`.
    #[config(name = "retry.backoff.ms", default = "3000", range = "0..", group = "Retries", order = 2)]
    pub(crate) retry_backoff: i32,
    /// Accepted for compatibility: messages never hold values.
    #[config(name = "trim.sensitive.log", default = "false", importance = "low", group = "Retries", order = 3)]
    pub(crate) trim_sensitive_log: bool,
}

/// The one credentials provider there is, under Kafka Connect's name for it.
const DEFAULT_PROVIDER: &str = "io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider";

impl SinkConfig {
    /// Parses and checks everything that can be checked without the database.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`].
    pub(crate) fn of(props: &Props) -> Result<Self> {
        let config = Self::parse(props)?;
        match config.problems(props).into_iter().next() {
            Some((_, problem)) => Err(Error::config(problem)),
            None => Ok(config),
        }
    }

    /// What is wrong between keys: the key to show it at, and the sentence.
    pub(crate) fn problems(&self, props: &Props) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: &'static str, value: &str, cause: &str| {
            problems.push((key, format!("Invalid value {value} for configuration {key}: {cause}")));
        };
        if self.delete_enabled && self.pk_mode != PkMode::RecordKey {
            wrong(
                "delete.enabled",
                "true",
                "Deletes need the record's key; set pk.mode to record_key, or delete.enabled to false",
            );
        }
        if self.insert_mode != InsertMode::Insert && self.pk_mode == PkMode::None {
            let mode = if self.insert_mode == InsertMode::Upsert { "upsert" } else { "update" };
            wrong(
                "insert.mode",
                mode,
                "Rows need a key; set pk.mode to record_key or record_value, or insert.mode to insert",
            );
        }
        if self.pk_mode == PkMode::Kafka && !matches!(self.pk_fields.len(), 0 | 3) {
            wrong(
                "pk.fields",
                &self.pk_fields.join(","),
                "With pk.mode kafka name three columns, for topic, partition and offset, or none",
            );
        }
        for (index, entry) in self.topics_to_tables.iter().flatten().enumerate() {
            if entry.split_once(':').is_none_or(|(topic, table)| topic.is_empty() || table.is_empty()) {
                wrong(
                    "topics.to.tables.mapping",
                    entry,
                    &format!("Entry {} is not of the form topic:table", index + 1),
                );
            }
        }
        if let Some(class) = &self.credentials_provider
            && !class.is_empty()
            && class != DEFAULT_PROVIDER
        {
            wrong(
                "jdbc.credentials.provider.class",
                class,
                "Java classes cannot be loaded; leave the key out and set connection.user and connection.password, for instance from a secret",
            );
        }
        let known = Self::def();
        for key in props.keys().filter(|key| key.starts_with("connection.") && known.get(key).is_none()) {
            let shown: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
            problems.push((
                "connection.url",
                format!("Invalid configuration {shown}: nothing is passed through to a driver; leave the key out"),
            ));
        }
        problems
    }

    /// Whether names stand in quotes.
    pub(crate) fn quotes(&self) -> bool {
        self.quote_aiven && self.quote.eq_ignore_ascii_case("always")
    }

    /// Names of the key columns of `pk.mode=kafka`.
    pub(crate) fn kafka_columns(&self) -> Vec<String> {
        if self.pk_fields.is_empty() {
            ["__connect_topic", "__connect_partition", "__connect_offset"].map(str::to_owned).to_vec()
        } else {
            self.pk_fields.clone()
        }
    }
}
