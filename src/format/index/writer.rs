//! Writes the index while the archive is written.

use std::collections::VecDeque;

use super::{
    blob::{self, Packer},
    footer::{FOOTER_LEN, Footer},
    node::{self, Child, Node},
    page::{PATH_MAX, PageBuilder, Position},
    root::{BlobRef, Root, TOP_MAX},
    segment::{LocatedSegment, Segment},
};
use crate::{
    entry::Entry,
    error::{Error, ErrorKind, Result},
    format::gzip::{GZIP_HEADER, TRAILER_LEN},
    format::info::{EXCLUDES_MAX, Info},
    fs::spill::Spill,
};

/// An unfinished index.
///
/// A page is compressed as soon as it is full. About 32 bytes remain in memory for each segment of the file
/// that is being written, and about 100 for each page. The pages are in a [`Spill`].
pub(crate) struct IndexWriter {
    page: PageBuilder,
    packer: Packer,
    pages: Spill,
    children: Vec<Child>,
    /// Sort key of the last entry of the pages before.
    last_key: Vec<u8>,
    /// Segments that begin after the last entry.
    waiting: VecDeque<Segment>,
    /// The last segment that is in a page.
    last_segment: Option<LocatedSegment>,
    /// The end of the records so far.
    end: Position,
    entries: u64,
}

impl Default for IndexWriter {
    fn default() -> Self {
        let end = Position { file_at: GZIP_HEADER.len() as u64, ..Position::default() };
        IndexWriter {
            page: PageBuilder::new(end),
            packer: Packer::new(),
            pages: Spill::default(),
            children: Vec::new(),
            last_key: Vec::new(),
            waiting: VecDeque::new(),
            last_segment: None,
            end,
            entries: 0,
        }
    }
}

impl IndexWriter {
    /// Adds the next segment.
    pub(crate) fn add_segment(&mut self, segment: &Segment) {
        // Its page depends on the entry that begins in it, which may come later.
        self.waiting.push_back(*segment);
    }

    /// Adds the next entry. All segments before its end have been added.
    pub(crate) fn add_entry(&mut self, entry: &Entry) -> Result<()> {
        let text = entry.path.len() + entry.target.len();
        if entry.path.len() > PATH_MAX || entry.target.len() > PATH_MAX {
            let error = Error::new(ErrorKind::Internal, "write the index");
            return Err(error.caused_by("a path is too long"));
        }
        // An entry with a header begins in a segment, and the others between two bytes.
        let begins_by = self.end.entry_at + u64::from(entry.is_in_tar());
        while !self.waiting.is_empty() && self.end.tar_at < begins_by {
            self.flush_segment()?;
        }
        if self.page.is_full(text) {
            self.end_page()?;
        }
        if self.page.is_empty()
            && let Some(last) = self.last_segment
        {
            let Position { entry_at, .. } = self.end;
            let LocatedSegment { number: segment, file_at, tar_at, .. } = last;
            self.page = PageBuilder::new(Position { segment, file_at, tar_at, entry_at });
            self.page.add_segment(&last.segment);
        }
        self.page.add_entry(entry);
        self.end.entry_at += entry.tar_len();
        self.entries += 1;
        Ok(())
    }

    /// Puts the first waiting segment into a page.
    fn flush_segment(&mut self) -> Result<()> {
        let Some(segment) = self.waiting.pop_front() else { return Ok(()) };
        if self.page.is_full(0) {
            self.end_page()?;
        }
        self.page.add_segment(&segment);
        let Position { segment: number, file_at, tar_at, .. } = self.end;
        let located = LocatedSegment { number, file_at, tar_at, segment };
        self.end.segment += 1;
        self.end.file_at = located.file().end;
        self.end.tar_at = located.tar().end;
        self.last_segment = Some(located);
        Ok(())
    }

    fn end_page(&mut self) -> Result<()> {
        let page = std::mem::replace(&mut self.page, PageBuilder::new(self.end));
        let key = match self.children.is_empty() {
            true => Vec::new(),
            false => node::separator(&self.last_key, page.first_key.as_deref()),
        };
        if let Some(last) = page.last_key() {
            self.last_key = last;
        }
        let (child, members) = pack(&mut self.packer, &page.encode(), key);
        self.children.push(child);
        self.pages.write(&members)
    }

    /// Passes the index and the footer to `emit`, in order. The caller sets the flags of `footer`.
    pub(crate) fn finish(
        mut self,
        flags: u32,
        info: Info,
        mut emit: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        while !self.waiting.is_empty() {
            self.flush_segment()?;
        }
        if !self.page.is_empty() || self.children.is_empty() {
            self.end_page()?;
        }
        let pages_len = self.pages.len();
        self.pages.read_back(&mut emit)?;
        let mut at = pages_len;
        let mut emit_blob = |members: Vec<u8>| {
            at += members.len() as u64;
            emit(members)
        };
        let mut top = Node { level: 1, first_at: 0, children: self.children };
        let mut end = pages_len;
        while node::fitting(&top.children, TOP_MAX) < top.children.len() {
            let first_at = end;
            let mut children = Vec::new();
            for node in node::split(top.level, top.first_at, &top.children) {
                let mut raw = Vec::new();
                node.encode(&mut raw);
                let key = node.children[0].key.clone();
                let (child, members) = pack(&mut self.packer, &raw, key);
                end += u64::from(child.len);
                children.push(child);
                emit_blob(members)?;
            }
            top = Node { level: top.level + 1, first_at, children };
        }
        let mut excludes = Vec::new();
        debug_assert!(info.excludes.len() <= EXCLUDES_MAX, "the caller bounds the patterns");
        for piece in info.excludes.chunks(blob::RAW_MAX) {
            let (child, members) = pack(&mut self.packer, piece, Vec::new());
            excludes.push(BlobRef { at: end, len: child.len, hash: child.hash });
            end += u64::from(child.len);
            emit_blob(members)?;
        }
        let root = self.packer.pack(&Root { top, pages_len, info, excludes }.encode());
        let members = blob::members(&root);
        let mut footer = Footer {
            flags,
            root_len: members.len() as u32,
            data_end: self.end.file_at,
            tar_len: self.end.tar_at,
            segments: self.end.segment,
            entries: self.entries,
            file_len: self.end.file_at
                + TRAILER_LEN as u64
                + end
                + members.len() as u64
                + FOOTER_LEN as u64,
            hash: [0; 32],
        };
        footer.hash = footer.hash_with(&root);
        emit_blob(members)?;
        emit(footer.encode())
    }
}

/// Returns the record of a blob with these raw bytes, and its members.
fn pack(packer: &mut Packer, raw: &[u8], key: Vec<u8>) -> (Child, Vec<u8>) {
    let blob = packer.pack(raw);
    let members = blob::members(&blob);
    (Child { key, len: members.len() as u32, hash: blob::hash(&blob) }, members)
}
