//! PostgreSQL, from version 12.
//!
//! Rows go as one array per column through `unnest`, so a statement has as many parameters as columns, whatever the number of
//! rows: one prepared statement per shape, and no limit of 65,535 parameters to cut batches by.

mod array;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::values::push_joined;
use super::{Dialect, Session, Write};
use crate::column::{Column, Kind};
use crate::config::SinkConfig;
use crate::ddl::{Literal, NewColumn, Wanted};
use crate::error::{Class, DbError, DbResult, classify, without_value};
use crate::ident::{Quoting, TableName};
use crate::table::Op;
use crate::url::{Server, Tls};

pub(super) static DIALECT: Dialect = Dialect {
    name: "PostgreSqlDatabaseDialect",
    begin: "BEGIN",
    immediate: Some("SET CONSTRAINTS ALL IMMEDIATE"),
    mark: '"',
    longest_name: 63,
    name_in_bytes: true,
    ignore_case: false,
    infinities: true,
    column_type,
    literal,
};

/// Bytes of values in a statement.
const MOST_BYTES: usize = 32 << 20;

struct Postgres {
    connection: PgConnection,
    /// Whether statements may be prepared by name.
    prepared: bool,
}

pub(super) async fn connect(server: &Server, config: &SinkConfig) -> DbResult<Box<dyn Session>> {
    let options = options(server, config)?;
    let connection = options.connect().await.map_err(|error| refusal(&error))?;
    Ok(Box::new(Postgres { connection, prepared: server.prepared }))
}

/// Every setting is given here, so that none comes from the worker's environment or home: not `PGHOST`, not `PGPASSWORD`, not
/// `~/.pgpass`. The driver offers no way to unset a few; with those in the environment nothing is connected to.
fn options(server: &Server, config: &SinkConfig) -> DbResult<PgConnectOptions> {
    for name in ["PGOPTIONS", "PGSSLCERT", "PGSSLKEY"] {
        if std::env::var_os(name).is_some() {
            let message =
                format!("The worker's environment sets {name}, which would apply to every connector; unset it");
            return Err(DbError::new(Class::Refused, message));
        }
    }
    let trusted = config.trusted.as_ref().map(|pem| pem.reveal().as_bytes().to_vec()).unwrap_or_default();
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .database(&server.database)
        .username(server.user(config.connection_user.as_deref()))
        .password(config.connection_password.as_ref().map_or("", |password| password.reveal()))
        .application_name(&server.application)
        .extra_float_digits(None)
        .ssl_root_cert_from_pem(trusted)
        .ssl_mode(match server.tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Prefer => PgSslMode::Prefer,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyCa => PgSslMode::VerifyCa,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        })
        .disable_statement_logging();
    if let Some(schema) = &server.schema {
        options = options.options([("search_path", schema)]);
    }
    if !server.prepared {
        options = options.statement_cache_capacity(0);
    }
    Ok(options)
}

