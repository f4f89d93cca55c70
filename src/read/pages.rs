//! The pages of an index, one after another.

use std::sync::Arc;

use super::{
    damage::NoIndex,
    index::{COPY_MAX, Index, damaged, is_damage},
    input::{CHUNK, Source},
};
use crate::{
    entry::{Entry, EntryKind},
    error::Result,
    format::{
        GZIP_HEADER,
        index::{
            Child, LocatedEntry, LocatedSegment, Node, Page, Position, cmp_paths, read_page,
            sort_key,
        },
        tar::END_LEN,
    },
    fs::spill::Spill,
};

/// The pages of an index, in order. In memory are one page, a part of the pages after it, and the nodes above
/// it.
pub(crate) struct Pages {
    index: Arc<Index>,
    /// From the top node to the one above the next page: its level, and its children that come next.
    path: Vec<Siblings>,
    returned: Option<Page>,
    /// Bytes of the pages and nodes so far, without the top node.
    len: u64,
    /// The end of the pages so far. `None` before the first page, if it is not the first of the index.
    before: Option<Before>,
    chunk: Chunk,
}

/// Children of a node that come next.
struct Siblings {
    level: u64,
    /// Offset of the first of them from the start of the index.
    at: u64,
    children: std::vec::IntoIter<Child>,
}

/// What the next page must follow.
#[derive(Default)]
struct Before {
    end: Position,
    last_segment: Option<LocatedSegment>,
    last: Option<Entry>,
    entries: u64,
    is_from_start: bool,
}

/// Bytes of the index that were read together.
#[derive(Default)]
struct Chunk {
    at: u64,
    bytes: Vec<u8>,
}

impl Source {
    /// Opens the index of the archive, and checks every part of it. A remote index is copied, because its pages
    /// are read several times.
    pub(crate) fn checked_index(&self) -> Result<Result<Arc<Index>, NoIndex>> {
        let Source::At(source) = self else { return Ok(Err(NoIndex::Stream)) };
        let index = match Index::open(source)? {
            Ok(index) => Arc::new(index),
            Err(why) => return Ok(Err(why)),
        };
        let copied = match check_pages(&index) {
            Ok(copied) => copied,
            Err(e) if is_damage(&e) => return Ok(Err(NoIndex::Damaged)),
            Err(e) => return Err(e),
        };
        let index = Arc::into_inner(index).ok_or_else(damaged)?;
        Ok(Ok(Arc::new(match copied {
            Some(pages) => index.with_copy(pages),
            None => index,
        })))
    }
}

/// Checks all pages, nodes and patterns. Returns a copy of the pages if the archive is remote.
fn check_pages(index: &Arc<Index>) -> Result<Option<Spill>> {
    let mut copy = index.is_remote().then(Spill::default);
    let mut pages = index.pages();
    while let Some((at, child, _)) = pages.next_located()? {
        if let Some(copy) = &mut copy {
            if at != copy.len() || at > COPY_MAX {
                return Err(damaged());
            }
            copy.write(pages.members(at, &child))?;
        }
    }
    index.excludes()?;
    // Nothing is between the parts, so a reader of the file as a whole finds nothing that this did not check.
    let parts_len = pages.len.checked_add(index.root.excludes_len()).ok_or_else(damaged)?;
    if index.footer.index_at().checked_add(parts_len) != Some(index.footer.root_at()) {
        return Err(damaged());
    }
    Ok(copy)
}

impl Index {
    /// Returns all pages.
    pub(crate) fn pages(self: &Arc<Self>) -> Pages {
        Pages::all(self.clone())
    }

    /// Passes every entry to `visit`.
    pub(crate) fn for_each_entry(
        self: &Arc<Self>,
        mut visit: impl FnMut(&LocatedEntry) -> Result<()>,
    ) -> Result<()> {
        let mut pages = self.pages();
        while let Some(page) = pages.next()? {
            page.entries.iter().try_for_each(&mut visit)?;
        }
        Ok(())
    }

