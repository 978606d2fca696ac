//! Scalars: numbers, words, strings, and the characters that should not be there.

use super::error::{JsonError, describe};
use super::parser::{Parser, Token, VALUES};

type Result<T> = std::result::Result<T, JsonError>;

/// Jackson's `StreamReadConstraints.getMaxNumberLength()`, in digits.
const MAX_NUMBER: usize = 1000;
/// Longest token that a message repeats.
const MAX_TOKEN_SHOWN: usize = 256;

impl Parser<'_> {
    pub(super) fn word(&mut self, word: &str, token: Token) -> Result<Token> {
        let matches = self.input.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if !matches {
            return Err(self.unrecognized());
        }
        self.at += word.len();
        if self.at_identifier() { Err(self.unrecognized()) } else { Ok(token) }
    }

    pub(super) fn number(&mut self) -> Result<Token> {
        let negative = self.peek() == Some(b'-');
        if negative {
            self.at += 1;
            match self.peek() {
                Some(b'0'..=b'9') => {}
                Some(byte) => return Err(self.signed(byte, true)),
                None => return Err(self.cut_number()),
            }
        }
        let zero = self.peek() == Some(b'0');
        let mut digits = self.digits();
        if zero && digits > 1 {
            let second = self.start + usize::from(negative) + 1;
            return Err(JsonError::at(self.location(second), "Invalid numeric value: Leading zeroes not allowed"));
        }
        let mut token = Token::Int;
        if self.peek() == Some(b'.') {
            token = Token::Float;
            self.at += 1;
            digits += self.some_digits("Decimal point not followed by a digit", Some(self.at - 1))?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            token = Token::Float;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits += self.some_digits("Exponent indicator not followed by a digit", None)?;
        }
        if digits > MAX_NUMBER {
            return Err(JsonError::limit(format!(
                "Number value length ({digits}) exceeds the maximum allowed ({MAX_NUMBER}, from `StreamReadConstraints.getMaxNumberLength()`)"
            )));
        }
        Ok(token)
    }

    fn digits(&mut self) -> usize {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// At least one digit. When the body ends instead, the byte at `blamed` is at fault, if there is one.
    fn some_digits(&mut self, message: &str, blamed: Option<usize>) -> Result<usize> {
        let count = self.digits();
        if count > 0 {
            return Ok(count);
        }
        let Some(index) = self.peek().map(|_| self.at).or(blamed) else { return Err(self.cut_number()) };
        let byte = self.input.get(index).copied().unwrap_or_default();
        Err(self.bad_number(index, byte, message))
    }

    fn bad_number(&self, index: usize, byte: u8, message: &str) -> JsonError {
        let shown = describe(byte.into());
        JsonError::at(self.location(index), format!("Unexpected character ({shown}) in numeric value: {message}"))
    }

    fn cut_number(&self) -> JsonError {
        let before = self.token.map_or("null", Token::name);
        JsonError::at(self.location(self.at), format!("Unexpected end-of-input in {before}"))
    }

    /// What follows a sign is not a digit.
    fn signed(&mut self, byte: u8, negative: bool) -> JsonError {
        let mut blamed = byte;
        if byte == b'I' {
            self.at += 1;
            match self.peek() {
                None => return JsonError::at(self.location(self.at), "Unexpected end-of-input in a Number value"),
                Some(b'N') => return self.non_standard(if negative { "-INF" } else { "+INF" }),
                Some(b'n') => return self.non_standard(if negative { "-Infinity" } else { "+Infinity" }),
                Some(other) => blamed = other,
            }
        }
        if negative {
            return self.bad_number(
                self.at,
                blamed,
                "expected digit (0-9) to follow minus sign, for valid numeric value",
            );
        }
        let message = "JSON spec does not allow numbers to have plus signs: enable `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow";
        self.bad_number(self.at, b'+', message)
    }

    fn non_standard(&mut self, word: &str) -> JsonError {
        let end = self.start + word.len();
        if self.input.get(self.start..end) != Some(word.as_bytes()) {
            return self.unrecognized();
        }
        self.at = end;
        if self.at_identifier() {
            return self.unrecognized();
        }
        let message =
            format!("Non-standard token '{word}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow");
        JsonError::at(self.location(self.at), message)
    }

    /// The byte cannot start a value.
    pub(super) fn not_a_value(&mut self, byte: u8) -> JsonError {
        match byte {
            b'}' | b',' => return self.unexpected(self.at, byte.into(), "expected a value"),
            b']' if self.in_array() => return self.unexpected(self.at, byte.into(), "expected a value"),
            b'N' => return self.non_standard("NaN"),
            b'I' => return self.non_standard("Infinity"),
            b'+' => {
                self.at += 1;
                return match self.peek() {
                    Some(next) => self.signed(next, false),
                    None => JsonError::at(self.location(self.at), "Unexpected end-of-input in a Number value"),
                };
            }
            _ => {}
        }
        // Jackson looks at the first byte alone here, as if it were Latin-1.
        let letter = char::from(byte);
        if letter.is_alphabetic() || matches!(letter, '_' | '$') {
            if !letter.is_ascii() {
                self.at += 1;
                if let Err(error) = self.char_for_error() {
                    return error;
                }
            }
            return self.unrecognized();
        }
        self.unexpected(self.at, byte.into(), &format!("expected a valid value {VALUES}"))
    }

    fn unrecognized(&self) -> JsonError {
        let rest = self.input.get(self.start..).unwrap_or_default();
        let text = String::from_utf8_lossy(rest.get(..4 * MAX_TOKEN_SHOWN).unwrap_or(rest));
        let sign = usize::from(text.starts_with(['-', '+']));
        let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let mut word: String = text.chars().take(sign).collect();
        word.extend(text.chars().skip(sign).take_while(part));
        if let Some((cut, _)) = word.char_indices().nth(MAX_TOKEN_SHOWN) {
            word.truncate(cut);
            word.push_str("...");
        }
        JsonError::at(self.token_location(), format!("Unrecognized token '{word}': was expecting {VALUES}"))
    }

    fn at_identifier(&self) -> bool {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let text = String::from_utf8_lossy(rest.get(..4).unwrap_or(rest));
        text.chars().next().is_some_and(|c| c != '\u{fffd}' && (c.is_alphanumeric() || matches!(c, '_' | '$')))
    }

    /// Decodes the character at the parser's place for a message: its code and the index of its last byte.
    pub(super) fn char_for_error(&self) -> Result<(u32, usize)> {
        let mut bytes = Vec::new();
        let end =
            self.utf8(self.at, &mut bytes).map_err(|(message, index)| JsonError::at(self.location(index), message))?;
        let code = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()).map_or(0, u32::from);
        Ok((code, end - 1))
    }

    /// Copies one UTF-8 character; the index behind it, or what is wrong and the index behind the fault.
    fn utf8(&self, start: usize, out: &mut Vec<u8>) -> std::result::Result<usize, (String, usize)> {
        let first = self.input.get(start).copied().unwrap_or_default();
        let length = match first {
            0..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => return Err((format!("Invalid UTF-8 start byte 0x{first:x}"), start + 1)),
        };
        for index in start + 1..start + length {
            match self.input.get(index) {
                Some(0x80..=0xbf) => {}
                Some(byte) => return Err((format!("Invalid UTF-8 middle byte 0x{byte:x}"), index + 1)),
                None => return Err(("Unexpected end-of-input in VALUE_STRING".to_owned(), index)),
            }
        }
        let end = start + length;
        let bytes = self.input.get(start..end).unwrap_or_default();
        if std::str::from_utf8(bytes).is_err() {
            let code = bytes
                .iter()
                .skip(1)
                .fold(u32::from(first) & (0x7f >> length), |code, byte| (code << 6) | u32::from(byte & 0x3f));
            let what =
                if (0xd800..=0xdfff).contains(&code) { "Illegal surrogate character" } else { "Illegal code point" };
            return Err((format!("Invalid UTF-8: {what} 0x{code:x}"), end));
        }
        out.extend_from_slice(bytes);
        Ok(end)
    }

    /// The rest of a string behind its opening quote.
    pub(super) fn string(&mut self) -> Result<String> {
        let mut out = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                let message = "Unexpected end-of-input in VALUE_STRING";
                return Err(JsonError::at(self.location(self.at), message));
            };
            match byte {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                ..b' ' => return Err(self.unquoted(byte, "string value")),
                0x80.. => match self.utf8(self.at, &mut out) {
                    Ok(end) => self.at = end,
                    Err((message, index)) => return Err(JsonError::at(self.location(index), message)),
                },
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// As [`Parser::string`] for a field name, whose bytes Jackson decodes when it has seen all of them.
    pub(super) fn raw_name(&mut self) -> Result<String> {
        let mut out = Vec::new();
        let mut fault = None;
        loop {
            let Some(byte) = self.peek() else {
                return Err(JsonError::at(self.location(self.at), "Unexpected end-of-input in field name"));
            };
            match byte {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                ..b' ' => return Err(self.unquoted(byte, "name")),
                0x80.. => match self.utf8(self.at, &mut out) {
                    Ok(end) => self.at = end,
                    Err((message, _)) => {
                        fault.get_or_insert(message);
                        self.at += 1;
                    }
                },
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        match fault {
            Some(message) => Err(JsonError::at(self.location(self.at), message)),
            None => Ok(String::from_utf8_lossy(&out).into_owned()),
        }
    }

    fn unquoted(&self, byte: u8, what: &str) -> JsonError {
        let shown = describe(byte.into());
        let message =
            format!("Illegal unquoted character ({shown}): has to be escaped using backslash to be included in {what}");
        JsonError::at(self.location(self.at), message)
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.at += 1;
        let Some(byte) = self.peek() else { return Err(self.cut_escape()) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.at += 1;
                return self.unicode(out);
            }
            _ => {
                let (code, last) = self.char_for_error()?;
                let message = format!("Unrecognized character escape {}", describe(code));
                return Err(JsonError::at(self.location(last), message));
            }
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    /// `\uXXXX`, and the second half of a surrogate pair. Half a pair alone is no character and is replaced.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let first = self.hex4()?;
        let mut code = first;
        let paired = self.input.get(self.at..self.at + 2) == Some(br"\u");
        if (0xd800..0xdc00).contains(&first) && paired {
            let mark = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            } else {
                self.at = mark;
            }
        }
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(self.cut_escape()) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                let message = "expected a hex-digit for character escape sequence";
                return Err(self.unexpected(self.at, byte.into(), message));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn cut_escape(&self) -> JsonError {
        JsonError::at(self.location(self.at), "Unexpected end-of-input in character escape sequence")
    }
}
