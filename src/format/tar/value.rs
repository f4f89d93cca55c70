//! Values of header fields and PAX records: numbers, times and names.
//!
//! A value is refused if GNU tar, libarchive and Go would read it differently.

use super::block::{Parsed, text};
use crate::entry::nearest_ns;

const NOT_A_NUMBER: &str = "a field does not contain a number";

/// Reads a numeric header field: octal digits between spaces, up to a NUL, or two's complement in
/// base 256. Returns `None` if the field is blank.
pub(super) fn header_number(field: &[u8]) -> Parsed<Option<i128>> {
    match field.first() {
        Some(&first) if first & 0x80 != 0 => base_256(first, &field[1..]).map(Some),
        _ => octal(field),
    }
}

/// Reads a number in base 256. GNU tar accepts only 0x80 and 0xff as the first byte: every other byte
/// makes a number that is too large for all readers.
fn base_256(first: u8, rest: &[u8]) -> Parsed<i128> {
    let sign = match first {
        0x80 => 0,
        0xff => -1,
        _ => return Err(NOT_A_NUMBER),
    };
    // A field has at most eleven more bytes, so no bit is lost.
    Ok(rest.iter().fold(sign, |number, &byte| number << 8 | i128::from(byte)))
}

fn octal(field: &[u8]) -> Parsed<Option<i128>> {
    if field.iter().all(|&byte| byte == 0) {
        return Ok(Some(0));
    }
    if field.iter().all(|&byte| matches!(byte, 0 | b' ')) {
        return Ok(None);
    }
    let text = text(field);
    let is_digit = |&byte: &u8| byte != b' ';
    let (Some(first), Some(last)) =
        (text.iter().position(is_digit), text.iter().rposition(is_digit))
    else {
        return Err(NOT_A_NUMBER);
    };
    text[first..=last]
        .iter()
        .try_fold(0, |number, &byte| {
            matches!(byte, b'0'..=b'7').then(|| number << 3 | i128::from(byte - b'0'))
        })
        .map(Some)
        .ok_or(NOT_A_NUMBER)
}

/// Reads a size or an offset in a header. It must not be blank or negative, and is at most 2^63 - 1.
pub(super) fn header_size(field: &[u8]) -> Parsed<u64> {
    (header_number(field)?.filter(|&number| number <= i64::MAX.into()))
        .and_then(|number| u64::try_from(number).ok())
        .ok_or("a size is blank, negative or too large")
}

/// Reads a number in a PAX record: only decimal digits, at most 2^63 - 1.
pub(super) fn decimal(text: &[u8]) -> Parsed<u64> {
    let number = (text.iter()).try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit).filter(|&n| n <= i64::MAX as u64)
    });
    number
        .filter(|_| !text.is_empty())
        .ok_or("a record does not contain a number, or it is too large")
}

/// Reads a time in a PAX record: seconds with an optional fraction. Returns nanoseconds.
///
/// A fraction of a nanosecond is rounded down, as in GNU tar. A time that does not fit into 64 bits
/// becomes the nearest one that does.
pub(super) fn time(text: &[u8]) -> Parsed<i64> {
    const NOT_A_TIME: &str = "a record does not contain a time";
    let (text, is_negative) = match text.strip_prefix(b"-") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let seconds = parts.next().unwrap_or_default();
    let fraction = parts.next().unwrap_or_default();
    if seconds.is_empty() || !seconds.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(NOT_A_TIME);
    }
    let value = |number: i128, digit: &u8| number * 10 + i128::from(digit - b'0');
    // More seconds do not fit into 64 bits of nanoseconds anyway.
    let seconds = seconds.iter().fold(0, |number, digit| value(number, digit).min(1 << 64));
    let nanos = fraction.iter().chain(std::iter::repeat(&b'0')).take(9).fold(0, value);
    let is_between = fraction.iter().skip(9).any(|&digit| digit != b'0');
    let ns = seconds * 1_000_000_000 + nanos;
    Ok(nearest_ns(if is_negative { -ns - i128::from(is_between) } else { ns }))
}

/// Reads a name in a PAX record. Some readers end it at a NUL and others do not; some take an empty name
/// as a name and others as none.
pub(super) fn record_name(value: &[u8]) -> Parsed<Vec<u8>> {
    if value.is_empty() || value.contains(&0) {
        return Err("a name in a PAX record is empty or contains a NUL");
    }
    Ok(value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_other_readers_read_them() {
        for (field, number) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644\0\xff\xff\xff\xff", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", None),
            (b"  \0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some((1 << 88) - 1)),
        ] {
            assert_eq!(header_number(field), Ok(number), "{field:x?}");
        }
    }

    #[test]
    fn a_field_that_readers_read_differently_is_refused() {
        for field in [
            &b"\x00000644\0"[..],
            b"644 1\0\0\0",
            b"0000648\0",
            b"-0000644",
            b"+0000644",
            b"0x644\0\0\0",
            b"\t000644\0",
            b"  \0  644",
            b"\x81\0\0\0\0\0\0\0",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(header_number(field), Err(NOT_A_NUMBER), "{field:x?}");
        }
    }

    #[test]
    fn numbers_in_records_are_plain_decimals() {
        assert_eq!(decimal(b"0"), Ok(0));
        assert_eq!(decimal(b"9223372036854775807"), Ok(i64::MAX as u64));
        for text in [&b""[..], b"9223372036854775808", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"1_0"] {
            assert!(decimal(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        for (text, nanos) in [
            (&b"0"[..], 0),
            (b"1.5", 1_500_000_000),
            (b"-1.5", -1_500_000_000),
            (b"-0.000000001", -1),
            (b"1.", 1_000_000_000),
            (b"1350244992.0239601239", 1_350_244_992_023_960_123),
            (b"9223372036.854775807", i64::MAX),
            (b"9999999999", i64::MAX),
            (b"-9999999999", i64::MIN),
            (b"-1", -1_000_000_000),
            (b"-0.0000000001", -1),
            (b"0.9999999999", 999_999_999),
            (b"9223372036.8547758079", i64::MAX),
            (b"-9223372036.854775808", i64::MIN),
            (b"-9223372036.854775807", i64::MIN + 1),
            (b"9223372036854775808", i64::MAX),
            (b"1000000000000000000000000000000.5", i64::MAX),
            (b"-1000000000000000000000000000000", i64::MIN),
            (&[b'9'; 400], i64::MAX),
        ] {
            assert_eq!(time(text), Ok(nanos));
        }
        for text in [&b""[..], b"-", b".5", b"1.5.", b"1.-5", b"1e3", b"--1", b" 1", b"nan", b"inf"]
        {
            assert!(time(text).is_err(), "{text:?}");
        }
    }
}
