//! From the fields of a text to a moment. Fields may contradict each other; as in Java the ones set last decide, and values out of
//! range carry over ("lenient").

use crate::DAY;
use crate::calendar::{CUTOVER, CUTOVER_YEAR, gregorian, julian, on_or_before};

/// A field of `java.util.Calendar`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Era,
    Year,
    /// From 0.
    Month,
    WeekOfYear,
    WeekOfMonth,
    DayOfMonth,
    DayOfYear,
    /// 1 is Sunday.
    DayOfWeek,
    DayOfWeekInMonth,
    /// 0 in the morning, 1 after noon.
    Half,
    /// Of the half day.
    Hour,
    HourOfDay,
    Minute,
    Second,
    Milli,
    /// Milliseconds.
    ZoneOffset,
    WeekYear,
}

const FIELDS: usize = 17;

/// The fields that were set, with the order in which they were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields {
    values: [i32; FIELDS],
    /// 0 for a field that was not set.
    stamps: [u8; FIELDS],
    last: u8,
}

impl Fields {
    pub(crate) fn set(&mut self, field: Field, value: i32) {
        self.last = self.last.saturating_add(1);
        self.values[field as usize] = value;
        self.stamps[field as usize] = self.last;
    }

    pub(crate) fn get(&self, field: Field) -> Option<i64> {
        self.is_set(field).then(|| i64::from(self.values[field as usize]))
    }

    /// Milliseconds since the epoch; `None` past what they can count.
    pub(crate) fn millis(&self) -> Option<i64> {
        let fields = self.with_week_date();
        let time = fields.time_of_day();
        let day = fields.day(time.div_euclid(DAY));
        let local = day.checked_mul(DAY)?.checked_add(time.rem_euclid(DAY))?;
        local.checked_sub(fields.get(Field::ZoneOffset).unwrap_or(0))
    }

    fn is_set(&self, field: Field) -> bool {
        self.stamp(field) > 0
    }

    fn stamp(&self, field: Field) -> u8 {
        self.stamps[field as usize]
    }

    fn value(&self, field: Field) -> i64 {
        i64::from(self.values[field as usize])
    }

    /// When both were set, the later of the two.
    fn both(&self, a: Field, b: Field) -> u8 {
        if self.is_set(a) && self.is_set(b) { self.stamp(a).max(self.stamp(b)) } else { 0 }
    }

    /// A week year set after the year stands for the year, week and day of week together.
    fn with_week_date(&self) -> Self {
        if self.stamp(Field::WeekYear) <= self.stamp(Field::Year) {
            return *self;
        }
        let mut week = self.get(Field::WeekOfYear).unwrap_or(1);
        let mut day = self.get(Field::DayOfWeek).unwrap_or(1) - 1;
        if !(0..7).contains(&day) {
            // Past the week the count is that of ISO 8601, whose weeks begin on Monday.
            let monday_first = if day >= 7 { day } else { day + 1 };
            week += if day >= 7 { day.div_euclid(7) } else { (monday_first - 1).div_euclid(7) };
            day = if day >= 7 { (day.rem_euclid(7) + 1) % 7 } else { monday_first.rem_euclid(7) };
        }
        let first = year_starts(self.value(Field::WeekYear));
        let number = on_or_before(first, 0) + 7 * (week - 1) + day;
        let mut fields = *self;
        let date = crate::calendar::Day::of(number);
        for (field, value) in [(Field::Year, date.year), (Field::Month, date.month), (Field::DayOfMonth, date.date)] {
            fields.set(field, i32::try_from(value).unwrap_or(i32::MAX));
        }
        fields
    }

    fn time_of_day(&self) -> i64 {
        let of_half = self.both(Field::Hour, Field::Half);
        let mut best = of_half.max(self.stamp(Field::HourOfDay));
        if best == 0 {
            best = self.stamp(Field::Hour).max(self.stamp(Field::Half));
        }
        let hours = if best > 0 && best == self.stamp(Field::HourOfDay) {
            self.value(Field::HourOfDay)
        } else {
            self.get(Field::Hour).unwrap_or(0) + 12 * self.get(Field::Half).unwrap_or(0)
        };
        let minutes = hours * 60 + self.get(Field::Minute).unwrap_or(0);
        (minutes * 60 + self.get(Field::Second).unwrap_or(0)) * 1_000 + self.get(Field::Milli).unwrap_or(0)
    }

