//! Days of Java's `GregorianCalendar`: Julian before 15 October 1582, Gregorian from then on. Weeks begin on Sunday, and the
//! first week of a year or month is the one with its first day, as in the locale en-US.

/// 15 October 1582, in days since the epoch.
pub(crate) const CUTOVER: i64 = -141_427;
/// The year of the cutover.
pub(crate) const CUTOVER_YEAR: i64 = 1582;

/// A day with everything a format shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    /// Year; 0 is 1 BC.
    pub(crate) year: i64,
    /// From 0.
    pub(crate) month: i64,
    /// Of the month, from 1.
    pub(crate) date: i64,
    /// Of the year, from 1.
    pub(crate) of_year: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// Days since the epoch.
    number: i64,
}

impl Day {
    /// The day numbered `number` since the epoch.
    pub(crate) fn of(number: i64) -> Self {
        let (year, month, date) = if number < CUTOVER { julian_date(number) } else { gregorian_date(number) };
        let first = first_of_year(year);
        Self { year, month, date, of_year: number - first + 1, weekday: weekday(number), number }
    }

    /// Week of the year, and the year that week belongs to.
    pub(crate) fn week(self) -> (i64, i64) {
        let next = first_of_year(self.year + 1);
        if self.number >= next - weekday(next) {
            return (1, self.year + 1);
        }
        let first = first_of_year(self.year);
        ((self.number - first + weekday(first)).div_euclid(7) + 1, self.year)
    }

    /// Week of the month, from 1.
    pub(crate) fn week_of_month(self) -> i64 {
        let first = weekday(self.number - self.date + 1);
        (self.date - 1 + first).div_euclid(7) + 1
    }
}

/// 0 is Sunday. The epoch was a Thursday.
pub(crate) fn weekday(number: i64) -> i64 {
    (number + 4).rem_euclid(7)
}

/// The last day up to `number` that is a given weekday.
pub(crate) fn on_or_before(number: i64, day: i64) -> i64 {
    number - (weekday(number) - day).rem_euclid(7)
}

fn first_of_year(year: i64) -> i64 {
    if year <= CUTOVER_YEAR { julian(year, 0, 1) } else { gregorian(year, 0, 1) }
}

/// Days since the epoch of a Gregorian date; the month may be any number from 0.
pub(crate) fn gregorian(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12));
    // Years that begin in March put the leap day last.
    let shifted = year - i64::from(month < 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + march_days(month) + day - 1 - 719_468
}

/// Days since the epoch of a Julian date.
pub(crate) fn julian(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12));
    let shifted = year - i64::from(month < 2);
    shifted * 365 + shifted.div_euclid(4) + march_days(month) + day - 1 - 719_470
}

/// Days from 1 March to the first of a month counted from January as 0.
fn march_days(month: i64) -> i64 {
    let from_march = (month + 10) % 12;
    (153 * from_march + 2) / 5
}

fn gregorian_date(number: i64) -> (i64, i64, i64) {
    let shifted = number + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    from_march(era * 400 + year, of_year)
}

fn julian_date(number: i64) -> (i64, i64, i64) {
    let shifted = number + 719_470;
    let (cycle, of_cycle) = (shifted.div_euclid(1_461), shifted.rem_euclid(1_461));
    let year = (of_cycle / 365).min(3);
    from_march(cycle * 4 + year, of_cycle - year * 365)
}

fn from_march(year: i64, of_year: i64) -> (i64, i64, i64) {
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let from_january = (month + 2) % 12;
    (year + i64::from(from_january < 2), from_january, day)
}
