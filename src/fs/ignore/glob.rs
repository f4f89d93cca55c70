//! Git's wildcards, read into steps.

use std::ops::RangeInclusive;

use super::PatternProblem;
use super::step::{Set, Sets, Step};

/// Whether `**` can stand for more than `*`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// The pattern is for the last name of a path.
    WithinName,
    /// The pattern is for a whole path.
    AcrossNames,
}

/// Reads `glob` into `steps`, which are empty before.
pub(super) fn read(
    glob: &[u8],
    stars: Stars,
    steps: &mut Vec<Step>,
    sets: &mut Sets,
) -> Result<(), PatternProblem> {
    let prefix = literal_prefix(glob);
    let mut at = 0;
    while let Some(&byte) = glob.get(at) {
        at = match byte {
            b'*' => {
                // Git compares the literal prefix first, and so sees stars after it as the start.
                let starts_name = at == prefix || glob[at - 1] == b'/';
                push_stars(steps, glob, at, starts_name && stars == Stars::AcrossNames)
            }
            b'?' => {
                steps.push(Step::NotSlash);
                at + 1
            }
            b'[' => {
                let (set, next) = bracket(glob, at + 1)?;
                steps.push(sets.add(set));
                next
            }
            b'\\' => {
                let escaped = glob.get(at + 1).ok_or(PatternProblem::TrailingBackslash)?;
                steps.push(Step::Byte(*escaped));
                at + 2
            }
            _ => {
                steps.push(Step::Byte(byte));
                at + 1
            }
        };
    }
    Ok(())
}

/// Whether the pattern is for a whole path and has a `**` that only counts as
/// such because nothing but a name stands before it.
pub(super) fn has_stars_after_name(glob: &[u8]) -> bool {
    let end = literal_prefix(glob);
    let run = stars_at(glob, end);
    run > 1 && end > 0 && glob[end - 1] != b'/' && glob.get(end + run) == Some(&b'/')
}

/// Reads a run of stars. Only where it `may_cross` directories are two stars more than one.
fn push_stars(steps: &mut Vec<Step>, glob: &[u8], at: usize, may_cross: bool) -> usize {
    let run = stars_at(glob, at);
    let end = at + run;
    if run == 1 || !may_cross {
        steps.push(Step::Star);
        return end;
    }
    match &glob[end..] {
        [b'/', ..] => {
            if steps.last() != Some(&Step::Dirs) {
                steps.push(Step::Dirs);
            }
            return end + 1;
        }
        [] | [b'\\', b'/', ..] => steps.push(Step::Deep),
        _ => steps.push(Step::Star),
    }
    end
}

/// Whether git looks at `byte` as anything but itself.
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

/// The bytes a bracket expression matches, and where it ends. `at` is behind the `[`.
fn bracket(glob: &[u8], mut at: usize) -> Result<(Set, usize), PatternProblem> {
    let byte_at = |at: usize| glob.get(at).copied().ok_or(PatternProblem::UnclosedBracket);
    let mut set = Set::default();
    let negated = matches!(byte_at(at)?, b'!' | b'^');
    at += usize::from(negated);
    // What a range could start from: git keeps nothing after a range or a class.
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
        // A `]` in the first place is a member.
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

/// The name in a `[:name:]` that starts at `at`, and where its `]` is. `close` is where the last search
/// for a `]` ended: one that is still ahead is not searched for again, or the time would be quadratic.
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

fn fill(set: &mut Set, range: RangeInclusive<u8>) {
    range.for_each(|byte| set.insert(byte));
}
