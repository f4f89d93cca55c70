//! The pattern language of `.pteroignore`.
//!
//! The Go package behind it rewrites a line, by a chain of textual replacements,
//! into a regular expression. Users' lists rely on what comes out, oddities and
//! all, so the chain is repeated here step by step.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::go_regexp::{self, Untranslatable};
use super::{COMPILED_LIMIT, LONGEST_PATTERN, Line, PatternProblem};

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    negated: bool,
    /// Whether a match of a directory is one of everything beneath it.
    covers_beneath: bool,
    /// What every match holds. Most paths do not, which is quicker to find out.
    needle: String,
    regex: Regex,
}

/// Reads one line, given without its line feed.
pub(super) fn parse(line: &[u8]) -> Line<Pattern> {
    let line = trim_end(line, b'\r');
    let trimmed = trim_start(trim_end(line, b' '), b' ');
    if line.starts_with(b"#") || trimmed.is_empty() {
        return Line::BLANK;
    }
    let negated = trimmed.starts_with(b"!");
    let body = &trimmed[usize::from(negated)..];
    let body = match body {
        [b'#' | b'!', rest @ ..] => rest,
        _ => body,
    };
    match compile(body) {
        Ok(regex) => Line {
            pattern: Some(Pattern {
                negated,
                covers_beneath: is_plain(body),
                needle: needle(body),
                regex,
            }),
            problem: oddity(trimmed, body),
        },
        Err(problem) => Line { pattern: None, problem: Some(problem) },
    }
}

pub(super) fn excluded(patterns: &[Pattern], path: &[u8]) -> bool {
    let path = as_go_sees(path);
    patterns.iter().rfind(|pattern| pattern.matches(&path)).is_some_and(|pattern| !pattern.negated)
}

pub(super) fn must_enter(patterns: &[Pattern], dir: &[u8]) -> bool {
    let dir = as_go_sees(dir);
    !patterns
        .iter()
        .rev()
        .take_while(|pattern| !pattern.negated)
        .any(|pattern| pattern.covers_beneath && pattern.matches(&dir))
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        path.contains(&self.needle) && self.regex.is_match(path)
    }
}

fn compile(body: &[u8]) -> Result<Regex, PatternProblem> {
    if body.len() > LONGEST_PATTERN {
        return Err(PatternProblem::TooLarge);
    }
    let body = str::from_utf8(body).map_err(|_| PatternProblem::NotARegexp)?;
    let regex = go_regexp::translate(&to_go_regexp(body)).map_err(|error| match error {
        Untranslatable::Invalid => PatternProblem::NotARegexp,
        Untranslatable::UnicodeClass => PatternProblem::UnicodeClass,
        Untranslatable::TooLarge => PatternProblem::TooLarge,
    })?;
    RegexBuilder::new(&regex)
        .size_limit(COMPILED_LIMIT)
        .build()
        .map_err(|_| PatternProblem::TooLarge)
}

/// The chain of replacements; their order is what makes the result.
fn to_go_regexp(body: &str) -> String {
    const STAR: &str = "#$~";
    let mut line = body.to_owned();
    if has_star_dot_beneath_a_name(&line) && !line.starts_with('/') {
        line.insert(0, '/');
    }
    line = line.replace('.', r"\.");
    if line.starts_with("/**/") {
        line.remove(0);
    }
    line = line
        .replace("/**/", "(/|/.+/)")
        .replace("**/", "(|.#$~/)")
        .replace("/**", "(|/.#$~)")
        .replace(r"\*", r"\#$~")
        .replace('*', "([^/]*)")
        .replace('?', r"\?")
        .replace(STAR, "*");
    line.push_str(if line.ends_with('/') { "(|.*)$" } else { "(|/.*)$" });
    match line.strip_prefix('/') {
        Some(rest) => format!("^(|/){rest}"),
        None => format!("^(|.*/){line}"),
    }
}

/// `([^\/+])/.*\*\.`
fn has_star_dot_beneath_a_name(line: &str) -> bool {
    let Some(end) = line.rfind("*.") else {
        return false;
    };
    line.as_bytes()[..end]
        .windows(2)
        .any(|pair| matches!(pair, [before, b'/'] if !b"/+".contains(before)))
}

/// Go takes each byte that is no UTF-8 for a replacement character of its own.
fn as_go_sees(path: &[u8]) -> Cow<'_, str> {
    if let Ok(path) = str::from_utf8(path) {
        return Cow::Borrowed(path);
    }
    let mut seen = String::with_capacity(path.len() * 2);
    for chunk in path.utf8_chunks() {
        seen.push_str(chunk.valid());
        seen.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(seen)
}

/// Whether no byte has a meaning in regular expressions that the chain leaves alone.
fn is_plain(body: &[u8]) -> bool {
    !body.iter().any(|byte| br"\|()[]{}^$+".contains(byte))
}

/// The longest piece that the chain leaves as it is, if that can be told.
fn needle(body: &[u8]) -> String {
    let pieces = body.split(|byte| b"*/".contains(byte));
    let piece = pieces.max_by_key(|piece| piece.len());
    let piece = piece.filter(|_| is_plain(body)).unwrap_or_default();
    String::from_utf8_lossy(piece).into_owned()
}

/// What is strange about a pattern that works. `trimmed` is the whole line.
fn oddity(trimmed: &[u8], body: &[u8]) -> Option<PatternProblem> {
    if trimmed.starts_with(b"#") {
        return Some(PatternProblem::IndentedComment);
    }
    if trimmed.starts_with(b"\xEF\xBB\xBF") {
        return Some(PatternProblem::ByteOrderMark);
    }
    match body {
        b"" => return Some(PatternProblem::Empty),
        b"/" => return Some(PatternProblem::BareSlash),
        _ => {}
    }
    let mut in_class = false;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let next = body.get(at + 1);
        match byte {
            b'\\' if next.is_some_and(u8::is_ascii_alphanumeric) => {
                return Some(PatternProblem::BackslashInName);
            }
            b'\\' if matches!(next, Some(b'.' | b'?')) => {
                return Some(PatternProblem::EscapedBackslash);
            }
            b'\\' => at += 1,
            b'?' => return Some(PatternProblem::LiteralQuestionMark),
            b'[' if !in_class && next == Some(&b'!') => {
                return Some(PatternProblem::LiteralNegation);
            }
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' | b')' | b'|' | b'+' | b'^' | b'$' if !in_class => {
                return Some(PatternProblem::RegexpOperator);
            }
            b'{' if !in_class && next.is_some_and(u8::is_ascii_digit) => {
                return Some(PatternProblem::RegexpOperator);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn trim_end(bytes: &[u8], unwanted: u8) -> &[u8] {
    let kept = bytes.iter().rposition(|&byte| byte != unwanted);
    &bytes[..kept.map_or(0, |last| last + 1)]
}

fn trim_start(bytes: &[u8], unwanted: u8) -> &[u8] {
    let kept = bytes.iter().position(|&byte| byte != unwanted);
    &bytes[kept.unwrap_or(bytes.len())..]
}
