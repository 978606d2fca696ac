//! The order in which Java's `HashMap` lists its entries. Kafka Connect compares keys of the offsets topic byte for byte, so a key
//! that it is to find must have its fields in that order.

use millrace_api::config::Props;

/// The smallest table; it doubles when more than three quarters are taken, and when a bucket gets long in a small table.
const SMALLEST: usize = 16;
const SMALL: usize = 64;
const LONG: usize = 8;

/// `String.hashCode`, over UTF-16.
fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// The hash that chooses a bucket: high bits take part.
fn spread(text: &str) -> u32 {
    let hash = hash_code(text);
    hash ^ (hash >> 16)
}

/// Size of the table after keys were put one by one into a `new HashMap<>()`.
fn grown<'a>(keys: impl Iterator<Item = &'a str>) -> usize {
    let mut size = SMALLEST;
    let mut hashes: Vec<u32> = Vec::new();
    for key in keys {
        let hash = spread(key);
        // A table this small is made bigger instead of making a tree of the bucket.
        if size < SMALL && hashes.iter().filter(|other| bucket(**other, size) == bucket(hash, size)).count() >= LONG {
            size *= 2;
        }
        hashes.push(hash);
        if hashes.len() > size / 4 * 3 {
            size *= 2;
        }
    }
    size
}

fn bucket(hash: u32, size: usize) -> usize {
    usize::try_from(hash).unwrap_or_default() & (size - 1)
}

/// Puts the entries of a JSON object, which Kafka Connect would put into a `new HashMap<>()` one by one, in that map's order.
pub(super) fn put_order(object: &serde_json::Map<String, serde_json::Value>) -> Vec<(&String, &serde_json::Value)> {
    let size = grown(object.keys().map(String::as_str));
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| bucket(spread(key), size));
    entries
}

/// Puts the entries in the order of a `new HashMap<>(map)`, whose table is just large enough.
pub(super) fn hash_order(props: &mut Props) {
    let size = (props.len() * 4 / 3 + 1).next_power_of_two();
    props.sort_by(|left, _, right, _| bucket(spread(left), size).cmp(&bucket(spread(right), size)));
}
