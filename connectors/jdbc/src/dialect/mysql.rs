//! MySQL and MariaDB.

use std::fmt::Write as _;

use async_trait::async_trait;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::values::{self, Limits};
use super::{Dialect, Session, Write};
use crate::column::{Column, Kind};
use crate::config::SinkConfig;
use crate::convert::{Cell, Small, push_text};
use crate::ddl::{Literal, NewColumn, Wanted};
use crate::error::{Class, DbError, DbResult, classify, without_value};
use crate::ident::TableName;
use crate::table::Op;
use crate::url::{Server, Tls};

pub(super) static DIALECT: Dialect = Dialect {
    name: "MySqlDatabaseDialect",
    begin: "START TRANSACTION",
    immediate: None,
    mark: '`',
    longest_name: 64,
    name_in_bytes: false,
    ignore_case: true,
    infinities: false,
    column_type,
    literal,
};

/// Parameters of a prepared statement.
const MOST_PARAMETERS: usize = 65_535;
/// Bytes of values in a statement: large enough to be efficient, small enough not to fill the server's buffers.
const MOST_BYTES: usize = 8 << 20;

struct MySql {
    connection: MySqlConnection,
    /// `max_allowed_packet`.
    packet: usize,
}

pub(super) async fn connect(server: &Server, config: &SinkConfig) -> DbResult<Box<dyn Session>> {
    let mut options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .database(&server.database)
        .username(server.user(config.connection_user.as_deref()))
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .enable_cleartext_plugin(false)
        .ssl_mode(match server.tls {
            Tls::Disable => MySqlSslMode::Disabled,
            Tls::Prefer => MySqlSslMode::Preferred,
            Tls::Require => MySqlSslMode::Required,
            Tls::VerifyCa => MySqlSslMode::VerifyCa,
            Tls::VerifyFull => MySqlSslMode::VerifyIdentity,
        })
        .disable_statement_logging();
    if let Some(password) = &config.connection_password {
        options = options.password(password.reveal());
    }
    if let Some(pem) = &config.trusted {
        options = options.ssl_ca_from_pem(pem.reveal().as_bytes().to_vec());
    }
    let mut connection = options.connect().await.map_err(|error| refusal(&error))?;
    // Without strict mode a value that does not fit is cut to one that does, silently.
    let strict = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";
    connection.execute(strict).await.map_err(|error| refusal(&error))?;
    let packet =
        connection.fetch_one("SELECT CAST(@@max_allowed_packet AS SIGNED)").await.map_err(|error| refusal(&error))?;
    let packet =
        packet.try_get_unchecked::<i64, _>(0).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(1 << 20);
    Ok(Box::new(MySql { connection, packet }))
}

