//! JSON against a schema, to tagged values in one pass.
//!
//! A JSON value of another type than the schema's is converted the way Kafka Connect does it, which takes what Jackson's nodes
//! answer: text read as a number is 0, a number read as text is null, numbers wrap. Fields may come in any order; in the
//! schema's own order nothing is moved.

use std::borrow::Cow;

use millrace_api::schema::{Kind, Schema, logical};
use millrace_api::value::Tag;
use millrace_api::{Error, Result, Writer};

use super::cursor::{Cursor, Node};
use super::keys::Keys;
use super::read;
use super::text::{decode_base64, shortest};

/// What reading against schemas needs beside the text.
pub(super) struct Typed {
    /// `replace.null.with.default`.
    pub(super) replace_null: bool,
    pub(super) keys: Keys,
    /// Where the fields of the structs being read lie in the output, innermost struct last.
    fields: Vec<Option<(usize, usize)>>,
}

/// Where a value stands, for what Kafka Connect checks there: values inside a struct must fit its schema, others need not.
pub(super) enum Place<'p> {
    Top,
    Default,
    Field(&'p str),
    Element(&'p Place<'p>),
    Key(&'p Place<'p>),
    Value(&'p Place<'p>),
}

impl Place<'_> {
    fn is_checked(&self) -> bool {
        match self {
            Self::Top => false,
            Self::Default | Self::Field(_) => true,
            Self::Element(outer) | Self::Key(outer) | Self::Value(outer) => outer.is_checked(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Top | Self::Default => "value".to_owned(),
            Self::Field(name) => format!("field: \"{name}\""),
            Self::Element(outer) => format!("element of array {}", outer.describe()),
            Self::Key(outer) => format!("key of map {}", outer.describe()),
            Self::Value(outer) => format!("value of map {}", outer.describe()),
        }
    }
}

impl Typed {
    pub(super) fn new(replace_null: bool) -> Self {
        Self { replace_null, keys: Keys::default(), fields: Vec::new() }
    }

