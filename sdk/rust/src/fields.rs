//! A map without a schema, taken apart. Stages that change single fields share one such view of a record: the map is walked once
//! before the first of them and written once after the last, however many there are.

use std::ops::Range;

use millrace_api::batch::{MAX_HEAP, Slice};
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
    /// What is to be copied when the map is put together.
    runs: Vec<Span>,
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
    fields: Vec<Known>,
    index: Index,
}

/// A name of a [`Shape`].
struct Known {
    /// Where it lies in `names`.
    range: Range<u32>,
    /// Its first and last bytes, which are all of a short name.
    ends: Option<([u8; 8], [u8; 8])>,
    hash: u8,
}

impl Shape {
    fn learn(&mut self, name: &[u8], hash: u8) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let Span { start, end } = Span::of_base(start, self.names.len());
        let ends = name.first_chunk().zip(name.last_chunk()).filter(|_| name.len() <= 16);
        self.fields.push(Known { range: start..end, ends: ends.map(|(first, last)| (*first, *last)), hash });
    }
}

impl Known {
    /// The name that starts `bytes`, if it is this one.
    #[inline]
    fn at_start<'b>(&self, bytes: &'b [u8], names: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
        let (start, end) = (self.range.start as usize, self.range.end as usize);
        let (name, rest) = bytes.split_at_checked(end - start)?;
        let known = match &self.ends {
            Some((first, last)) => name.first_chunk() == Some(first) && name.last_chunk() == Some(last),
            None => names.get(start..end).is_some_and(|known| same(known, name)),
        };
        known.then_some((name, rest))
    }
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

/// Bytes of the heap in which the map lies, or of what was written: the latter have [`Span::WRITTEN`] in both ends, so that spans lie
/// together when the end of one is the start of the other.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

const _: () =
    assert!(MAX_HEAP < Span::WRITTEN as usize, "a place in a heap would be taken for one in what was written");

impl Span {
    /// No heap is that long: see [`MAX_HEAP`].
    const WRITTEN: u32 = 1 << 31;