#[async_trait]
impl Session for MySql {
    async fn columns(&mut self, table: &TableName, _quoted: &str, kinds: &[String]) -> DbResult<Option<Vec<Column>>> {
        const SQL: &str = "SELECT CAST(c.COLUMN_NAME AS CHAR), CAST(c.DATA_TYPE AS CHAR), CAST(c.COLUMN_TYPE AS CHAR), \
            CAST(c.EXTRA AS CHAR), CAST(c.COLLATION_NAME AS CHAR), CAST(t.TABLE_TYPE AS CHAR) \
            FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME) \
            WHERE c.TABLE_SCHEMA = COALESCE(?, DATABASE()) AND c.TABLE_NAME = ? ORDER BY c.ORDINAL_POSITION";
        let query = sqlx::query(SQL).bind(table.schema.as_deref()).bind(table.name.as_str());
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| refusal(&error))?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let text =
                |index: usize| row.try_get_unchecked::<Option<String>, _>(index).ok().flatten().unwrap_or_default();
            let is_view = text(5).contains("VIEW");
            if is_view && !kinds.iter().any(|kind| kind.eq_ignore_ascii_case("VIEW")) {
                return Err(DbError::new(
                    Class::Refused,
                    format!("\"{table}\" is a view; add VIEW to table.types to write to it"),
                ));
            }
            let collation = text(4);
            let declared = text(2).to_ascii_lowercase();
            let kind = kind_of(&text(1).to_ascii_lowercase(), &declared);
            let mut column = Column::new(text(0), kind);
            if kind == Kind::Decimal {
                column.cast = format!("DECIMAL(65,{})", scale_of(&declared));
            }
            let extra = text(3).to_ascii_uppercase();
            column.generated = extra.contains("GENERATED") && !extra.contains("DEFAULT_GENERATED");
            column.folds = kind == Kind::Text && !collation.is_empty() && !collation.ends_with("_bin");
            columns.push(column);
        }
        Ok((!columns.is_empty()).then_some(columns))
    }

    async fn execute(&mut self, sql: String) -> DbResult<()> {
        self.connection.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(|error| refusal(&error))
    }

    async fn write(&mut self, write: &Write<'_, '_>) -> DbResult<()> {
        if let Some(largest) = write.order.iter().map(|&at| values::size(write, at)).max()
            && largest + (64 << 10) > self.packet
        {
            let message =
                format!("A row of {largest} bytes is larger than the server's max_allowed_packet of {}", self.packet);
            return Err(DbError::new(Class::Data, message));
        }
        let limits = Limits { parameters: MOST_PARAMETERS, bytes: MOST_BYTES.min(self.packet / 2) };
        for chunk in values::chunks(write, limits) {
            let Some(sql) = statement(write, chunk.len()) else { return Ok(()) };
            let arguments = bind(write, chunk)?;
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
            query.execute(&mut self.connection).await.map_err(|error| refusal(&error))?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> DbResult<()> {
        self.connection.ping().await.map_err(|error| refusal(&error))
    }

    async fn close(self: Box<Self>) {
        // The server notices either way.
        let _ = self.connection.close().await;
    }
}

fn statement(write: &Write<'_, '_>, rows: usize) -> Option<String> {
    let keys = write.shape.keys;
    match write.op {
        Op::Insert => Some(values::insert(write, rows)),
        Op::Upsert => {
            let mut sql = values::insert(write, rows);
            sql.push_str(" ON DUPLICATE KEY UPDATE ");
            // With key columns only there is nothing to change; assigning a column to itself says so to both servers.
            let only_keys = write.shape.width() == keys;
            let changed = write.column_names().skip(if only_keys { 0 } else { keys });
            values::push_joined(&mut sql, changed.map(|name| format!("{name}=VALUES({name})")), ",");
            Some(sql)
        }
        Op::Update => values::update(write, parameter),
        Op::Delete => {
            let mut sql = format!("DELETE FROM {} WHERE (", write.table.quoted);
            values::push_joined(&mut sql, write.column_names().take(keys), ",");
            sql.push_str(") IN (");
            let mut row = String::from("(");
            values::push_joined(&mut row, write.columns().take(keys).map(parameter), ",");
            row.push(')');
            values::push_joined(&mut sql, std::iter::repeat_n(row.as_str(), rows), ",");
            sql.push(')');
            Some(sql)
        }
    }
}

/// A key's parameter: text against a decimal column would be compared as floating point.
fn parameter(column: &Column) -> String {
    if column.cast.is_empty() { "?".to_owned() } else { format!("CAST(? AS {})", column.cast) }
}

/// Digits after the point of `decimal(12,2)`.
fn scale_of(declared: &str) -> u32 {
    declared.split([',', ')']).nth(1).and_then(|scale| scale.trim().parse().ok()).unwrap_or(0)
}

fn bind(write: &Write<'_, '_>, chunk: &[u32]) -> DbResult<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    arguments.reserve(chunk.len() * write.shape.width(), chunk.len() * write.shape.width() * 12);
    // An update's parameters are its assignments, then its conditions.
    let first = if write.op == Op::Update { write.shape.keys } else { 0 };
    for &at in chunk {
        let (head, tail) = write.row(at).split_at_checked(first).unwrap_or_default();
        for &cell in tail.iter().chain(head) {
            add(&mut arguments, cell, write.scratch).map_err(|error| refusal(&sqlx::Error::Encode(error)))?;
        }
    }
    Ok(arguments)
}

fn add(arguments: &mut MySqlArguments, cell: Cell<'_>, scratch: &str) -> Result<(), sqlx::error::BoxDynError> {
    match cell {
        Cell::Null => arguments.add(None::<&str>),
        Cell::Bool(on) => arguments.add(i64::from(on)),
        Cell::Int(number) => arguments.add(number),
        Cell::UInt(number) => arguments.add(number),
        Cell::Float(number) => arguments.add(number),
        Cell::Bytes(bytes) => arguments.add(bytes),
        Cell::Text(text) => arguments.add(text),
        Cell::Scratch { .. } => arguments.add(cell.text(scratch).unwrap_or_default()),
        Cell::Date(_) | Cell::Time(_) | Cell::Timestamp(_) => {
            let mut text = Small::new();
            push_text(&mut text, cell, false);
            arguments.add(text.as_str())
        }
    }
}

fn kind_of(data_type: &str, column_type: &str) -> Kind {
    let unsigned = column_type.contains("unsigned");
    let int = |bits: u32| if unsigned { Kind::unsigned(bits) } else { Kind::int(bits) };
    match data_type {
        "tinyint" => int(8),
        "smallint" => int(16),
        "mediumint" => int(24),
        "int" | "integer" => int(32),
        "bigint" if unsigned => Kind::UInt,
        "bigint" => Kind::int(64),
        "year" => Kind::Int { min: 0, max: 2_155 },
        "bit" => {
            let width = column_type.trim_start_matches("bit(").trim_end_matches(')').parse().unwrap_or(1);
            if width >= 64 { Kind::UInt } else { Kind::unsigned(width) }
        }
        "decimal" | "numeric" => Kind::Decimal,
        "float" | "double" | "real" => Kind::Float,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" => Kind::Timestamp { zoned: false },
        "timestamp" => Kind::Timestamp { zoned: true },
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" => Kind::Bytes,
        "json" => Kind::Json,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => Kind::Text,
        _ => Kind::Other,
    }
}

