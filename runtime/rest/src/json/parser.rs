//! A pull parser over the bytes of a body. It never recurses, and text is decoded only when it is asked for.

use super::error::{JsonError, Location, describe};

type Result<T> = std::result::Result<T, JsonError>;

/// Jackson's `StreamReadConstraints`.
const MAX_DEPTH: usize = 1000;
const MAX_NAME: usize = 50_000;

pub(super) const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// What the parser stands on. A string's text is fetched by [`Parser::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    FieldName,
    String,
    Int,
    Float,
    True,
    False,
    Null,
}

impl Token {
    /// Jackson's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StartObject => "START_OBJECT",
            Self::EndObject => "END_OBJECT",
            Self::StartArray => "START_ARRAY",
            Self::EndArray => "END_ARRAY",
            Self::FieldName => "FIELD_NAME",
            Self::String => "VALUE_STRING",
            Self::Int => "VALUE_NUMBER_INT",
            Self::Float => "VALUE_NUMBER_FLOAT",
            Self::True => "VALUE_TRUE",
            Self::False => "VALUE_FALSE",
            Self::Null => "VALUE_NULL",
        }
    }
}

/// An object or array that is open.
struct Scope {
    object: bool,
    start: Location,
    /// Whether it has an entry already.
    filled: bool,
}