    /// The day since the epoch, `carried` days later.
    fn day(&self, carried: i64) -> i64 {
        let mut year = self.get(Field::Year).unwrap_or(1970);
        if self.get(Field::Era) == Some(0) {
            year = 1 - year;
        }
        let rule = self.rule();
        let in_gregorian = carried + self.resolve(rule, year, gregorian);
        let in_julian = carried + self.resolve(rule, year, julian);
        let of_year = matches!(rule, Rule::DayOfYear | Rule::WeekOfYear);
        if year < CUTOVER_YEAR || (year == CUTOVER_YEAR && of_year) || in_gregorian < CUTOVER {
            in_julian
        } else {
            in_gregorian
        }
    }

    /// Which fields decide the day.
    fn rule(&self) -> Rule {
        let day_of_week = self.stamp(Field::DayOfWeek);
        let day_of_month = self.stamp(Field::DayOfMonth);
        let mut week_of_month = self.both(Field::WeekOfMonth, Field::DayOfWeek);
        let mut in_month = self.both(Field::DayOfWeekInMonth, Field::DayOfWeek);
        let day_of_year = self.stamp(Field::DayOfYear);
        let mut week_of_year = self.both(Field::WeekOfYear, Field::DayOfWeek);
        let mut best = day_of_month.max(week_of_month).max(in_month).max(day_of_year).max(week_of_year);
        let mut by_month = day_of_month;
        if best == 0 {
            week_of_month = self.stamp(Field::WeekOfMonth);
            in_month = self.stamp(Field::DayOfWeekInMonth).max(day_of_week);
            week_of_year = self.stamp(Field::WeekOfYear);
            best = week_of_month.max(in_month).max(week_of_year);
            if best == 0 {
                by_month = self.stamp(Field::Month);
                best = by_month;
            }
        }
        let after_weeks = |field: Field| self.stamp(field) >= self.stamp(Field::WeekOfYear);
        if best == by_month {
            Rule::DayOfMonth
        } else if (best == week_of_month && after_weeks(Field::WeekOfMonth))
            || (best == in_month && after_weeks(Field::DayOfWeekInMonth))
        {
            let weeks = if week_of_month == in_month {
                self.stamp(Field::WeekOfMonth) >= self.stamp(Field::DayOfWeekInMonth)
            } else {
                best == week_of_month
            };
            if weeks { Rule::WeekOfMonth } else { Rule::DayOfWeekInMonth }
        } else if best == day_of_year {
            Rule::DayOfYear
        } else {
            Rule::WeekOfYear
        }
    }

    fn resolve(&self, rule: Rule, year: i64, calendar: fn(i64, i64, i64) -> i64) -> i64 {
        let first_of_year = calendar(year, 0, 1);
        let month = self.get(Field::Month).unwrap_or(0);
        let first = calendar(year, month, 1);
        // Java counts days of the week from 1, this crate from 0.
        let weekday = self.get(Field::DayOfWeek).map_or(0, |day| (day - 1).rem_euclid(7));
        match rule {
            Rule::DayOfMonth => first + self.get(Field::DayOfMonth).unwrap_or(1) - 1,
            Rule::WeekOfMonth => on_or_before(first, 0) + 7 * (self.value(Field::WeekOfMonth) - 1) + weekday,
            Rule::DayOfWeekInMonth => match self.get(Field::DayOfWeekInMonth).unwrap_or(1) {
                nth @ 0.. => on_or_before(first + 7 * nth - 1, weekday),
                nth => {
                    let length = calendar(year, month + 1, 1) - first;
                    on_or_before(first + length + 7 * (nth + 1) - 1, weekday)
                }
            },
            Rule::DayOfYear => first_of_year + self.value(Field::DayOfYear) - 1,
            Rule::WeekOfYear => on_or_before(first_of_year, 0) + 7 * (self.value(Field::WeekOfYear) - 1) + weekday,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    DayOfMonth,
    WeekOfMonth,
    DayOfWeekInMonth,
    DayOfYear,
    WeekOfYear,
}

fn year_starts(year: i64) -> i64 {
    if year > CUTOVER_YEAR { gregorian(year, 0, 1) } else { julian(year, 0, 1) }
}
