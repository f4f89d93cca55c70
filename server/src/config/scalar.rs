//! The meaning of a YAML scalar in Go's `yaml.v2`, which Wings uses to read its configuration.

use super::error::Error;

/// A scalar as it is written in the file.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// The scalar has no quotes, so its text determines its type.
    pub(super) plain: bool,
    pub(super) tag: Option<Tag>,
}

/// The tags that change the meaning of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Text,
    Bool,
    Int,
    Float,
    Null,
    Binary,
    /// Any other tag: `yaml.v2` takes the scalar as text.
    Other,
}

/// The value of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond [`i64::MAX`].
    Big(u64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(super) fn value(&self) -> Result<Value<'_>, Error> {
        let value = match self.tag {
            None if self.plain => plain(&self.text),
            None | Some(Tag::Text | Tag::Other) => Value::Text(&self.text),
            Some(Tag::Binary) => return Err(Error::new("!!binary is not supported")),
            Some(_) => plain(&self.text),
        };
        match (self.tag, value) {
            (Some(Tag::Float), Value::Int(n)) => Ok(Value::Float(n as f64)),
            (Some(Tag::Bool), Value::Bool(_))
            | (Some(Tag::Int), Value::Int(_) | Value::Big(_))
            | (Some(Tag::Float), Value::Float(_))
            | (Some(Tag::Null), Value::Null)
            | (None | Some(Tag::Text | Tag::Other), _) => Ok(value),
            _ => Err(Error::new("the value does not match its tag")),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value(), Ok(Value::Null))
    }

    /// Returns the text of a scalar of any type as it is written. Null is the empty text.
    pub(super) fn text(&self) -> Result<&str, Error> {
        Ok(if self.value()? == Value::Null { "" } else { &self.text })
    }

    pub(super) fn bool(&self) -> Result<bool, Error> {
        match self.value()? {
            Value::Bool(value) => Ok(value),
            _ => Err(Error::new("it must be true or false, without quotes")),
        }
    }

    /// Returns a number. A fraction is cut off.
    pub(super) fn int(&self) -> Result<i64, Error> {
        match self.value()? {
            Value::Int(value) => Ok(value),
            // For a value below the lowest integer, Go's result is the lowest integer.
            Value::Float(value) if value < i64::MAX as f64 => Ok(value as i64),
            _ => Err(Error::new("it must be a number, without quotes")),
        }
    }
}

/// Returns the value of a scalar without quotes, by the rules of `yaml.v2` (YAML 1.1).
fn plain(text: &str) -> Value<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => fraction(text).map_or(Value::Text(text), Value::Float),
        b'+' | b'-' | b'0'..=b'9' => number(&text.replace('_', "")).unwrap_or(Value::Text(text)),
        _ => Value::Text(text),
    }
}

fn number(text: &str) -> Option<Value<'static>> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(size) = integer(digits) {
        let signed = i128::from(size) * if is_negative { -1 } else { 1 };
        match i64::try_from(signed) {
            Ok(value) => return Some(Value::Int(value)),
            Err(_) if digits.len() == text.len() => return Some(Value::Big(size)),
            Err(_) => {}
        }
    }
    // After `0b` alone, `yaml.v2` accepts another sign.
    let binary = text.strip_prefix("0b").and_then(|digits| i64::from_str_radix(digits, 2).ok());
    binary.map(Value::Int).or_else(|| float(text).map(Value::Float))
}

/// Parses an integer without its sign. A prefix gives its base, and a leading zero means octal.
fn integer(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'b', _, ..] => (2, &digits[2..]),
        [b'0', b'o', _, ..] => (8, &digits[2..]),
        [b'0', b'x', _, ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` would accept a second sign.
    let is_plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    is_plain.then(|| u64::from_str_radix(digits, base).ok()).flatten()
}

/// Parses a number that begins with its point. Go's `ParseFloat` accepts an underscore between two
/// digits.
fn fraction(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
    let is_between = |(i, _)| is_digit(bytes.get(i - 1)) && is_digit(bytes.get(i + 1));
    let are_between = text.match_indices('_').all(is_between);
    are_between.then(|| float(&text.replace('_', ""))).flatten()
}

/// Parses a finite number in decimal notation.
fn float(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|value: &f64| is_decimal && value.is_finite())
}
