//! Edits of single fields, collected and applied in one pass.

use std::cell::Cell;

use millrace_api::batch::Slice;
use millrace_api::schema::{Field, Kind as SchemaKind, Schema};
use millrace_api::value::Tag;
use millrace_api::value::same;
use millrace_api::{Error, Result, SchemaRef, Value, Writer};

use super::{Output, bit, range, slice};
use crate::record::Part;
use crate::schemas::infer;

/// Derived schemas kept per stage, as Kafka Connect's transformations do.
const CACHED: usize = 16;

/// Edits of the current record, and the schemas that earlier edits led to.
#[derive(Default)]
pub(crate) struct Edits {
    ops: Vec<Op>,
    /// Names and values of the edits.
    bytes: Vec<u8>,
    derived: Vec<Derived>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Set,
    Insert,
    Remove,
    Rename,
}

struct Op {
    part: Part,
    kind: Kind,
    name: Slice,
    /// The value that is set, or the new name.
    operand: Slice,
    schema: Option<SchemaRef>,
    /// Whether a field of that name was there.
    matched: Cell<bool>,
}

/// A schema that edits made of another: known again by its origin and the edits.
struct Derived {
    from: SchemaRef,
    ops: Vec<KnownOp>,
    to: SchemaRef,
}

#[derive(PartialEq)]
struct KnownOp {
    kind: Kind,
    name: String,
    /// The new name of a renamed field.
    to: String,
    schema: Option<SchemaRef>,
    /// Type of a value that came without a schema.
    tag: Option<Tag>,
}

impl Edits {
    pub(crate) fn clear(&mut self) {
        self.ops.clear();
        self.bytes.clear();
    }

    pub(super) fn set(
        &mut self,
        part: Part,
        field: &str,
        schema: Option<&SchemaRef>,
        write: impl FnOnce(&mut Writer<'_>),
        replace: bool,
    ) {
        let name = self.text(field);
        let start = self.bytes.len();
        write(&mut Writer::new(&mut self.bytes));
        let operand = slice(start, self.bytes.len());
        let schema = schema.cloned();
        let kind = if replace { Kind::Set } else { Kind::Insert };
        self.ops.push(Op { part, kind, name, operand, schema, matched: Cell::new(false) });
    }

    pub(super) fn remove(&mut self, part: Part, field: &str) {
        let name = self.text(field);
        self.ops.push(Op {
            part,
            kind: Kind::Remove,
            name,
            operand: Slice::NULL,
            schema: None,
            matched: Cell::new(false),
        });
    }

    pub(super) fn rename(&mut self, part: Part, field: &str, to: &str) {
        let (name, operand) = (self.text(field), self.text(to));
        self.ops.push(Op { part, kind: Kind::Rename, name, operand, schema: None, matched: Cell::new(false) });
    }

    fn text(&mut self, text: &str) -> Slice {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        slice(start, self.bytes.len())
    }
}

/// What becomes of a field that is there.
enum Fate<'a> {
    Kept { name: &'a [u8], set: Option<&'a Op> },
    Removed,
}

/// The edits of one part, with the bytes they point into.
#[derive(Clone, Copy)]
struct Plan<'a> {
    ops: &'a [Op],
    bytes: &'a [u8],
    part: Part,
}

