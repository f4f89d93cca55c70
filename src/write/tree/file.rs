//! Reads files into the tar stream.

use super::{
    own_archive::is_own_archive,
    writer::{ReadError, Writer, file_header},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::Result,
    format::segment::SegmentLayout,
    fs::{file::SourceFile, walk::TreeWalk},
    report::{Change, SkipReason},
};

/// A file whose content is in the tar stream.
struct Stored {
    header_len: usize,
    /// Whether the file ended before the length that it had when it was opened.
    is_short: bool,
}

impl Writer<'_> {
    /// Adds a file to the archive.
    pub(super) fn read_file(&mut self, walk: &TreeWalk<'_>, mut file: SourceFile) -> Result<()> {
        if !self.options.include_archives && is_own_archive(&mut file) {
            self.skip(walk.path(), SkipReason::OwnBackup);
            return Ok(());
        }
        self.unpack_group()?;
        let mut meta = file.metadata();
        let is_recent = self.options.is_recent(meta.ctime_ns);
        let path = walk.path();
        let max_len = self.options.max_len.get(path).copied();
        meta.size = meta.size.min(max_len.unwrap_or(u64::MAX));
        self.unused_max_len.remove(path);
        let stored = match SegmentLayout::of(path, meta.size) {
            None => self.read_small(walk, &mut file, &mut meta)?,
            Some(layout) => self.read_large(walk, &mut file, &meta, layout)?,
        };
        let Some(Stored { header_len, is_short }) = stored else {
            return Ok(());
        };
        let mut change = file.change().map_err(|e| walk.fail("look at", e))?;
        if is_short {
            change = Some(Change::Shrank);
        }
        // A file with a maximum length is expected to grow.
        self.add_change(path, change.filter(|_| max_len.is_none() || is_short));
        let is_changed = change.is_some();
        let entry = self.entry(path, EntryKind::File, &meta, header_len);
        self.add_file(Entry { is_changed, is_recent, ..entry }, &meta, file.hard_link());
        match SegmentLayout::of(path, meta.size) {
            None => self.end_small_entry(path),
            Some(_) => self.output.send_if_full(),
        }
    }

    /// Writes the header after reading the content, so that it has the length that was read. Returns `None`
    /// if the file was skipped.
    fn read_small(
        &mut self,
        walk: &TreeWalk<'_>,
        file: &mut SourceFile,
        meta: &mut Metadata,
    ) -> Result<Option<Stored>> {
        let header_len = file_header(walk.path(), meta).len();
        let batch = self.output.batch()?;
        let start = batch.raw.len();
        batch.raw.zeros(header_len);
        let len = match self.read(file, 0..meta.size) {
            Ok(len) => len,
            Err(ReadError::Errno(errno)) => {
                self.output.batch()?.raw.truncate(start);
                self.skip_or_fail(walk, "read", errno)?;
                return Ok(None);
            }
            Err(ReadError::Fatal(e)) => return Err(e),
        };
        let is_short = len < meta.size;
        meta.size = len;
        self.pad()?;
        self.encode_header(&file_header(walk.path(), meta));
        let headers = &mut self.output.batch()?.raw[start..start + header_len];
        headers.copy_from_slice(&self.headers);
        Ok(Some(Stored { header_len, is_short }))
    }

    /// Writes the headers and each piece as segments of their own. Returns `None` if the file was skipped.
    fn read_large(
        &mut self,
        walk: &TreeWalk<'_>,
        file: &mut SourceFile,
        meta: &Metadata,
        layout: SegmentLayout,
    ) -> Result<Option<Stored>> {
        self.end_group()?;
        self.output.send_if_full()?;
        let header_len = self.encode_header(&file_header(walk.path(), meta));
        let batch = self.output.batch()?;
        let (start, ends) = (batch.raw.len(), batch.ends.len());
        batch.raw.extend(&self.headers);
        batch.cut();
        let mut is_short = false;
        for piece in layout.pieces() {
            let is_first = piece.start == 0;
            if !is_first {
                self.output.cut();
                self.output.send_if_full()?;
            }
            let len = match self.read(file, piece.clone()) {
                Ok(len) => len,
                Err(ReadError::Errno(errno)) if is_first => {
                    let batch = self.output.batch()?;
                    batch.raw.truncate(start);
                    batch.ends.truncate(ends);
                    self.skip_or_fail(walk, "read", errno)?;
                    return Ok(None);
                }
                // The headers may have been sent, so the file cannot be skipped any more.
                Err(ReadError::Errno(errno)) => return Err(walk.fail("read", errno)),
                Err(ReadError::Fatal(e)) => return Err(e),
            };
            let missing = piece.end - piece.start - len;
            is_short |= missing > 0;
            self.output.batch()?.raw.zeros(missing as usize);
        }
        self.pad()?;
        self.output.cut();
        Ok(Some(Stored { header_len, is_short }))
    }
}
