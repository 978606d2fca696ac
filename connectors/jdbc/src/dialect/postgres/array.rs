//! A column of many rows as one array parameter, in PostgreSQL's binary form, straight from the cells.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};

use super::Write;
use crate::column::Kind;
use crate::convert::{Cell, Small, push_text};

/// Days and microseconds from 1970-01-01, where cells count from, to 2000-01-01, where PostgreSQL does.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The cells at one position of the rows in a chunk.
pub(super) struct Parameter<'p, 'w, 'a> {
    pub(super) write: &'p Write<'w, 'a>,
    pub(super) chunk: &'p [u32],
    pub(super) position: usize,
    pub(super) kind: Kind,
}

/// The type a kind of column is sent as.
pub(super) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int { .. } => "int8",
        Kind::Float => "float8",
        Kind::Bytes => "bytea",
        Kind::Date => "date",
        Kind::Time => "time",
        Kind::Timestamp { zoned: false } => "timestamp",
        Kind::Timestamp { zoned: true } => "timestamptz",
        _ => "text",
    }
}

/// Its number, and that of its array.
fn type_oids(kind: Kind) -> (u32, u32) {
    match type_name(kind) {
        "bool" => (16, 1_000),
        "int8" => (20, 1_016),
        "float8" => (701, 1_022),
        "bytea" => (17, 1_001),
        "date" => (1_082, 1_182),
        "time" => (1_083, 1_183),
        "timestamp" => (1_114, 1_115),
        "timestamptz" => (1_184, 1_185),
        _ => (25, 1_009),
    }
}

impl sqlx::Type<Postgres> for Parameter<'_, '_, '_> {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as sqlx::Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Parameter<'_, '_, '_> {
    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(type_oids(self.kind).1)))
    }

    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // Dimensions, whether there may be nulls, type of the elements; length and first index of the dimension.
        for word in [1, 1, type_oids(self.kind).0, u32::try_from(self.chunk.len())?, 1] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        for &at in self.chunk {
            let cell = self.write.row(at).get(self.position).copied().unwrap_or(Cell::Null);
            self.element(buffer, cell)?;
        }
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        20 + self.chunk.len() * 12
    }
}

impl Parameter<'_, '_, '_> {
    fn element(&self, buffer: &mut Vec<u8>, cell: Cell<'_>) -> Result<(), BoxDynError> {
        if cell == Cell::Null {
            buffer.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        match (self.kind, cell) {
            (Kind::Int { .. }, Cell::Int(number)) => push(buffer, &number.to_be_bytes()),
            (Kind::Float, Cell::Float(number)) => push(buffer, &number.to_be_bytes()),
            (Kind::Bool, Cell::Bool(on)) => push(buffer, &[u8::from(on)]),
            (Kind::Bytes, Cell::Bytes(bytes)) => push(buffer, bytes),
            (Kind::Date, Cell::Date(days)) => push(buffer, &(days - EPOCH_DAYS).to_be_bytes()),
            (Kind::Time, Cell::Time(micros)) => push(buffer, &micros.to_be_bytes()),
            (Kind::Timestamp { .. }, Cell::Timestamp(micros)) => push(buffer, &(micros - EPOCH_MICROS).to_be_bytes()),
            (kind, cell) if type_name(kind) == "text" => {
                if let Some(text) = cell.text(self.write.scratch) {
                    return push(buffer, text.as_bytes());
                }
                let mut text = Small::new();
                push_text(&mut text, cell, false);
                push(buffer, text.as_str().as_bytes())
            }
            (kind, _) => Err(format!("a value cannot be sent as {}", kind.name()).into()),
        }
    }
}

/// Length and bytes of an element.
#[inline]
fn push(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BoxDynError> {
    buffer.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
    buffer.extend_from_slice(bytes);
    Ok(())
}