impl<'a> Plan<'a> {
    /// The edits of the part, in order.
    fn ops(self) -> impl Iterator<Item = &'a Op> + Clone {
        self.ops.iter().filter(move |op| op.part == self.part)
    }

    fn fate(self, field: &'a [u8]) -> Fate<'a> {
        let (mut name, mut set, mut removed) = (field, None, false);
        for op in self.ops() {
            if !op.name.of(self.bytes).is_some_and(|edited| same(edited, name)) {
                continue;
            }
            match op.kind {
                Kind::Set => {
                    (set, removed) = (Some(op), false);
                    op.matched.set(true);
                }
                Kind::Insert if !removed => op.matched.set(true),
                Kind::Insert => {}
                Kind::Remove => (set, removed) = (None, true),
                Kind::Rename => name = op.operand.of(self.bytes).unwrap_or_default(),
            }
        }
        if removed { Fate::Removed } else { Fate::Kept { name, set } }
    }

    /// Edits that add a field, once every field that is there met its fate: none had the name, no later edit takes the new one
    /// back or overrides it, and it is not an insert after a set.
    fn added(self) -> impl Iterator<Item = &'a Op> {
        self.ops().enumerate().filter_map(move |(index, op)| {
            let of_same_name = move |other: &&Op| other.name.of(self.bytes) == op.name.of(self.bytes);
            let overridden = |other: &Op| matches!(other.kind, Kind::Remove | Kind::Set);
            let later = self.ops().skip(index + 1).filter(of_same_name).any(overridden);
            let earlier = self.ops().take(index).filter(of_same_name).any(|other| other.kind == Kind::Set);
            let adds = match op.kind {
                Kind::Set => true,
                Kind::Insert => !earlier,
                Kind::Remove | Kind::Rename => false,
            };
            (adds && !op.matched.get() && !later).then_some(op)
        })
    }

    fn value(self, op: &Op) -> Value<'a> {
        op.operand.of(self.bytes).map_or(Value::NULL, Value::of)
    }

    fn text(self, at: Slice) -> &'a str {
        at.of(self.bytes).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The schema of a field that an edit adds.
    fn new_schema(self, op: &Op) -> SchemaRef {
        op.schema
            .clone()
            .unwrap_or_else(|| infer(self.value(op)).unwrap_or_else(|| Schema::optional(SchemaKind::String)).into())
    }

    fn known(self, op: &Op) -> KnownOp {
        let to = if op.kind == Kind::Rename { self.text(op.operand) } else { "" };
        KnownOp {
            kind: op.kind,
            name: self.text(op.name).to_owned(),
            to: to.to_owned(),
            schema: op.schema.clone(),
            tag: self.tag(op),
        }
    }

    fn tag(self, op: &Op) -> Option<Tag> {
        let sets = matches!(op.kind, Kind::Set | Kind::Insert);
        (sets && op.schema.is_none()).then(|| self.value(op).tag())
    }

    fn is_known(self, op: &Op, known: &KnownOp) -> bool {
        known.kind == op.kind
            && known.name == self.text(op.name)
            && (op.kind != Kind::Rename || known.to == self.text(op.operand))
            && known.schema == op.schema
            && known.tag == self.tag(op)
    }
}

impl Output<'_> {
    /// Applies the edits collected so far to key and value.
    pub(crate) fn finish_edits(&mut self) -> Result<()> {
        if self.work.edits.ops.is_empty() {
            return Ok(());
        }
        let mut edits = std::mem::take(&mut self.work.edits);
        let result = [Part::Key, Part::Value].into_iter().try_for_each(|part| {
            let any = edits.ops.iter().any(|op| op.part == part);
            if any { self.apply_edits(&mut edits, part) } else { Ok(()) }
        });
        edits.clear();
        self.work.edits = edits;
        result
    }

    fn apply_edits(&mut self, edits: &mut Edits, part: Part) -> Result<()> {
        let id = self.stash(part, &mut edits.scratch);
        let value = Value::of(&edits.scratch);
        let schema = self.lookup(id).cloned();
        let plan = Plan { ops: &edits.ops, bytes: &edits.bytes, part };
        let start = self.heap.len();
        let id = match (value.tag(), &schema) {
            (Tag::Map, _) => {
                write_map(value, plan, self.heap);
                id
            }
            (Tag::Struct, Some(schema)) => {
                write_struct(value, schema, plan, self.heap);
                let derived = derive(&mut edits.derived, schema, plan);
                self.schema(Some(&derived))
            }
            _ => return Err(Error::data("fields can only be edited of a map or of a struct with a schema")),
        };
        self.place(part, start, id);
        Ok(())
    }

    /// Copies the part as it stands into `scratch`, the input's or what this stage wrote before, and returns its schema's number.
    fn stash(&self, part: Part, scratch: &mut Vec<u8>) -> u32 {
        scratch.clear();
        if self.pending.mask & bit(part) == 0 {
            scratch.extend_from_slice(self.input.get(part).bytes());
            return self.input.schema_id(part);
        }
        let (at, id) = match part {
            Part::Key => (self.pending.key, self.pending.key_schema),
            Part::Value => (self.pending.value, self.pending.value_schema),
        };
        if let Some(range) = range(at) {
            scratch.extend_from_slice(self.heap.get(range).unwrap_or_default());
        }
        id
    }

    fn lookup(&self, id: u32) -> Option<&SchemaRef> {
        let (index, known) = ((id as usize).checked_sub(1)?, self.input.dictionary);
        known.get(index).or_else(|| self.work.fresh.get(index.checked_sub(known.len())?))
    }
}

