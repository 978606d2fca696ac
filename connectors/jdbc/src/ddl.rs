//! `auto.create` and `auto.evolve`: which columns records want, and the statements that make them.

use millrace_api::schema::{Kind as SchemaKind, Schema, SchemaRef, logical};
use millrace_api::value::Tag;
use millrace_api::{Error, Record, Result, Value};

use crate::config::{PkMode, SinkConfig};
use crate::dialect::Dialect;
use crate::ident::Quoting;
use crate::table::Table;

/// Type of a new column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Bool,
    Text,
    Bytes,
    Decimal { scale: i32 },
    Date,
    Time,
    Timestamp,
    Array(Box<Wanted>),
    Json,
}

/// A default of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Number(String),
    Bool(bool),
    Text(String),
}

/// A column to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewColumn {
    pub(crate) name: String,
    pub(crate) wanted: Wanted,
    /// Part of the primary key.
    pub(crate) key: bool,
    /// The schema says it is never null.
    pub(crate) required: bool,
    pub(crate) default: Option<Literal>,
}

/// Columns that the records of a topic want, in the order in which they first came up.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    columns: Vec<NewColumn>,
}

impl Wishes {
    /// Everything that `records` want of their table.
    pub(crate) fn of<'a>(config: &SinkConfig, records: impl Iterator<Item = Record<'a>>) -> Self {
        let mut wishes = Self::default();
        for record in records {
            wishes.record(config, record);
        }
        wishes
    }

    /// Only what a table does not have.
    pub(crate) fn missing_in(mut self, table: &Table) -> Self {
        self.columns.retain(|column| table.find(&column.name).is_none());
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    fn record(&mut self, config: &SinkConfig, record: Record<'_>) {
        match config.pk_mode {
            PkMode::None | PkMode::RecordValue => {}
            PkMode::Kafka => {
                for (name, wanted) in
                    config.kafka_columns().into_iter().zip([Wanted::Text, Wanted::Int32, Wanted::Int64])
                {
                    self.add(NewColumn { name, wanted, key: true, required: true, default: None });
                }
            }
            PkMode::RecordKey => {
                let single = config.pk_fields.first().map_or("", String::as_str);
                self.fields(record.key(), record.key_schema(), single, |name| {
                    (config.pk_fields.is_empty() || config.pk_fields.iter().any(|field| field == name)).then_some(true)
                });
            }
        }
        self.fields(record.value(), record.value_schema(), &config.text_column, |name| {
            let whitelisted =
                config.fields_whitelist.is_empty() || config.fields_whitelist.iter().any(|field| field == name);
            match config.pk_mode {
                PkMode::RecordValue if config.pk_fields.is_empty() => Some(true),
                PkMode::RecordValue if config.pk_fields.iter().any(|field| field == name) => Some(true),
                _ => whitelisted.then_some(false),
            }
        });
    }

    /// Adds the fields of a key or value; `role` says whether a field is a key column, `None` when it is not written.
    fn fields(
        &mut self,
        value: Value<'_>,
        schema: Option<&SchemaRef>,
        single: &str,
        role: impl Fn(&str) -> Option<bool>,
    ) {
        let schema = schema.map(|schema| &**schema);
        match value.tag() {
            Tag::Null => {}
            Tag::Map => {
                let values = schema.and_then(|schema| schema.values.as_deref());
                for (name, value) in value.entries().filter_map(|(name, value)| Some((name.as_str()?, value))) {
                    self.field(name, value, values, role(name));
                }
            }
            Tag::Struct => {
                let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
                for (field, value) in fields.iter().zip(value.elements()) {
                    self.field(&field.name, value, Some(&field.schema), role(&field.name));
                }
            }
            _ => self.field(single, value, schema, role(single)),
        }
    }

    fn field(&mut self, name: &str, value: Value<'_>, schema: Option<&Schema>, role: Option<bool>) {
        let wanted = schema.map(of_schema).or_else(|| of_value(value));
        let (Some(key), Some(wanted), false) = (role, wanted, name.is_empty()) else { return };
        self.add(NewColumn {
            name: name.to_owned(),
            wanted,
            key,
            required: schema.is_some_and(|schema| !schema.optional),
            default: schema.and_then(|schema| schema.default.as_deref()).and_then(|bytes| literal_of(Value::of(bytes))),
        });
    }

    /// Adds a column, or widens the one of that name so that both fit.
    fn add(&mut self, new: NewColumn) {
        match self.columns.iter_mut().find(|column| column.name == new.name) {
            Some(column) => {
                column.wanted = widest(&column.wanted, &new.wanted);
                column.key |= new.key;
                column.required &= new.required;
            }
            None => self.columns.push(new),
        }
    }

    /// `CREATE TABLE`, key columns first.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] when a name cannot be a name, `External` when there is no column to make.
    pub(crate) fn create(
        &self,
        config: &SinkConfig,
        dialect: &Dialect,
        quoting: &Quoting,
        table: &str,
    ) -> Result<String> {
        if self.columns.is_empty() {
            return Err(Error::external(format!(
                "Table {table} is missing, and no record says which columns it should have; create it"
            )));
        }
        let position = |column: &NewColumn| config.pk_fields.iter().position(|field| *field == column.name);
        let mut columns: Vec<&NewColumn> = self.columns.iter().collect();
        columns.sort_by_key(|column| (!column.key, if column.key { position(column) } else { None }));
        let mut sql = format!("CREATE TABLE {table} (");
        for column in &columns {
            definition(&mut sql, column, dialect, quoting)?;
            sql.push_str(", ");
        }
        let keys = columns.iter().filter(|column| column.key).map(|column| quoting.quoted(&column.name));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            sql.truncate(sql.len() - 2);
        } else {
            sql.push_str("PRIMARY KEY (");
            sql.push_str(&keys.join(","));
            sql.push(')');
        }
        sql.push(')');
        Ok(sql)
    }

    /// `ALTER TABLE … ADD COLUMN`, one statement per column: not every database takes several at once.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Data`] when a name cannot be a name, or the rows that are there already could not have a value.
    pub(crate) fn alter(&self, dialect: &Dialect, quoting: &Quoting, table: &str) -> Result<Vec<String>> {
        let statement = |column: &NewColumn| {
            if column.required && column.default.is_none() {
                return Err(Error::data(format!(
                    "Column {:?} cannot be added to table {table}: its field is required and has no default, so existing rows would \
                     have no value; make the field optional",
                    column.name
                )));
            }
            let mut sql = format!("ALTER TABLE {table} ADD COLUMN ");
            definition(&mut sql, column, dialect, quoting)?;
            Ok(sql)
        };
        self.columns.iter().map(statement).collect()
    }
}

