//! Sets of characters.

/// A set of characters.
#[derive(Debug, Clone)]
pub(super) enum Set {
    Range(char, char),
    Named(fn(char) -> bool),
    Union(Vec<Set>),
    Both(Box<Set>, Box<Set>),
    Not(Box<Set>),
}

impl Set {
    /// Whether `c` is in the set; with `fold` in either case, as far as ASCII goes.
    pub(super) fn has(&self, c: char, fold: bool) -> bool {
        match self {
            Self::Range(from, to) => {
                let inside = |c: char| (*from..=*to).contains(&c);
                inside(c) || (fold && (inside(c.to_ascii_lowercase()) || inside(c.to_ascii_uppercase())))
            }
            Self::Named(test) => test(c),
            Self::Union(sets) => sets.iter().any(|set| set.has(c, fold)),
            Self::Both(left, right) => left.has(c, fold) && right.has(c, fold),
            Self::Not(set) => !set.has(c, fold),
        }
    }

    pub(super) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self::Both(Box::new(self), Box::new(other))
    }

    /// The set of an escape such as `\d`; `None` for a letter that names no set.
    pub(super) fn of_escape(letter: char) -> Option<Self> {
        let set = Self::Named(match letter.to_ascii_lowercase() {
            'd' => |c| c.is_ascii_digit(),
            'w' => word,
            's' => space,
            'h' => |c| {
                matches!(
                    c,
                    ' ' | '\t' | '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'
                        ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
                )
            },
            'v' => vertical,
            _ => return None,
        });
        Some(if letter.is_ascii_uppercase() { set.not() } else { set })
    }

    /// The set of `\p{name}`. Characters beyond ASCII, which topic names cannot hold, are in none of them.
    pub(super) fn of_property(name: &str, fold: bool) -> Option<Self> {
        let (kind, bare) = match name.split_once('=') {
            Some((kind, bare)) => (Some(kind.to_ascii_lowercase()), bare),
            None => (None, name),
        };
        let test = match kind.as_deref() {
            Some("sc" | "script") => script(bare)?,
            Some("blk" | "block") => block(bare)?,
            Some("gc" | "general_category") => category(bare)?,
            Some(_) => return None,
            None => match (bare.strip_prefix("In"), bare.strip_prefix("Is")) {
                (Some(bare), _) => block(bare)?,
                (_, Some(bare)) => binary(bare).or_else(|| category(bare)).or_else(|| script(bare))?,
                _ => posix(bare).or_else(|| java(bare)).or_else(|| category(bare))?,
            },
        };
        let cased = fold
            && matches!(
                name,
                "Lower" | "Upper" | "Lu" | "Ll" | "Lt" | "javaLowerCase" | "javaUpperCase" | "javaTitleCase"
            );
        Some(Self::Named(if cased { |c| c.is_ascii_alphabetic() } else { test }))
    }
}

