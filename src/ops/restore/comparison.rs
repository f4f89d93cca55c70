//! Compares the members of an archive with the files of the directory, and writes nothing.

use std::{
    collections::HashMap,
    ffi::OsStr,
    hash::{BuildHasher, RandomState},
    ops::Range,
    os::unix::ffi::OsStrExt,
};

use rustix::{fs::FileType, io::Errno};

use crate::{
    entry::{Member, MemberKind},
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, component_ends, fail, split},
        replace::{Changes, find_removals, in_the_way},
        stat::FileId,
        unpack::{Attributes, OldFile, OldTree, Owner, check_path, check_target},
    },
    listed::Listed,
    ops::{
        restore::{Restore, rules::Rules},
        select::Unmatched,
        unpacked::{ContentLimit, NotExtractedReason, Unpacked, too_many, weight},
    },
    progress::Tracker,
    read::{sink::Sink, worker_pool::SharedBuffer},
};

/// The tree that a restore would change.
pub(super) struct Old {
    pub(super) dir: Beneath,
    files: OldTree,
    dev: u64,
}

impl Old {
    pub(super) fn new(dir: Beneath, owner: Owner) -> Result<Old> {
        let fail = |e: Errno| Error::io("open the directory", e);
        let dev = rustix::fs::fstat(&dir).map_err(fail)?.st_dev;
        let files = OldTree::new(dir.reopen().map_err(fail)?, owner)?;
        Ok(Old { dir, files, dev })
    }
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Replaced,
    Unchanged,
}

/// The last member of a path.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kind: MemberKind,
    /// A directory that is only the parent of a member is no member.
    is_member: bool,
    /// `None` for a directory that both trees have, and for an entry that is kept.
    change: Option<Change>,
}

/// Returns whether the new tree has a directory for a member of this kind; `None` if it has nothing.
fn is_new_dir(kind: MemberKind) -> Option<bool> {
    match kind {
        MemberKind::Directory => Some(true),
        MemberKind::File | MemberKind::HardLink | MemberKind::Symlink => Some(false),
        MemberKind::Fifo | MemberKind::CharDevice | MemberKind::BlockDevice => None,
    }
}

/// A file that is equal to the old one so far.
struct Current {
    path: Vec<u8>,
    size: u64,
    file: OldFile,
    /// End of the content that was compared.
    end: u64,
}

