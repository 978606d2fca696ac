//! Writing a moment as text.

use crate::calendar::Day;
use crate::names::{ERAS, HALVES, MONTHS, WEEKDAYS, short};
use crate::pattern::Item;
use crate::{DAY, DateFormat};

/// The text of a second, in pieces between which its milliseconds go.
#[derive(Debug, Default)]
pub(crate) struct Second {
    /// Since the epoch.
    number: Option<i64>,
    pieces: Vec<String>,
    /// How many digits the milliseconds after each piece have at least; none after the last.
    widths: Vec<usize>,
}

impl DateFormat {
    /// Appends the text of a moment, in milliseconds since the epoch, to `out`.
    pub fn format(&self, millis: i64, out: &mut String) {
        let mut second = self.last.borrow_mut();
        let number = millis.div_euclid(1_000);
        if second.number != Some(number) {
            *second = self.second(number);
        }
        let mut widths = second.widths.iter();
        for piece in &second.pieces {
            out.push_str(piece);
            if let Some(width) = widths.next() {
                push_number(millis.rem_euclid(1_000), *width, out);
            }
        }
    }

    fn second(&self, number: i64) -> Second {
        let day = Day::of(number.div_euclid(DAY / 1_000));
        let time = number.rem_euclid(DAY / 1_000);
        let (mut pieces, mut widths, mut piece) = (Vec::new(), Vec::new(), String::new());
        for item in &self.items {
            match item {
                Item::Literal(text) => piece.push_str(text),
                Item::Field('S', count) => {
                    pieces.push(std::mem::take(&mut piece));
                    widths.push(*count);
                }
                Item::Field(letter, count) => field(day, time, *letter, *count, &mut piece),
            }
        }
        pieces.push(piece);
        Second { number: Some(number), pieces, widths }
    }
}

/// Appends a field; `time` is seconds of the day.
fn field(day: Day, time: i64, letter: char, count: usize, out: &mut String) {
    let (hour, era_year) = (time / 3_600, if day.year > 0 { day.year } else { 1 - day.year });
    let number = match letter {
        'G' => return out.push_str(ERAS[usize::from(day.year > 0)]),
        'y' | 'Y' => {
            let year = if letter == 'Y' { day.week().1 } else { era_year };
            if count == 2 { year.rem_euclid(100) } else { year }
        }
        'M' | 'L' => match (name(&MONTHS, day.month), count) {
            (name, 4..) => return out.push_str(name),
            (name, 3) => return out.push_str(short(name)),
            _ => day.month + 1,
        },
        'w' => day.week().0,
        'W' => day.week_of_month(),
        'D' => day.of_year,
        'd' => day.date,
        'F' => (day.date - 1) / 7 + 1,
        'E' => {
            let name = name(&WEEKDAYS, day.weekday);
            return out.push_str(if count >= 4 { name } else { short(name) });
        }
        'u' => (day.weekday + 6) % 7 + 1,
        'a' => return out.push_str(HALVES[usize::from(hour >= 12)]),
        'H' => hour,
        'k' => {
            if hour == 0 {
                24
            } else {
                hour
            }
        }
        'K' => hour % 12,
        'h' => {
            if hour % 12 == 0 {
                12
            } else {
                hour % 12
            }
        }
        'm' => time / 60 % 60,
        's' => time % 60,
        'z' => return out.push_str(if count >= 4 { "Coordinated Universal Time" } else { "UTC" }),
        'Z' => return out.push_str("+0000"),
        // The pattern holds no other letter but X.
        _ => return out.push('Z'),
    };
    push_number(number, count, out);
}

/// Appends a number with at least `width` digits.
fn push_number(number: i64, width: usize, out: &mut String) {
    if let (Ok(number @ 0..1_000), 3) = (u16::try_from(number), width) {
        // Milliseconds, which every moment has of its own.
        for digit in [number / 100, number / 10 % 10, number % 10] {
            out.push(char::from(b'0' + digit.to_le_bytes()[0]));
        }
        return;
    }
    if number < 0 {
        out.push('-');
    }
    // The largest number has 20 digits.
    let mut digits = [b'0'; 20];
    let mut used = 0;
    let mut rest = number.unsigned_abs();
    for digit in digits.iter_mut().rev() {
        if rest == 0 && used > 0 {
            break;
        }
        *digit += (rest % 10) as u8;
        rest /= 10;
        used += 1;
    }
    out.extend(std::iter::repeat_n('0', width.saturating_sub(used)));
    let digits = digits.get(digits.len() - used..).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

fn name(names: &'static [&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}