    /// Forgets what a failed value left behind.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.fields.clear();
    }

    /// Takes a value and appends its tagged form.
    pub(super) fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        schema: &Schema,
        place: &Place<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let node = cursor.node()?;
        if node == Node::Null {
            cursor.literal(b"null")?;
            return self.null(schema, out);
        }
        match schema.name.as_deref() {
            Some(logical::DECIMAL) => return decimal(cursor, node, schema, depth, out),
            Some(logical::DATE) => return date(cursor, node, depth, out),
            Some(logical::TIME) => return time(cursor, node, depth, out),
            Some(logical::TIMESTAMP) => return timestamp(cursor, node, depth, out),
            _ => {}
        }
        match schema.kind {
            Kind::Boolean => {
                let value = cursor.peek() == b't';
                cursor.skip(depth)?;
                Writer::new(out).bool(value);
            }
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => integer(cursor, node, schema.kind, depth, out)?,
            Kind::Float32 | Kind::Float64 => float(cursor, node, schema.kind, depth, out)?,
            Kind::String if node == Node::String => read::string(cursor, out)?,
            Kind::Bytes if node == Node::String => {
                let text = take_string(cursor)?;
                let bytes = decode_base64(&text).ok_or_else(|| Error::data("Invalid bytes field"))?;
                Writer::new(out).bytes(&bytes);
            }
            Kind::String | Kind::Bytes => {
                cursor.skip(depth)?;
                return missing(schema, place, out);
            }
            Kind::Array => self.array(cursor, node, schema, place, depth, out)?,
            Kind::Map => self.map(cursor, node, schema, place, depth, out)?,
            Kind::Struct => self.structure(cursor, node, schema, depth, out)?,
        }
        Ok(())
    }

    /// Appends what null means under a schema.
    pub(super) fn null(&self, schema: &Schema, out: &mut Vec<u8>) -> Result<()> {
        match &schema.default {
            Some(default) if self.replace_null => out.extend_from_slice(default),
            _ if schema.optional => Writer::new(out).null(),
            _ => {
                let kind = schema.kind.name();
                return Err(Error::data(format!("Invalid null value for required {kind} field")));
            }
        }
        Ok(())
    }

    /// Iterating over a node that is no container yields nothing, over an object its values.
    fn array(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: Node,
        schema: &Schema,
        place: &Place<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let items = nested(schema.values.as_deref())?;
        let place = Place::Element(place);
        let container = Writer::new(out).begin_array();
        let mut count = 0;
        match node {
            Node::Array => cursor.elements(depth, |cursor, depth| {
                count += 1;
                self.value(cursor, items, &place, depth, out)
            })?,
            Node::Object => cursor.members(depth, |cursor, depth| {
                cursor.skip_string()?;
                cursor.expect(b':', "a colon is expected")?;
                count += 1;
                self.value(cursor, items, &place, depth, out)
            })?,
            _ => _ = cursor.skip(depth)?,
        }
        Writer::new(out).end(container, count);
        Ok(())
    }

    fn map(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: Node,
        schema: &Schema,
        place: &Place<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let (keys, values) = (nested(schema.keys.as_deref())?, nested(schema.values.as_deref())?);
        let (of_key, of_value) = (Place::Key(place), Place::Value(place));
        let container = Writer::new(out).begin_map();
        let open = self.keys.open();
        let mut suspect = false;
        let mut count = 0;
        if keys.kind == Kind::String {
            if node != Node::Object {
                return Err(wrong_node("Maps with string fields should be encoded as JSON objects", node));
            }
            cursor.members(depth, |cursor, depth| {
                let at = out.len();
                read::string(cursor, out)?;
                suspect |= self.keys.suspect(open, out.get(at + 5..).unwrap_or_default());
                cursor.expect(b':', "a colon is expected")?;
                count += 1;
                self.value(cursor, values, &of_value, depth, out)
            })?;
        } else {
            if node != Node::Array {
                return Err(wrong_node("Maps with non-string fields should be encoded as JSON array of tuples", node));
            }
            cursor.elements(depth, |cursor, depth| {
                count += 1;
                self.tuple(cursor, (keys, values), (&of_key, &of_value), depth, out)
            })?;
            suspect = count > 1;
        }
        self.keys.close(open);
        let mut writer = Writer::new(out);
        if suspect {
            writer.end_distinct(container, count);
        } else {
            writer.end(container, count);
        }
        Ok(())
    }

    /// One `[key, value]` of a map whose keys are no text.
    fn tuple(
        &mut self,
        cursor: &mut Cursor<'_>,
        (keys, values): (&Schema, &Schema),
        (of_key, of_value): (&Place<'_>, &Place<'_>),
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let node = cursor.node()?;
        if node != Node::Array {
            let found = node.name();
            return Err(Error::data(format!("Found invalid map entry instead of array tuple: {found}")));
        }
        let mut parts = 0;
        cursor.elements(depth, |cursor, depth| {
            parts += 1;
            match parts {
                1 => self.value(cursor, keys, of_key, depth, out),
                2 => self.value(cursor, values, of_value, depth, out),
                _ => cursor.skip(depth).map(drop),
            }
        })?;
        if parts != 2 {
            return Err(Error::data(format!("Found invalid map entry, expected length 2 but found :{parts}")));
        }
        Ok(())
    }

    fn structure(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: Node,
        schema: &Schema,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if node != Node::Object {
            return Err(wrong_node("Structs should be encoded as JSON objects", node));
        }
        let container = Writer::new(out).begin_struct();
        let body = out.len();
        let open = self.fields.len();
        self.fields.resize(open + schema.fields.len(), None);
        // `next`: the field that comes next while all before it lie in order and without a gap; `None` once they do not.
        let mut next = Some(0);
        cursor.members(depth, |cursor, depth| {
            let name = take_string(cursor)?;
            cursor.expect(b':', "a colon is expected")?;
            let Some(index) = field_index(schema, next.unwrap_or_default(), &name) else {
                return cursor.skip(depth).map(drop);
            };
            next = next.filter(|next| self.fill(schema, open, *next..index, out)).map(|_| index + 1);
            let Some(field) = schema.fields.get(index) else { return Ok(()) };
            let start = out.len();
            self.value(cursor, &field.schema, &Place::Field(&field.name), depth, out)?;
            self.place(open + index, start, out.len());
            Ok(())
        })?;
        let all = schema.fields.len();
        if next.is_none_or(|next| !self.fill(schema, open, next..all, out)) {
            self.arrange(schema, open, body, out)?;
        }
        self.fields.truncate(open);
        Writer::new(out).end(container, all);
        Ok(())
    }

    /// Appends null, or the default, for the fields that were passed over. `false` when that is not possible (yet): one of
    /// them is required, or the range runs backwards.
    fn fill(&mut self, schema: &Schema, open: usize, passed: std::ops::Range<usize>, out: &mut Vec<u8>) -> bool {
        if passed.start > passed.end {
            return false;
        }
        for index in passed {
            let start = out.len();
            match schema.fields.get(index).map(|field| self.null(&field.schema, out)) {
                Some(Ok(())) => self.place(open + index, start, out.len()),
                _ => return false,
            }
        }
        true
    }

    fn place(&mut self, field: usize, start: usize, end: usize) {
        if let Some(place) = self.fields.get_mut(field) {
            *place = Some((start, end));
        }
    }

    /// Puts fields that came in another order into the schema's.
    #[cold]
    fn arrange(&mut self, schema: &Schema, open: usize, body: usize, out: &mut Vec<u8>) -> Result<()> {
        let came = out.get(body..).unwrap_or_default().to_vec();
        out.truncate(body);
        for (index, field) in schema.fields.iter().enumerate() {
            match self.fields.get(open + index).copied().flatten() {
                Some((start, end)) => out.extend_from_slice(came.get(start - body..end - body).unwrap_or_default()),
                None => self.null(&field.schema, out)?,
            }
        }
        Ok(())
    }
}

