//! Reads a group of small files that was taken for unchanged, and whose segment of the previous archive
//! turns out not to hold what its index says.

use rustix::io::Errno;

use super::{ReadError, Writer, file_header};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::Result,
    format::tar::Header,
    fs::root::skippable,
    report::{Change, SkipReason},
};

impl Writer<'_> {
    /// Puts the entries that are held into the batch and the index as they are now. The first of them
    /// is the previous archive's entry `first`.
    pub(super) fn read_group(&mut self, first: usize) -> Result<()> {
        for (i, mut entry) in (first..).zip(std::mem::take(&mut self.held)) {
            let start = self.batch.raw.len();
            let read = match entry.kind() {
                EntryKind::File => self.read_file_again(i, &mut entry),
                EntryKind::Symlink => self.read_link_again(i, &mut entry),
                EntryKind::Directory => {
                    self.put_header(&entry, &[]);
                    Ok(())
                }
            };
            match read {
                Ok(()) => self.index.entries.push(&entry)?,
                Err(ReadError::Cancelled(e)) => return Err(e),
                Err(ReadError::Errno(errno)) => {
                    self.batch.raw.truncate(start);
                    self.leave_out(&entry, errno)?;
                }
            }
        }
        Ok(())
    }

    /// As a small file that is met for the first time, it gets the length that was read.
    fn read_file_again(&mut self, i: usize, entry: &mut Entry) -> Result<(), ReadError> {
        let mut file = self.root.open_file(&entry.path).map_err(ReadError::Errno)?;
        let start = self.batch.raw.len();
        self.batch.raw.zeros(entry.header_len as usize);
        let size = entry.size;
        entry.size = self.fill(&mut file, 0..size)?;
        self.facts.content -= size - entry.size;
        self.pad();
        let meta = metadata(entry);
        self.headers.clear();
        file_header(&entry.path, &meta).write(&mut self.headers);
        self.batch.raw[start..start + self.headers.len()].copy_from_slice(&self.headers);
        let seen = file.metadata();
        let is_same = self.cursor.as_ref().is_some_and(|cursor| cursor.is_same_file(i, &seen));
        let change = match is_same {
            _ if entry.size < size => Some(Change::Shrank),
            true => file.change().map_err(ReadError::Errno)?,
            false => Some(change_of(size, seen.size)),
        };
        entry.flags |= self.note_change(&entry.path, change);
        Ok(())
    }

    fn read_link_again(&mut self, i: usize, entry: &mut Entry) -> Result<(), ReadError> {
        let target = self.root.read_link(&entry.path).map_err(ReadError::Errno)?;
        let seen = self.root.stat(&entry.path).map_err(ReadError::Errno)?;
        entry.header_len = self.put_header(entry, &target);
        let kind = EntryKind::Symlink;
        let seen = Metadata { size: 0, ..seen };
        let is_same =
            self.cursor.as_ref().is_some_and(|cursor| cursor.is_same_link(i, kind, &seen));
        entry.flags |= self.note_change(&entry.path, (!is_same).then_some(Change::Modified));
        Ok(())
    }

    /// Returns its length.
    fn put_header(&mut self, entry: &Entry, target: &[u8]) -> u32 {
        let (path, kind, meta) = (&entry.path[..], entry.kind(), metadata(entry));
        self.headers.clear();
        Header { path, kind, meta: &meta, target }.write(&mut self.headers);
        self.batch.raw.extend(&self.headers);
        self.headers.len() as u32
    }

    /// Takes back what was counted of an entry that is gone by now, and reports it.
    fn leave_out(&mut self, entry: &Entry, errno: Errno) -> Result<()> {
        let reason = match errno {
            // No symlink any more.
            Errno::INVAL => SkipReason::Replaced,
            _ => skippable(errno).ok_or_else(|| self.root.fail(&entry.path, "read", errno))?,
        };
        self.skip(&entry.path, reason);
        match entry.kind() {
            EntryKind::File => {
                self.facts.files -= 1;
                self.facts.content -= entry.size;
            }
            EntryKind::Symlink => self.facts.symlinks -= 1,
            EntryKind::Directory => self.facts.directories -= 1,
        }
        // The entries behind it move up by one.
        let place = self.index.entries.len() as u32;
        for group in self.links.values_mut() {
            group.retain(|&other| other != place);
            group.iter_mut().filter(|other| **other > place).for_each(|other| *other -= 1);
        }
        Ok(())
    }
}

/// What the header says.
fn metadata(entry: &Entry) -> Metadata {
    let Entry { mode, uid, gid, mtime_ns, size, .. } = *entry;
    Metadata { size, mode, uid, gid, mtime_ns, ..Metadata::default() }
}

/// How a file has changed between two looks at it.
pub(super) fn change_between(then: &Metadata, now: &Metadata) -> Option<Change> {
    (then != now).then(|| change_of(then.size, now.size))
}

fn change_of(then: u64, now: u64) -> Change {
    match now.cmp(&then) {
        std::cmp::Ordering::Less => Change::Shrank,
        std::cmp::Ordering::Greater => Change::Grew,
        std::cmp::Ordering::Equal => Change::Modified,
    }
}
