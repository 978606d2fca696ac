//! Versions of plugins that a configuration asks for (KIP-891), in Maven's notation: `1.2`, `[1.2,2.0)`, `(,1],[3,)`.
//!
//! A worker has one version of each plugin, of its own. A configuration that was written for another program's versions shall run
//! here, too: what it asks for has to be readable, and decides nothing.

use std::cmp::Ordering;
use std::fmt;

/// What a version may be: any of these ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(Vec<Restriction>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Restriction {
    /// With it, or above it.
    lower: (Option<String>, bool),
    upper: (Option<String>, bool),
}

impl VersionRange {
    /// Reads what a configuration asks for; `None` for `latest`, which is whatever there is. A version alone means that version.
    ///
    /// # Errors
    /// What is wrong with it, in Maven's words.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text == "latest" {
            return Ok(None);
        }
        let enclosed = if text.starts_with(['[', '(']) { text.to_owned() } else { format!("[{text}]") };
        let mut rest = enclosed.as_str();
        let mut ranges: Vec<Restriction> = Vec::new();
        while rest.starts_with(['[', '(']) {
            let end = rest.find([')', ']']).ok_or_else(|| format!("Unbounded range: {text}"))?;
            let (range, after) = rest.split_at(end + 1);
            let range = Restriction::parse(range)?;
            if let Some(before) = ranges.last()
                && !before.is_below(&range)
            {
                return Err(format!("Ranges overlap: {text}"));
            }
            ranges.push(range);
            let after = after.trim();
            rest = after.strip_prefix(',').map_or(after, str::trim);
        }
        if rest.is_empty() {
            Ok(Some(Self(ranges)))
        } else {
            Err(format!("Only fully-qualified sets allowed in multiple set scenario: {text}"))
        }
    }

    /// Whether a version is one of these. Maven takes an empty version for none that there is.
    #[must_use]
    pub fn contains(&self, version: &str) -> bool {
        self.0.iter().any(|range| range.contains(version))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Restriction { lower, upper }) in self.0.iter().enumerate() {
            let text = |bound: &Option<String>| bound.clone().unwrap_or_default();
            let (comma, open, close) =
                (if index > 0 { "," } else { "" }, if lower.1 { '[' } else { '(' }, if upper.1 { ']' } else { ')' });
            write!(f, "{comma}{open}{},{}{close}", text(&lower.0), text(&upper.0))?;
        }
        Ok(())
    }
}

impl Restriction {
    /// Reads a range with its brackets.
    fn parse(text: &str) -> Result<Self, String> {
        let (with_lower, with_upper) = (text.starts_with('['), text.ends_with(']'));
        let inner = text.trim_start_matches(['[', '(']).trim_end_matches([']', ')']).trim();
        let Some((lower, upper)) = inner.split_once(',') else {
            if !(with_lower && with_upper) {
                return Err(format!("Single version must be surrounded by []: {text}"));
            }
            let one = Some(inner.to_owned());
            return Ok(Self { lower: (one.clone(), true), upper: (one, true) });
        };
        let bound = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (lower, upper) = (bound(lower), bound(upper));
        if let (Some(lower), Some(upper)) = (&lower, &upper) {
            let order = compare(lower, upper);
            if order.is_gt() || (order.is_eq() && !(with_lower && with_upper)) {
                return Err(format!("Range defies version ordering: {text}"));
            }
        }
        Ok(Self { lower: (lower, with_lower), upper: (upper, with_upper) })
    }

    fn is_below(&self, next: &Self) -> bool {
        match (&self.upper.0, &next.lower.0) {
            (Some(upper), Some(lower)) => compare(upper, lower).is_le(),
            _ => false,
        }
    }

    fn contains(&self, version: &str) -> bool {
        let above =
            |bound: &str, with: bool| compare(version, bound).is_gt() || (with && compare(version, bound).is_eq());
        let below =
            |bound: &str, with: bool| compare(version, bound).is_lt() || (with && compare(version, bound).is_eq());
        self.lower.0.as_deref().is_none_or(|bound| above(bound, self.lower.1))
            && self.upper.0.as_deref().is_none_or(|bound| below(bound, self.upper.1))
    }
}

/// Numbers by their value, and before words: `1.10` is above `1.9`, `1.0-rc` below `1.0`.
fn compare(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<String> {
        text.to_ascii_lowercase().split(['.', '-', '_']).map(str::to_owned).filter(|part| !part.is_empty()).collect()
    };
    let (one, other) = (parts(one), parts(other));
    let zero = "0".to_owned();
    for index in 0..one.len().max(other.len()) {
        let (a, b) = (one.get(index).unwrap_or(&zero), other.get(index).unwrap_or(&zero));
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Greater,
            (Err(_), Ok(_)) => Ordering::Less,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match VersionRange::parse(text) {
            Ok(Some(range)) => range.to_string(),
            Ok(None) => "latest".to_owned(),
            Err(cause) => cause,
        }
    }

    #[test]
    fn ranges_are_read_as_maven_does() {
        assert_eq!(shown("latest"), "latest");
        assert_eq!(shown(" 1.2 "), "[1.2,1.2]");
        assert_eq!(shown("[1,2)"), "[1,2)");
        assert_eq!(shown("(,1.0], [ 1.2 ,)"), "(,1.0],[1.2,)");
        assert_eq!(shown("[1,"), "Unbounded range: [1,");
        assert_eq!(shown("(1)"), "Single version must be surrounded by []: (1)");
        assert_eq!(shown("[2,1]"), "Range defies version ordering: [2,1]");
        assert_eq!(shown("[1,3],[2,4]"), "Ranges overlap: [1,3],[2,4]");
        assert_eq!(shown("[1,2]x"), "Only fully-qualified sets allowed in multiple set scenario: [1,2]x");
    }

    #[test]
    fn versions_are_in_ranges() {
        let holds = |range: &str, version: &str| VersionRange::parse(range).unwrap().unwrap().contains(version);
        assert!(holds("[1.9,1.11)", "1.10") && !holds("[1.9,1.11)", "1.11"));
        assert!(holds("4.3", "4.3.0") && !holds("4.3", "4.3.1"));
        assert!(holds("(,1.0]", "1.0-rc1") && !holds("(1.0,)", "1.0"));
        assert!(holds("[1,2),[3,)", "5") && !holds("[1,2),[3,)", "2.5"));
    }
}
