//! Reads the entries of a small-file group from the source again.
//!
//! The group was taken as unchanged. But then its segment in the previous archive turned out to be damaged,
//! although its checksum was right.

use rustix::io::Errno;

use super::{
    prefetch::{ReadError, file_header},
    small_file_group::GroupMember,
    writer::{Names, Writer},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::Result,
    format::tar::Header,
    fs::root::skippable,
    report::{Change, SkipReason},
};

impl Writer<'_> {
    /// Adds these entries, in their current state, to the batch and the index.
    pub(super) fn reread(&mut self, members: Vec<GroupMember>) -> Result<()> {
        for GroupMember { mut entry, meta } in members {
            let start = self.output.batch()?.raw.len();
            let read = match entry.kind {
                EntryKind::File => self.reread_file(&mut entry, &meta),
                EntryKind::Symlink => self.reread_link(&mut entry, &meta),
                EntryKind::Directory => {
                    self.put_header(&entry, &[]).map(drop).map_err(ReadError::Fatal)
                }
            };
            match read {
                Ok(()) => self.output.add_entry(entry),
                Err(ReadError::Fatal(e)) => return Err(e),
                Err(ReadError::Errno(errno)) => {
                    self.output.batch()?.raw.truncate(start);
                    self.leave_out(&entry, errno)?;
                }
            }
        }
        Ok(())
    }

    /// Like every small file, the entry gets the length that was actually read.
    fn reread_file(&mut self, entry: &mut Entry, before: &Metadata) -> Result<(), ReadError> {
        let mut file = self.reader.root.open_file(&entry.path).map_err(ReadError::Errno)?;
        let batch = self.output.batch().map_err(ReadError::Fatal)?;
        let start = batch.raw.len();
        batch.raw.zeros(entry.header_len as usize);
        let size = entry.size;
        entry.size = self.read_range(&mut file, 0..size)?;
        self.report.content -= size - entry.size;
        self.pad().map_err(ReadError::Fatal)?;
        let header_len = self.encode_header(&file_header(&entry.path, &metadata(entry)));
        let batch = self.output.batch().map_err(ReadError::Fatal)?;
        batch.raw[start..start + header_len].copy_from_slice(&self.headers);
        let change = match self.change_since(before, &file.metadata()) {
            _ if entry.size < size => Some(Change::Shrank),
            None => file.change().map_err(ReadError::Errno)?,
            change => change,
        };
        entry.is_changed |= change.is_some();
        self.add_change(&entry.path, change);
        Ok(())
    }

    fn reread_link(&mut self, entry: &mut Entry, before: &Metadata) -> Result<(), ReadError> {
        let target = self.reader.root.read_link(&entry.path).map_err(ReadError::Errno)?;
        let now = self.reader.root.stat(&entry.path).map_err(ReadError::Errno)?;
        entry.header_len = self.put_header(entry, &target).map_err(ReadError::Fatal)?;
        entry.target = target;
        let change = self.change_since(before, &Metadata { size: 0, ..now });
        entry.is_changed |= change.is_some();
        self.add_change(&entry.path, change.map(|_| Change::Modified));
        Ok(())
    }

    /// Returns the change since the walk has found `before`.
    fn change_since(&self, before: &Metadata, now: &Metadata) -> Option<Change> {
        let is_ctime_ignored = self.reader.options.trust_mtime;
        let ctime_ns = if is_ctime_ignored { before.ctime_ns } else { now.ctime_ns };
        change_between(before, &Metadata { ctime_ns, ..*now })
    }

    /// Adds a header to the batch, and returns its length.
    fn put_header(&mut self, entry: &Entry, target: &[u8]) -> Result<u32> {
        let (path, kind, meta) = (&entry.path[..], entry.kind, metadata(entry));
        let len = self.encode_header(&Header { path, kind, meta: &meta, target });
        self.output.batch()?.raw.extend(&self.headers);
        Ok(len as u32)
    }

    /// Reports an entry that no longer exists as skipped, and reverts its counts.
    fn leave_out(&mut self, entry: &Entry, errno: Errno) -> Result<()> {
        let reason = match errno {
            // It is no longer a symlink.
            Errno::INVAL => SkipReason::Replaced,
            _ => {
                skippable(errno).ok_or_else(|| self.reader.root.fail(&entry.path, "read", errno))?
            }
        };
        self.skip(&entry.path, reason);
        match entry.kind {
            EntryKind::File => {
                self.report.files -= 1;
                self.report.content -= entry.size;
            }
            EntryKind::Symlink => self.report.symlinks -= 1,
            EntryKind::Directory => self.report.directories -= 1,
        }
        let is_name = |names: &&mut Names| {
            names.first == entry.path || (!entry.target.is_empty() && names.first == entry.target)
        };
        if let Some(names) = self.links.values_mut().find(is_name) {
            names.count -= 1;
        }
        Ok(())
    }
}

/// Returns the metadata that is in the header.
fn metadata(entry: &Entry) -> Metadata {
    let Entry { mode, uid, gid, mtime_ns, size, .. } = *entry;
    Metadata { size, mode, uid, gid, mtime_ns, ..Metadata::default() }
}

/// Returns the change of a file from `before` to `now`.
pub(super) fn change_between(before: &Metadata, now: &Metadata) -> Option<Change> {
    (before != now).then(|| change_of_size(before.size, now.size))
}

fn change_of_size(before: u64, now: u64) -> Change {
    match now.cmp(&before) {
        std::cmp::Ordering::Less => Change::Shrank,
        std::cmp::Ordering::Greater => Change::Grew,
        std::cmp::Ordering::Equal => Change::Modified,
    }
}
