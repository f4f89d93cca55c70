//! The pattern language of `.gitignore`.

use super::affixes::Affixes;
use super::automaton::{Automaton, Run, StateBuffer};
use super::glob::{self, Scope};
use super::limits::{Excess, MAX_PATH, MAX_PATTERN, MAX_POSITIONS, MAX_SETS};
use super::literals::Literals;
use super::rule::{Line, Rule, Verdict};
use super::token::{Sets, Token};
use crate::warning::PatternProblem;

/// A list of patterns. Each pattern is kept in the structure that matches it fastest.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    is_empty: bool,
    sets: Sets,
    /// Patterns for the last name of a path.
    for_names: Matchers,
    /// Patterns for a whole path.
    for_paths: Matchers,
    /// The tokens of the line that is being read.
    tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
struct Matchers {
    literals: Literals,
    affixes: Affixes,
    automaton: Automaton,
}

/// The path that is matched, and its last name.
#[derive(Clone, Copy)]
struct Subject<'a> {
    path: &'a [u8],
    name: &'a [u8],
    slashes: usize,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let matchers = || Matchers {
            literals: Literals::default(),
            affixes: Affixes::default(),
            automaton: Automaton::new(false),
        };
        Patterns {
            is_empty: true,
            sets: Sets::default(),
            for_names: matchers(),
            for_paths: matchers(),
            tokens: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Reads line `number`, without its line feed. If a later line is equal (`is_repeated`), the pattern is
    /// not kept, since it decides nothing; it is only checked for problems.
    pub(super) fn push(&mut self, line: &[u8], number: u32, is_repeated: bool) -> Line {
        let line = content(line);
        if line.is_empty() || line.starts_with(b"#") {
            return Line::Blank;
        }
        let (negated, rest) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (dirs_only, glob) = match rest.strip_suffix(b"/") {
            Some(glob) => (true, glob),
            None => (false, rest),
        };
        let verdict = Verdict::new(number, negated);
        self.is_empty = false;
        self.tokens.clear();
        let sets = self.sets.len();
        let read = read(glob, &mut self.tokens, &mut self.sets);
        match read {
            Ok(scope) if !is_repeated => self.insert(scope, Rule { verdict, dirs_only }),
            _ => self.sets.truncate(sets),
        }
        match read {
            Ok(_) => Line::Pattern(suspicion(glob)),
            Err(problem) => Line::Pattern(Some(problem)),
        }
    }

    /// Prepares the patterns for matching, or returns the limit that they exceed.
    pub(super) fn prepare(&mut self) -> Result<(), Excess> {
        let positions = self.for_names.automaton.positions() + self.for_paths.automaton.positions();
        if positions > MAX_POSITIONS {
            return Err(Excess::Stars);
        }
        if self.sets.len() > MAX_SETS {
            return Err(Excess::Sets);
        }
        for matchers in [&mut self.for_names, &mut self.for_paths] {
            matchers.literals.prepare();
            matchers.automaton.prepare(&self.sets);
        }
        Ok(())
    }

    /// Returns the last pattern that matches `path`.
    pub(super) fn last(&self, path: &[u8], is_dir: bool) -> Option<Verdict> {
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let slashes = path[..name].iter().filter(|&&byte| byte == b'/').count();
        let found = self.for_paths.automaton.last(path, is_dir);
        self.last_of(Subject { path, name: &path[name..], slashes }, is_dir, found)
    }

    /// Returns whether `path` or a directory that contains it is excluded. The automaton reads the path
    /// once for all of them.
    pub(super) fn covers(&self, path: &[u8], is_dir: bool) -> bool {
        let mut buffer = StateBuffer::default();
        let mut run = self.for_paths.automaton.start(&mut buffer);
        let (mut name, mut slashes) = (0, 0);
        let is_excluded = |end: usize, name: usize, slashes, is_dir, run: &Run<'_>| {
            let subject = Subject { path: &path[..end], name: &path[name..end], slashes };
            self.last_of(subject, is_dir, run.last(is_dir)).is_some_and(Verdict::excludes)
        };
        for (at, &byte) in path.iter().enumerate() {
            if byte == b'/' {
                if is_excluded(at, name, slashes, true, &run) {
                    return true;
                }
                slashes += 1;
                name = at + 1;
            }
            run.advance(byte);
        }
        is_excluded(path.len(), name, slashes, is_dir, &run)
    }

    /// Returns the last pattern that matches the subject. `found` is the last pattern that the automaton for
    /// paths has matched.
    fn last_of(
        &self,
        subject: Subject<'_>,
        is_dir: bool,
        found: Option<Verdict>,
    ) -> Option<Verdict> {
        let Subject { path, name, slashes } = subject;
        let found = found.max(self.for_names.automaton.last(name, is_dir));
        let found = found.max(self.for_names.literals.last(name, is_dir));
        let found = found.max(self.for_paths.literals.last(path, is_dir));
        let found = self.for_names.affixes.last(name, 0, is_dir, &self.sets, found);
        self.for_paths.affixes.last(path, slashes, is_dir, &self.sets, found)
    }

    /// Inserts the pattern whose tokens were read last.
    fn insert(&mut self, scope: Scope, rule: Rule) {
        let mut tokens = &self.tokens[..];
        let mut matchers = match scope {
            Scope::Name => &mut self.for_names,
            Scope::Path => &mut self.for_paths,
        };
        // `**/name` means the same as `name`.
        if let [Token::Dirs, name @ ..] = tokens
            && !name.iter().any(|t| matches!(t, Token::Byte(b'/') | Token::Dirs | Token::Deep))
        {
            tokens = name;
            matchers = &mut self.for_names;
        }
        let literal = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        if tokens.iter().all(|token| literal(token).is_some()) {
            matchers.literals.push(tokens.iter().filter_map(literal), rule);
        } else if Affixes::can_hold(tokens) {
            matchers.affixes.push(tokens, rule);
        } else {
            matchers.automaton.push(tokens, rule);
        }
    }
}

/// Returns the line as git stores it: a C string, without a carriage return or unescaped spaces at its
/// end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.split(|&byte| byte == 0).next().unwrap_or(line);
    let mut kept = 0;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b' ' => {}
            // After a single backslash at the end, git does not remove the spaces before it.
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

/// Reads a pattern, without its `!` and its trailing slash. Returns its scope.
fn read(glob: &[u8], tokens: &mut Vec<Token>, sets: &mut Sets) -> Result<Scope, PatternProblem> {
    if glob.is_empty() {
        return Err(PatternProblem::Empty);
    }
    if glob.len() > MAX_PATTERN {
        return Err(PatternProblem::TooLarge);
    }
    let scope = if glob.contains(&b'/') { Scope::Path } else { Scope::Name };
    let glob = match scope {
        Scope::Path => glob.strip_prefix(b"/").unwrap_or(glob),
        Scope::Name => glob,
    };
    glob::read(glob, scope, tokens, sets)?;
    if tokens.iter().filter(|token| token.is_one_byte()).count() > MAX_PATH {
        return Err(PatternProblem::TooLarge);
    }
    Ok(scope)
}

/// Returns why a valid pattern is suspicious.
fn suspicion(glob: &[u8]) -> Option<PatternProblem> {
    let mut bytes = glob.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next().is_some_and(u8::is_ascii_alphanumeric) {
            return Some(PatternProblem::BackslashInName);
        }
    }
    glob::has_stars_after_name(glob).then_some(PatternProblem::StarsAfterName)
}