/// Copies what stays in runs as long as possible: each copy is a call out of the guest.
fn write_map(value: Value<'_>, plan: Plan<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let (map, mut count) = (writer.begin_map(), 0);
    // Bytes from `run` on are yet to be copied.
    let mut run = value.body();
    let mut rest = run;
    while let Some((key, after)) = Value::split(rest) {
        let Some((field, next)) = Value::split(after) else { break };
        let name = if key.tag() == Tag::String { key.bytes().get(5..).unwrap_or_default() } else { &[] };
        let fate = plan.fate(name);
        let untouched = matches!(fate, Fate::Kept { name: new, set: None } if std::ptr::eq(new, name));
        if !untouched {
            writer.raw(run.get(..run.len() - rest.len()).unwrap_or_default());
            run = next;
        }
        if let Fate::Kept { name: new, set } = fate {
            if !untouched {
                writer.str(std::str::from_utf8(new).unwrap_or_default());
                writer.value(set.map_or(field, |op| plan.value(op)));
            }
            count += 1;
        }
        rest = next;
    }
    writer.raw(run.get(..run.len() - rest.len()).unwrap_or_default());
    for op in plan.added() {
        writer.str(plan.text(op.name));
        writer.value(plan.value(op));
        count += 1;
    }
    writer.end(map, count);
}

fn write_struct(value: Value<'_>, schema: &Schema, plan: Plan<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let (open, mut count) = (writer.begin_struct(), 0);
    for (field, value) in schema.fields.iter().zip(value.elements()) {
        let Fate::Kept { set, .. } = plan.fate(field.name.as_bytes()) else { continue };
        writer.value(set.map_or(value, |op| plan.value(op)));
        count += 1;
    }
    for op in plan.added() {
        writer.value(plan.value(op));
        count += 1;
    }
    writer.end(open, count);
}

/// The schema of an edited struct: name, version, documentation and parameters stay, the default goes.
fn derive(derived: &mut Vec<Derived>, from: &SchemaRef, plan: Plan<'_>) -> SchemaRef {
    let same = |known: &&Derived| {
        SchemaRef::ptr_eq(&known.from, from)
            && known.ops.len() == plan.ops().count()
            && known.ops.iter().zip(plan.ops()).all(|(known, op)| plan.is_known(op, known))
    };
    if let Some(known) = derived.iter().find(same) {
        return SchemaRef::clone(&known.to);
    }
    let mut fields = Vec::with_capacity(from.fields.len() + plan.ops.len());
    for field in &from.fields {
        let Fate::Kept { name, set } = plan.fate(field.name.as_bytes()) else { continue };
        let schema = set.and_then(|op| op.schema.as_ref()).unwrap_or(&field.schema);
        fields.push(Field::new(String::from_utf8_lossy(name), SchemaRef::clone(schema)));
    }
    fields.extend(plan.added().map(|op| Field::new(plan.text(op.name), plan.new_schema(op))));
    let to: SchemaRef = Schema { fields, default: None, ..Schema::clone(from) }.into();
    if derived.len() == CACHED {
        derived.remove(0);
    }
    let ops = plan.ops().map(|op| plan.known(op)).collect();
    derived.push(Derived { from: SchemaRef::clone(from), ops, to: SchemaRef::clone(&to) });
    to
}
