//! The worker's part and the databases, for the cases.

use millrace_api::batch::Row as BatchRow;
use millrace_api::config::Props;
use millrace_api::connector::{ConnectorPlugin as _, Report, SinkContext, SinkTask, Task};
use millrace_api::schema::SchemaRef;
use millrace_api::{Error, ErrorKind, RecordBatch, Result, Writer};
use millrace_behaviour::unused::services;
use millrace_connector_jdbc::JdbcSinkPlugin;
use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row, SqliteConnection};

/// A sink task as a worker starts it.
pub(crate) struct Sink {
    task: Box<dyn SinkTask>,
}

impl Sink {
    pub(crate) async fn start(props: &Props) -> Result<Self> {
        let Task::Sink(mut task) = JdbcSinkPlugin.task() else { panic!("a sink") };
        let context =
            SinkContext { connector: "jdbc".into(), task: 0, group: "connect-jdbc".to_owned(), services: services() };
        task.start(context, props).await?;
        Ok(Self { task })
    }

    /// Puts a batch and returns what was rejected.
    pub(crate) async fn put(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, Error)>> {
        let mut report = Report::default();
        self.task.put(batch, &mut report).await?;
        Ok(report.into_rejected())
    }

    /// Puts a batch all of which is to be written.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) {
        let rejected = self.put(batch).await.expect("written");
        assert!(rejected.is_empty(), "rejected: {rejected:?}");
    }

    /// Puts a batch as a worker does, which tries again after errors that may pass.
    pub(crate) async fn write_with_retries(&mut self, batch: &RecordBatch) -> usize {
        for attempt in 0..20 {
            match self.put(batch).await {
                Ok(rejected) => {
                    assert!(rejected.is_empty(), "rejected: {rejected:?}");
                    return attempt;
                }
                Err(error) if error.is_retriable() => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("no luck in 20 attempts");
    }
}

/// Builds batches.
#[derive(Default)]
pub(crate) struct Batch {
    batch: RecordBatch,
    offset: i64,
}

impl Batch {
    /// Records of one topic without keys and schemas.
    pub(crate) fn values(topic: &str, values: impl IntoIterator<Item = Json>) -> RecordBatch {
        let mut batch = Self::default();
        for value in values {
            batch.json(topic, None, Some(value));
        }
        batch.done()
    }

    /// A record without schemas, as the JSON converter makes it.
    pub(crate) fn json(&mut self, topic: &str, key: Option<Json>, value: Option<Json>) -> &mut Self {
        let write = |json: Option<Json>| {
            move |writer: &mut Writer<'_>| match &json {
                Some(json) => write_json(writer, json),
                None => writer.null(),
            }
        };
        self.record(topic, None, write(key), None, write(value))
    }

    /// A record of a struct.
    pub(crate) fn structure(
        &mut self,
        topic: &str,
        schema: &SchemaRef,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> &mut Self {
        let no_key = |writer: &mut Writer<'_>| writer.null();
        self.record(topic, None, no_key, Some(schema), write)
    }

    pub(crate) fn record(
        &mut self,
        topic: &str,
        key_schema: Option<&SchemaRef>,
        key: impl FnOnce(&mut Writer<'_>),
        value_schema: Option<&SchemaRef>,
        value: impl FnOnce(&mut Writer<'_>),
    ) -> &mut Self {
        let batch = &mut self.batch;
        let topic = batch.intern_topic(topic);
        let (key, ()) = batch
            .append(|heap| {
                key(&mut Writer::new(heap));
                Ok(())
            })
            .expect("key");
        let (value, ()) = batch
            .append(|heap| {
                value(&mut Writer::new(heap));
                Ok(())
            })
            .expect("value");
        let row = BatchRow {
            topic,
            partition: 1,
            offset: self.offset,
            key,
            value,
            key_schema: key_schema.map_or(0, |schema| batch.intern_schema(schema)),
            value_schema: value_schema.map_or(0, |schema| batch.intern_schema(schema)),
            ..BatchRow::EMPTY
        };
        self.offset += 1;
        batch.push(row);
        self
    }

    pub(crate) fn done(&mut self) -> RecordBatch {
        std::mem::take(&mut self.batch)
    }
}

fn write_json(writer: &mut Writer<'_>, json: &Json) {
    match json {
        Json::Null => writer.null(),
        Json::Bool(on) => writer.bool(*on),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => writer.int64(whole),
            None => writer.float64(number.as_f64().expect("a double")),
        },
        Json::String(text) => writer.str(text),
        Json::Array(items) => {
            let open = writer.begin_array();
            for item in items {
                write_json(writer, item);
            }
            writer.end(open, items.len());
        }
        Json::Object(fields) => {
            let open = writer.begin_map();
            for (name, value) in fields {
                writer.str(name);
                write_json(writer, value);
            }
            writer.end(open, fields.len());
        }
    }
}

/// Which database a case runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    MariaDb,
    Postgres,
}

enum Raw {
    Sqlite(SqliteConnection),
    MariaDb(MySqlConnection),
    Postgres(PgConnection),
}

/// A database, looked at from beside the connector.
pub(crate) struct Db {
    pub(crate) kind: Kind,
    raw: Raw,
    props: Props,
    _file: Option<tempfile::TempDir>,
}

impl Db {
    pub(crate) async fn open(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("test.db");
                let url = format!("sqlite://{}?mode=rwc", path.display());
                let mut raw = SqliteConnection::connect(&url).await.expect("SQLite");
                // An empty file is no database yet.
                raw.execute("VACUUM").await.expect("a header");
                let props =
                    [("connection.url".to_owned(), format!("jdbc:sqlite:{}", path.display()))].into_iter().collect();
                Self { kind, raw: Raw::Sqlite(raw), props, _file: Some(folder) }
            }
            Kind::MariaDb => {
                let url = server("MILLRACE_TEST_MARIADB");
                let raw = MySqlConnection::connect(&url).await.expect("MariaDB");
                Self { kind, raw: Raw::MariaDb(raw), props: jdbc(&url, "mysql"), _file: None }
            }
            Kind::Postgres => {
                let url = server("MILLRACE_TEST_POSTGRES");
                let raw = PgConnection::connect(&url).await.expect("PostgreSQL");
                Self { kind, raw: Raw::Postgres(raw), props: jdbc(&url, "postgresql"), _file: None }
            }
        }
    }

    /// The connector's configuration for this database.
    pub(crate) fn props(&self, pairs: &[(&str, &str)]) -> Props {
        let given = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.props.clone().into_iter().chain(given).collect()
    }

    pub(crate) async fn sink(&self, pairs: &[(&str, &str)]) -> Sink {
        Sink::start(&self.props(pairs)).await.expect("started")
    }

    /// Runs statements, after replacing what the three write differently:
    /// `{id}` an automatic key, `` ` `` the mark of names, `{datetime}`, `{timestamptz}`, `{text}` types.
    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = self.spell(sql);
        for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            self.execute(statement).await;
        }
    }

    async fn execute(&mut self, statement: &str) {
        let sql = AssertSqlSafe(statement.to_owned());
        let result = match &mut self.raw {
            Raw::Sqlite(raw) => raw.execute(sql).await.map(|_| ()),
            Raw::MariaDb(raw) => raw.execute(sql).await.map(|_| ()),
            Raw::Postgres(raw) => raw.execute(sql).await.map(|_| ()),
        };
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Drops a table of any name.
    pub(crate) async fn drop_table(&mut self, name: &str) {
        let mark = if self.kind == Kind::MariaDb { "`" } else { "\"" };
        let name = name.replace(mark, &mark.repeat(2));
        self.execute(&format!("DROP TABLE IF EXISTS {mark}{name}{mark}")).await;
    }

    fn spell(&self, sql: &str) -> String {
        let [id, datetime, zoned, text, mark] = match self.kind {
            Kind::Sqlite => ["INTEGER PRIMARY KEY AUTOINCREMENT", "DATETIME", "TIMESTAMP", "TEXT", "\""],
            Kind::MariaDb => {
                ["BIGINT AUTO_INCREMENT PRIMARY KEY", "DATETIME(3)", "TIMESTAMP(3) NULL", "VARCHAR(191)", "`"]
            }
            Kind::Postgres => {
                ["BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "TIMESTAMP", "TIMESTAMPTZ", "TEXT", "\""]
            }
        };
        let sql = sql.replace("{id}", id).replace("{datetime}", datetime).replace("{timestamptz}", zoned);
        sql.replace("{text}", text).replace('`', mark)
    }

    /// A fresh table.
    pub(crate) async fn table(&mut self, name: &str, columns: &str) {
        self.run(&format!("DROP TABLE IF EXISTS `{name}`; CREATE TABLE `{name}` ({columns})")).await;
    }

    /// Rows as text, columns separated by `|`, nulls as `NULL`.
    pub(crate) async fn rows(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(self.spell(sql));
        match &mut self.raw {
            Raw::Sqlite(raw) => raw.fetch_all(sql).await.expect("rows").iter().map(show).collect(),
            Raw::MariaDb(raw) => raw.fetch_all(sql).await.expect("rows").iter().map(show).collect(),
            Raw::Postgres(raw) => raw.fetch_all(sql).await.expect("rows").iter().map(show).collect(),
        }
    }

    /// The only cell of a query.
    pub(crate) async fn one(&mut self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows.into_iter().next().unwrap_or_default()
    }
}

