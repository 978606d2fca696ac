//! A map without a schema, taken apart. Stages that change single fields share one such view of a record: the map is walked once
//! before the first of them and written once after the last, however many there are.

use millrace_api::value::{Tag, same};
use millrace_api::{Result, Value, Writer};

/// The fields of a key or value, in order. See [`crate::Transform::edit`].
pub struct Fields<'f> {
    base: &'f [u8],
    taken: &'f mut Taken,
}

/// What a chain reuses from record to record.
#[derive(Default)]
pub(crate) struct Taken {
    entries: Vec<Entry>,
    /// What stages wrote.
    written: Vec<u8>,
    /// A value of `written` while its successor is being written.
    scratch: Vec<u8>,
    index: Index,
    shape: Shape,
    pub(crate) changed: bool,
}

/// The names of the map before. Maps of a topic mostly have the same names in the same order, and then all that is known about them
/// holds again.
#[derive(Default)]
struct Shape {
    /// Encoded, one after the other.
    names: Vec<u8>,
    /// Where each ends in `names`, and its hash.
    fields: Vec<(usize, u8)>,
    index: Index,
}

/// Finds names by their hashes.
#[derive(Clone, Copy)]
struct Index {
    /// A bit for the hash of each name there is or was: most names that stages look for in vain need no look at the entries.
    present: u64,
    /// A bit for each hash of which `places` does not tell where its name is.
    shared: u64,
    /// Where the only name with that hash is, unless it was taken out.
    places: [u8; 64],
}

impl Default for Index {
    fn default() -> Self {
        Self { present: 0, shared: 0, places: [0; 64] }
    }
}

impl Index {
    /// A name with this hash is at `index`.
    #[inline]
    fn note(&mut self, hash: u8, index: usize) {
        let bit = 1 << hash;
        match (u8::try_from(index), self.places.get_mut(usize::from(hash))) {
            (Ok(index), Some(place)) => *place = index,
            _ => self.shared |= bit,
        }
        self.shared |= self.present & bit;
        self.present |= bit;
    }
}

/// Key and value of a field, encoded.
#[derive(Clone, Copy)]
struct Entry {
    key: Span,
    value: Span,
    /// Of the name.
    hash: u8,
}

/// Bytes of the map as it was, or of what was written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
    written: bool,
}

