//! Dates whose text is known; many more, answered by Java, are in `transforms/smt/tests/oracle/simple_date_format*.jsonl`.
#![allow(clippy::expect_used, reason = "tests may")]

use millrace_dates::DateFormat;

const ISO: &str = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX";

fn format(pattern: &str, millis: i64) -> String {
    let mut text = String::new();
    DateFormat::new(pattern).expect("a pattern").format(millis, &mut text);
    text
}

#[test]
fn known_moments() {
    assert_eq!(format(ISO, 0), "1970-01-01T00:00:00.000Z");
    assert_eq!(format(ISO, 1_795_183_200_000), "2026-11-20T14:00:00.000Z");
    assert_eq!(format(ISO, -1), "1969-12-31T23:59:59.999Z");
    assert_eq!(format("EEEE, d MMMM yyyy, h:mm a", 951_782_400_000), "Tuesday, 29 February 2000, 12:00 AM");
    // The day before 15 October 1582 was the 4th.
    assert_eq!(format("yyyy-MM-dd", -12_219_292_800_001), "1582-10-04");
}

#[test]
fn what_is_written_reads_back() {
    for pattern in
        [ISO, "yyyyMMddHHmmssSSS", "D/yyyy HH:mm:ss.SSS", "YYYY-'W'ww-u HH:mm:ss.SSS", "d MMM yyyy G KK:mm:ss.SSS a"]
    {
        let dates = DateFormat::new(pattern).expect("a pattern");
        // Steps of 37 days and a bit, from the year 1604 to 2700.
        for step in -3_600i64..7_100 {
            let millis = step * 3_203_456_789;
            let mut text = String::new();
            dates.format(millis, &mut text);
            assert_eq!(dates.parse(&text, 0), Some(millis), "{pattern} {text}");
        }
    }
}

#[test]
fn moments_of_one_second_differ_in_their_milliseconds_only() {
    let dates = DateFormat::new("SSS ss.S|SSSSS").expect("a pattern");
    let texts = [1_007, 1_120, 1_120, 2_000, -1, 59_999].map(|millis| {
        let mut text = String::new();
        dates.format(millis, &mut text);
        text
    });
    let expected = [
        "007 01.7|00007",
        "120 01.120|00120",
        "120 01.120|00120",
        "000 02.0|00000",
        "999 59.999|00999",
        "999 59.999|00999",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn two_digits_are_near_the_given_moment() {
    let dates = DateFormat::new("yy-MM-dd").expect("a pattern");
    let year = |text: &str, now: i64| format("yyyy", dates.parse(text, now).expect("a date"));
    let (year_1990, year_2026) = (631_152_000_000, 1_795_183_200_000);
    assert_eq!((year("25-01-01", year_2026), year("60-01-01", year_2026)), ("2025".to_owned(), "1960".to_owned()));
    assert_eq!((year("25-01-01", year_1990), year("60-01-01", year_1990)), ("1925".to_owned(), "1960".to_owned()));
}

#[test]
fn wrong_patterns_are_refused_in_javas_words() {
    let refused = |pattern: &str| DateFormat::new(pattern).expect_err("refused");
    assert_eq!(refused("yyyy-bb"), "Illegal pattern character 'b'");
    assert_eq!(refused("yyyy'T"), "Unterminated quote");
}
