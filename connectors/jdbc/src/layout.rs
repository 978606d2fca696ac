//! Which field of a record goes into which column.
//!
//! Records of a topic mostly look alike, so this is worked out once per look: the names of a map's fields in their order, or the
//! schema of a struct. A record that looks like the one before only has its names compared.

use std::sync::Arc;

use millrace_api::schema::{Schema, SchemaRef};
use millrace_api::value::Tag;
use millrace_api::{Error, Record, Value};

use crate::column::Kind;
use crate::config::{InsertMode, PkMode, SinkConfig};
use crate::convert::{Cell, Convert, Unit};
use crate::table::{Op, Shape, Table};

/// What a key or value looks like.
#[derive(Debug)]
enum Look {
    /// Not read.
    Ignored,
    /// No value: a tombstone.
    Absent,
    /// A single value that is no structure.
    Single,
    Map(Vec<String>),
    Struct(SchemaRef),
}

/// Where a field goes.
#[derive(Debug, Clone, Copy)]
enum Slot {
    /// To this position of the row.
    At(usize),
    /// Nowhere: not on the whitelist, or the record's key has it already.
    Skip,
    /// The table has no such column. A null may still go nowhere.
    Unknown,
}

#[derive(Debug)]
struct Fields {
    look: Look,
    slots: Vec<(Slot, Unit)>,
}

/// Where the fields of records of one look go.
#[derive(Debug)]
pub(crate) struct Layout {
    key: Fields,
    value: Fields,
    pub(crate) shape: Arc<Shape>,
    pub(crate) op: Op,
}

/// Why a record has no row.
pub(crate) enum NoRow {
    /// It is the record's fault.
    Record(Error),
    /// It is the table's fault, or the configuration's.
    Table(Error),
    /// The table lacks the column of this field.
    Unknown(String),
}

impl Look {
    fn of(value: Value<'_>, schema: Option<&SchemaRef>) -> Result<Self, NoRow> {
        Ok(match (value.tag(), schema) {
            (Tag::Null, _) => Self::Absent,
            (Tag::Map, _) => {
                let names = value.entries().map(|(name, _)| name.as_str().map(str::to_owned));
                let names = names.collect::<Option<Vec<_>>>();
                Self::Map(
                    names.ok_or_else(|| no_row("its map has keys that are not text, which no column can be called"))?,
                )
            }
            (Tag::Struct, Some(schema)) => Self::Struct(Arc::clone(schema)),
            _ => Self::Single,
        })
    }

    #[inline]
    fn is(&self, value: Value<'_>, schema: Option<&SchemaRef>) -> bool {
        match (self, value.tag()) {
            (Self::Ignored, _) => true,
            (Self::Absent, tag) => tag == Tag::Null,
            (Self::Map(names), Tag::Map) => {
                let mut entries = value.entries();
                names.iter().all(|name| entries.next().is_some_and(|(key, _)| key.as_str() == Some(name)))
                    && entries.next().is_none()
            }
            (Self::Struct(known), Tag::Struct) => schema.is_some_and(|schema| Arc::ptr_eq(known, schema)),
            (Self::Single, tag) => !matches!(tag, Tag::Null | Tag::Map | Tag::Struct),
            _ => false,
        }
    }

    /// Names of its fields.
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Map(names) => names.iter().map(String::as_str).collect(),
            Self::Struct(schema) => schema.fields.iter().map(|field| field.name.as_str()).collect(),
            Self::Ignored | Self::Absent | Self::Single => Vec::new(),
        }
    }
}

fn no_row(cause: &str) -> NoRow {
    NoRow::Record(Error::data(format!("No row can be made of the record: {cause}")))
}

impl Layout {
    /// Whether a record looks like those this layout was made for.
    #[inline]
    pub(crate) fn is_for(&self, record: Record<'_>) -> bool {
        self.value.look.is(record.value(), record.value_schema()) && self.key.look.is(record.key(), record.key_schema())
    }

