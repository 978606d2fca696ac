//! SQLite.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::values::{self, Limits};
use super::{Dialect, Session, Write};
use crate::column::{Column, Kind};
use crate::convert::{Cell, Small, push_text};
use crate::ddl::{Literal, NewColumn, Wanted};
use crate::error::{Class, DbError, DbResult, classify};
use crate::ident::TableName;
use crate::table::Op;

pub(super) static DIALECT: Dialect = Dialect {
    name: "SqliteDatabaseDialect",
    // Takes the write lock at once: a transaction that starts by reading may find it cannot write any more.
    begin: "BEGIN IMMEDIATE",
    immediate: None,
    mark: '"',
    longest_name: 1_000,
    name_in_bytes: true,
    ignore_case: true,
    infinities: false,
    column_type,
    literal,
};

/// `SQLITE_MAX_VARIABLE_NUMBER`.
const MOST_PARAMETERS: usize = 32_766;
const MOST_BYTES: usize = 32 << 20;

/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

struct Sqlite {
    connection: SqliteConnection,
}

pub(super) async fn connect(path: Option<&Path>) -> DbResult<Box<dyn Session>> {
    let options = SqliteConnectOptions::new().create_if_missing(false).foreign_keys(false).disable_statement_logging();
    let options = match path {
        None => options.in_memory(true),
        Some(path) => {
            let checked = check(path.to_owned());
            options.filename(tokio::task::spawn_blocking(checked).await.unwrap_or_else(|_| Err(no_database()))?)
        }
    };
    let connection = options.connect().await.map_err(|error| refusal(&error))?;
    Ok(Box::new(Sqlite { connection }))
}

/// A connector must not create files or write into ones that are something else, so the file has to be a database already.
fn check(path: PathBuf) -> impl FnOnce() -> DbResult<PathBuf> {
    move || {
        let mut magic = [0; 16];
        let is_file = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let read = is_file && std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut magic)).is_ok();
        if read && magic == *MAGIC { Ok(path) } else { Err(no_database()) }
    }
}

fn no_database() -> DbError {
    DbError::new(
        Class::Refused,
        "There is no SQLite database at the path in connection.url; create one first, for instance with: sqlite3 FILE VACUUM",
    )
}

