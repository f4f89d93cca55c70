//! The pattern language of `.gitignore`.

use super::automaton::{Automaton, Run, Space};
use super::ends::Ends;
use super::glob::{self, Stars};
use super::literals::Literals;
use super::step::{Sets, Step, Verdict};
use super::{Excess, LONGEST_PATH, LONGEST_PATTERN, Line, MAX_POSITIONS, MAX_SETS, PatternProblem};

/// A list of patterns, each kept where it costs least to match.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    count: u32,
    sets: Sets,
    names: Kept,
    paths: Kept,
    /// Reused from line to line.
    steps: Vec<Step>,
}

/// The patterns for the last name of a path, or those for a whole path.
#[derive(Clone, Debug)]
struct Kept {
    literals: Literals,
    ends: Ends,
    automaton: Automaton,
}

/// What is matched: a path, and its last name.
#[derive(Clone, Copy)]
struct Subject<'a> {
    path: &'a [u8],
    name: &'a [u8],
    slashes: usize,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let kept = || Kept {
            literals: Literals::default(),
            ends: Ends::default(),
            automaton: Automaton::new(false),
        };
        Patterns {
            count: 0,
            sets: Sets::default(),
            names: kept(),
            paths: kept(),
            steps: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads one line, given without its line feed. A line that `is_repeated` further down decides
    /// nothing; only what is odd about it is of interest.
    pub(super) fn push(&mut self, line: &[u8], is_repeated: bool) -> Line {
        let line = content(line);
        if line.is_empty() || line.starts_with(b"#") {
            return Line::Buffer;
        }
        let (negated, rest) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (dirs_only, glob) = match rest.strip_suffix(b"/") {
            Some(glob) => (true, glob),
            None => (false, rest),
        };
        let verdict = Verdict::new(self.count, negated);
        self.count += 1;
        self.steps.clear();
        let sets = self.sets.len();
        let read = read(glob, &mut self.steps, &mut self.sets);
        match read {
            Ok(stars) if !is_repeated => self.keep(stars, (dirs_only, verdict)),
            _ => self.sets.truncate(sets),
        }
        match read {
            Ok(_) => Line::Pattern(oddity(glob)),
            Err(problem) => Line::Pattern(Some(problem)),
        }
    }

    /// Makes ready what was pushed, unless it is more than a list may have.
    pub(super) fn prepare(&mut self) -> Result<(), Excess> {
        if self.names.automaton.positions() + self.paths.automaton.positions() > MAX_POSITIONS {
            return Err(Excess::Stars);
        }
        if self.sets.len() > MAX_SETS {
            return Err(Excess::Sets);
        }
        for kept in [&mut self.names, &mut self.paths] {
            kept.literals.sort();
            kept.automaton.prepare(&self.sets);
        }
        Ok(())
    }

    pub(super) fn excluded(&self, path: &[u8], is_dir: bool) -> bool {
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let slashes = path[..name].iter().filter(|&&byte| byte == b'/').count();
        let found = self.paths.automaton.last(path, is_dir);
        self.judge(Subject { path, name: &path[name..], slashes }, is_dir, found)
    }

    /// Whether `path` or a directory that it lies in is excluded. The path is read once for all of
    /// them.
    pub(super) fn covers(&self, path: &[u8], is_dir: bool) -> bool {
        let mut space = Space::default();
        let mut run = self.paths.automaton.start(&mut space);
        let (mut name, mut slashes) = (0, 0);
        let judge = |end: usize, name: usize, slashes, is_dir, run: &Run<'_>| {
            let subject = Subject { path: &path[..end], name: &path[name..end], slashes };
            self.judge(subject, is_dir, run.last(is_dir))
        };
        for (at, &byte) in path.iter().enumerate() {
            if byte == b'/' {
                if judge(at, name, slashes, true, &run) {
                    return true;
                }
                slashes += 1;
                name = at + 1;
            }
            run.step(byte);
        }
        judge(path.len(), name, slashes, is_dir, &run)
    }

    /// Whether the last pattern that matches excludes; `found` is the last one of the automaton for
    /// paths.
    fn judge(&self, subject: Subject<'_>, is_dir: bool, found: Option<Verdict>) -> bool {
        let Subject { path, name, slashes } = subject;
        let found = found.max(self.names.automaton.last(name, is_dir));
        let found = found.max(self.names.literals.last(name, is_dir));
        let found = found.max(self.paths.literals.last(path, is_dir));
        let found = self.names.ends.last(name, 0, is_dir, &self.sets, found);
        let found = self.paths.ends.last(path, slashes, is_dir, &self.sets, found);
        found.is_some_and(|verdict| !verdict.is_negated())
    }

    /// Keeps the pattern whose steps were read last.
    fn keep(&mut self, stars: Stars, on: (bool, Verdict)) {
        let mut steps = &self.steps[..];
        let mut kept = match stars {
            Stars::WithinName => &mut self.names,
            Stars::AcrossNames => &mut self.paths,
        };
        // `**/name` is `name`.
        if let [Step::Dirs, name @ ..] = steps
            && !name.iter().any(|s| matches!(s, Step::Byte(b'/') | Step::Dirs | Step::Deep))
        {
            steps = name;
            kept = &mut self.names;
        }
        let literal = |step: &Step| match step {
            Step::Byte(byte) => Some(*byte),
            _ => None,
        };
        if steps.iter().all(|step| literal(step).is_some()) {
            kept.literals.push(steps.iter().filter_map(literal), on);
        } else if Ends::can_hold(steps) {
            kept.ends.push(steps, on);
        } else {
            kept.automaton.push(steps, on);
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

/// Reads a pattern less its `!` and its trailing slash. Returns what it is for.
fn read(glob: &[u8], steps: &mut Vec<Step>, sets: &mut Sets) -> Result<Stars, PatternProblem> {
    if glob.is_empty() {
        return Err(PatternProblem::Empty);
    }
    if glob.len() > LONGEST_PATTERN {
        return Err(PatternProblem::TooLarge);
    }
    let stars = if glob.contains(&b'/') { Stars::AcrossNames } else { Stars::WithinName };
    let glob = match stars {
        Stars::AcrossNames => glob.strip_prefix(b"/").unwrap_or(glob),
        Stars::WithinName => glob,
    };
    glob::read(glob, stars, steps, sets)?;
    if steps.iter().filter(|step| step.is_one_byte()).count() > LONGEST_PATH {
        return Err(PatternProblem::TooLarge);
    }
    Ok(stars)
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