fn field_index(schema: &Schema, next: usize, name: &[u8]) -> Option<usize> {
    let is = |index: usize| schema.fields.get(index).is_some_and(|field| field.name.as_bytes() == name);
    if is(next) { Some(next) } else { (0..schema.fields.len()).find(|index| is(*index)) }
}

fn take_string<'j>(cursor: &mut Cursor<'j>) -> Result<Cow<'j, [u8]>> {
    if let Some(text) = cursor.plain_string()? {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = Vec::new();
    cursor.unescape(&mut text)?;
    Ok(Cow::Owned(text))
}

fn integer(cursor: &mut Cursor<'_>, node: Node, kind: Kind, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let value = if node == Node::Number {
        cursor.number()?.long()
    } else {
        cursor.skip(depth)?;
        0
    };
    let mut writer = Writer::new(out);
    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap, as Java's casts do")]
    match kind {
        Kind::Int8 => writer.int8(value as i8),
        Kind::Int16 => writer.int16(value as i16),
        Kind::Int32 => writer.int32(value as i32),
        _ => writer.int64(value),
    }
    Ok(())
}

fn float(cursor: &mut Cursor<'_>, node: Node, kind: Kind, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let number = if node == Node::Number {
        Some(cursor.number()?)
    } else {
        cursor.skip(depth)?;
        None
    };
    let mut writer = Writer::new(out);
    if kind == Kind::Float32 {
        writer.float32(number.map_or(0.0, |number| number.float()));
    } else {
        writer.float64(number.map_or(0.0, |number| number.double()));
    }
    Ok(())
}

fn decimal(cursor: &mut Cursor<'_>, node: Node, schema: &Schema, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let invalid = || Error::data("Invalid bytes for Decimal field");
    match node {
        Node::Number => {
            let number = cursor.number()?;
            let (scale, unscaled) = number.decimal().ok_or_else(|| cursor.fail("a decimal is out of range"))?;
            Writer::new(out).decimal(scale, &unscaled);
            Ok(())
        }
        Node::String => {
            let text = take_string(cursor)?;
            let bytes = decode_base64(&text).ok_or_else(invalid)?;
            let unscaled = shortest(&bytes).ok_or_else(invalid)?;
            let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).ok_or_else(invalid)?;
            Writer::new(out).decimal(scale, unscaled);
            Ok(())
        }
        _ => refuse(cursor, node, depth, "Decimal, underlying representation should be numeric or bytes"),
    }
}

fn date(cursor: &mut Cursor<'_>, node: Node, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let days = int(cursor, node, depth, "Date, underlying representation should be integer")?;
    Writer::new(out).date(days);
    Ok(())
}

fn time(cursor: &mut Cursor<'_>, node: Node, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let millis = int(cursor, node, depth, "Time, underlying representation should be integer")?;
    if !(0..=86_400_000).contains(&millis) {
        return Err(Error::data("Time values must use number of milliseconds greater than 0 and less than 86400000"));
    }
    Writer::new(out).time(millis);
    Ok(())
}

fn timestamp(cursor: &mut Cursor<'_>, node: Node, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    const WHAT: &str = "Timestamp, underlying representation should be integral";
    if node != Node::Number {
        return refuse(cursor, node, depth, WHAT);
    }
    let number = cursor.number()?;
    if !number.is_integral() {
        return Err(wrong_type(WHAT, node));
    }
    Writer::new(out).timestamp(number.long());
    Ok(())
}

fn int(cursor: &mut Cursor<'_>, node: Node, depth: usize, what: &'static str) -> Result<i32> {
    if node != Node::Number {
        return refuse(cursor, node, depth, what);
    }
    let number = cursor.number()?;
    match i32::try_from(number.long()) {
        Ok(value) if number.is_int() => Ok(value),
        _ => Err(wrong_type(what, node)),
    }
}

/// Reads on, so that malformed text is called so, and then refuses the value.
fn refuse<T>(cursor: &mut Cursor<'_>, node: Node, depth: usize, what: &'static str) -> Result<T> {
    cursor.skip(depth)?;
    Err(wrong_type(what, node))
}

fn wrong_type(what: &'static str, node: Node) -> Error {
    Error::data(format!("Invalid type for {what} but was {}", node.name()))
}

fn wrong_node(what: &'static str, node: Node) -> Error {
    Error::data(format!("{what}, but found {}", node.name()))
}

/// A value that reads as null because JSON has another type there.
fn missing(schema: &Schema, place: &Place<'_>, out: &mut Vec<u8>) -> Result<()> {
    if schema.optional || !place.is_checked() {
        out.push(Tag::Null as u8);
        return Ok(());
    }
    let (location, kind) = (place.describe(), schema.kind.name());
    Err(Error::data(format!("Invalid value: null used for required {location}, schema type: {kind}")))
}

fn nested(schema: Option<&Schema>) -> Result<&Schema> {
    schema.ok_or_else(|| Error::data("a schema says nothing of its elements, so JSON cannot be read by it"))
}
