//! Reads git's wildcards into tokens.

use std::ops::RangeInclusive;

use super::token::{Set, Sets, Token};
use crate::warning::PatternProblem;

/// The part of a path that a pattern is matched with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The last name. `**` matches no more than `*`.
    Name,
    /// The whole path. `**` can match across names.
    Path,
}

/// Reads `glob` into `tokens`, which must be empty.
pub(super) fn read(
    glob: &[u8],
    scope: Scope,
    tokens: &mut Vec<Token>,
    sets: &mut Sets,
) -> Result<(), PatternProblem> {
    let prefix = literal_prefix(glob);
    let mut at = 0;
    while let Some(&byte) = glob.get(at) {
        at = match byte {
            b'*' => {
                // Git compares the literal prefix first, so stars after it are the start of what remains.
                let starts_name = at == prefix || glob[at - 1] == b'/';
                push_stars(tokens, glob, at, starts_name && scope == Scope::Path)
            }
            b'?' => {
                tokens.push(Token::NotSlash);
                at + 1
            }
            b'[' => {
                let (set, next) = bracket(glob, at + 1)?;
                tokens.push(sets.add(set));
                next
            }
            b'\\' => {
                let escaped = glob.get(at + 1).ok_or(PatternProblem::TrailingBackslash)?;
                tokens.push(Token::Byte(*escaped));
                at + 2
            }
            _ => {
                tokens.push(Token::Byte(byte));
                at + 1
            }
        };
    }
    Ok(())
}

/// Returns whether the pattern has a `**/` after the start of a name, such as `name**/`. Git takes it as
/// `**` only because the text before it is literal.
pub(super) fn has_stars_after_name(glob: &[u8]) -> bool {
    let end = literal_prefix(glob);
    let run = stars_at(glob, end);
    run > 1 && end > 0 && glob[end - 1] != b'/' && glob.get(end + run) == Some(&b'/')
}

/// Reads a run of stars, and returns its end. Two stars mean more than one only if they `may_cross`
/// directories.
fn push_stars(tokens: &mut Vec<Token>, glob: &[u8], at: usize, may_cross: bool) -> usize {
    let run = stars_at(glob, at);
    let end = at + run;
    if run == 1 || !may_cross {
        tokens.push(Token::Star);
        return end;
    }
    match &glob[end..] {
        [b'/', ..] => {
            if tokens.last() != Some(&Token::Dirs) {
                tokens.push(Token::Dirs);
            }
            return end + 1;
        }
        [] | [b'\\', b'/', ..] => tokens.push(Token::Deep),
        _ => tokens.push(Token::Star),
    }
    end
}

/// Returns whether `byte` has a special meaning for git.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

fn literal_prefix(glob: &[u8]) -> usize {
    let special = glob.iter().position(|&byte| is_special(byte));
    special.unwrap_or(glob.len())
}

fn stars_at(glob: &[u8], at: usize) -> usize {
    glob[at..].iter().take_while(|&&byte| byte == b'*').count()
}

/// Reads a bracket expression. `at` is the index after the `[`. Returns the bytes that it matches and the
/// index after it.
fn bracket(glob: &[u8], mut at: usize) -> Result<(Set, usize), PatternProblem> {
    let byte_at = |at: usize| glob.get(at).copied().ok_or(PatternProblem::UnclosedBracket);
    let mut set = Set::default();
    let negated = matches!(byte_at(at)?, b'!' | b'^');
    at += usize::from(negated);
    // The possible start of a range: none after a range or a class.
    let mut previous = None;
    let mut close = at;
    loop {
        let byte = byte_at(at)?;
        if byte == b'\\' {
            at += 1;
            let escaped = byte_at(at)?;
            set.insert(escaped);
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
        } else if let Some((name, end)) = class_name(glob, at, &mut close)? {
            class(name).for_each(|range| fill(&mut set, range.clone()));
            if class(name).next().is_none() {
                return Err(PatternProblem::UnknownClass);
            }
            at = end;
            previous = None;
        } else {
            set.insert(byte);
            previous = Some(byte);
        }
        at += 1;
        // A `]` right at the start is a member.
        if glob.get(at) == Some(&b']') {
            break;
        }
    }
    if negated {
        set = set.negated();
    }
    set.remove(b'/');
    Ok((set, at + 1))
}

/// Returns the name in a `[:name:]` that starts at `at`, and the index of its `]`. `close` is the index of
/// the `]` that was found last. While it is ahead, it is not searched for again: otherwise the time would
/// be quadratic.
fn class_name<'a>(
    glob: &'a [u8],
    at: usize,
    close: &mut usize,
) -> Result<Option<(&'a [u8], usize)>, PatternProblem> {
    if !glob[at..].starts_with(b"[:") {
        return Ok(None);
    }
    let start = at + 2;
    if *close < start {
        let length = glob[start..].iter().position(|&byte| byte == b']');
        *close = start + length.ok_or(PatternProblem::UnclosedBracket)?;
    }
    Ok(glob[start..*close].strip_suffix(b":").map(|name| (name, *close)))
}

/// Returns the ranges of a named class; none for an unknown name.
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
        // The table of git has neither the vertical tab nor the form feed.
        b"space" => &[b'\t'..=b'\n', b'\r'..=b'\r', b' '..=b' '],
        b"upper" => &[UPPER],
        b"xdigit" => &[DIGIT, b'A'..=b'F', b'a'..=b'f'],
        _ => &[],
    };
    ranges.iter()
}

fn fill(set: &mut Set, range: RangeInclusive<u8>) {
    range.for_each(|byte| set.insert(byte));
}