    /// Passes every entry that only the index has to `visit`.
    pub(crate) fn for_each_unlisted(
        self: &Arc<Self>,
        mut visit: impl FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        if !self.has_unlisted() {
            return Ok(());
        }
        self.for_each_entry(|LocatedEntry { entry, .. }| match entry.is_in_tar() {
            true => Ok(()),
            false => visit(entry),
        })
    }

    /// Returns the entry with this path, and the pages from its page on.
    pub(crate) fn find(self: &Arc<Self>, path: &[u8]) -> Result<Option<(LocatedEntry, Pages)>> {
        for kind in [EntryKind::File, EntryKind::Directory] {
            let key: Vec<u8> = sort_key(path, kind).copied().collect();
            let mut pages = Pages::from(self.clone(), &key)?;
            let Some(page) = pages.next()? else { continue };
            let found = page.entries.iter().find(|located| located.entry.path == path).cloned();
            if let Some(entry) = found {
                pages.return_page(page);
                return Ok(Some((entry, pages)));
            }
        }
        Ok(None)
    }
}

impl Pages {
    /// Returns all pages.
    pub(super) fn all(index: Arc<Index>) -> Self {
        index.will_need_pages();
        let end = Position { file_at: GZIP_HEADER.len() as u64, ..Position::default() };
        let before = Before { end, is_from_start: true, ..Before::default() };
        let path = vec![Siblings::of(index.root.top.clone())];
        let (before, chunk) = (Some(before), Chunk::default());
        Pages { index, path, returned: None, len: 0, before, chunk }
    }

    /// Returns the pages from the last one on that may have an entry with this sort key.
    pub(crate) fn from(index: Arc<Index>, key: &[u8]) -> Result<Self> {
        let mut path = Vec::new();
        let mut node = index.root.top.clone();
        while let Some((at, _)) = node.child_of(key) {
            let (level, mut siblings) = (node.level, Siblings::of(node));
            while siblings.at < at && siblings.next().is_some() {}
            let down = match level {
                1 => None,
                // The path goes down from this child, so the siblings go on after it.
                _ => siblings.next(),
            };
            path.push(siblings);
            match down {
                Some((at, child)) => node = child_node(&index, level, at, &child)?,
                None => break,
            }
        }
        Ok(Pages { index, path, returned: None, len: 0, before: None, chunk: Chunk::default() })
    }

    /// Returns the next page.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the page is damaged, or does not follow the page before.
    pub(crate) fn next(&mut self) -> Result<Option<Page>> {
        if let Some(page) = self.returned.take() {
            return Ok(Some(page));
        }
        Ok(self.next_located()?.map(|(_, _, page)| page))
    }

    /// Returns the next page, with its offset from the start of the index and its record.
    pub(super) fn next_located(&mut self) -> Result<Option<(u64, Child, Page)>> {
        while let Some(siblings) = self.path.last_mut() {
            let level = siblings.level;
            let Some((at, child)) = siblings.next() else {
                self.path.pop();
                continue;
            };
            self.len = self.len.saturating_add(child.len.into());
            if level == 1 {
                let page = self.read(at, &child)?;
                self.check(&page).ok_or_else(damaged)?;
                return Ok(Some((at, child, page)));
            }
            self.path.push(Siblings::of(child_node(&self.index, level, at, &child)?));
        }
        self.check_end().ok_or_else(damaged)?;
        Ok(None)
    }

    /// Makes `page` the next page again.
    pub(super) fn return_page(&mut self, page: Page) {
        self.returned = Some(page);
    }

    fn read(&mut self, at: u64, child: &Child) -> Result<Page> {
        let len = u64::from(child.len);
        // A page that is read alone is not worth a chunk.
        if self.before.is_none() {
            return self.index.page(at, child.len, &child.hash);
        }
        let chunk_end = self.chunk.at + self.chunk.bytes.len() as u64;
        if at < self.chunk.at || at + len > chunk_end {
            self.read_chunk(at, len)?;
        }
        read_page(self.members(at, child), &child.hash).ok_or_else(damaged)
    }

