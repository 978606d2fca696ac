//! The rows of a batch, and the order in which they are written.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::convert::{Cell, Small, push_text};
use crate::table::{Op, Shape, Table};

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct TableRows<'a> {
    pub(crate) table: Arc<Table>,
    pub(crate) groups: Vec<Group<'a>>,
    /// In the order of their records.
    rows: Vec<Row>,
    keys: Vec<u8>,
    /// Whether rows of one key replace each other, so that order matters and is free otherwise.
    keyed: bool,
    deletes: bool,
}

/// Rows of one shape, row after row.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) op: Op,
    pub(crate) shape: Arc<Shape>,
    pub(crate) cells: Vec<Cell<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// Index of its record in the batch.
    record: u32,
    group: u32,
    /// Index in its group.
    at: u32,
    /// Key as sorted by and, where text may be equal without being the same, the exact one.
    key: (u32, u32),
    exact: (u32, u32),
}

/// Some rows of a group, in the order they are to be written.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) group: usize,
    pub(crate) order: Vec<u32>,
}

impl<'a> TableRows<'a> {
    /// No rows yet. `keyed`: rows have keys, and a later row of a key is to win.
    pub(crate) fn new(table: Arc<Table>, keyed: bool) -> Self {
        Self { table, groups: Vec::new(), rows: Vec::new(), keys: Vec::new(), keyed, deletes: false }
    }

    /// The group of an operation and shape.
    pub(crate) fn group(&mut self, op: Op, shape: &Arc<Shape>) -> usize {
        let known = self.groups.iter().rposition(|group| group.op == op && Arc::ptr_eq(&group.shape, shape));
        known.unwrap_or_else(|| {
            self.groups.push(Group { op, shape: Arc::clone(shape), cells: Vec::new() });
            self.groups.len() - 1
        })
    }

    /// Counts in the row whose cells were just appended to `group`.
    pub(crate) fn push(&mut self, record: usize, group: usize, scratch: &str) {
        let Some(Group { op, shape, cells }) = self.groups.get(group) else { return };
        let width = shape.width().max(1);
        let at = cells.len() / width - usize::from(!cells.is_empty());
        let (mut key, mut exact) = ((0, 0), (0, 0));
        if self.keyed {
            let start = self.keys.len();
            let mut folds = false;
            let row = cells.get(at * width..).unwrap_or_default();
            for (cell, &column) in row.iter().zip(&shape.columns).take(shape.keys) {
                let fold = self.table.column(column).is_some_and(|column| column.folds);
                folds |= fold;
                push_key(&mut self.keys, *cell, scratch, fold);
            }
            key = span(start, self.keys.len());
            exact = key;
            if folds {
                let start = self.keys.len();
                for cell in row.iter().take(shape.keys) {
                    push_key(&mut self.keys, *cell, scratch, false);
                }
                exact = span(start, self.keys.len());
            }
        }
        self.deletes |= *op == Op::Delete;
        self.rows.push(Row { record: index(record), group: index(group), at: index(at), key, exact });
    }

    /// Indices of the records that have rows here.
    pub(crate) fn records(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().map(|row| row.record)
    }

