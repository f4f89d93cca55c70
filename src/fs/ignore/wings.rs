//! The pattern language of `.pteroignore`.
//!
//! Wings uses a Go package that rewrites each line, by a chain of textual replacements, into a regular
//! expression. Users' lists rely on its results, including the surprising ones. So this module makes the
//! same replacements in the same order.

use std::borrow::Cow;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;

use super::automaton::Automaton;
use super::go_regexp::{self, Untranslatable};
use super::limits::{Excess, MAX_COMPILED, MAX_PATTERN, MAX_POSITIONS};
use super::rule::{Line, Rule, Verdict};
use super::token::{Sets, Token};
use crate::warning::PatternProblem;

/// The most memory that one compiled expression may take.
const MAX_EXPRESSION: usize = MAX_COMPILED / 2;

/// The memory that an expression's lazily built automaton may take while it matches. An expression
/// that needs more is matched without one.
const MAX_CACHE: usize = 64 << 10;

/// The most optional parts that may directly follow one another in the automaton. Each of them takes time
/// wherever the first one can start.
const MAX_OPTIONAL: usize = 4;

/// A list of patterns. One automaton matches the plain patterns: those that have no operators of regular
/// expressions except those that the replacements add. The other patterns are matched one by one.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    is_empty: bool,
    last_negated: Option<Verdict>,
    plain: Automaton,
    expressions: Vec<Expression>,
    /// Memory of all expressions that were compiled, including those that were too large or invalid.
    compiled: usize,
    /// The tokens of the line that is being read.
    tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
