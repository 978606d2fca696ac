//! Dates the way `java.util.GregorianCalendar` counts them: Gregorian from 15 October 1582 on, Julian before.

use super::integer;

/// A calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year; 0 is 1 BC.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
}

/// 15 October 1582 in days since the epoch.
const CUTOVER: i64 = -141_427;
const CUTOVER_YEAR: i64 = 1582;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// The date of a day since the epoch.
#[must_use]
pub fn civil(days: i64) -> Civil {
    // Counted from 1 March of year 0, so that leap days end years and months have a regular length.
    let (year_of_era, day_of_year) = if days >= CUTOVER {
        let since = days + 719_468;
        let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        (year + era * 400, day - (365 * year + year / 4 - year / 100))
    } else {
        let since = days + 719_470;
        let (era, day) = (since.div_euclid(1_461), since.rem_euclid(1_461));
        let year = (day - day / 1_460) / 365;
        (year + era * 4, day - 365 * year)
    };
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Civil { year: year_of_era + i64::from(month <= 2), month, day: day_of_year - (153 * shifted + 2) / 5 + 1 }
}

/// Days since the epoch of a date whose month and day may lie outside their ranges (a lenient calendar): month 13 is January of
/// the next year, day 0 the last day of the month before.
#[must_use]
pub fn days(date: Civil) -> i64 {
    let gregorian = gregorian(date);
    let julian = || julian(date);
    match date.year {
        year if year > CUTOVER_YEAR => gregorian,
        year if year < CUTOVER_YEAR => julian(),
        _ if gregorian >= CUTOVER => gregorian,
        _ => julian(),
    }
}

fn gregorian(date: Civil) -> i64 {
    let (year, since_march) = march(date);
    since_march + year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) - 719_468
}

fn julian(date: Civil) -> i64 {
    let (year, since_march) = march(date);
    since_march + year * 365 + year.div_euclid(4) - 719_470
}

/// The year that began on the last 1 March, and the days since then.
fn march(date: Civil) -> (i64, i64) {
    let months = date.month - 3;
    let year = date.year + months.div_euclid(12);
    (year, (153 * months.rem_euclid(12) + 2) / 5 + date.day - 1)
}

/// Appends `java.util.Date.toString()` of an instant in UTC: `Thu Jan 01 00:00:00 UTC 1970`.
pub fn date(millis: i64, out: &mut Vec<u8>) {
    const DAYS: [&[u8]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let (day, second) = (millis.div_euclid(MILLIS_PER_DAY), millis.rem_euclid(MILLIS_PER_DAY) / 1_000);
    let date = civil(day);
    let index = |n: i64| usize::try_from(n).unwrap_or_default();
    out.extend_from_slice(DAYS[index(day.rem_euclid(7))]);
    out.push(b' ');
    out.extend_from_slice(MONTHS.get(index(date.month - 1)).unwrap_or(&MONTHS[0]));
    let clock = format!(" {:02} {:02}:{:02}:{:02} UTC ", date.day, second / 3_600, second / 60 % 60, second % 60);
    out.extend_from_slice(clock.as_bytes());
    // Years before 1 are counted backwards, without saying so.
    integer(if date.year > 0 { date.year } else { 1 - date.year }, out);
}