    #[inline]
    fn of_base(start: usize, end: usize) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: number(start), end: number(end) }
    }

    #[inline]
    fn of_written(start: usize, end: usize) -> Self {
        let Self { start, end } = Self::of_base(start, end);
        Self { start: start | Self::WRITTEN, end: end | Self::WRITTEN }
    }

    #[inline]
    fn is_written(self) -> bool {
        self.start >= Self::WRITTEN
    }

    #[inline]
    fn place(self) -> usize {
        (self.start & !Self::WRITTEN) as usize
    }

    #[inline]
    fn len(self) -> usize {
        self.end.wrapping_sub(self.start) as usize
    }

    #[inline]
    fn of<'b>(self, base: &'b [u8], written: &'b [u8]) -> &'b [u8] {
        let bytes = if self.is_written() { written } else { base };
        let start = self.place();
        bytes.get(start..start.saturating_add(self.len())).unwrap_or_default()
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

    /// Takes the encoded map apart that lies at `at` in `heap`. This and its likes are functions of their own: see `chain::Run`.
    #[inline(never)]
    pub(crate) fn open(&mut self, heap: &[u8], at: Slice) {
        self.written.clear();
        self.changed = false;
        let map = at.of(heap).unwrap_or_default();
        let end = at.start as usize + map.len();
        let base = heap.get(..end).unwrap_or_default();
        let at = self.open_known(base, end - Value::of(map).body().len());
        if at == end && self.entries.len() == self.shape.fields.len() {
            self.index = self.shape.index;
        } else {
            self.learn(base, at);
        }
    }

    /// Takes fields out of `base` from `start` on as long as they are called as before; where the first other one starts.
    #[inline(never)]
    fn open_known(&mut self, base: &[u8], mut start: usize) -> usize {
        let Self { entries, shape: Shape { names, fields, .. }, .. } = self;
        entries.clear();
        let mut rest = base.get(start..).unwrap_or_default();
        for known in fields.iter() {
            let Some((name, after)) = known.at_start(rest, names) else { break };
            let Some((value, next)) = Value::split(after) else { break };
            let middle = start + name.len();
            let end = middle + value.bytes().len();
            entries.push(Entry {
                key: Span::of_base(start, middle),
                value: Span::of_base(middle, end),
                hash: known.hash,
            });
            (rest, start) = (next, end);
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
        self.shape.names.truncate(self.shape.fields.last().map_or(0, |known| known.range.end as usize));
        while let Some(middle) = Value::end(base, start) {
            let Some(end) = Value::end(base, middle) else { break };
            let name = base.get(start..middle).unwrap_or_default();
            let hash = hash(name);
            self.push(Span::of_base(start, middle), Span::of_base(middle, end), hash);
            self.shape.learn(name, hash);
            start = end;
        }
        self.shape.index = self.index;
    }

    /// The fields of the map that was opened, with the heap in which it lies.
    pub(crate) fn fields<'f>(&'f mut self, base: &'f [u8]) -> Fields<'f> {
        Fields { base, taken: self }
    }

    /// Writes the map as it is now; `base` is the heap in which it was. What lies together is copied together.
    #[inline(never)]
    pub(crate) fn close(&mut self, base: &[u8], out: &mut Vec<u8>) {
        let Self { entries, written, runs, .. } = self;
        runs.clear();
        let start = entries.first().map_or(0, |entry| entry.key.start);
        let mut run = Span { start, end: start };
        for Entry { key, value, .. } in &*entries {
            if key.start != run.end {
                runs.push(std::mem::replace(&mut run, *key));
            }
            run.end = key.end;
            if value.start != run.end {
                runs.push(std::mem::replace(&mut run, *value));
            }
            run.end = value.end;
        }
        runs.push(run);
        // Bytes after the last value, so that it can be copied as fast as the others.
        written.extend_from_slice(&[0; 64]);
        let mut writer = Writer::new(out);
        let open = writer.begin_map();
        for run in &*runs {
            writer.raw_part(if run.is_written() { written } else { base }, run.place(), run.len());
        }
        writer.end(open, entries.len());
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
        self.look_up(name, hash(name), from)
    }

    #[inline]
    fn look_up(&self, name: &[u8], hash: u8, from: usize) -> Option<usize> {
        let (bit, index) = (1 << hash, &self.taken.index);
        if index.present & bit == 0 {
            return None;
        }
        if index.shared & bit != 0 {
            return self.search(name, hash, from);
        }
        let place = usize::from(*index.places.get(usize::from(hash))?);
        let entry = self.taken.entries.get(place)?;
        (place >= from && self.is_called(entry, name, hash)).then_some(place)
    }

    #[cold]
    fn search(&self, name: &[u8], hash: u8, from: usize) -> Option<usize> {
        let found = self.taken.entries.get(from..)?.iter().position(|entry| self.is_called(entry, name, hash));
        found.map(|place| from + place)
    }

    /// The next field called as the one that was found before `from`: a map out of the ordinary may hold a name twice.
    #[inline]
    fn find_again(&self, name: &[u8], hash: u8, from: usize) -> Option<usize> {
        if self.taken.index.shared & (1 << hash) == 0 { None } else { self.search(name, hash, from) }
    }

    #[inline]
    fn is_called(&self, entry: &Entry, name: &[u8], hash: u8) -> bool {
        entry.hash == hash && same(entry.key.of(self.base, &self.taken.written), name)
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
        let hash = hash(name);
        let mut found = self.look_up(name, hash, 0);
        if found.is_none() {
            let start = self.taken.written.len();
            let mut writer = Writer::new(&mut self.taken.written);
            writer.raw(name);
            let middle = writer.position();
            if write(&mut writer, None)? {
                let end = writer.position();
                self.taken.push(Span::of_written(start, middle), Span::of_written(middle, end), hash);
                self.taken.changed = true;
            } else {
                writer.truncate(start);
            }
            return Ok(());
        }
        while let Some(index) = found {
            self.replace(index, &mut write)?;
            found = self.find_again(name, hash, index + 1);
        }
        Ok(())
    }

    /// Takes the field called `name` (encoded) out, if there is one.
    pub fn remove_called(&mut self, name: &[u8]) {
        let hash = hash(name);
        let mut found = self.look_up(name, hash, 0);
        while let Some(index) = found {
            self.remove(index);
            found = self.find_again(name, hash, index);
        }
    }

    /// Calls the field called `name` (encoded), if there is one, `to` (encoded).
    pub fn rename_called(&mut self, name: &[u8], to: &[u8]) {
        let hash = hash(name);
        let mut found = self.look_up(name, hash, 0);
        while let Some(index) = found {
            self.rename(index, to);
            found = self.find_again(name, hash, index + 1);
        }
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
        let present = if entry.value.is_written() {
            scratch.clear();
            scratch.extend_from_slice(entry.value.of(self.base, written));
            scratch.as_slice()
        } else {
            entry.value.of(self.base, &[])
        };
        let start = written.len();
        let mut writer = Writer::new(written);
        if write(&mut writer, Some(Value::of(present)))? {
            entry.value = Span::of_written(start, writer.position());
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
            entry.key = Span::of_written(start, written.len());
            entry.hash = hash(name);
            *changed = true;
            let hash = entry.hash;
            self.taken.index.note(hash, index);
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
