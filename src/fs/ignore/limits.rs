//! Limits of a list of patterns: it may be written by the owner of a server, not the operator.

use std::fmt;

/// The most bytes of text in one list: 1 MiB of the caller's, and the largest ignore file.
pub(crate) const MAX_TEXT: usize = (1 << 20) + (32 << 10);

/// The most positions of patterns that one automaton matches. For each byte of a path, the work is
/// a 64th of the positions. Their tables take 33 bytes for each. No ignore file can have more than half
/// of these positions.
pub(super) const MAX_POSITIONS: usize = 64 << 10;

/// The most bracket expressions in one list.
pub(super) const MAX_SETS: usize = 1 << 16;

/// The most memory that the compiled regular expressions of one list may take.
pub(super) const MAX_COMPILED: usize = 512 << 10;

/// The longest pattern. A longer line is not read.
pub(super) const MAX_PATTERN: usize = 16 << 10;

/// The longest path that Linux accepts (`PATH_MAX`).
pub(super) const MAX_PATH: usize = 4096;

/// The most warnings that are kept.
pub(super) const MAX_WARNINGS: usize = 100;

/// The limit that a list exceeds.
pub(super) enum Excess {
    Text,
    Stars,
    Sets,
    Patterns,
    Expressions,
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