#[async_trait]
impl Session for Sqlite {
    async fn columns(&mut self, table: &TableName, _quoted: &str, kinds: &[String]) -> DbResult<Option<Vec<Column>>> {
        const SQL: &str = "SELECT c.name, c.type, c.hidden, (SELECT max(type) FROM sqlite_master WHERE name = ?1 COLLATE NOCASE) \
            FROM pragma_table_xinfo(?1, ?2) c ORDER BY c.cid";
        let schema = table.schema.as_deref().unwrap_or("main");
        let query = sqlx::query(SQL).bind(table.name.as_str()).bind(schema);
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| refusal(&error))?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let text =
                |index: usize| row.try_get_unchecked::<Option<String>, _>(index).ok().flatten().unwrap_or_default();
            if text(3) == "view" && !kinds.iter().any(|kind| kind.eq_ignore_ascii_case("VIEW")) {
                return Err(DbError::new(
                    Class::Refused,
                    format!("\"{table}\" is a view; add VIEW to table.types to write to it"),
                ));
            }
            let hidden = row.try_get_unchecked::<i64, _>(2).unwrap_or_default();
            columns
                .push(Column { generated: hidden > 0, ..Column::new(text(0), kind_of(&text(1).to_ascii_uppercase())) });
        }
        Ok((!columns.is_empty()).then_some(columns))
    }

    async fn execute(&mut self, sql: String) -> DbResult<()> {
        self.connection.execute(AssertSqlSafe(sql)).await.map(|_| ()).map_err(|error| refusal(&error))
    }

    async fn write(&mut self, write: &Write<'_, '_>) -> DbResult<()> {
        let limits = Limits { parameters: MOST_PARAMETERS, bytes: MOST_BYTES };
        for chunk in values::chunks(write, limits) {
            let Some(sql) = statement(write, chunk.len()) else { return Ok(()) };
            let query = sqlx::query_with(AssertSqlSafe(sql), bind(write, chunk)?);
            query.execute(&mut self.connection).await.map_err(|error| refusal(&error))?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> DbResult<()> {
        self.connection.ping().await.map_err(|error| refusal(&error))
    }

    async fn close(self: Box<Self>) {
        // Nobody is told.
        let _ = self.connection.close().await;
    }
}

fn statement(write: &Write<'_, '_>, rows: usize) -> Option<String> {
    let keys = write.shape.keys;
    match write.op {
        Op::Insert => Some(values::insert(write, rows)),
        Op::Upsert => {
            let mut sql = values::insert(write, rows);
            sql.push_str(" ON CONFLICT (");
            values::push_joined(&mut sql, write.column_names().take(keys), ",");
            sql.push_str(if write.shape.width() == keys { ") DO NOTHING" } else { ") DO UPDATE SET " });
            values::push_joined(
                &mut sql,
                write.column_names().skip(keys).map(|name| format!("{name}=excluded.{name}")),
                ",",
            );
            Some(sql)
        }
        Op::Update => values::update(write, |_| "?".to_owned()),
        Op::Delete => {
            let mut sql = format!("DELETE FROM {} WHERE (", write.table.quoted);
            values::push_joined(&mut sql, write.column_names().take(keys), ",");
            sql.push_str(") IN (VALUES ");
            values::push_rows(&mut sql, rows, keys);
            sql.push(')');
            Some(sql)
        }
    }
}

fn bind(write: &Write<'_, '_>, chunk: &[u32]) -> DbResult<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(chunk.len() * write.shape.width(), 0);
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

fn add(arguments: &mut SqliteArguments, cell: Cell<'_>, scratch: &str) -> Result<(), sqlx::error::BoxDynError> {
    match cell {
        Cell::Null => arguments.add(None::<i64>),
        Cell::Bool(on) => arguments.add(i64::from(on)),
        Cell::Int(number) => arguments.add(number),
        Cell::UInt(number) => arguments.add(i64::try_from(number)?),
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

/// By the declared type, as SQLite itself derives an affinity from it; dates and times are text that its functions read.
fn kind_of(declared: &str) -> Kind {
    let base = declared.split('(').next().unwrap_or_default().trim();
    match base {
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "TIMESTAMP" | "DATETIME" => Kind::Timestamp { zoned: false },
        "BOOLEAN" | "BOOL" => Kind::Bool,
        "JSON" => Kind::Json,
        "" => Kind::Any,
        _ if base.contains("INT") => Kind::int(64),
        _ if ["CHAR", "CLOB", "TEXT"].iter().any(|part| base.contains(part)) => Kind::Text,
        _ if base.contains("BLOB") => Kind::Bytes,
        _ if ["REAL", "FLOA", "DOUB"].iter().any(|part| base.contains(part)) => Kind::Float,
        "NUMERIC" | "DECIMAL" | "NUMBER" => Kind::Decimal,
        _ => Kind::Any,
    }
}

fn column_type(column: &NewColumn) -> String {
    match &column.wanted {
        Wanted::Int8 | Wanted::Int16 | Wanted::Int32 | Wanted::Int64 | Wanted::Bool => "INTEGER",
        Wanted::Float32 | Wanted::Float64 => "REAL",
        Wanted::Text | Wanted::Json | Wanted::Array(_) => "TEXT",
        Wanted::Bytes => "BLOB",
        Wanted::Decimal { .. } | Wanted::Date | Wanted::Time | Wanted::Timestamp => "NUMERIC",
    }
    .to_owned()
}

fn literal(literal: &Literal) -> Option<String> {
    Some(match literal {
        Literal::Number(number) => number.clone(),
        Literal::Bool(on) => i32::from(*on).to_string(),
        Literal::Text(text) if !text.contains('\0') => format!("'{}'", text.replace('\'', "''")),
        Literal::Text(_) => return None,
    })
}

fn refusal(error: &sqlx::Error) -> DbError {
    classify(error, |refusal| {
        let code: i64 = refusal.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        let message = refusal.message();
        let error = DbError::new(class_of(code, message), format!("{message} (SQLite code {code})"));
        if message.starts_with("ON CONFLICT clause") {
            return error
                .hint("an upsert needs a primary key or a unique constraint on exactly the columns of pk.fields");
        }
        error
    })
}

fn class_of(code: i64, message: &str) -> Class {
    // The low byte is the code, the rest its refinement.
    match code & 0xff {
        // Busy, locked, interrupted, out of memory.
        5 | 6 | 9 | 7 => Class::Retriable,
        // Too big, constraint, mismatch.
        18..=20 => Class::Data,
        1 if ["no such table", "no such column", "has no column"].iter().any(|part| message.contains(part)) => {
            Class::Schema
        }
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Kind, class_of, kind_of};

    #[test]
    fn declared_types_are_read_as_sqlite_reads_them() {
        for (declared, kind) in [
            ("VARCHAR(20)", Kind::Text),
            ("BIGINT", Kind::int(64)),
            ("DECIMAL(12,2)", Kind::Decimal),
            ("DOUBLE PRECISION", Kind::Float),
            ("TIMESTAMP", Kind::Timestamp { zoned: false }),
            ("", Kind::Any),
        ] {
            assert_eq!(kind_of(declared), kind, "{declared}");
        }
    }

    #[test]
    fn codes_say_what_to_do() {
        assert_eq!(class_of(5, "database is locked"), Class::Retriable);
        assert_eq!(class_of(2067, "UNIQUE constraint failed: t.id"), Class::Data);
        assert_eq!(class_of(1, "no such table: t"), Class::Schema);
        assert_eq!(class_of(8, "attempt to write a readonly database"), Class::Refused);
    }
}
