//! An upper bound for the size of an index in the archive.

use super::{
    blob::{RAW_MAX, members_max},
    footer::FOOTER_LEN,
    node::CHILD_MAX,
    page::{ENTRY_MAX, HEADER_MAX, PATH_MAX, RAW_TARGET, TEXT_MAX},
    root::Root,
    segment::RECORD_MAX,
};
use crate::format::{gzip::TRAILER_LEN, info::Info};

/// Children of a node, at least, unless it is the last of its level.
const CHILDREN_MIN: u64 = 8;

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

    /// Adds an entry whose path and target have this many bytes.
    pub(crate) fn add_entry(&mut self, text: usize) {
        self.raw += (ENTRY_MAX + text) as u64;
        self.text += text as u64;
    }

    /// Returns the maximum bytes that follow the last segment of an archive with this identity.
    pub(crate) fn finish(self, info: &Info) -> u64 {
        let root = Root { info: info.clone(), ..Root::default() }.encode().len() as u64;
        let excludes = info.excludes.len() as u64;
        let pages = self.raw / RAW_TARGET as u64 + self.text / (TEXT_MAX - 2 * PATH_MAX) as u64 + 1;
        let page_overhead = (HEADER_MAX + RECORD_MAX) as u64;
        // Each page has a record with a path in the node above it. All levels above that are smaller.
        let children = 2 * (pages * CHILD_MAX as u64 + self.text.min(pages * PATH_MAX as u64));
        let nodes = pages / CHILDREN_MIN + 1;
        let blobs = pages + nodes + excludes.div_ceil(RAW_MAX as u64) + 1;
        let raw = self.raw + pages * page_overhead + children + nodes * HEADER_MAX as u64;
        let raw = raw + root + excludes;
        // Deflate stores bytes in blocks, and a member has 26 bytes beside each 8192.
        let packed = raw + raw / 1000 + blobs * members_max(0) as u64;
        (TRAILER_LEN + FOOTER_LEN) as u64 + packed + packed / 256
    }
}
