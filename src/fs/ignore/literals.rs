//! Patterns without wildcards: a sorted table, searched in logarithmic time.

use super::step::Verdict;

/// Names or paths, each with the last pattern that is exactly that.
#[derive(Clone, Debug, Default)]
pub(super) struct Literals {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    start: u32,
    len: u32,
    on_file: Option<Verdict>,
    on_dir: Option<Verdict>,
}

impl Entry {
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

impl Literals {
    /// Adds one; [`sort`](Self::sort) has to follow before a search.
    pub(super) fn push(&mut self, literal: impl Iterator<Item = u8>, on: (bool, Verdict)) {
        let (dirs_only, verdict) = on;
        let start = self.bytes.len();
        self.bytes.extend(literal);
        self.entries.push(Entry {
            start: start as u32,
            len: (self.bytes.len() - start) as u32,
            on_file: (!dirs_only).then_some(verdict),
            on_dir: Some(verdict),
        });
    }

    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.entries.sort_unstable_by(|a, b| a.of(bytes).cmp(b.of(bytes)));
        self.entries.dedup_by(|gone, kept| {
            let is_same = gone.of(bytes) == kept.of(bytes);
            if is_same {
                kept.on_file = kept.on_file.max(gone.on_file);
                kept.on_dir = kept.on_dir.max(gone.on_dir);
            }
            is_same
        });
    }

    /// The last pattern that is exactly `key`.
    pub(super) fn last(&self, key: &[u8], is_dir: bool) -> Option<Verdict> {
        let found = self.entries.binary_search_by(|entry| entry.of(&self.bytes).cmp(key));
        let entry = &self.entries[found.ok()?];
        if is_dir { entry.on_dir } else { entry.on_file }
    }
}
