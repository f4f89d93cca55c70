//! The lines of a list of patterns, which tell users the pattern that has decided.

use super::rule::Verdict;
use crate::warning::PatternOrigin;

/// The pattern that decides about a path: the last one in the list that matches it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatternMatch {
    /// Text that has the pattern.
    pub origin: PatternOrigin,
    /// Number of its line in that text, counted from 1.
    pub line: usize,
    /// The line as it was given, without its line end.
    pub pattern: Vec<u8>,
    /// Whether the pattern begins with `!`, so that it includes the path.
    pub is_negated: bool,
}

/// The lines of all texts in a list. They are numbered from 0, through all texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Starts of the lines.
    starts: Vec<u32>,
    texts: Vec<Text>,
}

#[derive(Clone, Debug)]
struct Text {
    origin: PatternOrigin,
    /// Number of its first line.
    first: u32,
}

impl Lines {
    /// Adds a text, and returns the number of its first line.
    pub(super) fn add(&mut self, origin: PatternOrigin, text: &[u8]) -> u32 {
        let first = self.starts.len() as u32;
        self.texts.push(Text { origin, first });
        let mut start = self.bytes.len() as u32;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            self.starts.push(start);
            start += line.len() as u32;
        }
        self.bytes.extend_from_slice(text);
        first
    }

    /// Returns the bytes of all texts.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the pattern in the line of a verdict.
    pub(super) fn get(&self, verdict: Verdict) -> PatternMatch {
        let number = verdict.number();
        let Text { origin, first } =
            &self.texts[self.texts.partition_point(|t| t.first <= number) - 1];
        let line = number as usize;
        let end = self.starts.get(line + 1).map_or(self.bytes.len(), |&end| end as usize);
        let bytes = &self.bytes[self.starts[line] as usize..end];
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        PatternMatch {
            origin: origin.clone(),
            line: (number - first) as usize + 1,
            pattern: bytes.strip_suffix(b"\r").unwrap_or(bytes).to_vec(),
            is_negated: !verdict.excludes(),
        }
    }
}
