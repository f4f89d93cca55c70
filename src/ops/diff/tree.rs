//! A directory, as a side of a comparison.

use rustix::io::Errno;

use crate::{
    entry::{EntryKind, Member, Metadata},
    error::Result,
    fs::{
        file::SourceFile,
        root::skippable,
        walk::{TreeWalk, WalkEntry},
    },
    listed::Listed,
    ops::{
        diff::item::{Item, Knowledge},
        last_members::ContentHash,
        stamp::Stamp,
    },
    progress::Tracker,
    report::{SkipReason, Skipped},
    throttle::Throttle,
};

/// Bytes of a file that are hashed together.
const CHUNK: usize = 1 << 20;

/// The entries of the directory in the order of the walk.
pub(super) struct TreeSide<'a> {
    walk: TreeWalk<'a>,
    reads: Throttle,
    pub(super) excluded: u64,
    pub(super) skipped: Listed<Skipped>,
}

impl<'a> TreeSide<'a> {
    pub(super) fn new(walk: TreeWalk<'a>, reads: Throttle) -> Self {
        TreeSide { walk, reads, excluded: 0, skipped: Listed::default() }
    }

    /// Goes to the next entry.
    pub(super) fn next(&mut self, tracker: &Tracker) -> Result<Option<Item>> {
        while let Some(step) = self.walk.next()? {
            tracker.check()?;
            let found = match step {
                WalkEntry::File => {
                    let stat = self.walk.stat().map(|(meta, _)| (meta, Vec::new()));
                    self.known("look at", stat)?.map(|found| (EntryKind::File, found))
                }
                WalkEntry::Symlink => {
                    let read = self.walk.dir_entry().and_then(|entry| entry.read_link());
                    self.known("read the link", read)?.map(|found| (EntryKind::Symlink, found))
                }
                WalkEntry::Directory(meta, None) => {
                    Some((EntryKind::Directory, (meta, Vec::new())))
                }
                WalkEntry::Directory(meta, Some(reason)) => {
                    self.skip(reason);
                    let member = member(self.walk.path(), EntryKind::Directory, &meta, Vec::new());
                    return Ok(Some(Item { knowledge: Knowledge::NotBeneath, ..Item::of(member) }));
                }
                WalkEntry::Excluded => {
                    self.excluded += 1;
                    continue;
                }
                // There is no such entry, or one that a backup leaves out.
                WalkEntry::Skipped(reason) if !reason.is_data_loss() => continue,
                WalkEntry::Skipped(reason) => {
                    self.skip(reason);
                    None
                }
            };
            return Ok(Some(match found {
                Some((kind, (meta, target))) => {
                    let stamp = (kind == EntryKind::File).then(|| Stamp::of_file(&meta));
                    Item { stamp, ..Item::of(member(self.walk.path(), kind, &meta, target)) }
                }
                None => {
                    let nothing = Metadata::default();
                    let member = member(self.walk.path(), EntryKind::File, &nothing, Vec::new());
                    Item { knowledge: Knowledge::Nothing, ..Item::of(member) }
                }
            }));
        }
        Ok(None)
    }

    /// Opens the current entry, a file. `None` if it cannot be read.
    pub(super) fn open(&mut self) -> Result<Option<SourceFile>> {
        let opened = self.walk.dir_entry().and_then(|entry| entry.open_file());
        self.known("open", opened)
    }

    /// Reads `len` bytes of the current file into `into`, or fewer at its end. `None` if it cannot be read.
    pub(super) fn read(
        &mut self,
        file: &mut SourceFile,
        at: u64,
        len: usize,
        into: &mut Vec<u8>,
        tracker: &Tracker,
    ) -> Result<Option<()>> {
        into.clear();
        into.resize(len, 0);
        let mut filled = 0;
        while filled < len {
            let from = at + filled as u64;
            let hole = file.hole_at(from).min((len - filled) as u64) as usize;
            if hole > 0 {
                filled += hole;
                continue;
            }
            let granted = self.reads.take(len - filled)?;
            let read = file.read_at(&mut into[filled..filled + granted], from);
            let Some(n) = self.known("read", read)? else { return Ok(None) };
            if n == 0 {
                break;
            }
            tracker.add_bytes(n as u64);
            filled += n;
        }
        file.release(at..at + filled as u64);
        into.truncate(filled);
        Ok(Some(()))
    }

    /// Returns the hash of the content of the current file. `None` if it cannot be read.
    pub(super) fn hash(&mut self, tracker: &Tracker) -> Result<Option<ContentHash>> {
        let Some(mut file) = self.open()? else { return Ok(None) };
        let (mut hasher, mut buffer, mut at) = (blake3::Hasher::new(), Vec::new(), 0);
        loop {
            tracker.check()?;
            let size = file.metadata().size;
            let len = (size - at).min(CHUNK as u64) as usize;
            if self.read(&mut file, at, len, &mut buffer, tracker)?.is_none() {
                return Ok(None);
            }
            hasher.update(&buffer);
            at += buffer.len() as u64;
            if buffer.len() < CHUNK || at == size {
                return Ok(Some(hasher.finalize().into()));
            }
        }
    }

    /// Returns what a call found out. `None` if the entry cannot be read.
    fn known<T>(&mut self, operation: &'static str, found: Result<T, Errno>) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(errno) => match skippable(errno) {
                Some(reason) => {
                    self.skip(reason);
                    Ok(None)
                }
                None => Err(self.walk.fail(operation, errno)),
            },
        }
    }

    fn skip(&mut self, reason: SkipReason) {
        self.skipped.push(Skipped { path: self.walk.path().to_vec(), reason });
    }
}

fn member(path: &[u8], kind: EntryKind, meta: &Metadata, target: Vec<u8>) -> Member {
    Member {
        path: path.to_vec(),
        kind: kind.into(),
        size: if kind == EntryKind::File { meta.size } else { 0 },
        mode: meta.mode,
        uid: meta.uid.into(),
        gid: meta.gid.into(),
        mtime_ns: meta.mtime_ns,
        target,
    }
}