/// The parser.
pub(super) struct Parser<'a> {
    pub(super) input: &'a [u8],
    /// The next byte.
    pub(super) at: usize,
    line: usize,
    line_start: usize,
    scopes: Vec<Scope>,
    /// The token that [`Parser::next`] returned last.
    pub(super) token: Option<Token>,
    /// Where it starts, in the input and for messages.
    pub(super) start: usize,
    start_location: Location,
    /// It is a string whose closing quote has not been looked for.
    unread: bool,
    name: String,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        Self {
            input,
            at: 0,
            line: 1,
            line_start: 0,
            scopes: Vec::new(),
            token: None,
            start: 0,
            start_location: Location { line: 1, column: 1 },
            unread: false,
            name: String::new(),
        }
    }

    /// Goes to the next token; `None` at the end of the body.
    pub(super) fn next(&mut self) -> Result<Option<Token>> {
        if self.unread {
            self.text()?;
        }
        let Some(byte) = self.skip_space()? else { return self.end() };
        let token = match (self.token, self.scopes.last().map(|scope| (scope.object, scope.filled))) {
            (Some(Token::FieldName), _) => self.after_name(byte)?,
            (_, scope) if matches!(byte, b']' | b'}') => self.close(byte, scope.map(|(object, _)| object))?,
            (_, None) => self.value(byte)?,
            (_, Some((object, filled))) => {
                let byte = if filled { self.comma(byte, object)? } else { byte };
                if object { self.field_name(byte)? } else { self.value(byte)? }
            }
        };
        self.token = Some(token);
        Ok(Some(token))
    }

    /// The name of the field that the parser stands on.
    pub(super) fn take_name(&mut self) -> String {
        std::mem::take(&mut self.name)
    }

    /// Skips the rest of the value that the parser stands on.
    pub(super) fn skip(&mut self) -> Result<()> {
        let depth = self.scopes.len();
        match self.token {
            Some(Token::StartObject | Token::StartArray) => {
                while self.scopes.len() >= depth {
                    self.next()?;
                }
                Ok(())
            }
            Some(Token::String) => self.text().map(drop),
            _ => Ok(()),
        }
    }

    /// The text of a string, or of a number, `true` or `false` as it was written.
    pub(super) fn text(&mut self) -> Result<String> {
        if self.unread {
            self.unread = false;
            return self.string();
        }
        Ok(String::from_utf8_lossy(self.input.get(self.start..self.at).unwrap_or_default()).into_owned())
    }

    /// Where the present token starts.
    pub(super) fn token_location(&self) -> Location {
        self.start_location
    }

    /// Where the byte with this index is.
    pub(super) fn location(&self, index: usize) -> Location {
        Location { line: self.line, column: index.saturating_sub(self.line_start) + 1 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    pub(super) fn unexpected(&self, index: usize, code: u32, message: &str) -> JsonError {
        JsonError::at(self.location(index), format!("Unexpected character ({}): {message}", describe(code)))
    }

    fn begin(&mut self) {
        self.start = self.at;
        self.start_location = self.location(self.at);
    }

    /// The next byte that is not white space, not consumed.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\n' | b'\r' => {
                    let pair = byte == b'\r' && self.input.get(self.at + 1) == Some(&b'\n');
                    self.at += if pair { 2 } else { 1 };
                    self.line += 1;
                    self.line_start = self.at;
                }
                b'/' => {
                    let message = "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)";
                    return Err(self.unexpected(self.at, byte.into(), message));
                }
                ..b' ' => {
                    let shown = describe(byte.into());
                    let message = format!(
                        "Illegal character ({shown}): only regular white space (\\r, \\n, \\t) is allowed between tokens"
                    );
                    return Err(JsonError::at(self.location(self.at + 1), message));
                }
                _ => return Ok(Some(byte)),
            }
        }
        Ok(None)
    }

    /// The body ended where a token could start.
    fn end(&mut self) -> Result<Option<Token>> {
        let here = self.location(self.at);
        let Some(scope) = self.scopes.last() else {
            self.token = None;
            return Ok(None);
        };
        if self.token == Some(Token::FieldName) {
            return Err(self.cut_off(scope.object));
        }
        let (kind, start) = (if scope.object { "Object" } else { "Array" }, scope.start);
        let message = format!("Unexpected end-of-input: expected close marker for {kind} (start marker at {start})");
        Err(JsonError::at(here, message))
    }

    fn cut_off(&self, object: bool) -> JsonError {
        let kind = if object { "Object" } else { "Array" };
        JsonError::at(self.location(self.at), format!("Unexpected end-of-input within/between {kind} entries"))
    }

    fn close(&mut self, byte: u8, object: Option<bool>) -> Result<Token> {
        self.begin();
        let (kind, token) = if byte == b'}' { ("Object", Token::EndObject) } else { ("Array", Token::EndArray) };
        let marker = char::from(byte);
        let Some(open) = object else {
            let message = format!("Unexpected close marker '{marker}': no open {kind} to close");
            return Err(JsonError::at(self.location(self.at), message));
        };
        if open != (byte == b'}') {
            let (expected, kind) = if open { ('}', "Object") } else { (']', "Array") };
            let start = self.scopes.last().map_or(self.start_location, |scope| scope.start);
            let message =
                format!("Unexpected close marker '{marker}': expected '{expected}' (for {kind} starting at {start})");
            return Err(JsonError::at(self.location(self.at), message));
        }
        self.scopes.pop();
        self.at += 1;
        Ok(token)
    }

    fn comma(&mut self, byte: u8, object: bool) -> Result<u8> {
        if byte != b',' {
            let kind = if object { "Object" } else { "Array" };
            let message = format!("was expecting comma to separate {kind} entries");
            return Err(self.unexpected(self.at, byte.into(), &message));
        }
        self.at += 1;
        self.skip_space()?.ok_or_else(|| self.cut_off(object))
    }

    fn field_name(&mut self, byte: u8) -> Result<Token> {
        self.begin();
        if byte != b'"' {
            let (code, last) = self.char_for_error()?;
            return Err(self.unexpected(last, code, "was expecting double-quote to start field name"));
        }
        self.fill();
        self.at += 1;
        self.name = self.raw_name()?;
        if self.name.len() > MAX_NAME {
            return Err(JsonError::limit(format!(
                "Name length ({}) exceeds the maximum allowed ({MAX_NAME}, from `StreamReadConstraints.getMaxNameLength()`)",
                self.name.len()
            )));
        }
        Ok(Token::FieldName)
    }

    fn after_name(&mut self, byte: u8) -> Result<Token> {
        if byte != b':' {
            let message = "was expecting a colon to separate field name and value";
            return Err(self.unexpected(self.at, byte.into(), message));
        }
        self.at += 1;
        match self.skip_space()? {
            Some(byte) => self.value(byte),
            None => Err(self.cut_off(true)),
        }
    }

    fn value(&mut self, byte: u8) -> Result<Token> {
        self.begin();
        if self.scopes.last().is_some_and(|scope| !scope.object) {
            self.fill();
        }
        match byte {
            b'"' => {
                self.at += 1;
                self.unread = true;
                Ok(Token::String)
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b't' => self.word("true", Token::True),
            b'f' => self.word("false", Token::False),
            b'n' => self.word("null", Token::Null),
            b'-' | b'0'..=b'9' => {
                let token = self.number()?;
                self.root_space()?;
                Ok(token)
            }
            _ => Err(self.not_a_value(byte)),
        }
    }

    fn open(&mut self, object: bool) -> Result<Token> {
        self.at += 1;
        self.scopes.push(Scope { object, start: self.start_location, filled: false });
        if self.scopes.len() > MAX_DEPTH {
            return Err(JsonError::limit(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({MAX_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)",
                self.scopes.len()
            )));
        }
        Ok(if object { Token::StartObject } else { Token::StartArray })
    }

    fn fill(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.filled = true;
        }
    }

    /// Whether the parser is inside of an array.
    pub(super) fn in_array(&self) -> bool {
        self.scopes.last().is_some_and(|scope| !scope.object)
    }

    /// A number at the root must be followed by white space.
    fn root_space(&self) -> Result<()> {
        match self.peek() {
            Some(byte) if self.scopes.is_empty() && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {
                Err(self.unexpected(self.at, byte.into(), "Expected space separating root-level values"))
            }
            _ => Ok(()),
        }
    }
}