struct Expression {
    verdict: Verdict,
    /// Whether the expression matches everything beneath a directory that it matches.
    covers_beneath: bool,
    regex: meta::Regex,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Patterns {
            is_empty: true,
            last_negated: None,
            plain: Automaton::new(true),
            expressions: Vec::new(),
            compiled: 0,
            tokens: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Reads line `number`, without its line feed. If a later line is equal (`is_repeated`), the pattern is
    /// not kept, since it decides nothing; it is only checked for problems.
    pub(super) fn push(&mut self, line: &[u8], number: u32, is_repeated: bool) -> Line {
        let line = trim_end(line, b'\r');
        let trimmed = trim_start(trim_end(line, b' '), b' ');
        if line.starts_with(b"#") || trimmed.is_empty() {
            return Line::Blank;
        }
        let negated = trimmed.starts_with(b"!");
        let body = &trimmed[usize::from(negated)..];
        let body = match body {
            [b'#' | b'!', rest @ ..] => rest,
            _ => body,
        };
        let verdict = Verdict::new(number, negated);
        if let Err(problem) = self.read(body, verdict, is_repeated) {
            return Line::Pattern(Some(problem));
        }
        self.is_empty = false;
        if negated {
            self.last_negated = Some(verdict);
        }
        Line::Pattern(suspicion(trimmed, body))
    }

    /// Prepares the patterns for matching, or returns the limit that they exceed.
    pub(super) fn prepare(&mut self) -> Result<(), Excess> {
        if self.compiled > MAX_COMPILED {
            return Err(Excess::Expressions);
        }
        if self.plain.positions() > MAX_POSITIONS {
            return Err(Excess::Patterns);
        }
        self.plain.prepare(&Sets::default());
        Ok(())
    }

    /// Returns the last pattern that matches `path`.
    pub(super) fn last(&self, path: &[u8]) -> Option<Verdict> {
        let path = as_go_sees(path);
        let plain = self.plain.last(path.as_bytes(), false);
        let later = self.expressions.iter().rev().take_while(|e| Some(e.verdict) > plain);
        let last = later.map(|e| (e.verdict, &e.regex)).find(|(_, regex)| regex.is_match(&*path));
        last.map(|(verdict, _)| verdict).or(plain)
    }

    pub(super) fn must_enter(&self, dir: &[u8]) -> bool {
        let dir = as_go_sees(dir);
        let is_later = |verdict: Verdict| Some(verdict) > self.last_negated;
        let mut later = self.expressions.iter().filter(|e| e.covers_beneath && is_later(e.verdict));
        !self.plain.last(dir.as_bytes(), true).is_some_and(is_later)
            && !later.any(|expression| expression.regex.is_match(&*dir))
    }

    fn read(
        &mut self,
        body: &[u8],
        verdict: Verdict,
        is_repeated: bool,
    ) -> Result<(), PatternProblem> {
        if body.len() > MAX_PATTERN {
            return Err(PatternProblem::TooLarge);
        }
        let text = str::from_utf8(body).map_err(|_| PatternProblem::NotARegexp)?;
        // The whole list will be refused.
        if self.plain.positions() > MAX_POSITIONS {
            return Ok(());
        }
        let expression = to_go_regexp(text);
        let covers_beneath = is_plain(body);
        if covers_beneath && read_plain(&expression, &mut self.tokens) {
            if !is_repeated {
                self.plain.push(&self.tokens, Rule { verdict, dirs_only: false });
            }
            return Ok(());
        }
        // An invalid expression takes time to read as well.
        self.compiled += body.len() + size_of::<Expression>();
        if self.compiled > MAX_COMPILED {
            return Ok(());
        }
        let regex = self.compile(&expression)?;
        if !is_repeated {
            self.expressions.push(Expression { verdict, covers_beneath, regex });
        }
        Ok(())
    }

    fn compile(&mut self, expression: &str) -> Result<meta::Regex, PatternProblem> {
        let regex = go_regexp::translate(expression).map_err(|error| match error {
            Untranslatable::Invalid => PatternProblem::NotARegexp,
            Untranslatable::UnicodeClass => PatternProblem::UnicodeClass,
            Untranslatable::TooLarge => PatternProblem::TooLarge,
        })?;
        let limits = meta::Config::new()
            .nfa_size_limit(Some(MAX_EXPRESSION))
            .hybrid_cache_capacity(MAX_CACHE)
            .which_captures(WhichCaptures::None)
            .auto_prefilter(false)
            .backtrack(false)
            .onepass(false)
            .dfa(false);
        let regex = meta::Builder::new().configure(limits).build(&regex);
        // It takes as long to find out that an expression is too large as to compile it.
        self.compiled += regex.as_ref().map_or(MAX_EXPRESSION, meta::Regex::memory_usage);
        regex.map_err(|_| PatternProblem::TooLarge)
    }
}

/// Reads the expression of a plain pattern into `tokens`. Returns false if it has too many optional
/// parts for the automaton.
fn read_plain(expression: &str, tokens: &mut Vec<Token>) -> bool {
    const PARTS: [(&str, &[Token]); 7] = [
        ("^(|/)", &[Token::MaybeSlash]),
        ("^(|.*/)", &[Token::Dirs]),
        ("([^/]*)", &[Token::Star]),
        ("(|.*/)", &[Token::Dirs]),
        ("(|/.*)", &[Token::Beneath]),
        ("(/|/.+/)", &[Token::Byte(b'/'), Token::SomeDirs]),
        ("(|.*)", &[Token::Deep]),
    ];
    tokens.clear();
    let mut rest = expression.strip_suffix('$').unwrap_or(expression);
    while !rest.is_empty() {
        let known =
            PARTS.iter().find_map(|(part, tokens)| Some((*tokens, rest.strip_prefix(part)?)));
        if let Some((added, after)) = known {
            added.iter().for_each(|token| push_token(tokens, *token));
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('\\').unwrap_or(rest);
        let (character, after) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
        tokens.extend(character.bytes().map(Token::Byte));
        rest = after;
    }
    let is_optional =
        |token: &Token| !token.is_one_byte() && !matches!(token, Token::Star | Token::Deep);
    !tokens.windows(MAX_OPTIONAL + 1).any(|run| run.iter().all(is_optional))
}

/// Adds a token, or merges it with the last one if both together match no more than one of them.
fn push_token(tokens: &mut Vec<Token>, token: Token) {
    match (tokens.last_mut(), token) {
        (Some(Token::Dirs), Token::Dirs)
        | (Some(Token::Beneath), Token::Beneath)
        | (Some(Token::Star), Token::Star) => {}
        (Some(last @ Token::SomeDirs), Token::Dirs) => *last = Token::Dirs,
        _ => tokens.push(token),
    }
}

/// Makes the chain of replacements. The result depends on their order.
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

/// Returns whether the line matches `([^\/+])/.*\*\.`, a check of the Go package.
fn has_star_dot_beneath_a_name(line: &str) -> bool {
    let Some(end) = line.rfind("*.") else {
        return false;
    };
    line.as_bytes()[..end]
        .windows(2)
        .any(|pair| matches!(pair, [before, b'/'] if !b"/+".contains(before)))
}

/// Returns the path as Go reads it: each byte that is not valid UTF-8 is one replacement character.
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

/// Returns whether the body has no operator of regular expressions that the replacements leave in place.
fn is_plain(body: &[u8]) -> bool {
    !body.iter().any(|byte| br"\|()[]{}^$+".contains(byte))
}

/// Returns why a valid pattern is suspicious. `trimmed` is the whole line.
fn suspicion(trimmed: &[u8], body: &[u8]) -> Option<PatternProblem> {
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