    /// Works out the layout of a record's look.
    pub(crate) fn of(config: &SinkConfig, table: &Table, record: Record<'_>) -> Result<Self, NoRow> {
        let from_key = config.pk_mode == PkMode::RecordKey;
        let key_look = if from_key { Look::of(record.key(), record.key_schema())? } else { Look::Ignored };
        let value_look = Look::of(record.value(), record.value_schema())?;
        let op = op_of(config, &value_look)?;
        if matches!(value_look, Look::Single) && record.value().tag() != Tag::String {
            return Err(no_row(
                "its value is neither a structure nor text; a transformation such as HoistField makes one",
            ));
        }
        let value_names = match value_look {
            Look::Single => vec![config.text_column.as_str()],
            _ => value_look.names(),
        };

        let key_names = key_names(config, &key_look, &value_names)?;
        let mut columns = Vec::with_capacity(key_names.len() + value_names.len());
        for name in &key_names {
            columns.push(table.find(name).ok_or_else(|| no_key_column(table, name))?);
        }
        let keys = columns.len();
        if keys == 0 && op != Op::Insert {
            return Err(no_row("it has no key field"));
        }

        let wanted = |name: &str| {
            config.fields_whitelist.is_empty() || config.fields_whitelist.iter().any(|field| field == name)
        };
        let mut targets = Vec::with_capacity(value_names.len());
        for name in &value_names {
            let column = table.find(name);
            let is_key = column.is_some_and(|column| columns.contains(&column));
            targets.push(match column {
                _ if is_key && config.pk_mode != PkMode::RecordValue => Target::Skip,
                _ if !is_key && !wanted(name) => Target::Skip,
                None => Target::Unknown,
                Some(column) => Target::Column(column),
            });
        }
        let mut others: Vec<usize> =
            targets.iter().filter_map(Target::column).filter(|column| !columns.contains(column)).collect();
        others.sort_unstable();
        others.dedup();
        columns.append(&mut others);
        if columns.is_empty() && !targets.iter().any(|target| matches!(target, Target::Unknown)) {
            return Err(no_row("it has no field to write"));
        }
        if let Some(column) = columns.iter().filter_map(|&index| table.column(index)).find(|column| column.generated) {
            return Err(no_row(&format!(
                "column {:?} is computed by the database; leave it out with fields.whitelist",
                column.name
            )));
        }

        let slots = targets
            .iter()
            .zip(&value_names)
            .map(|(target, name)| (target.slot(&columns), unit_of(config, record.topic(), name)));
        let value = Fields { slots: slots.collect(), look: value_look };
        let key = Fields { slots: key_slots(&key_look, &key_names), look: key_look };
        Ok(Self { key, value, shape: Arc::new(Shape { columns, keys }), op })
    }

    /// Appends the cells of a record that [`Layout::is_for`].
    ///
    /// # Errors
    /// What does not fit; cells may have been appended.
    pub(crate) fn fill<'a>(
        &self,
        table: &Table,
        record: Record<'a>,
        config: &SinkConfig,
        convert: &Convert,
        cells: &mut Vec<Cell<'a>>,
        scratch: &mut String,
    ) -> Result<(), NoRow> {
        let base = cells.len();
        cells.resize(base + self.shape.width(), Cell::Null);
        let row = cells.get_mut(base..).unwrap_or_default();
        let mut fill = Fill { table, shape: &self.shape, convert, row, scratch };
        if config.pk_mode == PkMode::Kafka {
            fill.kafka(record)?;
        }
        let as_default = config.null_as_default;
        fill.fields(&self.key, record.key(), record.key_schema(), as_default)?;
        fill.fields(&self.value, record.value(), record.value_schema(), as_default)?;
        if self.shape.columns.is_empty() {
            return Err(no_row("none of its fields is a column of the table"));
        }
        if self.op != Op::Insert
            && let Some(position) = fill.row.iter().take(self.shape.keys).position(|cell| *cell == Cell::Null)
        {
            return Err(no_row(&format!("key column {:?} would be null", fill.name(position))));
        }
        Ok(())
    }
}

