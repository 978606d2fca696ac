//! A table as it was last read, and the shapes of the rows that go into it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::column::Column;
use crate::ident::TableName;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    /// The name as it stands in statements.
    pub(crate) quoted: String,
    pub(crate) columns: Vec<Column>,
    /// Names of the columns, quoted.
    pub(crate) quoted_columns: Vec<String>,
    by_name: HashMap<String, usize>,
    /// By lower-case name, for databases in which case does not tell columns apart.
    by_folded_name: HashMap<String, usize>,
}

impl Table {
    pub(crate) fn new(
        name: TableName,
        quoted: String,
        columns: Vec<Column>,
        quoted_columns: Vec<String>,
        ignore_case: bool,
    ) -> Self {
        let by_name = columns.iter().enumerate().map(|(index, column)| (column.name.clone(), index)).collect();
        let folded = columns.iter().enumerate().map(|(index, column)| (column.name.to_lowercase(), index));
        let by_folded_name = if ignore_case { folded.collect() } else { HashMap::new() };
        Self { name, quoted, columns, quoted_columns, by_name, by_folded_name }
    }

    /// Index of the column of a field.
    pub(crate) fn find(&self, field: &str) -> Option<usize> {
        self.by_name.get(field).or_else(|| self.by_folded_name.get(&field.to_lowercase())).copied()
    }

    /// The column at an index that [`Table::find`] gave.
    pub(crate) fn column(&self, index: usize) -> Option<&Column> {
        self.columns.get(index)
    }
}

/// What is done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Insert,
    Upsert,
    Update,
    Delete,
}

/// The columns of a row, by index in their table: key columns first, in the order of the key; then the others in the order of
/// the table. Rows of one shape go into one statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<usize>,
    pub(crate) keys: usize,
}

impl Shape {
    /// Whether writing a row of this shape leaves nothing of what a row of the other one wrote.
    pub(crate) fn covers(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || other.columns.iter().all(|column| self.columns.contains(column))
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }
}
