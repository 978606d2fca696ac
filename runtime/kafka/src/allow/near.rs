//! The name that was probably meant.

/// The nearest of `names`, unless none is near.
pub(super) fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if key.len() > 64 {
        return None;
    }
    let (name, distance) = names.map(|name| (name, distance(key, name))).min_by_key(|(_, distance)| *distance)?;
    (distance <= key.len() / 3).then_some(name)
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut before = i + 1;
        next.push(before);
        for ((b, above), diagonal) in right.iter().zip(row.iter().skip(1)).zip(&row) {
            before = (diagonal + usize::from(a != *b)).min(above + 1).min(before + 1);
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, expected) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("flaw", "lawn", 2), ("same", "same", 0)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(nearest("linger", ["linger.ms", "acks"].into_iter()), None);
        assert_eq!(nearest("lingerr.ms", ["linger.ms", "acks"].into_iter()), Some("linger.ms"));
        assert_eq!(nearest("plugin.library.paths", ["linger.ms", "acks"].into_iter()), None);
    }
}