    /// How to write the rows of records in `range`.
    ///
    /// Sorted by key, so that two tasks lock rows in the same order and do not deadlock. A row that a later one replaces is
    /// left out; where a later one only adds to it, or recreates what was deleted, they go into steps after each other.
    pub(crate) fn steps(&self, range: &Range<u32>) -> Vec<Step> {
        let from = self.rows.partition_point(|row| row.record < range.start);
        let to = self.rows.partition_point(|row| row.record < range.end);
        let rows = self.rows.get(from..to).unwrap_or_default();
        if !self.keyed || (!self.deletes && rows.first().is_some_and(|row| self.op(row) == Some(Op::Insert))) {
            return in_order(rows);
        }
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|left, right| match self.key(left.key).cmp(self.key(right.key)) {
            Ordering::Equal => left.record.cmp(&right.record),
            unequal => unequal,
        });
        let mut waves: Vec<Vec<Step>> = Vec::new();
        let mut kept: Vec<&Row> = Vec::new();
        for run in sorted.chunk_by(|left, right| self.key(left.key) == self.key(right.key)) {
            kept.clear();
            for &row in run {
                while kept.last().is_some_and(|last| self.replaces(row, last)) {
                    kept.pop();
                }
                kept.push(row);
            }
            for (wave, row) in kept.iter().enumerate() {
                if waves.len() <= wave {
                    waves.push(Vec::new());
                }
                if let Some(steps) = waves.get_mut(wave) {
                    add(steps, row);
                }
            }
        }
        waves.into_iter().flatten().collect()
    }

    /// Whether nothing is left of `earlier` once `later`, of the same key, is written.
    fn replaces(&self, later: &Row, earlier: &Row) -> bool {
        if self.key(later.exact) != self.key(earlier.exact) {
            return false;
        }
        let (Some(new), Some(old)) = (self.group_of(later), self.group_of(earlier)) else { return false };
        match (new.op, old.op) {
            (Op::Insert, _) | (_, Op::Insert) => false,
            (Op::Delete, _) => true,
            (_, Op::Delete) => false,
            _ => new.shape.covers(&old.shape),
        }
    }

    fn group_of(&self, row: &Row) -> Option<&Group<'a>> {
        self.groups.get(usize::try_from(row.group).ok()?)
    }

    fn op(&self, row: &Row) -> Option<Op> {
        self.group_of(row).map(|group| group.op)
    }

    fn key(&self, (start, end): (u32, u32)) -> &[u8] {
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { return &[] };
        self.keys.get(start..end).unwrap_or_default()
    }
}

fn in_order(rows: &[Row]) -> Vec<Step> {
    let mut steps = Vec::new();
    for row in rows {
        add(&mut steps, row);
    }
    steps
}

fn add(steps: &mut Vec<Step>, row: &Row) {
    let group = usize::try_from(row.group).unwrap_or(usize::MAX);
    match steps.iter_mut().find(|step| step.group == group) {
        Some(step) => step.order.push(row.at),
        None => steps.push(Step { group, order: vec![row.at] }),
    }
}

/// Rows and bytes of a batch are counted in 32 bits, as the batch itself does.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn span(start: usize, end: usize) -> (u32, u32) {
    (index(start), index(end))
}

/// Appends a key cell so that bytes sort as values do, near enough: any order will do that is the same in every task.
fn push_key(keys: &mut Vec<u8>, cell: Cell<'_>, scratch: &str, fold: bool) {
    const SIGN: u64 = 1 << 63;
    match cell {
        Cell::Null => keys.push(0),
        Cell::Int(number) => {
            keys.push(1);
            keys.extend_from_slice(&(number.cast_unsigned() ^ SIGN).to_be_bytes());
        }
        Cell::Text(_) | Cell::Scratch { .. } => {
            keys.push(2);
            push_folded(keys, cell.text(scratch).unwrap_or_default(), fold);
            keys.push(0);
        }
        Cell::Bytes(bytes) => {
            keys.push(3);
            keys.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            keys.extend_from_slice(bytes);
        }
        other => {
            keys.push(4);
            let mut text = Small::new();
            push_text(&mut text, other, false);
            keys.extend_from_slice(text.as_str().as_bytes());
            keys.push(0);
        }
    }
}

