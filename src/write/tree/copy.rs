//! What is as it was in the previous archive is copied from there.

use std::ops::Range;

use super::{Writer, again, file_header, is_recent};
use crate::{
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    format::segment::SegmentLayout,
    fs::walk::TreeWalk,
    report::Change,
    write::{previous::Cursor, read_ahead::CHUNK},
};

/// A group whose entries are those that a segment of the previous archive begins with.
pub(super) struct Group {
    /// That segment's stretch of the previous tar stream.
    whole: Range<u64>,
    /// Bytes of it that the entries take so far.
    pub(super) len: u64,
    /// Those entries, in the previous index.
    entries: Range<usize>,
}

impl Writer<'_> {
    /// Takes a file from the previous archive, if it is there as it is; false if it must be read.
    pub(super) fn copy_file(&mut self, walk: &TreeWalk<'_>) -> Result<bool> {
        let path = walk.path();
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let Some(i) = cursor.entry(path, EntryKind::File) else { return Ok(false) };
        // What cannot be looked at is met again when it is opened.
        let Ok(Some((meta, link))) = walk.stat_file() else { return Ok(false) };
        let is_same = cursor.is_same_file(i, &meta)
            && cursor.header_len(i) == file_header(path, &meta).len()
            && !is_recent(meta.ctime_ns, self.options.now)
            && !self.options.max_len.contains_key(path);
        if !is_same {
            return Ok(false);
        }
        let headers = cursor.header_len(i);
        let was = cursor.range(i);
        let cut = SegmentLayout::of(path, meta.size);
        let change = match cut {
            Some(cut) => self.copy_large(walk, &meta, cut, was)?,
            None if self.join_group(i)? => None,
            None => {
                self.open_group()?;
                let Some(raw) = self.cursor.as_mut().and_then(|cursor| cursor.raw(was)) else {
                    return Ok(false);
                };
                self.batch.raw.extend(raw);
                None
            }
        };
        self.tracker.add_bytes(meta.size);
        let flags = self.note_change(path, change);
        self.file_done(path, &meta, headers, flags, link)?;
        match cut {
            None => self.end_small(path)?,
            Some(_) => self.send_if_full()?,
        }
        Ok(true)
    }

    /// Copies headers and pieces; a piece that is damaged there is read. Returns how the file had
    /// changed by then: its pieces may be of two states.
    fn copy_large(
        &mut self,
        walk: &TreeWalk<'_>,
        meta: &Metadata,
        cut: SegmentLayout,
        was: Range<u64>,
    ) -> Result<Option<Change>> {
        self.end_group()?;
        self.before_copy()?;
        self.headers.clear();
        file_header(walk.path(), meta).write(&mut self.headers);
        let data = was.start + self.headers.len() as u64;
        let is_there = |cursor: &mut Cursor| cursor.copy_equal(&self.headers, &mut self.copies);
        if !self.cursor.as_mut().is_some_and(is_there) {
            self.before_raw()?;
            self.batch.raw.extend(&self.headers);
            self.batch.cut();
        }
        let mut file = None;
        let mut is_short = false;
        for piece in cut.pieces() {
            let is_last = piece.end == meta.size;
            let end = if is_last { was.end } else { data + piece.end };
            if self.copy_segment(data + piece.start..end)? {
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(walk.open_file().map_err(|e| walk.fail("open", e))?),
            };
            self.before_raw()?;
            let got = self.fill(file, piece.clone()).map_err(|e| e.or(|e| walk.fail("read", e)))?;
            let missing = piece.end - piece.start - got;
            is_short |= missing > 0;
            self.batch.raw.zeros(missing as usize);
            if is_last {
                self.pad();
            }
            self.batch.cut();
            self.send_if_full()?;
        }
        let Some(file) = file else { return Ok(None) };
        if is_short {
            return Ok(Some(Change::Shrank));
        }
        match again::change_between(meta, &file.metadata()) {
            None => file.change().map_err(|e| walk.fail("look at", e)),
            change => Ok(change),
        }
    }

    /// Copies the segment that is exactly this stretch of the previous tar stream, if there is one.
    fn copy_segment(&mut self, tar: Range<u64>) -> Result<bool> {
        if self.tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let (segment, whole) = cursor.segment_at(tar.start);
        if whole != tar {
            return Ok(false);
        }
        self.before_copy()?;
        let copies = &mut self.copies;
        Ok(self.cursor.as_mut().is_some_and(|cursor| cursor.copy(segment, copies)))
    }

    /// Takes an entry that is as it was into a group that is as it was, so far. The group's segment is
    /// among the copies from its first entry on.
    pub(super) fn join_group(&mut self, i: usize) -> Result<bool> {
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let was = cursor.range(i);
        if let Some(group) = &mut self.group {
            let fits = group.whole.start + group.len == was.start && was.end <= group.whole.end;
            if fits {
                group.len += was.end - was.start;
                group.entries.end = i + 1;
            }
            return Ok(fits);
        }
        let (_, whole) = cursor.segment_at(was.start);
        if self.batch.open_len() > 0 || whole.start != was.start || whole.end < was.end {
            return Ok(false);
        }
        if !self.copy_segment(whole.clone())? {
            return Ok(false);
        }
        self.group = Some(Group { whole, len: was.end - was.start, entries: i..i + 1 });
        Ok(true)
    }

    /// From here on the group's bytes are in the batch.
    pub(super) fn open_group(&mut self) -> Result<()> {
        let Some(Group { whole, len, entries }) = self.group.take() else {
            return self.before_raw();
        };
        let encoded = self.copies.pop().unwrap_or_default();
        self.before_raw()?;
        let tar = whole.start..whole.start + len;
        match self.cursor.as_mut().and_then(|cursor| cursor.raw_of(&encoded, tar)) {
            Some(raw) => self.batch.raw.extend(raw),
            None => return self.read_group(entries.start),
        }
        self.release()
    }

    /// The entries of the group are what they were.
    fn release(&mut self) -> Result<()> {
        self.held.drain(..).try_for_each(|entry| self.index.entries.push(&entry))
    }

    /// The next entry begins another segment.
    pub(super) fn end_group(&mut self) -> Result<()> {
        match &self.group {
            Some(group) if group.len == group.whole.end - group.whole.start => {
                self.group = None;
                self.release()?;
            }
            Some(_) => {
                self.open_group()?;
                self.batch.cut();
            }
            None => self.batch.cut(),
        }
        Ok(())
    }

    /// What was copied stands before what is in the batch from now on.
    pub(super) fn before_raw(&mut self) -> Result<()> {
        if self.copies.segments.is_empty() {
            return Ok(());
        }
        self.send_copies()
    }

    /// What is in the batch stands before what is copied from now on.
    fn before_copy(&mut self) -> Result<()> {
        if !self.batch.raw.is_empty() {
            self.send()?;
        }
        if self.copies.len() >= CHUNK { self.send_copies() } else { Ok(()) }
    }

    pub(super) fn send_copies(&mut self) -> Result<()> {
        self.feeder.send_copies(std::mem::take(&mut self.copies))
    }
}
