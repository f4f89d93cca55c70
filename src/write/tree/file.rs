//! Adds files that were read to the tar stream.

use super::{
    prefetch::{
        Content, Failed, FileEnd, FileResult, FoundFile, NextPart, Parts, ReadError, SmallFile,
    },
    writer::Writer,
};
use crate::{
    entry::{Entry, EntryKind},
    error::Result,
    report::SkipReason,
};

impl Writer<'_> {
    /// Adds a file to the archive.
    pub(super) fn add_found_file(&mut self, path: &[u8], found: FileResult) -> Result<()> {
        let mut found = match found {
            Ok(found) => found,
            Err(failed) => return self.skip_failed(path, failed),
        };
        if self.copy_file(path, &found)? {
            return Ok(());
        }
        self.unpack_group()?;
        if let Content::Unread = found.content {
            let opened = self.reader.root.open_file(path).map_err(Failed::open);
            found = match opened.and_then(|file| self.reader.read(path, file)) {
                Ok(found) => found.map_large(|file| Parts::Unread(Box::new(file))),
                Err(failed) => return self.skip_failed(path, failed),
            };
        }
        self.unused_max_len.remove(path);
        let FoundFile { meta, link, content } = found;
        let (is_small, header_len, end) = match content {
            Content::Unread => return Ok(()),
            Content::OwnArchive => {
                self.skip(path, SkipReason::OwnBackup);
                return Ok(());
            }
            Content::Small(SmallFile { tar, header_len, read, end, .. }) => {
                self.output.batch()?.raw.extend(&tar);
                self.tracker().add_bytes(meta.size);
                self.report.read += read;
                (true, header_len, end)
            }
            Content::Large { header_len, parts } => match self.add_parts(path, parts)? {
                Some(end) => (false, header_len, end),
                None => return Ok(()),
            },
        };
        let FileEnd { change, is_short } = end;
        // A file with a maximum length is expected to grow.
        let is_expected = self.reader.options.max_len.contains_key(path) && !is_short;
        self.add_change(path, change.filter(|_| !is_expected));
        let is_recent = self.reader.options.is_recent(meta.ctime_ns);
        let entry = self.entry(path, EntryKind::File, &meta, header_len);
        self.add_file(Entry { is_changed: change.is_some(), is_recent, ..entry }, &meta, link);
        if is_small { self.end_small_entry(path) } else { self.output.send_if_full() }
    }

    fn skip_failed(&mut self, path: &[u8], failed: Failed) -> Result<()> {
        match failed.error {
            ReadError::Errno(errno) => self.skip_or_fail(path, failed.operation, errno),
            ReadError::Fatal(e) => Err(e),
        }
    }

    /// Adds the segments of a large file. Returns `None` if the file was skipped.
    fn add_parts(&mut self, path: &[u8], mut parts: Parts) -> Result<Option<FileEnd>> {
        self.end_group()?;
        let mut is_first = true;
        loop {
            match parts.next(&self.reader) {
                Ok(NextPart::Part(part)) => {
                    self.tracker().add_bytes(part.content);
                    self.report.read += part.read;
                    self.output.add_batch(part.batch)?;
                }
                Ok(NextPart::End(end)) => return Ok(Some(end)),
                Err(ReadError::Errno(errno)) if is_first => {
                    self.skip_or_fail(path, "read", errno)?;
                    return Ok(None);
                }
                // A part has been sent, so the file cannot be skipped any more.
                Err(e) => return Err(e.into_error(|errno| self.fail(path, "read", errno))),
            }
            is_first = false;
        }
    }
}