fn column_type(column: &NewColumn) -> String {
    match &column.wanted {
        Wanted::Int8 => "TINYINT".to_owned(),
        Wanted::Int16 => "SMALLINT".to_owned(),
        Wanted::Int32 => "INT".to_owned(),
        Wanted::Int64 => "BIGINT".to_owned(),
        Wanted::Float32 => "FLOAT".to_owned(),
        Wanted::Float64 => "DOUBLE".to_owned(),
        Wanted::Bool => "TINYINT".to_owned(),
        Wanted::Decimal { scale } => format!("DECIMAL(65,{})", (*scale).clamp(0, 30)),
        Wanted::Date => "DATE".to_owned(),
        Wanted::Time => "TIME(3)".to_owned(),
        Wanted::Timestamp => "DATETIME(3)".to_owned(),
        // An index needs a length, and a default is not for TEXT.
        Wanted::Text if column.key || column.default.is_some() => "VARCHAR(255)".to_owned(),
        Wanted::Bytes if column.key => "VARBINARY(255)".to_owned(),
        Wanted::Text => "TEXT".to_owned(),
        Wanted::Bytes => "LONGBLOB".to_owned(),
        Wanted::Json | Wanted::Array(_) => "LONGTEXT".to_owned(),
    }
}

fn literal(literal: &Literal) -> Option<String> {
    Some(match literal {
        Literal::Number(number) => number.clone(),
        Literal::Bool(on) => i32::from(*on).to_string(),
        // It would not fit the column's own VARCHAR(255).
        Literal::Text(text) if text.chars().count() > 255 => return None,
        // In hexadecimal no character has a meaning, whatever the session's escapes are.
        Literal::Text(text) => {
            let mut sql = String::from("_utf8mb4 X'");
            for byte in text.bytes() {
                let _ = write!(sql, "{byte:02x}");
            }
            sql.push('\'');
            sql
        }
    })
}

fn refusal(error: &sqlx::Error) -> DbError {
    classify(error, |refusal| {
        let (number, state) = match refusal.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            Some(error) => (error.number(), error.code().unwrap_or_default().to_owned()),
            None => (0, String::new()),
        };
        let message = without_value(&without_value(refusal.message(), "entry ", '\''), "value: ", '\'');
        DbError::new(class_of(number, &state), format!("{message} ({number}, SQLSTATE {state})"))
    })
}

fn class_of(number: u16, state: &str) -> Class {
    match number {
        // Lock wait, deadlock, changed since read; interrupted; too many locks; out of memory.
        1205 | 1213 | 1020 | 1317 | 1206 | 1037 | 1038 | 1041 | 3024 | 3572 => Class::Retriable,
        // Shutting down, killed, gone, network; too many connections; read-only since a failover, so connect to the new primary.
        1053 | 1927 | 2006 | 2013 | 1152 | 1158..=1161 | 1184 | 4031 | 1040 | 1203 | 1290 | 1792 | 1836 => Class::Lost,
        // Missing table, unknown column.
        1146 | 1051 | 1054 => Class::Schema,
        // Packet too large; no default; value, truncation, constraint, JSON; generated columns; a trigger said no.
        1153 | 1364 | 1366 | 1265 | 1411 | 1690 | 3140 | 3105 | 1906 | 3819 | 4025 | 1644 => Class::Data,
        _ => match state.get(..2) {
            Some("22" | "23" | "45") => Class::Data,
            Some("40") => Class::Retriable,
            Some("08") => Class::Lost,
            _ => Class::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Kind, class_of, kind_of, scale_of};

    #[test]
    fn types_are_told_apart() {
        assert_eq!(kind_of("tinyint", "tinyint(1)"), Kind::Int { min: -128, max: 127 });
        assert_eq!(kind_of("int", "int(10) unsigned"), Kind::Int { min: 0, max: 4_294_967_295 });
        assert_eq!(kind_of("mediumint", "mediumint(9)"), Kind::Int { min: -8_388_608, max: 8_388_607 });
        assert_eq!(kind_of("bigint", "bigint(20) unsigned"), Kind::UInt);
        assert_eq!(kind_of("bit", "bit(8)"), Kind::Int { min: 0, max: 255 });
        assert_eq!(kind_of("bit", "bit(64)"), Kind::UInt);
        assert_eq!(kind_of("decimal", "decimal(12,2)"), Kind::Decimal);
        assert_eq!(kind_of("timestamp", "timestamp"), Kind::Timestamp { zoned: true });
        assert_eq!(kind_of("uuid", "uuid"), Kind::Other);
        assert_eq!((scale_of("decimal(12,2)"), scale_of("decimal(20,0) unsigned"), scale_of("decimal")), (2, 0, 0));
    }

    #[test]
    fn codes_say_what_to_do() {
        assert_eq!(class_of(1213, "40001"), Class::Retriable);
        assert_eq!(class_of(1205, "HY000"), Class::Retriable);
        assert_eq!(class_of(1062, "23000"), Class::Data);
        assert_eq!(class_of(1406, "22001"), Class::Data);
        assert_eq!(class_of(1146, "42S02"), Class::Schema);
        assert_eq!(class_of(1142, "42000"), Class::Refused);
        assert_eq!(class_of(1045, "28000"), Class::Refused);
    }
}
