//! The pattern language of `.pteroignore`.
//!
//! The Go package behind it rewrites a line, by a chain of textual replacements,
//! into a regular expression. Users' lists rely on what comes out, oddities and
//! all, so the chain is repeated here step by step.

use std::borrow::Cow;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;

use super::automaton::Automaton;
use super::go_regexp::{self, Untranslatable};
use super::step::{Sets, Step, Verdict};
use super::{Excess, LONGEST_PATTERN, Line, MAX_COMPILED, MAX_POSITIONS, PatternProblem};

/// The most memory that one compiled expression may take.
const MAX_EXPRESSION: usize = MAX_COMPILED / 2;

/// The memory that an expression's lazily built automaton may take while it matches. An expression
/// that needs more is matched without one.
const MAX_CACHE: usize = 64 << 10;

/// Optional parts that directly follow one another. Each costs time wherever the first one can begin.
const MAX_OPTIONAL: usize = 4;

/// A list of patterns: one automaton for those that use nothing of regular expressions but what the
/// chain of replacements makes, and the others one by one.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    count: u32,
    last_negated: Option<Verdict>,
    plain: Automaton,
    expressions: Vec<Expression>,
    /// What the expressions have taken, those that are too large or not valid as well.
    compiled: usize,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Expression {
    verdict: Verdict,
    /// Whether a match of a directory is one of everything beneath it.
    covers_beneath: bool,
    regex: meta::Regex,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Patterns {
            count: 0,
            last_negated: None,
            plain: Automaton::new(true),
            expressions: Vec::new(),
            compiled: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads one line, given without its line feed. A line that `is_repeated` further down decides
    /// nothing; only what is odd about it is of interest.
    pub(super) fn push(&mut self, line: &[u8], is_repeated: bool) -> Line {
        let line = trim_end(line, b'\r');
        let trimmed = trim_start(trim_end(line, b' '), b' ');
        if line.starts_with(b"#") || trimmed.is_empty() {
            return Line::Buffer;
        }
        let negated = trimmed.starts_with(b"!");
        let body = &trimmed[usize::from(negated)..];
        let body = match body {
            [b'#' | b'!', rest @ ..] => rest,
            _ => body,
        };
        let verdict = Verdict::new(self.count, negated);
        if let Err(problem) = self.read(body, verdict, is_repeated) {
            return Line::Pattern(Some(problem));
        }
        self.count += 1;
        if negated {
            self.last_negated = Some(verdict);
        }
        Line::Pattern(oddity(trimmed, body))
    }

    /// Makes ready what was pushed, unless it is more than a list may have.
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

    pub(super) fn excluded(&self, path: &[u8]) -> bool {
        let path = as_go_sees(path);
        let plain = self.plain.last(path.as_bytes(), false);
        let later = self.expressions.iter().rev().take_while(|e| Some(e.verdict) > plain);
        let last = later.map(|e| (e.verdict, &e.regex)).find(|(_, regex)| regex.is_match(&*path));
        last.map(|(verdict, _)| verdict).or(plain).is_some_and(|verdict| !verdict.is_negated())
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
        if body.len() > LONGEST_PATTERN {
            return Err(PatternProblem::TooLarge);
        }
        let text = str::from_utf8(body).map_err(|_| PatternProblem::NotARegexp)?;
        // The list is refused anyway.
        if self.plain.positions() > MAX_POSITIONS {
            return Ok(());
        }
        let expression = to_go_regexp(text);
        let covers_beneath = is_plain(body);
        if covers_beneath && read_plain(&expression, &mut self.steps) {
            if !is_repeated {
                self.plain.push(&self.steps, (false, verdict));
            }
            return Ok(());
        }
        // To read it takes time as well, even if it is not valid.
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
        // To find out that an expression is too large takes as long as to compile it.
        self.compiled += regex.as_ref().map_or(MAX_EXPRESSION, meta::Regex::memory_usage);
        regex.map_err(|_| PatternProblem::TooLarge)
    }
}

/// Reads an expression that the chain of replacements made of a body without operators. Returns
/// whether it is one for the automaton.
fn read_plain(expression: &str, steps: &mut Vec<Step>) -> bool {
    const PARTS: [(&str, &[Step]); 7] = [
        ("^(|/)", &[Step::MaybeSlash]),
        ("^(|.*/)", &[Step::Dirs]),
        ("([^/]*)", &[Step::Star]),
        ("(|.*/)", &[Step::Dirs]),
        ("(|/.*)", &[Step::Beneath]),
        ("(/|/.+/)", &[Step::Byte(b'/'), Step::SomeDirs]),
        ("(|.*)", &[Step::Deep]),
    ];
    steps.clear();
    let mut rest = expression.strip_suffix('$').unwrap_or(expression);
    while !rest.is_empty() {
        let known = PARTS.iter().find_map(|(part, steps)| Some((*steps, rest.strip_prefix(part)?)));
        if let Some((added, after)) = known {
            added.iter().for_each(|step| push_step(steps, *step));
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('\\').unwrap_or(rest);
        let (character, after) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
        steps.extend(character.bytes().map(Step::Byte));
        rest = after;
    }
    let is_optional = |step: &Step| !step.is_one_byte() && !matches!(step, Step::Star | Step::Deep);
    !steps.windows(MAX_OPTIONAL + 1).any(|run| run.iter().all(is_optional))
}

/// Adds a step, or makes one of it and the last one where they match no more than one does.
fn push_step(steps: &mut Vec<Step>, step: Step) {
    match (steps.last_mut(), step) {
        (Some(Step::Dirs), Step::Dirs)
        | (Some(Step::Beneath), Step::Beneath)
        | (Some(Step::Star), Step::Star) => {}
        (Some(last @ Step::SomeDirs), Step::Dirs) => *last = Step::Dirs,
        _ => steps.push(step),
    }
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
