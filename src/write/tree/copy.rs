//! Copies unchanged files from the previous archive.

use std::ops::Range;

use super::{
    prefetch::{FoundFile, Parts, file_header},
    reread::change_between,
    writer::Writer,
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    format::segment::SegmentLayout,
    report::Change,
    write::previous::{CopiedSegment, PreviousEntry},
};

impl Writer<'_> {
    /// Copies a file from the previous archive if it is unchanged. Returns false if it must be read.
    pub(super) fn copy_file(&mut self, path: &[u8], found: &FoundFile<Parts>) -> Result<bool> {
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let Some(previous) = cursor.entry(path, EntryKind::File) else { return Ok(false) };
        let FoundFile { meta, link, .. } = *found;
        let header_len = previous.entry.header_len as usize;
        let is_same = previous.is_same_file(&meta, self.reader.options.trust_mtime)
            && header_len == file_header(path, &meta).len()
            && !self.reader.options.is_recent(meta.ctime_ns)
            && !self.reader.options.max_len.contains_key(path);
        if !is_same {
            return Ok(false);
        }
        let layout = SegmentLayout::of(path, meta.size);
        let change = match layout {
            Some(layout) => self.copy_large(path, &meta, layout, &previous)?,
            None if self.join_group(&previous)? => None,
            None => {
                self.unpack_group()?;
                let raw = self.cursor.as_mut().and_then(|cursor| cursor.raw(&previous));
                let Some(raw) = raw else { return Ok(false) };
                self.output.batch()?.raw.extend(raw);
                None
            }
        };
        self.tracker().add_bytes(meta.size);
        let is_changed = change.is_some();
        self.add_change(path, change);
        let entry = self.entry(path, EntryKind::File, &meta, header_len);
        self.add_file(Entry { is_changed, ..entry }, &meta, link);
        match layout {
            None => self.end_small_entry(path)?,
            Some(_) => self.output.send_if_full()?,
        }
        Ok(true)
    }

    /// Copies the headers and pieces of a large file, and reads the pieces that are damaged. `previous` is
    /// its entry in the previous archive.
    ///
    /// Returns a change of the file since the walk looked at it, since copied pieces are older than pieces
    /// that were read.
    fn copy_large(
        &mut self,
        path: &[u8],
        meta: &Metadata,
        layout: SegmentLayout,
        previous: &PreviousEntry,
    ) -> Result<Option<Change>> {
        let (previous, near) = (previous.tar(), previous.segment.number);
        self.end_group()?;
        let header_len = self.encode_header(&file_header(path, meta));
        match self.cursor.as_mut().and_then(|cursor| cursor.copy_equal(&self.headers, near)) {
            Some(copied) => self.output.push(copied)?,
            None => {
                self.output.batch()?.raw.extend(&self.headers);
                self.output.cut();
            }
        }
        let data = previous.start + header_len as u64;
        let mut file = None;
        let mut is_short = false;
        for piece in layout.pieces() {
            let is_last = piece.end == meta.size;
            let end = if is_last { previous.end } else { data + piece.end };
            if let Some(copied) = self.copy_segment(data + piece.start..end)? {
                self.output.push(copied)?;
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => {
                    let opened = self.reader.root.open_file(path);
                    none.insert(opened.map_err(|errno| self.fail(path, "open", errno))?)
                }
            };
            let len = (self.read_range(file, piece.clone()))
                .map_err(|e| e.into_error(|errno| self.fail(path, "read", errno)))?;
            let missing = piece.end - piece.start - len;
            is_short |= missing > 0;
            self.output.batch()?.raw.zeros(missing as usize);
            if is_last {
                self.pad()?;
            }
            self.output.cut();
            self.output.send_if_full()?;
        }
        let Some(file) = file else { return Ok(None) };
        if is_short {
            return Ok(Some(Change::Shrank));
        }
        match change_between(meta, &file.metadata()) {
            None => file.change().map_err(|errno| self.fail(path, "look at", errno)),
            change => Ok(change),
        }
    }

    /// Copies the segment with exactly this range of the previous tar stream, if there is one.
    fn copy_segment(&mut self, tar: Range<u64>) -> Result<Option<CopiedSegment>> {
        if self.tracker().is_cancelled() {
            return Err(Error::cancelled());
        }
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        let segment = cursor.segment_at(tar.start).filter(|segment| segment.tar() == tar);
        Ok(segment.and_then(|segment| cursor.copy(&segment)))
    }
}