enum Target {
    Column(usize),
    Skip,
    Unknown,
}

impl Target {
    fn column(&self) -> Option<usize> {
        if let Self::Column(column) = self { Some(*column) } else { None }
    }

    fn slot(&self, columns: &[usize]) -> Slot {
        match self {
            Self::Column(column) => columns.iter().position(|known| known == column).map_or(Slot::Skip, Slot::At),
            Self::Skip => Slot::Skip,
            Self::Unknown => Slot::Unknown,
        }
    }
}

fn op_of(config: &SinkConfig, value: &Look) -> Result<Op, NoRow> {
    match (value, config.insert_mode) {
        (Look::Absent, _) if config.delete_enabled => Ok(Op::Delete),
        (Look::Absent, _) => {
            Err(no_row("it has no value; set delete.enabled to true, with pk.mode=record_key, if that means a delete"))
        }
        (_, InsertMode::Insert) => Ok(Op::Insert),
        (_, InsertMode::Upsert) => Ok(Op::Upsert),
        (_, InsertMode::Update) => Ok(Op::Update),
    }
}

/// Names of the key columns of a record.
fn key_names(config: &SinkConfig, key: &Look, value_names: &[&str]) -> Result<Vec<String>, NoRow> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let fields = &config.pk_fields;
    match config.pk_mode {
        PkMode::None => Ok(Vec::new()),
        PkMode::Kafka => Ok(config.kafka_columns()),
        PkMode::RecordValue if fields.is_empty() => Ok(owned(value_names)),
        PkMode::RecordValue => match fields.iter().find(|field| !value_names.contains(&field.as_str())) {
            Some(field) => Err(no_row(&format!("its value has no field {field:?}, which pk.fields names"))),
            None => Ok(fields.clone()),
        },
        PkMode::RecordKey => match key {
            Look::Absent | Look::Ignored => Err(no_row("it has no key, and pk.mode is record_key")),
            Look::Single if fields.len() == 1 => Ok(fields.clone()),
            Look::Single => Err(no_row("its key is a single value; name one column for it in pk.fields")),
            Look::Map(_) | Look::Struct(_) if fields.is_empty() => Ok(owned(&key.names())),
            Look::Map(_) | Look::Struct(_) => {
                match fields.iter().find(|field| !key.names().contains(&field.as_str())) {
                    Some(field) => Err(no_row(&format!("its key has no field {field:?}, which pk.fields names"))),
                    None => Ok(fields.clone()),
                }
            }
        },
    }
}

fn no_key_column(table: &Table, name: &str) -> NoRow {
    NoRow::Table(Error::external(format!(
        "Table \"{}\" has no column {name:?}, which pk.mode and pk.fields make a key column; add the column with a unique \
         constraint, or change pk.fields",
        table.name
    )))
}

fn key_slots(look: &Look, key_names: &[String]) -> Vec<(Slot, Unit)> {
    let slot = |name: &str| key_names.iter().position(|key| key == name).map_or(Slot::Skip, Slot::At);
    match look {
        Look::Single => vec![(Slot::At(0), Unit::Millis)],
        _ => look.names().into_iter().map(|name| (slot(name), Unit::Millis)).collect(),
    }
}

/// `timestamp.fields.list` names fields, or `topic:field`.
fn unit_of(config: &SinkConfig, topic: &str, field: &str) -> Unit {
    let listed = config
        .timestamp_fields
        .iter()
        .any(|entry| entry == field || entry.split_once(':').is_some_and(|(of, name)| of == topic && name == field));
    match (listed, config.timestamp_precision.eq_ignore_ascii_case("nanoseconds")) {
        (false, _) => Unit::Millis,
        (true, false) => Unit::Micros,
        (true, true) => Unit::Nanos,
    }
}

