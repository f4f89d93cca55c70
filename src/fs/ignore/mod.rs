//! Exclude rules: which paths of a tree stay out of a backup.

mod automaton;
mod ends;
pub(crate) mod file;
mod git;
mod glob;
mod go_regexp;
mod literals;
mod step;
mod wings;

use std::fmt;

use crate::{
    error::{Error, ErrorKind, Result},
    warning::{PatternOrigin, PatternProblem, PatternWarning},
};

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
///
/// To match a path takes time in proportion to its length and to the length of the patterns, and no
/// memory but a few KiB. What a list may have is limited: see [`add`](Self::add).
#[derive(Clone, Debug)]
pub struct Excludes {
    patterns: Patterns,
    text: usize,
    warnings: Vec<PatternWarning>,
    more_warnings: u64,
}

#[derive(Clone, Debug)]
enum Patterns {
    Git(Box<git::Patterns>),
    Wings(Box<wings::Patterns>),
}

/// The most bytes of text in one list: 1 MiB of the caller's, and the largest ignore file.
const MAX_TEXT: usize = (1 << 20) + (32 << 10);

/// The most positions of patterns that are matched side by side. A byte of a path costs a 64th of
/// them, and their tables take 33 bytes for each. No ignore file can have more than half of them.
const MAX_POSITIONS: usize = 64 << 10;

/// The most bracket expressions in one list.
const MAX_SETS: usize = 1 << 16;

/// The most memory that the compiled regular expressions of one list may take.
const MAX_COMPILED: usize = 512 << 10;

/// A line that is longer is not read.
const LONGEST_PATTERN: usize = 16 << 10;

/// No path has more bytes (Linux' `PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// The most warnings that are kept.
const MAX_WARNINGS: usize = 100;

/// What a line is.
enum Line {
    Buffer,
    /// A pattern, and what is odd about it.
    Pattern(Option<PatternProblem>),
}

/// What a list has too much of.
enum Excess {
    Text,
    Stars,
    Sets,
    Patterns,
    Expressions,
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
            Rules::Git => Patterns::Git(git::Patterns::new().into()),
            Rules::Wings => Patterns::Wings(wings::Patterns::new().into()),
        };
        Self { patterns, text: 0, warnings: Vec::new(), more_warnings: 0 }
    }

    /// Appends the patterns of `text`, one a line. They win over all added before.
    ///
    /// A pattern that cannot mean anything matches nothing, and [`warnings`](Self::warnings) tells of
    /// it. A line over 16 KiB is such a pattern.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the list would have more than its limits, and it stays as it
    /// was. In all, a list may have
    ///
    /// - 1056 KiB of text,
    /// - under [`Rules::Git`] 64 KiB of patterns with several stars, and 65,536 bracket expressions.
    ///   All other patterns are limited by the text only,
    /// - under [`Rules::Wings`] 64 KiB of patterns, with 8 bytes or so added to each, and regular
    ///   expressions that take 512 KiB once they are compiled. Those are the patterns that have any
    ///   of `\|()[]{}^$+`. One that takes over 256 KiB is a pattern that cannot mean anything.
    pub fn add(&mut self, origin: PatternOrigin, text: &[u8]) -> Result<()> {
        let refused = |excess: Excess| {
            Error::new(ErrorKind::InvalidInput, "use the patterns").caused_by(excess.to_string())
        };
        if self.text + text.len() > MAX_TEXT {
            return Err(refused(Excess::Text));
        }
        let mut list = self.clone();
        list.text += text.len();
        let text = match list.patterns {
            Patterns::Git(_) => text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text),
            Patterns::Wings(_) => text,
        };
        let is_repeated = repeated(text);
        for (index, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = match &mut list.patterns {
                Patterns::Git(patterns) => patterns.push(bytes, is_repeated[index]),
                Patterns::Wings(patterns) => patterns.push(bytes, is_repeated[index]),
            };
            if let Line::Pattern(Some(problem)) = line {
                list.warn(PatternWarning {
                    origin,
                    line: index + 1,
                    pattern: bytes.to_vec(),
                    problem,
                });
            }
        }
        match &mut list.patterns {
            Patterns::Git(patterns) => patterns.prepare().map_err(refused)?,
            Patterns::Wings(patterns) => patterns.prepare().map_err(refused)?,
        }
        *self = list;
        Ok(())
    }

    /// What looked odd in the patterns, in the order they were added: the first 100 cases.
    pub fn warnings(&self) -> &[PatternWarning] {
        &self.warnings
    }

    /// How many odd patterns there are beside those that [`warnings`](Self::warnings) has.
    pub fn more_warnings(&self) -> u64 {
        self.more_warnings
    }

    /// Whether there is no pattern at all, so that no path can be excluded.
    pub fn is_empty(&self) -> bool {
        match &self.patterns {
            Patterns::Git(patterns) => patterns.is_empty(),
            Patterns::Wings(patterns) => patterns.is_empty(),
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
            Patterns::Git(patterns) => patterns.excluded(path, is_dir),
            Patterns::Wings(patterns) => patterns.excluded(path),
        }
    }

    /// Whether the patterns exclude `path` or a directory that it lies in.
    pub(crate) fn covers(&self, path: &[u8], is_dir: bool) -> bool {
        match &self.patterns {
            Patterns::Git(patterns) => patterns.covers(path, is_dir),
            // Every path is judged by itself alone.
            Patterns::Wings(patterns) => patterns.excluded(path),
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
            Patterns::Wings(patterns) => patterns.must_enter(dir),
        }
    }

    fn warn(&mut self, warning: PatternWarning) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more_warnings += 1;
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Excess::Text => "they are over 1 MiB",
            Excess::Stars => "those with several stars are over 64 KiB in total",
            Excess::Sets => "they have over 65,536 bracket expressions",
            Excess::Patterns => "they are over 64 KiB in total",
            Excess::Expressions => "the regular expressions among them are too large in total",
        })
    }
}

/// For each line of `text`, whether the same line stands further down. Then it decides nothing.
fn repeated(text: &[u8]) -> Vec<bool> {
    let mut start = 0;
    let lines = text.split(|&byte| byte == b'\n').enumerate().map(|(number, line)| {
        let from = start;
        start += line.len() + 1;
        (from as u32, number as u32)
    });
    let mut lines: Vec<_> = lines.collect();
    let line = |(from, _): &(u32, u32)| text[*from as usize..].split(|&byte| byte == b'\n').next();
    lines.sort_unstable_by(|a, b| line(a).cmp(&line(b)).then(a.cmp(b)));
    let mut is_repeated = vec![false; lines.len()];
    for pair in lines.windows(2) {
        is_repeated[pair[0].1 as usize] = line(&pair[0]) == line(&pair[1]);
    }
    is_repeated
}