/// Compares members with the old tree as a restore would.
pub(super) struct Comparison<'a> {
    restore: &'a Restore,
    old: Option<&'a Old>,
    rules: &'a Rules<'a>,
    tracker: &'a Tracker,
    hasher: RandomState,
    /// The members by the hash of their path, so that a long path needs no memory.
    seen: HashMap<u64, Seen>,
    unmatched: Unmatched,
    members: u64,
    content: ContentLimit,
    current: Option<Current>,
    changes: Changes,
    unpacked: Unpacked,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        restore: &'a Restore,
        rules: &'a Rules<'a>,
        old: Option<&'a Old>,
        archive_len: Option<u64>,
        tracker: &'a Tracker,
    ) -> Self {
        let options = &restore.options;
        Comparison {
            restore,
            old,
            rules,
            tracker,
            hasher: RandomState::new(),
            seen: HashMap::new(),
            unmatched: rules.selection.unmatched(),
            members: 0,
            content: ContentLimit::new(options, archive_len),
            current: None,
            changes: Changes::default(),
            unpacked: Unpacked::default(),
        }
    }

    /// Returns selected paths and patterns that matched nothing in the archive.
    pub(super) fn unmatched(&self) -> Vec<Vec<u8>> {
        self.rules.selection.texts(&self.unmatched)
    }

    /// Finds the files that `rules` remove, and returns all changes. `staging` is the inode of a staging directory
    /// in the old tree.
    pub(super) fn finish(
        mut self,
        rules: &Rules<'_>,
        staging: Option<u64>,
    ) -> Result<(Changes, Unpacked)> {
        let new = |path: &[u8]| Ok(self.seen(path).and_then(|seen| is_new_dir(seen.kind)));
        let removed = rules.exchange(&|_| false, |how| match (self.old, how.fates) {
            (Some(old), Some(fates)) => {
                let staging = staging.map(|ino| FileId { dev: old.dev, ino });
                find_removals(&old.dir, staging, &new, how.keep, fates).map(|found| found.paths)
            }
            _ => Ok(Listed::default()),
        })?;
        self.changes.removed = removed;
        Ok((self.changes, self.unpacked))
    }

    fn seen(&self, path: &[u8]) -> Option<Seen> {
        self.seen.get(&self.hasher.hash_one(path)).copied()
    }

    /// Adds a member. Returns whether it is a file, so that its content is compared.
    fn add(&mut self, member: Member) -> Result<bool> {
        let (path, kind) = (&member.path, member.kind);
        let is_dir = kind == MemberKind::Directory;
        let is_selected = self.rules.selection.matches(path, is_dir, &mut self.unmatched);
        if path.is_empty() && is_dir || !is_selected {
            return Ok(false);
        }
        check_path(path)?;
        self.enter_parent(path)?;
        self.members = self.members.saturating_add(weight(&member));
        let max = self.restore.options.max_members;
        if self.members > max {
            return Err(too_many("restore", max));
        }
        self.forget(path);
        match kind {
            MemberKind::File => {
                self.unpacked.content += member.size;
                self.content.add("restore", member.size)?;
            }
            MemberKind::Symlink => check_target(path, &member.target)?,
            MemberKind::HardLink => self.check_hard_link(&member)?,
            MemberKind::Fifo => self.unpacked.skip(path.clone(), NotExtractedReason::Fifo),
            MemberKind::CharDevice | MemberKind::BlockDevice => {
                self.unpacked.skip(path.clone(), NotExtractedReason::Device);
            }
            MemberKind::Directory => {}
        }
        let mut change = self.change(path, kind)?;
        if let (Some(Change::Replaced), Some(Old { files, .. })) = (change, self.old) {
            let Member { mode, uid, gid, mtime_ns, size, .. } = member;
            let attributes = Attributes { mode, uid, gid, mtime_ns };
            if kind == MemberKind::Symlink && files.has_link(path, &member.target, &attributes) {
                change = Some(Change::Unchanged);
            }
            if kind == MemberKind::File {
                let file = files.open(path, size, &attributes);
                self.current = file.map(|file| Current { path: path.clone(), size, file, end: 0 });
            }
        }
        self.note(path, Seen { kind, is_member: true, change });
        Ok(kind == MemberKind::File)
    }

    /// Adds the parents of a path that no member has named.
    fn enter_parent(&mut self, path: &[u8]) -> Result<()> {
        let (parent, _) = split(path);
        for end in component_ends(parent) {
            let parent = &parent[..end];
            match self.seen(parent).map(|seen| seen.kind) {
                Some(MemberKind::Directory) => {}
                Some(MemberKind::Symlink) => return Err(fail("restore", path, Errno::LOOP)),
                Some(_) => return Err(fail("restore", path, Errno::NOTDIR)),
                None => {
                    let kind = MemberKind::Directory;
                    let change = self.change(parent, kind)?;
                    self.members = self.members.saturating_add(1);
                    self.note(parent, Seen { kind, is_member: false, change });
                }
            }
        }
        Ok(())
    }

    fn check_hard_link(&self, member: &Member) -> Result<()> {
        let why = match self.seen(&member.target).map(|seen| seen.kind) {
            None => "no file of that name came before it",
            Some(MemberKind::Directory) => "it names a directory",
            Some(_) => return Ok(()),
        };
        let path = OsStr::from_bytes(&member.path);
        Err(Error::new(ErrorKind::InvalidInput, "make the hard link").at(path).caused_by(why))
    }

    /// Returns how an entry of this kind changes the old tree, if it is not equal to the old one.
    fn change(&self, path: &[u8], kind: MemberKind) -> Result<Option<Change>> {
        let Some(is_dir) = is_new_dir(kind) else { return Ok(None) };
        let Some(old) = self.old else { return Ok(Some(Change::Added)) };
        if self.is_kept(old, path, is_dir) {
            return Ok(None);
        }
        let may_remove = self.restore.delete;
        match (old.dir.kind(path), is_dir) {
            (None, _) => Ok(Some(Change::Added)),
            (Some(FileType::Directory), true) => Ok(None),
            (Some(FileType::Directory), false) if !may_remove => Err(in_the_way(path)),
            (Some(_), true) if self.restore.in_place && !may_remove => Err(in_the_way(path)),
            (Some(_), _) => Ok(Some(Change::Replaced)),
        }
    }

    /// Returns whether an unusable member is skipped.
    fn skips(&self, error: &Error) -> bool {
        self.restore.options.skip_refused && error.kind() == ErrorKind::InvalidInput
    }

    /// Returns whether the old tree has the entry or a parent of it, and keeps that.
    fn is_kept(&self, old: &Old, path: &[u8], is_dir: bool) -> bool {
        component_ends(path).any(|end| {
            let is_dir = is_dir || end < path.len();
            self.rules.keeps(&path[..end], is_dir) && old.dir.kind(&path[..end]).is_some()
        })
    }

    fn note(&mut self, path: &[u8], seen: Seen) {
        match seen.change {
            Some(Change::Added) => self.changes.added.push(path.to_vec()),
            Some(Change::Replaced) => self.changes.replaced.push(path.to_vec()),
            Some(Change::Unchanged) => self.changes.unchanged += 1,
            None => {}
        }
        self.count(seen, 1);
        self.seen.insert(self.hasher.hash_one(path), seen);
    }

    /// Forgets the member before at this path: of two members the last counts.
    fn forget(&mut self, path: &[u8]) {
        let Some(seen) = self.seen.remove(&self.hasher.hash_one(path)) else { return };
        match seen.change {
            Some(Change::Added) => self.changes.added.remove(path),
            Some(Change::Replaced) => self.changes.replaced.remove(path),
            Some(Change::Unchanged) => self.changes.unchanged -= 1,
            None => {}
        }
        self.count(seen, -1);
    }

    /// Adds `n` to the number of the members of a kind.
    fn count(&mut self, seen: Seen, n: i64) {
        let counts = &mut self.unpacked;
        let count = match seen.kind {
            _ if !seen.is_member => return,
            MemberKind::File => &mut counts.files,
            MemberKind::Symlink => &mut counts.symlinks,
            MemberKind::Directory => &mut counts.directories,
            MemberKind::HardLink => {
                counts.hard_links = counts.hard_links.saturating_add_signed(n);
                &mut counts.files
            }
            MemberKind::Fifo | MemberKind::CharDevice | MemberKind::BlockDevice => return,
        };
        *count = count.saturating_add_signed(n);
    }

    /// Compares a part of the current file.
    fn compare(&mut self, hole: u64, offset: u64, bytes: &[u8]) {
        if self.current.as_ref().is_some_and(|current| !current.file.has(hole, offset, bytes)) {
            self.current = None;
        }
    }
}