    /// Returns the members of a page that is in the chunk.
    fn members(&self, at: u64, child: &Child) -> &[u8] {
        let start = (at - self.chunk.at) as usize;
        &self.chunk.bytes[start..start + child.len as usize]
    }

    /// Reads the chunks that contain this range. Chunks begin at multiples of their length, as they were
    /// announced.
    fn read_chunk(&mut self, at: u64, len: u64) -> Result<()> {
        let pages_len = self.index.root.pages_len;
        let end = at + len;
        let start = at / CHUNK * CHUNK;
        let last = end.next_multiple_of(CHUNK).min(pages_len.max(end));
        let mut bytes = Vec::new();
        for from in (start..last).step_by(CHUNK as usize) {
            // A page may begin in the chunk before.
            if from >= self.chunk.at
                && from + CHUNK <= self.chunk.at + self.chunk.bytes.len() as u64
            {
                let kept = (from - self.chunk.at) as usize;
                bytes.extend_from_slice(&self.chunk.bytes[kept..kept + CHUNK as usize]);
                continue;
            }
            let read = bytes.len();
            bytes.resize(read + (last - from).min(CHUNK) as usize, 0);
            self.index.read_range(from, &mut bytes[read..])?;
        }
        self.chunk = Chunk { at: start, bytes };
        Ok(())
    }

    /// Checks that a page follows the pages before.
    fn check(&mut self, page: &Page) -> Option<()> {
        let mut next = Before {
            end: page.end,
            last_segment: page.segments.last().copied(),
            last: page.entries.last().map(|located| located.entry.clone()),
            entries: page.entries.len() as u64,
            is_from_start: false,
        };
        let footer = &self.index.footer;
        if page.end.file_at > footer.data_end || page.end.tar_at > footer.tar_len {
            return None;
        }
        if let Some(before) = self.before.take() {
            // So each page costs bytes in the archive, and their number is bounded.
            let advances = page.end.segment > before.end.segment || !page.entries.is_empty();
            let continues = page.start == before.end;
            let repeats = before.last_segment.is_some()
                && before.last_segment.as_ref() == page.segments.first()
                && page.start.entry_at == before.end.entry_at;
            let is_sorted = match (&before.last, page.entries.first()) {
                (Some(last), Some(first)) => cmp_paths(last, &first.entry).is_lt(),
                _ => true,
            };
            if !advances || !(continues || repeats) || !is_sorted {
                return None;
            }
            next.last_segment = next.last_segment.or(before.last_segment);
            next.last = next.last.or(before.last);
            next.entries += before.entries;
            next.is_from_start = before.is_from_start;
        }
        self.before = Some(next);
        Some(())
    }

    /// Checks that all pages together have what the footer says.
    fn check_end(&self) -> Option<()> {
        let Some(Before { end, entries, is_from_start: true, .. }) = &self.before else {
            return Some(());
        };
        let footer = &self.index.footer;
        let is_complete =
            *end == Position {
                segment: footer.segments,
                file_at: footer.data_end,
                tar_at: footer.tar_len,
                entry_at: footer.tar_len.checked_sub(END_LEN)?,
            } && *entries == footer.entries;
        is_complete.then_some(())
    }
}

impl Siblings {
    fn of(node: Node) -> Self {
        Siblings { level: node.level, at: node.first_at, children: node.children.into_iter() }
    }

    fn next(&mut self) -> Option<(u64, Child)> {
        let child = self.children.next()?;
        let at = self.at;
        self.at += u64::from(child.len);
        Some((at, child))
    }
}

/// Reads a child of a node of this level. It must be one level below it, so that no path is endless.
fn child_node(index: &Index, level: u64, at: u64, child: &Child) -> Result<Node> {
    let node = index.node(at, child.len, &child.hash)?;
    if node.level + 1 == level { Ok(node) } else { Err(damaged()) }
}
