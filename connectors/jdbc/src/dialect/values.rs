//! Statements of `VALUES` lists, for MySQL and SQLite.

use super::Write;
use crate::column::Column;
use crate::table::Op;

/// Most rows in one statement, whatever `batch.size` says: beyond this a longer statement gains nothing.
const MOST_ROWS: usize = 1_000;

/// What one execution of a statement takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Parameters.
    pub(super) parameters: usize,
    /// Bytes of values.
    pub(super) bytes: usize,
}

/// Cuts `order` into the rows of single statements.
///
/// All but the last statements have the most rows possible, and the rest is cut into powers of two: so a shape of rows has few
/// statements, and they are prepared once.
pub(super) fn chunks<'w>(write: &Write<'w, '_>, limits: Limits) -> Vec<&'w [u32]> {
    let one_by_one = write.op == Op::Update;
    let by_parameters = limits.parameters / write.shape.width().max(1);
    let most = if one_by_one { 1 } else { by_parameters.min(write.batch_size).clamp(1, MOST_ROWS) };
    let mut chunks = Vec::new();
    let mut rest = write.order;
    while !rest.is_empty() {
        let fitting = fitting(write, rest, most, limits.bytes);
        let (mut run, tail) = rest.split_at(fitting);
        rest = tail;
        while !run.is_empty() {
            let length = if run.len() == most { most } else { 1 << run.len().ilog2() };
            let (chunk, more) = run.split_at(length.min(run.len()));
            chunks.push(chunk);
            run = more;
        }
    }
    chunks
}

/// How many rows fit into one statement; at least one.
fn fitting(write: &Write<'_, '_>, rest: &[u32], most: usize, bytes: usize) -> usize {
    let mut total = 0usize;
    for (count, &at) in rest.iter().take(most).enumerate() {
        total += size(write, at);
        if total > bytes && count > 0 {
            return count;
        }
    }
    rest.len().min(most)
}

/// Bytes of a row, about.
pub(super) fn size(write: &Write<'_, '_>, at: u32) -> usize {
    write.row(at).iter().map(|cell| cell.size()).sum()
}

/// `INSERT INTO t (a,b) VALUES (?,?),(?,?)`.
pub(super) fn insert(write: &Write<'_, '_>, rows: usize) -> String {
    let mut sql = format!("INSERT INTO {} (", write.table.quoted);
    push_joined(&mut sql, write.column_names(), ",");
    sql.push_str(") VALUES ");
    push_rows(&mut sql, rows, write.shape.width());
    sql
}

/// `(?,?),(?,?)`.
pub(super) fn push_rows(sql: &mut String, rows: usize, width: usize) {
    sql.reserve(rows * (width * 2 + 2));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            sql.push_str(if column == 0 { "?" } else { ",?" });
        }
        sql.push(')');
    }
}

/// `UPDATE t SET b=? WHERE a=?`; the parameters are the other columns, then the key. `None` when there is nothing to set.
pub(super) fn update(write: &Write<'_, '_>, parameter: impl Fn(&Column) -> String) -> Option<String> {
    let keys = write.shape.keys;
    if write.shape.width() == keys {
        return None;
    }
    let assignments = write.column_names().skip(keys).map(|name| format!("{name}=?"));
    let conditions = write
        .column_names()
        .zip(write.columns())
        .take(keys)
        .map(|(name, column)| format!("{name}={}", parameter(column)));
    let mut sql = format!("UPDATE {} SET ", write.table.quoted);
    push_joined(&mut sql, assignments, ",");
    sql.push_str(" WHERE ");
    push_joined(&mut sql, conditions, " AND ");
    Some(sql)
}

/// Appends items with a separator between them.
pub(super) fn push_joined<T: AsRef<str>>(sql: &mut String, items: impl Iterator<Item = T>, separator: &str) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            sql.push_str(separator);
        }
        sql.push_str(item.as_ref());
    }
}
