//! ISO dates and times, read as leniently as `SimpleDateFormat` reads them (fields of any length, of any size), and written.

use millrace_api::Writer;
use millrace_api::schema::logical;
use millrace_api::schema::{Kind, Schema};
use millrace_api::value::java::{Civil, civil, days};

const MILLIS_PER_DAY: i64 = 86_400_000;

const DATE: &str = "Y-M-D";
const TIME: &str = "h:m:s.fZ";
const TIMESTAMP: &str = "Y-M-DTh:m:s.fZ";

/// The date, time or timestamp that `token` is, told apart by its length. Colons may be escaped.
pub(crate) fn parse(token: &str) -> Option<(Schema, Vec<u8>)> {
    let token = token.replace("\\:", ":");
    let mut value = Vec::new();
    let mut writer = Writer::new(&mut value);
    let schema = match token.encode_utf16().count() {
        10 => {
            writer.date(i32::try_from(millis(&token, DATE)?.div_euclid(MILLIS_PER_DAY)).ok()?);
            Schema::logical(Kind::Int32, logical::DATE)
        }
        13 => {
            writer.time(i32::try_from(millis(&token, TIME)?).ok()?);
            Schema::logical(Kind::Int32, logical::TIME)
        }
        24 => {
            writer.timestamp(millis(&token, TIMESTAMP)?);
            Schema::logical(Kind::Int64, logical::TIMESTAMP)
        }
        _ => return None,
    };
    Some((schema, value))
}

/// Milliseconds since the epoch of what `text` begins with. Letters of the pattern that are lower case, and Y, M and D, are
/// numbers; others stand for themselves.
fn millis(text: &str, pattern: &str) -> Option<i64> {
    let mut rest = text;
    let mut date = Civil { year: 1970, month: 1, day: 1 };
    let mut clock = 0i64;
    for letter in pattern.chars() {
        if !matches!(letter, 'Y' | 'M' | 'D' | 'h' | 'm' | 's' | 'f') {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        let number = number(&mut rest)?;
        match letter {
            'Y' => date.year = number,
            'M' => date.month = number,
            'D' => date.day = number,
            'h' => clock += number * 3_600_000,
            'm' => clock += number * 60_000,
            's' => clock += number * 1_000,
            _ => clock += number,
        }
    }
    Some(days(date) * MILLIS_PER_DAY + clock)
}

fn number(rest: &mut &str) -> Option<i64> {
    let text = rest.trim_start_matches([' ', '\t']);
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let len = text.len() - unsigned.len() + digits;
    let number = if digits > 0 { text.get(..len)?.parse::<i64>().ok()? } else { return None };
    *rest = text.get(len..)?;
    #[allow(clippy::cast_possible_truncation, reason = "fields of a calendar are ints, and wrap")]
    Some(i64::from(number as i32))
}

/// Appends a moment, in milliseconds since the epoch, as Kafka Connect converts dates to text (`Values.dateFormatFor`): whatever lies
/// before the second day of the epoch is shown as a time, whole days as dates, the rest as timestamps.
pub fn iso(millis: i64, out: &mut Vec<u8>) {
    let (day, clock) = (millis.div_euclid(MILLIS_PER_DAY), millis.rem_euclid(MILLIS_PER_DAY));
    let date = civil(day);
    let (hour, minute, second, milli) = (clock / 3_600_000, clock / 60_000 % 60, clock / 1_000 % 60, clock % 1_000);
    let date = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
    let time = format!("{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
    let text = if millis < MILLIS_PER_DAY {
        time
    } else if clock == 0 {
        date
    } else {
        format!("{date}T{time}")
    };
    out.extend_from_slice(text.as_bytes());
}
