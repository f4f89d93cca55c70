//! Exclude rules: the paths of a tree that a backup leaves out.

mod affixes;
mod automaton;
mod excludes;
pub(crate) mod file;
mod git;
mod glob;
mod go_regexp;
mod limits;
mod lines;
mod literals;
mod rule;
mod token;
mod wings;

pub use excludes::{Excludes, Rules};
pub(crate) use limits::MAX_TEXT;
pub use lines::PatternMatch;
