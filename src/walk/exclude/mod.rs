//! Exclude rules: which paths of a tree stay out of a backup.

mod git;
mod glob;
mod go_regexp;
mod wings;

use crate::warning::{PatternOrigin, PatternProblem, PatternWarning};

/// Which language the patterns are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// `.gitignore`, answering as `git check-ignore` does.
    #[default]
    Git,
    /// `.pteroignore`, answering as Wings does (the Go package
    /// `sabhiram/go-gitignore`): each pattern is a regular expression in light
    /// disguise, and every path is judged by itself alone.
    Wings,
}

/// An ordered list of exclude patterns; the last one that matches a path decides.
#[derive(Clone, Debug)]
pub struct Excludes {
    patterns: Patterns,
    warnings: Vec<PatternWarning>,
}

#[derive(Clone, Debug)]
enum Patterns {
    Git(Vec<git::Pattern>),
    Wings(Vec<wings::Pattern>),
}

/// The most memory one compiled pattern may take. It bounds what a hostile
/// pattern can cost per byte of a path, as matching is linear in both.
const COMPILED_LIMIT: usize = 256 << 10;

/// No path is as long as this, and reading a pattern that is takes memory.
const LONGEST_PATTERN: usize = 16 << 10;

/// What became of one line: nothing for a blank or a comment.
struct Line<P> {
    pattern: Option<P>,
    problem: Option<PatternProblem>,
}

impl<P> Line<P> {
    const BLANK: Self = Self { pattern: None, problem: None };
}

impl Default for Excludes {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Excludes {
    /// An empty list, which excludes nothing.
    pub fn new(rules: Rules) -> Self {
        let patterns = match rules {
            Rules::Git => Patterns::Git(Vec::new()),
            Rules::Wings => Patterns::Wings(Vec::new()),
        };
        Self { patterns, warnings: Vec::new() }
    }

    /// Appends the patterns of `text`, one a line. They win over all added before.
    ///
    /// No text is refused: a pattern that cannot mean anything matches nothing,
    /// and [`warnings`](Self::warnings) tells of it.
    pub fn add(&mut self, origin: PatternOrigin, text: &[u8]) {
        match &mut self.patterns {
            Patterns::Git(list) => {
                let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
                read(origin, text, git::parse, list, &mut self.warnings);
            }
            Patterns::Wings(list) => read(origin, text, wings::parse, list, &mut self.warnings),
        }
    }

    /// What looked odd in the patterns, in the order they were added.
    pub fn warnings(&self) -> &[PatternWarning] {
        &self.warnings
    }

    /// Whether there is no pattern at all, so that no path can be excluded.
    pub fn is_empty(&self) -> bool {
        match &self.patterns {
            Patterns::Git(list) => list.is_empty(),
            Patterns::Wings(list) => list.is_empty(),
        }
    }

    /// Whether the patterns exclude `path`, which is relative to the root, with
    /// no slash at either end.
    ///
    /// Only `path` itself is judged. The caller asks from the top down, and does
    /// not ask about what lies beneath an excluded directory unless
    /// [`must_enter`](Self::must_enter) says so.
    pub fn excluded(&self, path: &[u8], is_dir: bool) -> bool {
        match &self.patterns {
            Patterns::Git(list) => git::excluded(list, path, is_dir),
            Patterns::Wings(list) => wings::excluded(list, path),
        }
    }

    /// Whether the excluded directory `dir` must be entered all the same, since
    /// something beneath it may not be excluded.
    ///
    /// Never so under [`Rules::Git`]. Under [`Rules::Wings`] it is so unless a
    /// plain pattern, with no `!` pattern after it, covers the whole directory.
    /// That leaves one difference from Wings, whose patterns never match across
    /// a line feed: a name holding one is not looked for in such a directory.
    pub fn must_enter(&self, dir: &[u8]) -> bool {
        match &self.patterns {
            Patterns::Git(_) => false,
            Patterns::Wings(list) => wings::must_enter(list, dir),
        }
    }
}

fn read<P>(
    origin: PatternOrigin,
    text: &[u8],
    parse: fn(&[u8]) -> Line<P>,
    patterns: &mut Vec<P>,
    warnings: &mut Vec<PatternWarning>,
) {
    for (index, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = parse(bytes);
        patterns.extend(line.pattern);
        warnings.extend(line.problem.map(|problem| PatternWarning {
            origin,
            line: index + 1,
            pattern: bytes.to_vec(),
            problem,
        }));
    }
}
