//! Text in tokens: delimiters, and what stands between them.

/// Reads tokens forward, and back to a mark.
pub(crate) struct Tokens<'s> {
    pub(crate) original: &'s str,
    at: usize,
    /// A token that was looked at but not taken.
    ahead: Option<&'s str>,
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(original: &'s str) -> Self {
        Self { original, at: 0, ahead: None }
    }

    pub(crate) fn mark(&self) -> usize {
        self.at - self.ahead.map_or(0, str::len)
    }

    pub(crate) fn rewind(&mut self, mark: usize) {
        self.at = mark;
        self.ahead = None;
    }

    pub(crate) fn has_next(&self) -> bool {
        self.ahead.is_some() || self.at < self.original.len()
    }

    pub(crate) fn next(&mut self) -> &'s str {
        match self.ahead.take() {
            Some(token) => token,
            None => self.read(),
        }
    }

    /// The text of the next `n` tokens; `None`, and nothing taken, when there are fewer.
    pub(crate) fn take(&mut self, n: usize) -> Option<&'s str> {
        let start = self.mark();
        for _ in 0..n {
            if !self.has_next() {
                self.rewind(start);
                return None;
            }
            self.next();
        }
        self.original.get(start..self.at)
    }

    /// Takes the next token if it is `expected`, passing over blanks.
    pub(crate) fn consume(&mut self, expected: &str) -> bool {
        let mut token = match self.ahead {
            Some(token) => token,
            None if self.at < self.original.len() => self.read(),
            None => return false,
        };
        while is_blank(token) && self.at < self.original.len() {
            token = self.read();
        }
        self.ahead = Some(token);
        let found = trim(token) == expected;
        if found {
            self.ahead = None;
        }
        found
    }

    /// A delimiter that is not escaped, or everything before one.
    fn read(&mut self) -> &'s str {
        let start = self.at;
        let mut escaped = false;
        while let Some(byte) = self.original.as_bytes().get(self.at) {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    if start == self.at {
                        self.at += 1;
                    }
                    break;
                }
                _ => escaped = false,
            }
            self.at += 1;
        }
        self.original.get(start..self.at).unwrap_or_default()
    }
}

/// `String.trim`: drops everything up to U+0020 at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

pub(crate) fn is_blank(text: &str) -> bool {
    trim(text).is_empty()
}
