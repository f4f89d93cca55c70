//! Character classes of Go's regular expressions.

use std::fmt::Write;

use super::error::Untranslatable;
use super::input::Input;

/// A set of code points, as ranges in any order. It may contain surrogates: Go allows them, although no
/// text can contain one.
#[derive(Clone, Debug, Default)]
pub(super) struct Class(Vec<(u32, u32)>);

type Ranges = &'static [(u8, u8)];

const MAX: u32 = char::MAX as u32;
const DIGIT: Ranges = &[(b'0', b'9')];
const WORD: Ranges = &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')];
const PERL_SPACE: Ranges = &[(b'\t', b'\n'), (0x0C, b'\r'), (b' ', b' ')];

/// Reads a bracket expression, after its `[`.
pub(super) fn parse(input: &mut Input<'_>) -> Result<Class, Untranslatable> {
    let mut class = Class::default();
    let negated = input.0.starts_with('^');
    if negated {
        input.skip('^');
    }
    let mut first = true;
    while first || !input.0.starts_with(']') {
        first = false;
        if let Some(member) = named(input)? {
            class.0.extend(member.0);
        } else if let Some(member) = perl(input)? {
            class.0.extend(member.0);
        } else {
            class.0.push(range(input)?);
        }
    }
    input.skip(']');
    Ok(if negated { class.negated() } else { class })
}

/// Reads a class such as `\d` or `\W`.
pub(super) fn perl(input: &mut Input<'_>) -> Result<Option<Class>, Untranslatable> {
    let (ranges, negated) = match input.0.as_bytes() {
        [b'\\', b'd', ..] => (DIGIT, false),
        [b'\\', b'D', ..] => (DIGIT, true),
        [b'\\', b's', ..] => (PERL_SPACE, false),
        [b'\\', b'S', ..] => (PERL_SPACE, true),
        [b'\\', b'w', ..] => (WORD, false),
        [b'\\', b'W', ..] => (WORD, true),
        [b'\\', b'p' | b'P', ..] => return Err(Untranslatable::UnicodeClass),
        _ => return Ok(None),
    };
    input.0 = &input.0[2..];
    Ok(Some(Class::ascii(ranges, negated)))
}

fn range(input: &mut Input<'_>) -> Result<(u32, u32), Untranslatable> {
    let low = member(input)?;
    let high = match input.0.as_bytes() {
        [b'-', next, ..] if *next != b']' => {
            input.skip('-');
            member(input)?
        }
        _ => low,
    };
    if high < low {
        return Err(Untranslatable::Invalid);
    }
    Ok((low, high))
}

fn member(input: &mut Input<'_>) -> Result<u32, Untranslatable> {
    if input.0.starts_with('\\') {
        return input.escaped();
    }
    input.take().map(u32::from)
}

/// Reads `[:name:]` or `[:^name:]`.
fn named(input: &mut Input<'_>) -> Result<Option<Class>, Untranslatable> {
    let Some((name, rest)) = input.0.strip_prefix("[:").and_then(|s| s.split_once(":]")) else {
        return Ok(None);
    };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let ranges: Ranges = match name {
        "alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        "alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        "ascii" => &[(0x00, 0x7F)],
        "blank" => &[(b'\t', b'\t'), (b' ', b' ')],
        "cntrl" => &[(0x00, 0x1F), (0x7F, 0x7F)],
        "digit" => DIGIT,
        "graph" => &[(b'!', b'~')],
        "lower" => &[(b'a', b'z')],
        "print" => &[(b' ', b'~')],
        "punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        "space" => &[(b'\t', b'\r'), (b' ', b' ')],
        "upper" => &[(b'A', b'Z')],
        "word" => WORD,
        "xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return Err(Untranslatable::Invalid),
    };
    input.0 = rest;
    Ok(Some(Class::ascii(ranges, negated)))
}

impl Class {
    pub(super) fn one(code_point: u32) -> Self {
        Self(vec![(code_point, code_point)])
    }

    pub(super) fn negated(mut self) -> Self {
        self.0.sort_unstable();
        let mut gaps = Vec::new();
        let mut next = 0;
        for (low, high) in self.0 {
            if next < low {
                gaps.push((next, low - 1));
            }
            next = next.max(high + 1);
        }
        if next <= MAX {
            gaps.push((next, MAX));
        }
        Self(gaps)
    }

    pub(super) fn to_regex(&self) -> String {
        let mut members = String::new();
        for &(low, high) in &self.0 {
            // Surrogates cannot be written, so they are left out of the range.
            for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)] {
                if low <= high {
                    write!(members, r"\x{{{low:X}}}-\x{{{high:X}}}")
                        .expect("writing to a string cannot fail");
                }
            }
        }
        if members.is_empty() {
            return r"[^\x{0}-\x{10FFFF}]".into();
        }
        format!("[{members}]")
    }

    fn ascii(ranges: Ranges, negated: bool) -> Self {
        let ranges = ranges.iter().map(|&(low, high)| (low.into(), high.into()));
        let class = Self(ranges.collect());
        if negated { class.negated() } else { class }
    }
}