fn definition(sql: &mut String, column: &NewColumn, dialect: &Dialect, quoting: &Quoting) -> Result<()> {
    quoting.push(sql, &column.name)?;
    sql.push(' ');
    sql.push_str(&(dialect.column_type)(column));
    if let Some(default) = column.default.as_ref().and_then(|default| (dialect.literal)(default)) {
        sql.push_str(" DEFAULT ");
        sql.push_str(&default);
    }
    sql.push_str(if column.required || column.key { " NOT NULL" } else { " NULL" });
    Ok(())
}

/// Kafka Connect's types; logical ones are known by name.
fn of_schema(schema: &Schema) -> Wanted {
    match schema.name.as_deref() {
        Some(logical::DECIMAL) => {
            return Wanted::Decimal {
                scale: schema.parameter("scale").and_then(|scale| scale.parse().ok()).unwrap_or(0),
            };
        }
        Some(logical::DATE) => return Wanted::Date,
        Some(logical::TIME) => return Wanted::Time,
        Some(logical::TIMESTAMP) => return Wanted::Timestamp,
        _ => {}
    }
    match schema.kind {
        SchemaKind::Int8 => Wanted::Int8,
        SchemaKind::Int16 => Wanted::Int16,
        SchemaKind::Int32 => Wanted::Int32,
        SchemaKind::Int64 => Wanted::Int64,
        SchemaKind::Float32 => Wanted::Float32,
        SchemaKind::Float64 => Wanted::Float64,
        SchemaKind::Boolean => Wanted::Bool,
        SchemaKind::String => Wanted::Text,
        SchemaKind::Bytes => Wanted::Bytes,
        SchemaKind::Array => Wanted::Array(Box::new(schema.values.as_deref().map_or(Wanted::Text, of_schema))),
        SchemaKind::Map | SchemaKind::Struct => Wanted::Json,
    }
}

