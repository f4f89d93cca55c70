//! A list of exclude patterns, under either set of rules.

use super::{
    git,
    limits::{Excess, MAX_TEXT, MAX_WARNINGS},
    lines::{Lines, PatternMatch},
    rule::{Line, Verdict},
    wings,
};
use crate::{
    error::{Error, ErrorKind, Result},
    warning::{PatternOrigin, PatternWarning},
};

/// The language of the patterns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// `.gitignore`. Answers as `git check-ignore` does.
    #[default]
    Git,
    /// `.pteroignore`. Answers as Wings does (the Go package `sabhiram/go-gitignore`): each pattern is
    /// rewritten into a regular expression, and each path is decided without its parent directories.
    Wings,
}

impl Rules {
    /// Returns a word for programs: `git` or `wings`.
    pub fn code(self) -> &'static str {
        match self {
            Rules::Git => "git",
            Rules::Wings => "wings",
        }
    }
}

/// An ordered list of exclude patterns. The last pattern that matches a path decides.
///
/// The time to match a path is proportional to its length and to the length of the patterns. Matching
/// takes a few KiB of memory. The size of a list is limited: see [`add`](Self::add).
#[derive(Clone, Debug)]
pub struct Excludes {
    patterns: Patterns,
    lines: Lines,
    warnings: Vec<PatternWarning>,
    more_warnings: u64,
}

#[derive(Clone, Debug)]
enum Patterns {
    Git(Box<git::Patterns>),
    Wings(Box<wings::Patterns>),
}

impl Default for Excludes {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Excludes {
    /// Returns an empty list, which excludes nothing.
    pub fn new(rules: Rules) -> Self {
        let patterns = match rules {
            Rules::Git => Patterns::Git(git::Patterns::new().into()),
            Rules::Wings => Patterns::Wings(wings::Patterns::new().into()),
        };
        Self { patterns, lines: Lines::default(), warnings: Vec::new(), more_warnings: 0 }
    }

    /// Appends the patterns of `text`, one per line. They override all patterns that were added before.
    ///
    /// An invalid pattern matches nothing and adds a [warning](Self::warnings). A line over 16 KiB is
    /// invalid.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the list would exceed its limits; it is not changed then. In total,
    /// a list may have
    ///
    /// - 1056 KiB of text,
    /// - under [`Rules::Git`] 64 KiB of patterns with several stars, and 65,536 bracket expressions.
    ///   All other patterns are limited by the text only,
    /// - under [`Rules::Wings`] 64 KiB of patterns, each with about 8 bytes added to it, and regular
    ///   expressions that take 512 KiB once they are compiled. Those are the patterns that have any
    ///   of `\|()[]{}^$+`. One that takes over 256 KiB is invalid.
    pub fn add(&mut self, origin: PatternOrigin, text: &[u8]) -> Result<()> {
        let refused = |excess: Excess| {
            Error::new(ErrorKind::InvalidInput, "use the patterns").caused_by(excess.to_string())
        };
        if self.lines.len() + text.len() > MAX_TEXT {
            return Err(refused(Excess::Text));
        }
        let mut list = self.clone();
        let text = match list.patterns {
            Patterns::Git(_) => text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text),
            Patterns::Wings(_) => text,
        };
        let first = list.lines.add(origin.clone(), text);
        let is_repeated = repeated_lines(text);
        for (index, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
            let (number, is_repeated) = (first + index as u32, is_repeated[index]);
            let line = match &mut list.patterns {
                Patterns::Git(patterns) => patterns.push(bytes, number, is_repeated),
                Patterns::Wings(patterns) => patterns.push(bytes, number, is_repeated),
            };
            if let Line::Pattern(Some(problem)) = line {
                list.warn(PatternWarning {
                    origin: origin.clone(),
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

    /// Returns the first 100 warnings about patterns, in the order in which the patterns were added.
    pub fn warnings(&self) -> &[PatternWarning] {
        &self.warnings
    }

    /// Returns the number of warnings that [`warnings`](Self::warnings) does not contain.
    pub fn more_warnings(&self) -> u64 {
        self.more_warnings
    }

    /// Returns whether the list has no pattern, so that it excludes no path.
    pub fn is_empty(&self) -> bool {
        match &self.patterns {
            Patterns::Git(patterns) => patterns.is_empty(),
            Patterns::Wings(patterns) => patterns.is_empty(),
        }
    }

    /// Returns whether the patterns exclude `path`. It is relative to the root, and neither begins nor
    /// ends with a slash.
    ///
    /// The answer is for `path` alone. The caller asks from the top down, and does not ask about entries
    /// beneath an excluded directory unless [`must_enter`](Self::must_enter) returns true for it.
    pub fn is_excluded(&self, path: &[u8], is_dir: bool) -> bool {
        self.last(path, is_dir).is_some_and(Verdict::excludes)
    }

    /// Returns the pattern that decides about `path`: the last one that matches it. `None` if none does.
    ///
    /// As for [`is_excluded`](Self::is_excluded), the answer is for `path` alone, and the caller asks from the
    /// top down.
    ///
    /// ```
    /// use wingback::{Excludes, PatternOrigin, Rules};
    ///
    /// let mut excludes = Excludes::new(Rules::Git);
    /// excludes.add(PatternOrigin::IgnoreFile, b"# logs\n*.log\n!latest.log")?;
    /// let found = excludes.last_match(b"logs/latest.log", false).expect("a pattern matches");
    /// assert_eq!((found.line, &*found.pattern, found.is_negated), (3, &b"!latest.log"[..], true));
    /// assert_eq!(excludes.last_match(b"server.jar", false), None);
    /// # Ok::<(), wingback::Error>(())
    /// ```
    pub fn last_match(&self, path: &[u8], is_dir: bool) -> Option<PatternMatch> {
        self.last(path, is_dir).map(|verdict| self.lines.get(verdict))
    }

    fn last(&self, path: &[u8], is_dir: bool) -> Option<Verdict> {
        match &self.patterns {
            Patterns::Git(patterns) => patterns.last(path, is_dir),
            Patterns::Wings(patterns) => patterns.last(path),
        }
    }

    /// Returns whether the patterns exclude `path` or a directory that contains it.
    pub(crate) fn covers(&self, path: &[u8], is_dir: bool) -> bool {
        match &self.patterns {
            Patterns::Git(patterns) => patterns.covers(path, is_dir),
            // The answer for a path does not depend on its parent directories.
            Patterns::Wings(patterns) => patterns.last(path).is_some_and(Verdict::excludes),
        }
    }

    /// Returns whether the excluded directory `dir` must be entered nevertheless, since the patterns may
    /// include entries beneath it.
    ///
    /// Always false under [`Rules::Git`]. Under [`Rules::Wings`] it is true unless a plain pattern, with
    /// no `!` pattern after it, covers the whole directory. One difference from Wings remains: its
    /// patterns never match across a line feed, so it would include a name with a line feed in such
    /// a directory. That name is not looked for here.
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

/// Returns, for each line of `text`, whether a later line is equal to it. Then it decides nothing.
fn repeated_lines(text: &[u8]) -> Vec<bool> {
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
