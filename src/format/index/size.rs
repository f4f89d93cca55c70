//! An upper bound for the size of an index in the archive.

use super::{
    blob::members_max, footer::FOOTER_LEN, node::CHILD_MAX, page::ENTRY_MAX, segment::RECORD_MAX,
};
use crate::{format::gzip::TRAILER_LEN, format::info::EXCLUDES_MAX};

/// Raw bytes of a page, at least, if another page follows it. A page with long paths ends early.
const PAGE_MIN: u64 = 16 << 10;

/// Adds up the largest possible sizes of the parts of an index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexBound {
    raw: u64,
    text: u64,
}

impl IndexBound {
    pub(crate) fn add_segments(&mut self, segments: u64) {
        self.raw += segments * RECORD_MAX as u64;
    }

    /// Adds an entry whose path and target have so many bytes.
    pub(crate) fn add_entry(&mut self, text: usize) {
        self.raw += (ENTRY_MAX + text) as u64;
        self.text += text as u64;
    }

    /// Returns the maximum bytes that follow the last segment.
    pub(crate) fn finish(self) -> u64 {
        let pages = self.raw / PAGE_MIN + self.text / (512 << 10) + 2;
        // Each page has a record in a node, with a path that is at most as long as one in the page. The nodes
        // above them are a small part of that.
        let nodes = 2 * (pages * CHILD_MAX as u64 + self.text.min(pages * 8192));
        let raw = self.raw + nodes + pages * (64 + RECORD_MAX as u64) + EXCLUDES_MAX as u64;
        let blobs = 2 * pages + 64;
        let packed = raw + raw / 1000 + blobs * (members_max(0) as u64 + 64);
        // A member has 26 bytes beside each 8192.
        (TRAILER_LEN + FOOTER_LEN) as u64 + packed + packed / 256 + (64 << 10)
    }
}
