//! Numbers as `Long.toString`, `Double.toString` and `Float.toString` print them.

/// Appends an integer.
#[inline]
pub fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a double: `99.5`, `1.0E10`, `1.0E-5`, `NaN`, `Infinity`.
#[inline]
pub fn double(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if (1e-3..1e7).contains(&magnitude) {
        // Here the shortest digits lie the same way in both languages.
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        return;
    }
    let reads_back = |text: &str| text.parse() == Ok(magnitude);
    let done = special(magnitude, value.is_sign_negative(), out)
        || (magnitude < 1e-300 && two_digits(&format!("{magnitude:.1e}"), reads_back, out, value < 0.0));
    if !done {
        scientific(ryu::Buffer::new().format_finite(value), out);
    }
}

/// Appends a float, with the digits a float needs.
#[inline]
pub fn float(value: f32, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if (1e-3..1e7).contains(&magnitude) {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        return;
    }
    let reads_back = |text: &str| text.parse() == Ok(magnitude);
    let done = special(f64::from(magnitude), value.is_sign_negative(), out)
        || (magnitude < 1e-40 && two_digits(&format!("{magnitude:.1e}"), reads_back, out, value < 0.0));
    if !done {
        scientific(ryu::Buffer::new().format_finite(value), out);
    }
}

/// Zeros, infinities and NaN.
fn special(magnitude: f64, negative: bool, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if magnitude == 0.0 {
        b"-0.0"
    } else if magnitude.is_infinite() {
        b"-Infinity"
    } else if magnitude.is_nan() {
        out.extend_from_slice(b"NaN");
        return true;
    } else {
        return false;
    };
    out.extend_from_slice(if negative { text } else { &text[1..] });
    true
}

/// Java prints at least two digits and takes the closest two even where one would do: the smallest double is 4.9E-324.
fn two_digits(text: &str, reads_back: impl Fn(&str) -> bool, out: &mut Vec<u8>, negative: bool) -> bool {
    if !reads_back(text) {
        return false;
    }
    if negative {
        out.push(b'-');
    }
    out.extend(text.bytes().map(|byte| byte.to_ascii_uppercase()));
    true
}

/// Lays out the digits of `text` (`1234500000.0`, `0.00012`, `1.5e30`) as `d.dddE±x`.
fn scientific(text: &str, out: &mut Vec<u8>) {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = all.iter().take_while(|digit| **digit == b'0').count();
    let digits = all.get(leading..).unwrap_or_default();
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    let digits = digits.get(..end).unwrap_or_default();
    let (first, rest) = digits.split_first().unwrap_or((&b'0', &[]));
    let point = i64::try_from(whole.len()).unwrap_or_default() - i64::try_from(leading).unwrap_or_default();
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(&[*first, b'.']);
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.push(b'E');
    integer(exponent.parse::<i64>().unwrap_or_default() + point - 1, out);
}
