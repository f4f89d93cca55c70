//! Results of reading a line, and of matching a pattern.

use std::num::NonZeroU32;

use crate::warning::PatternProblem;

/// A line after it was read.
pub(super) enum Line {
    /// An empty line or a comment.
    Blank,
    /// A pattern, and a reason for a warning about it.
    Pattern(Option<PatternProblem>),
}

/// The effect of a pattern where it matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) verdict: Verdict,
    /// The pattern matches directories only.
    pub(super) dirs_only: bool,
}

/// The number of the line that decides, and whether its pattern excludes or includes. A later line is
/// greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Verdict(NonZeroU32);

impl Verdict {
    /// Returns the verdict of the pattern in a line. `number` counts from 0; `negated` patterns include.
    pub(super) fn new(number: u32, negated: bool) -> Self {
        Verdict(NonZeroU32::MIN.saturating_add(number * 2 + u32::from(negated)))
    }

    /// Returns the number of the line.
    pub(super) fn number(self) -> u32 {
        (self.0.get() - 1) / 2
    }

    pub(super) fn excludes(self) -> bool {
        !self.0.get().is_multiple_of(2)
    }
}