impl Span {
    #[inline]
    fn new(start: usize, end: usize, written: bool) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: number(start), end: number(end), written }
    }

    #[inline]
    fn of<'b>(&self, base: &'b [u8], written: &'b [u8]) -> &'b [u8] {
        let bytes = if self.written { written } else { base };
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A number below 64 that tells most names apart: of its length, its first and its last character.
#[inline]
fn hash(name: &[u8]) -> u8 {
    let end = |byte: Option<&u8>| byte.copied().unwrap_or(0);
    let mixed = end(name.get(5)).wrapping_mul(7) ^ end(name.last()) ^ name.len().to_le_bytes()[0].wrapping_mul(5);
    mixed & 63
}

impl Taken {
    #[inline]
    fn push(&mut self, key: Span, value: Span, hash: u8) {
        self.index.note(hash, self.entries.len());
        self.entries.push(Entry { key, value, hash });
    }

    /// Takes the encoded map `base` apart.
    pub(crate) fn open(&mut self, base: &[u8]) {
        self.written.clear();
        self.changed = false;
        let start = base.len() - Value::of(base).body().len();
        let at = self.open_known(base, start);
        if at == base.len() && self.entries.len() == self.shape.fields.len() {
            self.index = self.shape.index;
        } else {
            self.learn(base, at);
        }
    }

    /// Takes fields out of `base` from `start` on as long as they are called as before; where the first other one starts.
    #[inline]
    fn open_known(&mut self, base: &[u8], mut start: usize) -> usize {
        let Self { entries, shape: Shape { names, fields, .. }, .. } = self;
        entries.clear();
        let mut from = 0;
        for &(to, hash) in fields.iter() {
            let name = names.get(from..to).unwrap_or_default();
            let middle = start + name.len();
            let Some(end) = Value::end(base, middle) else { break };
            if !same(base.get(start..middle).unwrap_or_default(), name) {
                break;
            }
            let (key, value) = (Span::new(start, middle, false), Span::new(middle, end, false));
            entries.push(Entry { key, value, hash });
            (from, start) = (to, end);
        }
        start
    }

    /// Takes the rest of `base` apart, from `start` on, and remembers the names.
    fn learn(&mut self, base: &[u8], mut start: usize) {
        self.index = Index::default();
        for (index, entry) in self.entries.iter().enumerate() {
            self.index.note(entry.hash, index);
        }
        self.shape.fields.truncate(self.entries.len());
        self.shape.names.truncate(self.shape.fields.last().map_or(0, |(end, _)| *end));
        while let Some(middle) = Value::end(base, start) {
            let Some(end) = Value::end(base, middle) else { break };
            let name = base.get(start..middle).unwrap_or_default();
            let hash = hash(name);
            self.push(Span::new(start, middle, false), Span::new(middle, end, false), hash);
            self.shape.names.extend_from_slice(name);
            self.shape.fields.push((self.shape.names.len(), hash));
            start = end;
        }
        self.shape.index = self.index;
    }

    /// The fields, of the map that was opened.
    pub(crate) fn fields<'f>(&'f mut self, base: &'f [u8]) -> Fields<'f> {
        Fields { base, taken: self }
    }

    /// Writes the map as it is now. What lies together is copied together.
    pub(crate) fn close(&self, base: &[u8], out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        let open = writer.begin_map();
        let mut run = Span::new(0, 0, false);
        for Entry { key, value, .. } in &self.entries {
            for span in [key, value] {
                if span.start == run.end && span.written == run.written {
                    run.end = span.end;
                } else {
                    writer.raw(run.of(base, &self.written));
                    run = *span;
                }
            }
        }
        writer.raw(run.of(base, &self.written));
        writer.end(open, self.entries.len());
    }
}

impl Fields<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.entries.is_empty()
    }

    /// Name of the field at `index`, encoded (see [`encoded`]); empty past the end.
    #[must_use]
    #[inline]
    pub fn name(&self, index: usize) -> &[u8] {
        self.taken.entries.get(index).map_or(&[], |entry| entry.key.of(self.base, &self.taken.written))
    }

    /// Value of the field at `index`; null past the end.
    #[must_use]
    #[inline]
    pub fn value(&self, index: usize) -> Value<'_> {
        let entry = self.taken.entries.get(index);
        entry.map_or(Value::NULL, |entry| Value::of(entry.value.of(self.base, &self.taken.written)))
    }

    /// Where the field called `name` (encoded) is, at `from` or after.
    #[must_use]
    #[inline]
    pub fn find(&self, name: &[u8], from: usize) -> Option<usize> {
        let wanted = hash(name);
        let (bit, index) = (1 << wanted, &self.taken.index);
        if index.present & bit == 0 {
            return None;
        }
        let named = |entry: &Entry| entry.hash == wanted && same(entry.key.of(self.base, &self.taken.written), name);
        if index.shared & bit == 0 {
            let place = usize::from(*index.places.get(usize::from(wanted))?);
            return self.taken.entries.get(place).filter(|entry| place >= from && named(entry)).map(|_| place);
        }
        self.taken.entries.get(from..)?.iter().position(named).map(|place| from + place)
    }

    /// Gives the field called `name` (encoded) a value, where it stands or else at the end. `write` gets the present value, if
    /// there is one, and writes exactly one; when it answers `false` it has written nothing, and all stays as it was.
    ///
    /// # Errors
    /// What `write` returns; the record is at fault then.
    #[inline]
    pub fn set(
        &mut self,
        name: &[u8],
        mut write: impl FnMut(&mut Writer<'_>, Option<Value<'_>>) -> Result<bool>,
    ) -> Result<()> {
        let mut found = self.find(name, 0);
        if found.is_none() {
            let start = self.taken.written.len();
            let mut writer = Writer::new(&mut self.taken.written);
            writer.raw(name);
            let middle = writer.position();
            if write(&mut writer, None)? {
                let end = writer.position();
                self.taken.push(Span::new(start, middle, true), Span::new(middle, end, true), hash(name));
                self.taken.changed = true;
            } else {
                writer.truncate(start);
            }
            return Ok(());
        }
        // A map out of the ordinary may hold a name twice.
        while let Some(index) = found {
            self.replace(index, &mut write)?;
            found = self.find(name, index + 1);
        }
        Ok(())
    }

    /// Gives the field at `index` another value; as [`Fields::set`].
    ///
    /// # Errors
    /// As [`Fields::set`].
    #[inline]
    pub fn replace(
        &mut self,
        index: usize,
        mut write: impl FnMut(&mut Writer<'_>, Option<Value<'_>>) -> Result<bool>,
    ) -> Result<()> {
        let Taken { entries, written, scratch, changed, .. } = &mut *self.taken;
        let Some(entry) = entries.get_mut(index) else { return Ok(()) };
        let present = if entry.value.written {
            scratch.clear();
            scratch.extend_from_slice(entry.value.of(self.base, written));
            scratch.as_slice()
        } else {
            entry.value.of(self.base, &[])
        };
        let start = written.len();
        let mut writer = Writer::new(written);
        if write(&mut writer, Some(Value::of(present)))? {
            entry.value = Span::new(start, writer.position(), true);
            *changed = true;
        } else {
            writer.truncate(start);
        }
        Ok(())
    }

    /// Calls the field at `index` `name` (encoded).
    pub fn rename(&mut self, index: usize, name: &[u8]) {
        let Taken { entries, written, changed, .. } = &mut *self.taken;
        if let Some(entry) = entries.get_mut(index) {
            let start = written.len();
            Writer::new(written).raw(name);
            entry.key = Span::new(start, written.len(), true);
            entry.hash = hash(name);
            *changed = true;
            self.taken.index.note(hash(name), index);
        }
    }

    /// Takes the field at `index` out; those after it move up.
    pub fn remove(&mut self, index: usize) {
        let Taken { entries, index: names, changed, .. } = &mut *self.taken;
        if index < entries.len() {
            entries.remove(index);
            *changed = true;
            for moved in entries.iter().skip(index) {
                if let Some(place) = names.places.get_mut(usize::from(moved.hash)) {
                    *place = place.saturating_sub(1);
                }
            }
        }
    }
}

/// A name as it is encoded in a map: to be made once, and compared and copied without decoding.
#[must_use]
pub fn encoded(name: &str) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(name.len() + 5);
    Writer::new(&mut bytes).str(name);
    bytes.into()
}

/// Whether a part of a record can be taken apart.
pub(crate) fn is_map(bytes: &[u8]) -> bool {
    bytes.first() == Some(&(Tag::Map as u8))
}
