//! Git's wildcards, turned into regular expressions.
//!
//! A matcher that backtracks, as git's own does, can be made to take exponential
//! time by a pattern such as `a*a*a*a*b`; a regular expression takes linear time.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::PatternProblem;

/// Whether `**` can stand for more than `*`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// The pattern is for the last name of a path.
    WithinName,
    /// The pattern is for a whole path.
    AcrossNames,
}

/// Whether git looks at `byte` as anything but itself.
pub(super) fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// The body of a regular expression, to be anchored at both ends and compiled
/// for bytes with `.` matching all of them.
pub(super) fn to_regex(glob: &[u8], stars: Stars) -> Result<String, PatternProblem> {
    let mut regex = String::new();
    let mut at = 0;
    while let Some(&byte) = glob.get(at) {
        at = match byte {
            b'*' => push_stars(&mut regex, glob, at, stars),
            b'?' => {
                regex.push_str("[^/]");
                at + 1
            }
            b'[' => {
                let (set, next) = bracket(glob, at + 1)?;
                push_set(&mut regex, &set);
                next
            }
            b'\\' => {
                let escaped = glob.get(at + 1).ok_or(PatternProblem::TrailingBackslash)?;
                push_literal(&mut regex, *escaped);
                at + 2
            }
            _ => {
                push_literal(&mut regex, byte);
                at + 1
            }
        };
    }
    Ok(regex)
}

/// Whether the pattern is for a whole path and has a `**` that only counts as
/// such because nothing but a name stands before it.
pub(super) fn has_stars_after_name(glob: &[u8]) -> bool {
    let end = literal_prefix(glob);
    let run = stars_at(glob, end);
    run > 1 && end > 0 && glob[end - 1] != b'/' && glob.get(end + run) == Some(&b'/')
}

fn push_stars(regex: &mut String, glob: &[u8], at: usize, stars: Stars) -> usize {
    let run = stars_at(glob, at);
    let rest = &glob[at + run..];
    // Git compares the literal prefix first, and so sees stars after it as the start.
    let starts_name = at == literal_prefix(glob) || glob[at - 1] == b'/';
    if run == 1 || stars == Stars::WithinName || !starts_name {
        regex.push_str("[^/]*");
        return at + run;
    }
    match rest {
        [b'/', ..] => {
            regex.push_str("(?:.*/)?");
            at + run + 1
        }
        [] | [b'\\', b'/', ..] => {
            regex.push_str(".*");
            at + run
        }
        _ => {
            regex.push_str("[^/]*");
            at + run
        }
    }
}

fn literal_prefix(glob: &[u8]) -> usize {
    let special = glob.iter().position(|&byte| is_special(byte));
    special.unwrap_or(glob.len())
}

fn stars_at(glob: &[u8], at: usize) -> usize {
    glob[at..].iter().take_while(|&&byte| byte == b'*').count()
}

/// The bytes a bracket expression matches, and where it ends. `at` is behind the `[`.
fn bracket(glob: &[u8], mut at: usize) -> Result<([bool; 256], usize), PatternProblem> {
    let byte_at = |at: usize| glob.get(at).copied().ok_or(PatternProblem::UnclosedBracket);
    let mut set = [false; 256];
    let negated = matches!(byte_at(at)?, b'!' | b'^');
    at += usize::from(negated);
    // What a range could start from: git keeps nothing after a range or a class.
    let mut previous = None;
    loop {
        let byte = byte_at(at)?;
        if byte == b'\\' {
            at += 1;
            let escaped = byte_at(at)?;
            set[usize::from(escaped)] = true;
            previous = Some(escaped);
        } else if let (b'-', Some(low)) = (byte, previous)
            && glob.get(at + 1).is_some_and(|&next| next != b']')
        {
            at += 1;
            if glob[at] == b'\\' {
                at += 1;
            }
            fill(&mut set, low..=byte_at(at)?);
            previous = None;
        } else if let Some((name, end)) = class_name(glob, at)? {
            class(name).for_each(|range| fill(&mut set, range.clone()));
            if class(name).next().is_none() {
                return Err(PatternProblem::UnknownClass);
            }
            at = end;
            previous = None;
        } else {
            set[usize::from(byte)] = true;
            previous = Some(byte);
        }
        at += 1;
        // A `]` in the first place is a member.
        if glob.get(at) == Some(&b']') {
            break;
        }
    }
    if negated {
        set = set.map(|member| !member);
    }
    set[usize::from(b'/')] = false;
    Ok((set, at + 1))
}

/// The name in a `[:name:]` that starts at `at`, and where its `]` is.
fn class_name(glob: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, PatternProblem> {
    let Some(name) = glob[at..].strip_prefix(b"[:") else {
        return Ok(None);
    };
    let length =
        name.iter().position(|&byte| byte == b']').ok_or(PatternProblem::UnclosedBracket)?;
    let end = at + 2 + length;
    Ok(name[..length].strip_suffix(b":").map(|name| (name, end)))
}

/// The ranges of a named class, none for an unknown name.
fn class(name: &[u8]) -> impl Iterator<Item = &'static RangeInclusive<u8>> {
    const DIGIT: RangeInclusive<u8> = b'0'..=b'9';
    const UPPER: RangeInclusive<u8> = b'A'..=b'Z';
    const LOWER: RangeInclusive<u8> = b'a'..=b'z';
    let ranges: &'static [RangeInclusive<u8>] = match name {
        b"alnum" => &[DIGIT, UPPER, LOWER],
        b"alpha" => &[UPPER, LOWER],
        b"blank" => &[b'\t'..=b'\t', b' '..=b' '],
        b"cntrl" => &[0..=0x1F, 0x7F..=0x7F],
        b"digit" => &[DIGIT],
        b"graph" => &[b'!'..=b'~'],
        b"lower" => &[LOWER],
        b"print" => &[b' '..=b'~'],
        b"punct" => &[b'!'..=b'/', b':'..=b'@', b'['..=b'`', b'{'..=b'~'],
        // Git's own table has neither the vertical tab nor the form feed.
        b"space" => &[b'\t'..=b'\n', b'\r'..=b'\r', b' '..=b' '],
        b"upper" => &[UPPER],
        b"xdigit" => &[DIGIT, b'A'..=b'F', b'a'..=b'f'],
        _ => &[],
    };
    ranges.iter()
}

fn fill(set: &mut [bool; 256], range: RangeInclusive<u8>) {
    range.for_each(|byte| set[usize::from(byte)] = true);
}

fn push_set(regex: &mut String, set: &[bool; 256]) {
    if !set.contains(&true) {
        regex.push_str(r"[^\x00-\xFF]");
        return;
    }
    regex.push('[');
    for byte in (0..=u8::MAX).filter(|&byte| set[usize::from(byte)]) {
        push_literal(regex, byte);
    }
    regex.push(']');
}

fn push_literal(regex: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        regex.push(char::from(byte));
    } else {
        write!(regex, r"\x{byte:02X}").expect("writing to a string cannot fail");
    }
}