/// A row being filled.
struct Fill<'r, 'a> {
    table: &'r Table,
    shape: &'r Shape,
    convert: &'r Convert,
    row: &'r mut [Cell<'a>],
    scratch: &'r mut String,
}

impl<'a> Fill<'_, 'a> {
    /// Topic, partition and offset.
    fn kafka(&mut self, record: Record<'a>) -> Result<(), NoRow> {
        let numbers = [i64::from(record.partition().unwrap_or_default()), record.offset()];
        for (position, number) in [None, Some(numbers[0]), Some(numbers[1])].into_iter().enumerate() {
            let column = self.shape.columns.get(position).and_then(|&column| self.table.column(column));
            let (Some(column), Some(cell)) = (column, self.row.get_mut(position)) else { continue };
            *cell = match (number, column.kind) {
                (None, Kind::Text | Kind::Other | Kind::Any) => Cell::Text(record.topic()),
                (Some(number), Kind::Int { .. } | Kind::Decimal | Kind::Any) => Cell::Int(number),
                (Some(number), Kind::UInt) => Cell::UInt(number.unsigned_abs()),
                (Some(number), Kind::Text | Kind::Other) => Convert::written(number, self.scratch),
                _ => {
                    return Err(NoRow::Table(Error::external(format!(
                        "Column {:?} of table \"{}\" is {}, which cannot hold what pk.mode=kafka puts there; use text, an integer and a \
                         bigint",
                        column.name,
                        self.table.name,
                        column.kind.name()
                    ))));
                }
            };
        }
        Ok(())
    }

    fn fields(
        &mut self,
        fields: &Fields,
        value: Value<'a>,
        schema: Option<&'a SchemaRef>,
        as_default: bool,
    ) -> Result<(), NoRow> {
        match &fields.look {
            Look::Ignored | Look::Absent => Ok(()),
            Look::Single => match fields.slots.first() {
                Some(&(slot, unit)) => self.field(slot, unit, value, schema.map(|schema| &**schema), ""),
                None => Ok(()),
            },
            Look::Map(names) => {
                let schema = schema.and_then(|schema| schema.values.as_deref());
                for ((&(slot, unit), name), (_, value)) in fields.slots.iter().zip(names).zip(value.entries()) {
                    self.field(slot, unit, value, schema, name)?;
                }
                Ok(())
            }
            Look::Struct(_) => {
                let declared = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
                for ((&(slot, unit), field), value) in fields.slots.iter().zip(declared).zip(value.elements()) {
                    let value = match &field.schema.default {
                        Some(default) if as_default && value.is_null() => Value::of(default),
                        _ => value,
                    };
                    self.field(slot, unit, value, Some(&field.schema), &field.name)?;
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn field(
        &mut self,
        slot: Slot,
        unit: Unit,
        value: Value<'a>,
        schema: Option<&Schema>,
        name: &str,
    ) -> Result<(), NoRow> {
        let position = match slot {
            Slot::At(position) => position,
            Slot::Skip => return Ok(()),
            Slot::Unknown if value.is_null() => return Ok(()),
            Slot::Unknown => return Err(NoRow::Unknown(name.to_owned())),
        };
        let column = self.shape.columns.get(position).and_then(|&column| self.table.column(column));
        let (Some(column), Some(cell)) = (column, self.row.get_mut(position)) else { return Ok(()) };
        match self.convert.cell(value, schema, column.kind, unit, self.scratch) {
            Ok(converted) => {
                *cell = converted;
                Ok(())
            }
            Err(cause) => Err(NoRow::Record(Error::data(format!(
                "A value does not fit column {:?} of table \"{}\", which is {}: {cause}",
                column.name,
                self.table.name,
                column.kind.name()
            )))),
        }
    }

    /// Name of the column at a position of the row.
    fn name(&self, position: usize) -> &str {
        let column = self.shape.columns.get(position).and_then(|&column| self.table.column(column));
        column.map_or("", |column| &column.name)
    }
}
