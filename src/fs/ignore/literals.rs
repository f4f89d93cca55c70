//! Patterns without wildcards: a sorted table, searched in logarithmic time.

use super::rule::{Rule, Verdict};

/// Names or paths, each with the last pattern that is equal to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Literals {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    start: u32,
    len: u32,
    for_file: Option<Verdict>,
    for_dir: Option<Verdict>,
}

impl Entry {
    fn literal<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

impl Literals {
    /// Adds a pattern. Call [`prepare`](Self::prepare) before the next search.
    pub(super) fn push(&mut self, literal: impl Iterator<Item = u8>, rule: Rule) {
        let start = self.bytes.len();
        self.bytes.extend(literal);
        self.entries.push(Entry {
            start: start as u32,
            len: (self.bytes.len() - start) as u32,
            for_file: (!rule.dirs_only).then_some(rule.verdict),
            for_dir: Some(rule.verdict),
        });
    }

    /// Sorts the table and merges equal literals.
    pub(super) fn prepare(&mut self) {
        let bytes = &self.bytes;
        self.entries.sort_unstable_by(|a, b| a.literal(bytes).cmp(b.literal(bytes)));
        self.entries.dedup_by(|removed, kept| {
            let is_same = removed.literal(bytes) == kept.literal(bytes);
            if is_same {
                kept.for_file = kept.for_file.max(removed.for_file);
                kept.for_dir = kept.for_dir.max(removed.for_dir);
            }
            is_same
        });
    }

    /// Returns the last pattern that is equal to `key`.
    pub(super) fn last(&self, key: &[u8], is_dir: bool) -> Option<Verdict> {
        let found = self.entries.binary_search_by(|entry| entry.literal(&self.bytes).cmp(key));
        let entry = &self.entries[found.ok()?];
        if is_dir { entry.for_dir } else { entry.for_file }
    }
}
