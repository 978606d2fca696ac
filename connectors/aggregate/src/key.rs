//! Keys: of groups, and of the state table and its changelog.

use millrace_api::{Record, Value, Writer};

/// Everything of a window sorts by its start; what is not a window sorts before all of them.
const META: u8 = 0;
const WINDOW: u8 = 1;

/// Appends the group key of a record: null for no fields, the value for one, a map for several.
pub(crate) fn group(record: Record<'_>, fields: &[String], out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let field = |name: &String| record.field(name).unwrap_or(Value::NULL);
    match fields {
        [] => writer.null(),
        [one] => writer.value(field(one)),
        several => {
            let open = writer.begin_map();
            for name in several {
                writer.str(name);
                writer.value(field(name));
            }
            writer.end(open, several.len());
        }
    }
}

/// Key of a window's state: its start in an order-preserving form, then the group.
pub(crate) fn window(start: i64, group: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + group.len());
    key.push(WINDOW);
    key.extend_from_slice(&sortable(start));
    key.extend_from_slice(group);
    key
}

/// Start and group of a window's key.
pub(crate) fn parse_window(key: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, rest) = key.split_first()?;
    let (start, group) = rest.split_at_checked(8)?;
    let start = u64::from_be_bytes(start.try_into().ok()?) ^ (1 << 63);
    (*tag == WINDOW).then_some((i64::from_ne_bytes(start.to_ne_bytes()), group))
}

/// Key of something that is not a window.
pub(crate) fn meta(name: &str) -> Vec<u8> {
    let mut key = vec![META];
    key.extend_from_slice(name.as_bytes());
    key
}

/// Name of a key that is not a window's.
pub(crate) fn parse_meta(key: &[u8]) -> Option<&str> {
    let (tag, name) = key.split_first()?;
    if *tag == META { std::str::from_utf8(name).ok() } else { None }
}

/// The key range of everything that is not a window.
pub(crate) fn metas() -> (Vec<u8>, Vec<u8>) {
    (vec![META], vec![WINDOW])
}

/// The key range of all windows that start at `last` or before.
pub(crate) fn windows_until(last: i64) -> (Vec<u8>, Vec<u8>) {
    let to = last.checked_add(1).map_or_else(|| vec![WINDOW + 1], |end| window(end, &[]));
    (vec![WINDOW], to)
}

fn sortable(time: i64) -> [u8; 8] {
    (u64::from_ne_bytes(time.to_ne_bytes()) ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_time_and_read_back() {
        let keys: Vec<_> = [i64::MIN, -5, 0, 7, i64::MAX].map(|start| window(start, b"g")).to_vec();
        assert!(keys.is_sorted());
        assert!(meta("z") < keys[0]);
        assert_eq!(parse_window(&window(-5, b"g")), Some((-5, b"g".as_slice())));
        assert_eq!((parse_window(&meta("a")), parse_meta(&meta("a"))), (None, Some("a")));
        let (from, to) = windows_until(0);
        assert!(from < window(-5, b"") && window(0, b"\xff") < to && to <= window(1, b""));
        assert!(windows_until(i64::MAX).1 > window(i64::MAX, b"\xff"));
        let (from, to) = metas();
        assert!(from <= meta("") && meta("\u{7f}") < to && to < window(i64::MIN, b""));
    }
}
