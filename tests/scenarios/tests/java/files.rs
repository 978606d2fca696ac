//! Files that sources read and sinks write.

use std::io::Write as _;
use std::path::Path;

use millrace_scenarios::eventually;

use crate::rest::PATIENCE;

/// Appends lines to a file, in one write as `FileStreamSource` may read at any time.
pub(crate) fn append(path: &Path, lines: &[String]) {
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let mut file = std::fs::File::options().create(true).append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
}

pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits until a file has exactly these lines, in any order: tasks of a sink append to one file.
pub(crate) async fn until_lines(path: &Path, wanted: &[String]) {
    let mut wanted = wanted.to_vec();
    wanted.sort();
    let seen = || async {
        let mut seen = lines(path);
        seen.sort();
        let missing: Vec<_> = wanted.iter().filter(|line| seen.binary_search(line).is_err()).take(3).cloned().collect();
        (seen == wanted, seen.len(), missing)
    };
    let what = format!("{} lines in {}", wanted.len(), path.display());
    eventually(&what, PATIENCE, seen, |(same, ..)| *same).await;
}

pub(crate) fn numbered(label: &str, range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("{label}-{n:05}")).collect()
}

/// Waits until a file has exactly these lines, in this order: what one task makes of one partition.
pub(crate) async fn until_same(path: &Path, wanted: &[String]) {
    let seen = || async {
        let seen = lines(path);
        let differs = seen.iter().zip(wanted).position(|(seen, wanted)| seen != wanted);
        (seen == wanted, seen.len(), differs.and_then(|at| seen.get(at).cloned()))
    };
    let what = format!("{} lines in {}", wanted.len(), path.display());
    eventually(&what, PATIENCE, seen, |(same, ..)| *same).await;
}

/// Waits until a file has each of these lines at least once.
pub(crate) async fn until_all_lines(path: &Path, wanted: &[String]) {
    let seen = || async {
        let seen: std::collections::BTreeSet<String> = lines(path).into_iter().collect();
        wanted.iter().filter(|line| !seen.contains(*line)).count()
    };
    eventually(&format!("each line in {}", path.display()), PATIENCE, seen, |missing| *missing == 0).await;
}
