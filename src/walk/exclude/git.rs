//! The pattern language of `.gitignore`.

use regex::bytes::{Regex, RegexBuilder};

use super::glob::{self, Stars};
use super::{COMPILED_LIMIT, LONGEST_PATTERN, Line, PatternProblem};

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    negated: bool,
    dirs_only: bool,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Nothing,
    Name(Vec<u8>),
    NameEnd(Vec<u8>),
    NameRegex(Regex),
    Path(Vec<u8>),
    PathRegex(Regex),
}

/// Reads one line, given without its line feed.
pub(super) fn parse(line: &[u8]) -> Line<Pattern> {
    let line = content(line);
    if line.is_empty() || line.starts_with(b"#") {
        return Line::BLANK;
    }
    let (negated, rest) = match line.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (dirs_only, glob) = match rest.strip_suffix(b"/") {
        Some(glob) => (true, glob),
        None => (false, rest),
    };
    let (matcher, problem) = match matcher(glob) {
        Ok(matcher) => (matcher, oddity(glob)),
        Err(problem) => (Matcher::Nothing, Some(problem)),
    };
    Line { pattern: Some(Pattern { negated, dirs_only, matcher }), problem }
}

pub(super) fn excluded(patterns: &[Pattern], path: &[u8], is_dir: bool) -> bool {
    let name = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => &path[slash + 1..],
        None => path,
    };
    patterns
        .iter()
        .rfind(|pattern| (is_dir || !pattern.dirs_only) && pattern.matcher.matches(path, name))
        .is_some_and(|pattern| !pattern.negated)
}

impl Matcher {
    fn matches(&self, path: &[u8], name: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Name(literal) => name == literal,
            Self::NameEnd(literal) => name.ends_with(literal),
            Self::NameRegex(regex) => regex.is_match(name),
            Self::Path(literal) => path == literal,
            Self::PathRegex(regex) => regex.is_match(path),
        }
    }
}

/// The line as git keeps it: a C string, without a carriage return or
/// unescaped spaces at its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.split(|&byte| byte == 0).next().unwrap_or(line);
    let mut kept = 0;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b' ' => {}
            // A lone backslash at the end makes git leave the spaces before it.
            b'\\' => {
                at += 1;
                kept = line.len().min(at + 1);
            }
            _ => kept = at + 1,
        }
        at += 1;
    }
    &line[..kept]
}

/// `glob` is a pattern less its `!` and its trailing slash.
fn matcher(glob: &[u8]) -> Result<Matcher, PatternProblem> {
    if glob.is_empty() {
        return Err(PatternProblem::Empty);
    }
    if glob.len() > LONGEST_PATTERN {
        return Err(PatternProblem::TooLarge);
    }
    let literal = |bytes: &[u8]| !bytes.iter().any(|&byte| glob::is_special(byte));
    if !glob.contains(&b'/') {
        return match glob.strip_prefix(b"*") {
            _ if literal(glob) => Ok(Matcher::Name(glob.to_vec())),
            Some(end) if literal(end) => Ok(Matcher::NameEnd(end.to_vec())),
            _ => compile(&glob::to_regex(glob, Stars::WithinName)?).map(Matcher::NameRegex),
        };
    }
    let glob = glob.strip_prefix(b"/").unwrap_or(glob);
    if literal(glob) {
        return Ok(Matcher::Path(glob.to_vec()));
    }
    compile(&glob::to_regex(glob, Stars::AcrossNames)?).map(Matcher::PathRegex)
}

fn compile(body: &str) -> Result<Regex, PatternProblem> {
    RegexBuilder::new(&format!(r"\A{body}\z"))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(COMPILED_LIMIT)
        .build()
        .map_err(|_| PatternProblem::TooLarge)
}

/// What is strange about a pattern that works.
fn oddity(glob: &[u8]) -> Option<PatternProblem> {
    let mut bytes = glob.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next().is_some_and(u8::is_ascii_alphanumeric) {
            return Some(PatternProblem::BackslashInName);
        }
    }
    glob::has_stars_after_name(glob).then_some(PatternProblem::StarsAfterName)
}
