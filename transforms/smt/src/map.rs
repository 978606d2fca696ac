//! Changing maps without decoding them: what stays is copied as it lies.

use millrace_sdk::prelude::*;

use crate::part::encoded;

/// Entries of a map that a transformation sets.
#[derive(Default)]
pub(crate) struct Keys {
    encoded: Vec<Box<[u8]>>,
    /// Which of them come again further on, where they count.
    shadowed: Vec<bool>,
    /// Which of them are done with in the map at hand.
    done: Vec<bool>,
}

impl Keys {
    pub(crate) fn new<'k>(names: impl IntoIterator<Item = &'k str>) -> Self {
        let encoded: Vec<_> = names.into_iter().map(encoded).collect();
        let shadowed: Vec<_> =
            (1..).zip(&encoded).map(|(next, key)| encoded.iter().skip(next).any(|other| other == key)).collect();
        Self { done: shadowed.clone(), shadowed, encoded }
    }

    /// Writes `map` with some entries set, each where it stands or else at the end.
    ///
    /// `set` is called with the number of a key and its present value, and writes the new one; when it returns `false` it has
    /// written nothing and the entry is left as it was.
    #[inline]
    pub(crate) fn set(
        &mut self,
        writer: &mut Writer<'_>,
        map: Value<'_>,
        mut set: impl FnMut(&mut Writer<'_>, usize, Option<Value<'_>>) -> Result<bool>,
    ) -> Result<()> {
        self.done.copy_from_slice(&self.shadowed);
        let open = writer.begin_map();
        let mut count = map.count().unwrap_or(0);
        // Bytes from `kept` on are yet to be copied.
        let mut kept = map.body();
        let mut rest = kept;
        while let Some((key, after)) = Value::split(rest) {
            let Some((value, next)) = Value::split(after) else { break };
            rest = next;
            let Some(index) = self.encoded.iter().rposition(|known| **known == *key.bytes()) else { continue };
            let start = writer.position();
            writer.raw(kept.get(..kept.len() - after.len()).unwrap_or_default());
            if set(writer, index, Some(value))? {
                kept = next;
            } else {
                writer.truncate(start);
            }
            if let Some(done) = self.done.get_mut(index) {
                *done = true;
            }
        }
        writer.raw(kept);
        for (index, key) in self.encoded.iter().enumerate() {
            if self.done.get(index) == Some(&true) {
                continue;
            }
            let start = writer.position();
            writer.raw(key);
            if set(writer, index, None)? {
                count += 1;
            } else {
                writer.truncate(start);
            }
        }
        writer.end(open, count);
        Ok(())
    }
}