/// Text as a collation that ignores case and trailing spaces compares it.
fn push_folded(keys: &mut Vec<u8>, text: &str, fold: bool) {
    if !fold {
        keys.extend_from_slice(text.as_bytes());
        return;
    }
    let mut utf8 = [0; 4];
    for character in text.trim_end_matches(' ').chars().flat_map(char::to_lowercase) {
        keys.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, Kind};
    use crate::ident::TableName;

    /// A table of columns id, a and b, whose id ignores case; rows are (operation, id, columns a and b given).
    fn steps(rows: &[(Op, &'static str, &[usize])], range: Range<u32>) -> Vec<(Op, Vec<String>)> {
        let id = Column { folds: true, ..Column::new("id", Kind::Text) };
        let columns = vec![id, Column::new("a", Kind::Text), Column::new("b", Kind::Text)];
        let name = TableName { schema: None, name: "t".to_owned() };
        let table = Arc::new(Table::new(name, "t".to_owned(), columns, Vec::new(), false));
        let mut shapes: Vec<Arc<Shape>> = Vec::new();
        let mut all = TableRows::new(table, true);
        for (record, (op, id, others)) in rows.iter().enumerate() {
            let columns: Vec<usize> = std::iter::once(0).chain(others.iter().copied()).collect();
            let shape = Arc::new(Shape { columns, keys: 1 });
            let known = shapes.iter().find(|known| **known == shape).cloned();
            let shape = known.unwrap_or_else(|| {
                shapes.push(Arc::clone(&shape));
                shape
            });
            let group = all.group(*op, &shape);
            let width = shape.width();
            all.groups[group].cells.extend(std::iter::once(Cell::Text(id)).chain((1..width).map(|_| Cell::Null)));
            all.push(record, group, "");
        }
        let shown = all.steps(&range).into_iter().map(|step| {
            let group = &all.groups[step.group];
            let width = group.shape.width();
            let ids = step.order.iter().map(|at| group.cells[*at as usize * width].text("").unwrap_or("").to_owned());
            (group.op, ids.collect())
        });
        shown.collect()
    }

    fn owned(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn upserts_are_sorted_and_the_last_of_a_key_wins() {
        let rows: Vec<(Op, &str, &[usize])> = vec![
            (Op::Upsert, "c", &[1, 2]),
            (Op::Upsert, "a", &[1, 2]),
            (Op::Upsert, "c", &[1, 2]),
            (Op::Upsert, "b", &[1, 2]),
        ];
        assert_eq!(steps(&rows, 0..4), [(Op::Upsert, owned(&["a", "b", "c"]))]);
        assert_eq!(steps(&rows, 0..1), [(Op::Upsert, owned(&["c"]))]);
        assert_eq!(steps(&rows, 1..2), [(Op::Upsert, owned(&["a"]))]);
    }

    #[test]
    fn what_only_adds_comes_after_and_deletes_replace() {
        let rows: Vec<(Op, &str, &[usize])> = vec![(Op::Upsert, "a", &[1, 2]), (Op::Upsert, "a", &[1])];
        assert_eq!(steps(&rows, 0..2), [(Op::Upsert, owned(&["a"])), (Op::Upsert, owned(&["a"]))]);
        let rows: Vec<(Op, &str, &[usize])> = vec![(Op::Upsert, "a", &[1]), (Op::Upsert, "a", &[1, 2])];
        assert_eq!(steps(&rows, 0..2), [(Op::Upsert, owned(&["a"]))]);
        let rows: Vec<(Op, &str, &[usize])> = vec![(Op::Upsert, "a", &[1]), (Op::Delete, "a", &[])];
        assert_eq!(steps(&rows, 0..2), [(Op::Delete, owned(&["a"]))]);
        let rows: Vec<(Op, &str, &[usize])> = vec![(Op::Delete, "a", &[]), (Op::Upsert, "a", &[1])];
        assert_eq!(steps(&rows, 0..2), [(Op::Delete, owned(&["a"])), (Op::Upsert, owned(&["a"]))]);
    }

    #[test]
    fn keys_that_only_the_database_takes_for_equal_stay_in_order() {
        let rows: Vec<(Op, &str, &[usize])> =
            vec![(Op::Upsert, "a ", &[1]), (Op::Upsert, "A", &[1]), (Op::Upsert, "0", &[1])];
        assert_eq!(steps(&rows, 0..3), [(Op::Upsert, owned(&["0", "a "])), (Op::Upsert, owned(&["A"]))]);
    }

    #[test]
    fn inserts_keep_the_order_of_their_records() {
        let rows: Vec<(Op, &str, &[usize])> =
            vec![(Op::Insert, "c", &[1]), (Op::Insert, "a", &[1]), (Op::Insert, "c", &[1])];
        assert_eq!(steps(&rows, 0..3), [(Op::Insert, owned(&["c", "a", "c"]))]);
        let rows: Vec<(Op, &str, &[usize])> =
            vec![(Op::Insert, "c", &[1]), (Op::Delete, "c", &[]), (Op::Insert, "c", &[1])];
        let expected = [(Op::Insert, owned(&["c"])), (Op::Delete, owned(&["c"])), (Op::Insert, owned(&["c"]))];
        assert_eq!(steps(&rows, 0..3), expected);
    }
}
