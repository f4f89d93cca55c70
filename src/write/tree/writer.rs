//! The state of the thread that writes the tar stream, and what all steps share.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use rustix::io::Errno;

use super::{
    output::Output,
    prefetch::{ReadError, Reader},
    report::TreeReport,
    small_file_group::{GroupMember, SmallFileGroup},
};
use crate::{
    entry::{Entry, EntryKind, Metadata, is_beyond},
    error::{Error, Result},
    format::{
        segment::ends_group,
        tar::{BLOCK, Header},
    },
    fs::{file::SourceFile, root::skippable, stat::FileId},
    progress::Tracker,
    report::{Change, Changed, SkipReason, Skipped},
    write::previous::Cursor,
};

/// Writes the entries of a walk into the tar stream and the index.
pub(super) struct Writer<'a> {
    /// Reads what the other threads have not read.
    pub(super) reader: Reader<'a>,
    pub(super) output: Output<'a>,
    pub(super) cursor: Option<Cursor>,
    /// A group that is unchanged so far. None of its bytes are in the output.
    pub(super) group: Option<SmallFileGroup>,
    pub(super) report: TreeReport,
    /// Files with more than one name.
    pub(super) links: HashMap<FileId, Names>,
    /// Paths of `max_len` that were not found yet.
    pub(super) unused_max_len: BTreeSet<Vec<u8>>,
    /// Headers of the current entry.
    pub(super) headers: Vec<u8>,
}

/// The names of a file in the archive.
pub(super) struct Names {
    pub(super) first: Vec<u8>,
    pub(super) count: u64,
}

impl ReadError {
    /// Returns the error that ends the backup.
    pub(super) fn into_error(self, fail: impl FnOnce(Errno) -> Error) -> Error {
        match self {
            ReadError::Errno(errno) => fail(errno),
            ReadError::Fatal(e) => e,
        }
    }
}

impl Writer<'_> {
    pub(super) fn tracker(&self) -> &Tracker {
        self.reader.tracker
    }

    /// Reports an entry as skipped.
    pub(super) fn skip(&mut self, path: &[u8], reason: SkipReason) {
        let path = path.to_vec();
        self.report.is_partial |= reason.is_data_loss();
        self.report.skipped.push(Skipped { path, reason });
    }

    /// Skips an entry if the error concerns only this entry. Otherwise fails.
    pub(super) fn skip_or_fail(
        &mut self,
        path: &[u8],
        operation: &'static str,
        errno: Errno,
    ) -> Result<()> {
        let reason = skippable(errno).ok_or_else(|| self.fail(path, operation, errno))?;
        self.skip(path, reason);
        Ok(())
    }

    /// Returns the error for a path, for failures that fail the backup.
    pub(super) fn fail(&self, path: &[u8], operation: &'static str, errno: Errno) -> Error {
        self.reader.root.fail(path, operation, errno)
    }

    /// Reports a change, if there is one.
    pub(super) fn add_change(&mut self, path: &[u8], change: Option<Change>) {
        let path = path.to_vec();
        self.report.changed.extend(change.map(|change| Changed { path, change }));
    }

    /// Reports a time that the index cannot represent.
    pub(super) fn check_time(&mut self, path: &[u8], meta: &Metadata) {
        if is_beyond(meta.mtime_ns) {
            self.report.times_beyond.push(path.to_vec());
        }
    }

    /// Encodes the header into `headers`, and returns its length.
    pub(super) fn encode_header(&mut self, header: &Header<'_>) -> usize {
        self.headers.clear();
        header.write(&mut self.headers);
        self.headers.len()
    }

    /// Returns the entry of the index with this metadata.
    pub(super) fn entry(
        &self,
        path: &[u8],
        kind: EntryKind,
        meta: &Metadata,
        header_len: usize,
    ) -> Entry {
        let keep = !self.reader.options.reproducible;
        Entry {
            path: path.to_vec(),
            kind,
            header_len: header_len as u32,
            size: meta.size,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime_ns: meta.mtime_ns,
            ctime_ns: if keep { meta.ctime_ns } else { 0 },
            inode: if keep { meta.inode } else { 0 },
            ..Entry::default()
        }
    }

    /// Adds the entry of a file to the index, and counts it.
    pub(super) fn add_file(&mut self, mut entry: Entry, meta: &Metadata, link: Option<FileId>) {
        if let Some(id) = link {
            let first = || Names { first: entry.path.clone(), count: 0 };
            let names = self.links.entry(id).or_insert_with(first);
            names.count += 1;
            if names.count > 1 {
                entry.target = names.first.clone();
            }
        }
        self.add_entry(entry, meta);
        self.report.files += 1;
        self.report.content += meta.size;
        self.tracker().add_file();
    }

    /// Adds an entry to the index, or to the current group.
    pub(super) fn add_entry(&mut self, mut entry: Entry, meta: &Metadata) {
        self.check_time(&entry.path, meta);
        entry.is_recent &= !self.reader.options.reproducible;
        match &mut self.group {
            Some(group) => group.members.push(GroupMember { entry, meta: *meta }),
            None => self.output.add_entry(entry),
        }
    }

    /// Returns whether the current group of small entries ends after the one at `path`.
    pub(super) fn ends_group(&self, path: &[u8]) -> bool {
        let len = self.group.as_ref().map_or(self.output.open_len(), |group| group.len as usize);
        ends_group(len, path)
    }

    /// Reads a range of a file into the batch. Returns the number of bytes that the file had.
    pub(super) fn read_range(
        &mut self,
        file: &mut SourceFile,
        range: Range<u64>,
    ) -> Result<u64, ReadError> {
        let batch = self.output.batch().map_err(ReadError::Fatal)?;
        let amount = self.reader.append(file, range, &mut batch.raw)?;
        self.report.read += amount.read;
        Ok(amount.len)
    }

    /// Pads the last block with zeros. Batches begin and segments end at blocks. The pieces of a large file
    /// need no padding, except the last, since their lengths are multiples of a block.
    pub(super) fn pad(&mut self) -> Result<()> {
        let batch = self.output.batch()?;
        let len = batch.raw.len();
        batch.raw.zeros(len.next_multiple_of(BLOCK) - len);
        Ok(())
    }
}
