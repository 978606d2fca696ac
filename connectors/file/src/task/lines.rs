//! Lines out of bytes that come in pieces.

use millrace_api::{Error, ErrorKind, Result};

/// Longest line, in bytes: without an end, a file that has no line ends would fill the memory.
const MAX_LINE: usize = 64 << 20;

/// Bytes that were read but are not yet given out as lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Start of the next line in `bytes`.
    start: usize,
    /// Up to here there is no line end after `start`.
    searched: usize,
    /// Where `start` lies in the file.
    position: u64,
}

impl Lines {
    /// Lines of a file that is read from `position` on.
    pub(super) fn at(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    /// Where the next line starts in the file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Where the bytes that come next lie in the file.
    pub(super) fn end(&self) -> u64 {
        self.position + (self.bytes.len() - self.start) as u64
    }

    /// Takes in what was read.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when a line does not end within 64 MiB.
    pub(super) fn push(&mut self, read: &[u8]) -> Result<()> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.bytes.len() + read.len() > MAX_LINE && self.searched + 1 >= self.bytes.len() {
            return Err(Error::new(
                ErrorKind::Limit,
                "a line of the file is longer than 64 MiB; check that it holds text with line ends",
            ));
        }
        self.bytes.extend_from_slice(read);
        Ok(())
    }

    /// The next whole line without its end, which is `\n`, `\r` or `\r\n`. A `\r` that is the last byte so far waits for the
    /// one after it.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + found;
        let next = match (self.bytes.get(end), self.bytes.get(end + 1)) {
            (Some(b'\r'), None) => {
                self.searched = end;
                return None;
            }
            (Some(b'\r'), Some(b'\n')) => end + 2,
            _ => end + 1,
        };
        let start = std::mem::replace(&mut self.start, next);
        self.searched = next;
        self.position += (next - start) as u64;
        self.bytes.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    fn all(lines: &mut Lines) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            found.push(String::from_utf8_lossy(line).into_owned());
        }
        found
    }

    #[test]
    fn every_kind_of_end_ends_a_line() {
        let mut lines = Lines::default();
        lines.push(b"a\nb\r\nc\rd\n\n\r\r\ne").unwrap();
        assert_eq!(all(&mut lines), ["a", "b", "c", "d", "", "", ""]);
        assert_eq!((lines.position(), lines.end()), (13, 14));
    }

    #[test]
    fn a_carriage_return_waits_for_what_follows() {
        let mut lines = Lines::at(100);
        lines.push(b"a\r").unwrap();
        assert_eq!(all(&mut lines), Vec::<String>::new());
        assert_eq!(lines.position(), 100);
        lines.push(b"\nb\r").unwrap();
        assert_eq!(all(&mut lines), ["a"]);
        assert_eq!(lines.position(), 103);
        lines.push(b"c").unwrap();
        assert_eq!(all(&mut lines), ["b"]);
        assert_eq!(lines.position(), 105);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let text = b"one\r\ntwo\rthree\n\nfour\r\n\r\nfive\n";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece).unwrap();
                found.extend(all(&mut lines));
            }
            assert_eq!(found, ["one", "two", "three", "", "four", "", "five"], "pieces of {size}");
            assert_eq!(lines.position(), text.len() as u64);
        }
    }

    #[test]
    fn a_file_without_line_ends_does_not_fill_the_memory() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..100).find(|_| {
            let error = lines.push(&piece).is_err();
            assert!(lines.next().is_none());
            error
        });
        assert_eq!(refused, Some(64));
    }
}