#[async_trait]
impl Session for Postgres {
    async fn columns(&mut self, table: &TableName, quoted: &str, kinds: &[String]) -> DbResult<Option<Vec<Column>>> {
        const SQL: &str = "SELECT c.relkind::text, a.attname::text, n.nspname::text, b.typname::text, b.typcategory::text, \
            (a.attgenerated <> '' OR a.attidentity = 'a')::text \
            FROM pg_catalog.pg_class c \
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
            LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            LEFT JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = b.typnamespace \
            WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY a.attnum";
        let query = sqlx::query(SQL).persistent(false).bind(quoted);
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| refusal(&error))?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let text = |index: usize| row.try_get::<Option<String>, _>(index).ok().flatten().unwrap_or_default();
            let kind = if text(0) == "r" || text(0) == "p" { "TABLE" } else { "VIEW" };
            if kind == "VIEW" && !kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
                let message = format!("\"{table}\" is no table; add VIEW to table.types to write to it");
                return Err(DbError::new(Class::Refused, message));
            }
            columns.push(column(text(1), &text(2), &text(3), &text(4), text(5) == "true")?);
        }
        Ok((!columns.is_empty()).then_some(columns))
    }

    async fn execute(&mut self, sql: String) -> DbResult<()> {
        self.connection.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(|error| refusal(&error))
    }

    async fn write(&mut self, write: &Write<'_, '_>) -> DbResult<()> {
        let Some(sql) = statement(write) else { return Ok(()) };
        for chunk in chunks(write) {
            let mut arguments = PgArguments::default();
            arguments.reserve(write.shape.width(), chunk.len() * write.shape.width() * 16);
            for (position, column) in write.columns().enumerate() {
                let parameter = array::Parameter { write, chunk, position, kind: column.kind };
                arguments.add(parameter).map_err(|error| refusal(&sqlx::Error::Encode(error)))?;
            }
            let query = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments).persistent(self.prepared);
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

/// Rows of single statements.
fn chunks<'w>(write: &Write<'w, '_>) -> Vec<&'w [u32]> {
    let mut chunks = Vec::new();
    for rows in write.order.chunks(write.batch_size.max(1)) {
        let (mut start, mut bytes) = (0, 0usize);
        for (index, &at) in rows.iter().enumerate() {
            let size: usize = write.row(at).iter().map(|cell| cell.size()).sum();
            if bytes + size > MOST_BYTES && index > start {
                chunks.push(rows.get(start..index).unwrap_or_default());
                (start, bytes) = (index, 0);
            }
            bytes += size;
        }
        chunks.push(rows.get(start..).unwrap_or_default());
    }
    chunks
}

fn statement(write: &Write<'_, '_>) -> Option<String> {
    let (keys, table) = (write.shape.keys, &write.table.quoted);
    let sources: Vec<String> = write.columns().enumerate().map(|(index, column)| source(index, column)).collect();
    let aliases: Vec<String> = (0..sources.len()).map(|index| format!("c{index}")).collect();
    let parameters = write
        .columns()
        .enumerate()
        .map(|(index, column)| format!("${}::{}[]", index + 1, array::type_name(column.kind)));
    let rows = format!("unnest({}) AS u({})", parameters.collect::<Vec<_>>().join(","), aliases.join(","));
    let names: Vec<&str> = write.column_names().collect();
    let matching = || {
        let pairs = names.iter().zip(&sources).take(keys);
        pairs.map(|(name, source)| format!("t.{name}={source}")).collect::<Vec<_>>().join(" AND ")
    };
    match write.op {
        Op::Insert => {
            Some(format!("INSERT INTO {table} ({}) SELECT {} FROM {rows}", names.join(","), sources.join(",")))
        }
        Op::Upsert => {
            let mut sql = format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {rows} ON CONFLICT (",
                names.join(","),
                sources.join(",")
            );
            push_joined(&mut sql, names.iter().take(keys), ",");
            sql.push_str(if names.len() == keys { ") DO NOTHING" } else { ") DO UPDATE SET " });
            push_joined(&mut sql, names.iter().skip(keys).map(|name| format!("{name}=EXCLUDED.{name}")), ",");
            Some(sql)
        }
        Op::Update if names.len() == keys => None,
        Op::Update => {
            let mut sql = format!("UPDATE {table} AS t SET ");
            let assignments = names.iter().zip(&sources).skip(keys);
            push_joined(&mut sql, assignments.map(|(name, source)| format!("{name}={source}")), ",");
            Some(format!("{sql} FROM {rows} WHERE {}", matching()))
        }
        Op::Delete => Some(format!("DELETE FROM {table} AS t USING {rows} WHERE {}", matching())),
    }
}

/// A column of the rows that came. The cast names a type without a length, so that a text too long for its column is an error
/// and not cut.
fn source(index: usize, column: &Column) -> String {
    if column.cast.is_empty() { format!("u.c{index}") } else { format!("u.c{index}::{}", column.cast) }
}

fn column(name: String, schema: &str, of_type: &str, category: &str, generated: bool) -> DbResult<Column> {
    let builtin = schema == "pg_catalog";
    let kind = match of_type {
        "bool" if builtin => Kind::Bool,
        "int2" if builtin => Kind::int(16),
        "int4" if builtin => Kind::int(32),
        "int8" if builtin => Kind::int(64),
        "float4" | "float8" if builtin => Kind::Float,
        "numeric" if builtin => Kind::Decimal,
        "text" | "varchar" | "bpchar" if builtin => Kind::Text,
        "bytea" if builtin => Kind::Bytes,
        "date" if builtin => Kind::Date,
        "time" if builtin => Kind::Time,
        "timestamp" if builtin => Kind::Timestamp { zoned: false },
        "timestamptz" if builtin => Kind::Timestamp { zoned: true },
        "json" | "jsonb" if builtin => Kind::Json,
        _ if category == "A" => Kind::Array,
        _ if category == "S" => Kind::Text,
        _ => Kind::Other,
    };
    let written_as_text = matches!(kind, Kind::Decimal | Kind::Text | Kind::Json | Kind::Array | Kind::Other);
    let plain = builtin && matches!(of_type, "text" | "varchar");
    let cast = if written_as_text && !plain {
        let quoting = Quoting { mark: '"', longest: 63, bytes: true, always: true };
        TableName { schema: Some(schema.to_owned()), name: of_type.to_owned() }
            .quoted(&quoting)
            .map_err(|error| DbError::new(Class::Refused, error.message()))?
    } else {
        String::new()
    };
    Ok(Column { generated, cast, ..Column::new(name, kind) })
}

fn column_type(column: &NewColumn) -> String {
    fn name(wanted: &Wanted) -> String {
        match wanted {
            Wanted::Int8 | Wanted::Int16 => "SMALLINT".to_owned(),
            Wanted::Int32 => "INT".to_owned(),
            Wanted::Int64 => "BIGINT".to_owned(),
            Wanted::Float32 => "REAL".to_owned(),
            Wanted::Float64 => "DOUBLE PRECISION".to_owned(),
            Wanted::Bool => "BOOLEAN".to_owned(),
            Wanted::Text | Wanted::Json => "TEXT".to_owned(),
            Wanted::Bytes => "BYTEA".to_owned(),
            Wanted::Decimal { .. } => "DECIMAL".to_owned(),
            Wanted::Date => "DATE".to_owned(),
            Wanted::Time => "TIME".to_owned(),
            Wanted::Timestamp => "TIMESTAMP".to_owned(),
            Wanted::Array(element) => format!("{}[]", name(element)),
        }
    }
    name(&column.wanted)
}

fn literal(literal: &Literal) -> Option<String> {
    Some(match literal {
        Literal::Number(number) => number.clone(),
        Literal::Bool(on) => if *on { "TRUE" } else { "FALSE" }.to_owned(),
        // In an escape string both characters with a meaning are doubled, whatever standard_conforming_strings is.
        Literal::Text(text) if !text.contains('\0') => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        Literal::Text(_) => return None,
    })
}

fn refusal(error: &sqlx::Error) -> DbError {
    classify(error, |refusal| {
        let state = refusal.code().unwrap_or_default().into_owned();
        // The detail, which repeats the row, is left out.
        let message = without_value(&without_value(refusal.message(), ": ", '"'), "value ", '"');
        let error = DbError::new(class_of(&state), format!("{message} (SQLSTATE {state})"));
        match state.as_str() {
            "42P10" => {
                error.hint("an upsert needs a primary key or a unique constraint on exactly the columns of pk.fields")
            }
            _ => error,
        }
    })
}

fn class_of(state: &str) -> Class {
    match state {
        // Lock not available, canceled by a timeout, changed while reading.
        "55P03" | "57014" | "0A000" => {
            if state == "0A000" {
                Class::Refused
            } else {
                Class::Retriable
            }
        }
        // Shutting down, crashed, starting; read-only since a failover, so connect to the new primary; idle for too long.
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P03" | "53300" => Class::Lost,
        "42P01" | "42703" | "42804" | "3F000" => Class::Schema,
        // A second row for one key, an identity column, a check of a view, a trigger said no.
        "21000" | "428C9" | "44000" | "P0001" => Class::Data,
        _ => match state.get(..2) {
            Some("22" | "23") => Class::Data,
            Some("40" | "53") => Class::Retriable,
            Some("08") => Class::Lost,
            _ => Class::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, class_of, column};

    #[test]
    fn casts_have_no_length_and_are_quoted() {
        let cast = |schema, name, category| column("c".to_owned(), schema, name, category, false).expect("column").cast;
        assert_eq!(cast("pg_catalog", "varchar", "S"), "");
        assert_eq!(cast("pg_catalog", "int4", "N"), "");
        assert_eq!(cast("pg_catalog", "numeric", "N"), "\"pg_catalog\".\"numeric\"");
        assert_eq!(cast("pg_catalog", "_int4", "A"), "\"pg_catalog\".\"_int4\"");
        assert_eq!(cast("shop", "mo\"od", "E"), "\"shop\".\"mo\"\"od\"");
    }

    #[test]
    fn codes_say_what_to_do() {
        for (state, class) in [
            ("40P01", Class::Retriable),
            ("40001", Class::Retriable),
            ("57P01", Class::Lost),
            ("08006", Class::Lost),
            ("23505", Class::Data),
            ("22P02", Class::Data),
            ("42P01", Class::Schema),
            ("42501", Class::Refused),
            ("28P01", Class::Refused),
        ] {
            assert_eq!(class_of(state), class, "{state}");
        }
    }
}