impl Sink for Comparison<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        self.current = None;
        let path = member.path.clone();
        match self.add(member) {
            Err(e) if self.skips(&e) => {
                self.unpacked.skip(path, NotExtractedReason::Refused(e.to_string()));
                Ok(false)
            }
            added => added,
        }
    }

    fn refuse(&mut self, member: Member, why: &'static str) -> Result<()> {
        let path = OsStr::from_bytes(&member.path);
        let error = Error::new(ErrorKind::InvalidInput, "restore").at(path).caused_by(why);
        if !self.skips(&error) {
            return Err(error);
        }
        self.unpacked.skip(member.path, NotExtractedReason::Refused(error.to_string()));
        Ok(())
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.tracker.add_bytes(range.len() as u64);
        let end = offset + range.len() as u64;
        let hole = self.current.as_mut().map(|current| std::mem::replace(&mut current.end, end));
        if let Some(hole) = hole {
            self.compare(hole, offset, &raw[range]);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.tracker.add_file();
        if let Some((end, size)) = self.current.as_ref().map(|file| (file.end, file.size)) {
            self.compare(end, size, &[]);
        }
        if let Some(Current { path, .. }) = self.current.take() {
            self.forget(&path);
            let change = Some(Change::Unchanged);
            self.note(&path, Seen { kind: MemberKind::File, is_member: true, change });
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.current = None;
    }
}