fn show<R: Row>(row: &R) -> String
where
    usize: sqlx::ColumnIndex<R>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database>,
{
    let text = |column: usize| row.try_get_unchecked::<Option<String>, _>(column).expect("text");
    (0..row.len()).map(|column| text(column).unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
}

/// The connector's configuration for PostgreSQL, without a connection of the test's own.
pub(crate) fn postgres_props() -> Props {
    jdbc(&server("MILLRACE_TEST_POSTGRES"), "postgresql")
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("set {variable}, for instance by tests/services/ctl start"))
}

/// `scheme://user:password@host:port/database` as JDBC has it.
fn jdbc(url: &str, name: &str) -> Props {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (account, place) = rest.split_once('@').expect("an account");
    let (user, password) = account.split_once(':').expect("a password");
    [
        ("connection.url", format!("jdbc:{name}://{place}").as_str()),
        ("connection.user", user),
        ("connection.password", password),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into_iter()
    .collect()
}

/// Indices of rejected records, each of which has to be a data error.
pub(crate) fn indices(rejected: &[(usize, Error)]) -> Vec<usize> {
    for (index, error) in rejected {
        assert_eq!(error.kind(), ErrorKind::Data, "record {index}: {error:?}");
    }
    rejected.iter().map(|(index, _)| *index).collect()
}