/// Without a schema whole numbers are `BIGINT`s, whatever the first ones are; a null says nothing.
fn of_value(value: Value<'_>) -> Option<Wanted> {
    Some(match value.tag() {
        Tag::Null => return None,
        Tag::True | Tag::False => Wanted::Bool,
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => Wanted::Int64,
        Tag::Float32 | Tag::Float64 => Wanted::Float64,
        Tag::String => Wanted::Text,
        Tag::Bytes => Wanted::Bytes,
        Tag::Array | Tag::Map | Tag::Struct => Wanted::Json,
        Tag::Decimal => Wanted::Decimal { scale: value.as_decimal().map_or(0, |(scale, _)| scale) },
        Tag::Date => Wanted::Date,
        Tag::Time => Wanted::Time,
        Tag::Timestamp => Wanted::Timestamp,
    })
}

/// A type that holds what both hold.
fn widest(left: &Wanted, right: &Wanted) -> Wanted {
    let rank = |wanted: &Wanted| match wanted {
        Wanted::Int8 => Some(0),
        Wanted::Int16 => Some(1),
        Wanted::Int32 => Some(2),
        Wanted::Int64 => Some(3),
        Wanted::Float32 => Some(4),
        Wanted::Float64 => Some(5),
        _ => None,
    };
    match (left, right) {
        (left, right) if left == right => left.clone(),
        (Wanted::Decimal { scale: left }, Wanted::Decimal { scale: right }) => {
            Wanted::Decimal { scale: *left.max(right) }
        }
        (left, right) => match (rank(left), rank(right)) {
            (Some(low), Some(high)) if low.max(high) == 4 && low != high => Wanted::Float64,
            (Some(low), Some(high)) => {
                if low < high {
                    right.clone()
                } else {
                    left.clone()
                }
            }
            _ => Wanted::Text,
        },
    }
}

fn literal_of(value: Value<'_>) -> Option<Literal> {
    match value.tag() {
        Tag::True | Tag::False => value.as_bool().map(Literal::Bool),
        Tag::Int8 | Tag::Int16 | Tag::Int32 | Tag::Int64 => {
            value.as_i64().map(|number| Literal::Number(number.to_string()))
        }
        Tag::Float32 | Tag::Float64 => {
            value.as_f64().filter(|number| number.is_finite()).map(|number| Literal::Number(format!("{number:?}")))
        }
        Tag::Decimal => value.decimal_text().map(Literal::Number),
        Tag::String => value.as_str().map(|text| Literal::Text(text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, widest};

    #[test]
    fn types_widen_until_both_fit() {
        assert_eq!(widest(&Wanted::Int32, &Wanted::Int64), Wanted::Int64);
        assert_eq!(widest(&Wanted::Int64, &Wanted::Float64), Wanted::Float64);
        assert_eq!(widest(&Wanted::Int64, &Wanted::Float32), Wanted::Float64);
        assert_eq!(widest(&Wanted::Bool, &Wanted::Text), Wanted::Text);
        assert_eq!(widest(&Wanted::Decimal { scale: 2 }, &Wanted::Decimal { scale: 4 }), Wanted::Decimal { scale: 4 });
    }
}
