//! Maps whose keys may have been written twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{CONTAINER_HEADER, Open, Value, Writer};

impl Writer<'_> {
    /// As [`Writer::end`] for a map whose `count` entries may have the same key twice. As in a `LinkedHashMap` the last value wins and
    /// stands where the first one stood.
    pub fn end_distinct(&mut self, open: Open, count: usize) {
        let count = drop_duplicates(self.out, open.at + CONTAINER_HEADER, count);
        self.end(open, count);
    }
}

/// Drops duplicate keys from the entries of a map that fill `out` from `body` on, and returns how many entries are left.
#[cold]
fn drop_duplicates(out: &mut Vec<u8>, body: usize, count: usize) -> usize {
    let entries = out.get(body..).unwrap_or_default().to_vec();
    let mut rest = entries.as_slice();
    let mut kept: Vec<(Value<'_>, Value<'_>)> = Vec::new();
    let mut places = HashMap::with_capacity(count.min(1 << 16));
    while let Some((key, after)) = Value::split(rest) {
        let Some((value, after)) = Value::split(after) else { break };
        rest = after;
        match places.entry(key.bytes()) {
            Entry::Occupied(place) => {
                let place: &usize = place.get();
                if let Some(entry) = kept.get_mut(*place) {
                    entry.1 = value;
                }
            }
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((key, value));
            }
        }
    }
    if kept.len() < count {
        out.truncate(body);
        for (key, value) in &kept {
            out.extend_from_slice(key.bytes());
            out.extend_from_slice(value.bytes());
        }
    }
    kept.len()
}
