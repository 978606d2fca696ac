//! What differs between databases: how to connect, name, describe, create and write.

mod mysql;
mod postgres;
mod sqlite;
mod values;

use async_trait::async_trait;

use crate::column::Column;
use crate::config::SinkConfig;
use crate::convert::Cell;
use crate::ddl::{Literal, NewColumn};
use crate::error::DbResult;
use crate::ident::{Quoting, TableName};
use crate::table::{Op, Shape, Table};
use crate::url::Target;

/// Rows to write: some of the rows in `cells`, all of one shape, in the order given.
pub(crate) struct Write<'w, 'a> {
    pub(crate) op: Op,
    pub(crate) table: &'w Table,
    pub(crate) shape: &'w Shape,
    pub(crate) cells: &'w [Cell<'a>],
    pub(crate) scratch: &'w str,
    pub(crate) order: &'w [u32],
    /// Most rows in one statement.
    pub(crate) batch_size: usize,
}

impl<'w, 'a> Write<'w, 'a> {
    /// Cells of a row.
    pub(crate) fn row(&self, at: u32) -> &'w [Cell<'a>] {
        let width = self.shape.width();
        let start = usize::try_from(at).unwrap_or(usize::MAX).saturating_mul(width);
        self.cells.get(start..start.saturating_add(width)).unwrap_or_default()
    }

    /// The columns that are written, quoted.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &'w str> {
        let (shape, table) = (self.shape, self.table);
        shape.columns.iter().map(|&column| table.quoted_columns.get(column).map_or("", String::as_str))
    }

    /// The columns that are written.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'w Column> {
        let (shape, table) = (self.shape, self.table);
        shape.columns.iter().filter_map(|&column| table.column(column))
    }
}

/// A connection. An error of class `Lost` leaves it unusable, and so does dropping a future of it.
#[async_trait]
pub(crate) trait Session: Send {
    /// The columns of a table, `None` when there is none. `kinds` is `table.types`.
    async fn columns(&mut self, table: &TableName, quoted: &str, kinds: &[String]) -> DbResult<Option<Vec<Column>>>;

    /// Runs a statement without parameters.
    async fn execute(&mut self, sql: String) -> DbResult<()>;

    /// Writes rows, in as few statements as possible.
    async fn write(&mut self, write: &Write<'_, '_>) -> DbResult<()>;

    /// Whether the server still answers.
    async fn ping(&mut self) -> DbResult<()>;

    /// Says goodbye.
    async fn close(self: Box<Self>);
}

/// What is fixed about a database.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// `dialect.name`.
    pub(crate) name: &'static str,
    /// Opens a transaction.
    pub(crate) begin: &'static str,
    /// Makes deferred constraints speak up at once.
    pub(crate) immediate: Option<&'static str>,
    pub(crate) mark: char,
    pub(crate) longest_name: usize,
    pub(crate) name_in_bytes: bool,
    /// Whether columns that differ only in case are the same.
    pub(crate) ignore_case: bool,
    /// Whether floats may be NaN or infinite.
    pub(crate) infinities: bool,
    /// The type of a new column.
    pub(crate) column_type: fn(&NewColumn) -> String,
    /// A default as it stands in DDL, where it can.
    pub(crate) literal: fn(&Literal) -> Option<String>,
}

impl Dialect {
    /// The dialect of a database.
    pub(crate) fn of(target: &Target) -> &'static Self {
        match target {
            Target::MySql(_) => &mysql::DIALECT,
            Target::Postgres(_) => &postgres::DIALECT,
            Target::Sqlite(_) => &sqlite::DIALECT,
        }
    }

    pub(crate) fn quoting(&self, config: &SinkConfig) -> Quoting {
        Quoting { mark: self.mark, longest: self.longest_name, bytes: self.name_in_bytes, always: config.quotes() }
    }
}

/// Connects.
///
/// # Errors
/// `Lost` when nobody answers, `Refused` when the database says no.
pub(crate) async fn connect(target: &Target, config: &SinkConfig) -> DbResult<Box<dyn Session>> {
    match target {
        Target::MySql(server) => mysql::connect(server, config).await,
        Target::Postgres(server) => postgres::connect(server, config).await,
        Target::Sqlite(path) => sqlite::connect(path.as_deref()).await,
    }
}
