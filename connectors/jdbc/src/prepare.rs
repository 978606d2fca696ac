//! From a batch of records to rows in memory. Nothing here waits for the database.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::{Error, Record, RecordBatch, Result};

use crate::config::{InsertMode, SinkConfig};
use crate::convert::Convert;
use crate::ident::TableName;
use crate::layout::{Layout, NoRow};
use crate::rows::TableRows;
use crate::table::{Shape, Table};

/// Most looks of records that are remembered per table: fields that come and go make many.
const MOST_LAYOUTS: usize = 256;

/// A table with what was worked out about records that go into it.
#[derive(Debug)]
pub(crate) struct KnownTable {
    pub(crate) table: Arc<Table>,
    layouts: Vec<Layout>,
    shapes: Vec<Arc<Shape>>,
    /// Why a missing column was not added, if it was tried.
    not_added: Option<String>,
}

/// Tables by name.
pub(crate) type KnownTables = HashMap<TableName, KnownTable>;

/// The rows of a batch.
#[derive(Debug, Default)]
pub(crate) struct Prepared<'a> {
    /// By name of the table.
    pub(crate) tables: Vec<TableRows<'a>>,
    pub(crate) scratch: String,
    /// Records without a row, by index.
    pub(crate) rejected: Vec<(usize, Error)>,
    /// Tables that lack a column of some record.
    pub(crate) lacking: Vec<TableName>,
}

impl KnownTable {
    pub(crate) fn new(table: Table) -> Self {
        Self { table: Arc::new(table), layouts: Vec::new(), shapes: Vec::new(), not_added: None }
    }

    /// A table to which a column could not be added.
    pub(crate) fn lacking(table: Table, not_added: &str) -> Self {
        Self { not_added: Some(not_added.to_owned()), ..Self::new(table) }
    }

    /// The layout for a record, tried first: the one at `hint`.
    fn layout(&mut self, config: &SinkConfig, record: Record<'_>, hint: usize) -> Result<usize, NoRow> {
        if self.layouts.get(hint).is_some_and(|layout| layout.is_for(record)) {
            return Ok(hint);
        }
        if let Some(known) = self.layouts.iter().position(|layout| layout.is_for(record)) {
            return Ok(known);
        }
        let mut layout = Layout::of(config, &self.table, record)?;
        match self.shapes.iter().find(|shape| **shape == layout.shape) {
            Some(shape) => layout.shape = Arc::clone(shape),
            None => self.shapes.push(Arc::clone(&layout.shape)),
        }
        if self.layouts.len() >= MOST_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.push(layout);
        Ok(self.layouts.len() - 1)
    }

    fn unknown(&self, field: &str) -> Error {
        let fix = match &self.not_added {
            Some(cause) => format!("and it could not be added: {cause}"),
            None => "add it, set auto.evolve to true, or name the fields to write in fields.whitelist".to_owned(),
        };
        Error::data(format!("Table \"{}\" has no column for field {field:?} of the record; {fix}", self.table.name))
    }
}

/// Makes rows of a batch. `names` are the tables by number of the topic, all of them in `tables`.
///
/// # Errors
/// What is wrong with a table or the configuration; what is wrong with a record is in the answer.
pub(crate) fn prepare<'a>(
    batch: &'a RecordBatch,
    names: &[Option<TableName>],
    tables: &mut KnownTables,
    config: &SinkConfig,
    convert: &Convert,
) -> Result<Prepared<'a>> {
    let mut prepared = Prepared::default();
    let keyed = config.insert_mode != InsertMode::Insert || config.delete_enabled;
    let mut sorted: Vec<&TableName> = names.iter().flatten().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut records: Vec<Vec<usize>> = vec![Vec::new(); sorted.len()];
    let number: Vec<Option<usize>> =
        names.iter().map(|name| name.as_ref().and_then(|name| sorted.binary_search(&name).ok())).collect();
    for (index, row) in batch.rows().iter().enumerate() {
        let topic = usize::try_from(row.topic).unwrap_or(usize::MAX);
        let table = number.get(topic).copied().flatten().and_then(|table| records.get_mut(table));
        table.ok_or_else(|| Error::internal("a record names a topic that its batch does not have"))?.push(index);
    }
    for (name, records) in sorted.into_iter().zip(records) {
        let Some(known) = tables.get_mut(name).filter(|_| !records.is_empty()) else { continue };
        let mut rows = TableRows::new(Arc::clone(&known.table), keyed);
        let mut hint = 0;
        for index in records {
            let Some(record) = batch.get(index) else { continue };
            match row(known, &mut rows, record, config, convert, &mut prepared.scratch, &mut hint) {
                Ok(group) => rows.push(index, group, &prepared.scratch),
                Err(NoRow::Record(error)) => prepared.rejected.push((index, error)),
                Err(NoRow::Table(error)) => return Err(error),
                Err(NoRow::Unknown(field)) => {
                    prepared.rejected.push((index, known.unknown(&field)));
                    if prepared.lacking.last() != Some(name) {
                        prepared.lacking.push(name.clone());
                    }
                }
            }
        }
        prepared.tables.push(rows);
    }
    Ok(prepared)
}

/// Appends the cells of a record to its group, all or none, and returns the group.
#[inline]
fn row<'a>(
    known: &mut KnownTable,
    rows: &mut TableRows<'a>,
    record: Record<'a>,
    config: &SinkConfig,
    convert: &Convert,
    scratch: &mut String,
    hint: &mut usize,
) -> Result<usize, NoRow> {
    *hint = known.layout(config, record, *hint)?;
    let Some(layout) = known.layouts.get(*hint) else { return Err(NoRow::Table(Error::internal("a layout was lost"))) };
    let group = rows.group(layout.op, &layout.shape);
    let Some(cells) = rows.groups.get_mut(group).map(|group| &mut group.cells) else {
        return Err(NoRow::Table(Error::internal("a group of rows was lost")));
    };
    let before: (usize, usize) = (cells.len(), scratch.len());
    if let Err(error) = layout.fill(&known.table, record, config, convert, cells, scratch) {
        cells.truncate(before.0);
        scratch.truncate(before.1);
        return Err(error);
    }
    Ok(group)
}