/// `\w`.
pub(super) fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `\v`.
pub(super) fn vertical(c: char) -> bool {
    matches!(c, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// What `.` does not match.
pub(super) fn line_terminator(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

type Test = fn(char) -> bool;

fn posix(name: &str) -> Option<Test> {
    Some(match name {
        "ASCII" => |c| c.is_ascii(),
        "Lower" => |c| c.is_ascii_lowercase(),
        "Upper" => |c| c.is_ascii_uppercase(),
        "Alpha" => |c| c.is_ascii_alphabetic(),
        "Digit" => |c| c.is_ascii_digit(),
        "Alnum" => |c| c.is_ascii_alphanumeric(),
        "Punct" => |c| c.is_ascii_punctuation(),
        "Graph" => |c| c.is_ascii_graphic(),
        "Print" => |c| c.is_ascii_graphic() || c == ' ',
        "Blank" => |c| c == ' ' || c == '\t',
        "Cntrl" => |c| c.is_ascii_control(),
        "XDigit" => |c| c.is_ascii_hexdigit(),
        "Space" => space,
        _ => return None,
    })
}

fn java(name: &str) -> Option<Test> {
    Some(match name.strip_prefix("java")? {
        "LowerCase" => |c| c.is_ascii_lowercase(),
        "UpperCase" => |c| c.is_ascii_uppercase(),
        "Alphabetic" | "Letter" => |c| c.is_ascii_alphabetic(),
        "Digit" => |c| c.is_ascii_digit(),
        "LetterOrDigit" => |c| c.is_ascii_alphanumeric(),
        "JavaIdentifierStart" => |c| c.is_ascii_alphabetic() || matches!(c, '_' | '$'),
        "UnicodeIdentifierStart" => |c| c.is_ascii_alphabetic(),
        "SpaceChar" => |c| c == ' ',
        "Whitespace" => |c| space(c) || matches!(c, '\u{1c}'..='\u{1f}'),
        "Mirrored" => |c| matches!(c, '(' | ')' | '<' | '>' | '[' | ']' | '{' | '}'),
        "Defined" => |c| c.is_ascii(),
        "ISOControl" => |c| c.is_ascii_control(),
        "TitleCase" | "Ideographic" => |_| false,
        _ => return None,
    })
}

fn binary(name: &str) -> Option<Test> {
    Some(match name.to_ascii_uppercase().replace('_', "").as_str() {
        "ALPHABETIC" | "LETTER" => |c| c.is_ascii_alphabetic(),
        "LOWERCASE" => |c| c.is_ascii_lowercase(),
        "UPPERCASE" => |c| c.is_ascii_uppercase(),
        "DIGIT" => |c| c.is_ascii_digit(),
        "ALNUM" => |c| c.is_ascii_alphanumeric(),
        "HEXDIGIT" => |c| c.is_ascii_hexdigit(),
        "PUNCTUATION" => punctuation,
        "CONTROL" => |c| c.is_ascii_control(),
        "WHITESPACE" => space,
        "WORD" => word,
        "ASSIGNED" => |c| c.is_ascii(),
        "TITLECASE" | "IDEOGRAPHIC" | "NONCHARACTERCODEPOINT" | "JOINCONTROL" => |_| false,
        _ => return None,
    })
}

fn punctuation(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

fn category(name: &str) -> Option<Test> {
    Some(match name {
        "L" | "LC" | "L1" => |c| c.is_ascii_alphabetic(),
        "LD" => |c| c.is_ascii_alphanumeric(),
        "Lu" => |c| c.is_ascii_uppercase(),
        "Ll" => |c| c.is_ascii_lowercase(),
        "N" | "Nd" => |c| c.is_ascii_digit(),
        "P" => punctuation,
        "Pc" => |c| c == '_',
        "Pd" => |c| c == '-',
        "Ps" => |c| matches!(c, '(' | '[' | '{'),
        "Pe" => |c| matches!(c, ')' | ']' | '}'),
        "Po" => |c| punctuation(c) && !matches!(c, '_' | '-' | '(' | '[' | '{' | ')' | ']' | '}'),
        "S" => |c| c.is_ascii_punctuation() && !punctuation(c),
        "Sm" => |c| matches!(c, '+' | '<' | '=' | '>' | '|' | '~'),
        "Sc" => |c| c == '$',
        "Sk" => |c| matches!(c, '^' | '`'),
        "Z" | "Zs" => |c| c == ' ',
        "C" | "Cc" => |c| c.is_ascii_control(),
        "Lt" | "Lm" | "Lo" | "M" | "Mn" | "Mc" | "Me" | "Nl" | "No" | "Pi" | "Pf" | "So" | "Zl" | "Zp" | "Cf"
        | "Cn" | "Cs" | "Co" => |_| false,
        _ => return None,
    })
}

fn script(name: &str) -> Option<Test> {
    Some(match name.to_ascii_uppercase().as_str() {
        "LATIN" | "LATN" => |c| c.is_ascii_alphabetic(),
        "COMMON" | "ZYYY" => |c| c.is_ascii() && !c.is_ascii_alphabetic(),
        "CYRILLIC" | "GREEK" | "HAN" | "ARABIC" | "HEBREW" | "HIRAGANA" | "KATAKANA" | "HANGUL" | "THAI" => |_| false,
        _ => return None,
    })
}

fn block(name: &str) -> Option<Test> {
    match name.to_ascii_uppercase().replace(['_', ' '], "").as_str() {
        "BASICLATIN" => Some(|c| c.is_ascii()),
        "LATIN-1SUPPLEMENT" | "LATINEXTENDED-A" | "GREEK" | "CYRILLIC" => Some(|_| false),
        _ => None,
    }
}
