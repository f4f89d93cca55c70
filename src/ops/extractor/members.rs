//! Applies members to the tree in the order of the archive, as tar does.

use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt, sync::Arc};

use rustix::io::Errno;

use crate::{
    entry::{Member, MemberKind},
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{component_ends, fail, split},
        unpack::{self, Attributes, OverwritePolicy, Unpacker, check_path},
    },
    ops::{
        extractor::{
            job::Job,
            paths::{Kind, PathHash, PathKinds},
            writes::{Current, Writes},
        },
        select::Unmatched,
        unpacked::{ContentLimit, NotExtractedReason, Unpacked, too_many, weight},
    },
    progress::Tracker,
    read::worker_pool::WorkerPool,
};

/// Content bytes between two checks of the free space.
pub(super) const SPACE_STRIDE: u64 = 16 << 20;

/// Writes members to disk in their order, as tar does: each is made in the tree that the members before
/// it have left, and the last member of a path counts. Workers write the files later. A change to the
/// path of a file that is not written yet waits for it.
pub(super) struct Extractor<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) tracker: &'a Tracker,
    pub(super) unpacker: Arc<Unpacker>,
    pub(super) writes: Writes<'a>,
    pub(super) unpacked: Unpacked,
    pub(super) unmatched: Unmatched,
    pub(super) paths: PathKinds,
    /// Directories that would hold something if pipes and devices were extracted.
    pub(super) not_empty: HashSet<PathHash>,
    /// Parent of the last member. It is known to be a directory.
    pub(super) parent: Option<Vec<u8>>,
    pub(super) current: Option<Current>,
    pub(super) members: u64,
    pub(super) content: ContentLimit,
    /// Content bytes since the last check of the free space.
    pub(super) unchecked: u64,
}

impl<'a> Extractor<'a> {
    pub(super) fn new(
        job: &'a Job<'a>,
        archive_len: Option<u64>,
        unpacker: Arc<Unpacker>,
        pool: &'a WorkerPool,
        tracker: &'a Tracker,
    ) -> Self {
        Extractor {
            job,
            tracker,
            writes: Writes::new(pool, unpacker.clone(), job.skips_unusable()),
            unpacker,
            unpacked: Unpacked::default(),
            unmatched: job.selection.unmatched(),
            paths: PathKinds::default(),
            not_empty: HashSet::new(),
            parent: None,
            current: None,
            members: 0,
            content: ContentLimit::new(job.options, archive_len),
            // The first content is checked.
            unchecked: SPACE_STRIDE,
        }
    }

    pub(super) fn is_wanted(&mut self, path: &[u8], is_dir: bool) -> bool {
        self.job.selection.matches(path, is_dir, &mut self.unmatched)
            && !(self.job.skip)(path, is_dir)
    }

    /// Adds a member to the tree. Returns whether its content is wanted.
    pub(super) fn add_member(&mut self, member: Member) -> Result<bool> {
        let is_dir = member.kind == MemberKind::Directory;
        if member.path.is_empty() && is_dir || !self.is_wanted(&member.path, is_dir) {
            return Ok(false);
        }
        check_path(&member.path)?;
        self.enter_parent(&member.path)?;
        self.members = self.members.saturating_add(weight(&member));
        if self.members > self.job.options.max_members {
            return Err(too_many("extract", self.job.options.max_members));
        }
        let Member { mode, uid, gid, mtime_ns, .. } = member;
        let meta = Attributes { mode, uid, gid, mtime_ns };
        match member.kind {
            MemberKind::File => {
                self.content.add("extract", member.size)?;
                self.begin_file(member, meta)?;
                return Ok(true);
            }
            MemberKind::HardLink => self.hard_link(member)?,
            MemberKind::Symlink => {
                unpack::check_target(&member.path, &member.target)?;
                let existing = self.clear_path(&member.path, Kind::Symlink)?;
                let made = self.unpacker.symlink(&member.path, &member.target, &meta, existing);
                self.forget_if_failed(&member.path, made)?;
                self.unpacked.symlinks += 1;
            }
            MemberKind::Directory => {
                self.clear_path(&member.path, Kind::Directory)?;
                let made = self.unpacker.directory(&member.path, &meta);
                let is_new = self.forget_if_failed(&member.path, made)?;
                self.unpacked.directories += u64::from(is_new);
            }
            MemberKind::Fifo => self.leave_out(member.path, Kind::Fifo)?,
            MemberKind::CharDevice | MemberKind::BlockDevice => {
                self.leave_out(member.path, Kind::Device)?;
            }
        }
        Ok(false)
    }

    /// Checks that no member before made the parent of `path` anything but a directory.
    fn enter_parent(&mut self, path: &[u8]) -> Result<()> {
        let (parent, _) = split(path);
        if self.parent.as_deref() == Some(parent) {
            return Ok(());
        }
        for end in component_ends(parent) {
            let name = self.paths.hash(&parent[..end]);
            match self.paths.kind(name) {
                Some(Kind::Directory) => {}
                None => {
                    self.paths.set(name, Kind::Directory);
                    self.members = self.members.saturating_add(1);
                }
                Some(Kind::Symlink) => return Err(fail("extract", path, Errno::LOOP)),
                Some(_) => return Err(fail("extract", path, Errno::NOTDIR)),
            }
        }
        self.parent = Some(parent.to_vec());
        Ok(())
    }

    /// Makes room for a member of this kind: of two members of one path the last counts. Only a
    /// directory with entries in it stays. Returns what may exist at the path when the member is made.
    fn clear_path(&mut self, path: &[u8], kind: Kind) -> Result<OverwritePolicy> {
        let name = self.paths.hash(path);
        let Some(old) = self.paths.kind(name) else {
            self.paths.set(name, kind);
            return Ok(self.job.existing);
        };
        let is_made = matches!(kind, Kind::File | Kind::HardLink | Kind::Symlink);
        let existing = match old {
            Kind::Directory if kind == Kind::Directory => return Ok(self.job.existing),
            Kind::Directory if self.not_empty.contains(&name) => {
                return Err(fail("replace", path, Errno::ISDIR));
            }
            Kind::Directory => {
                // A worker may still write a file in it.
                self.wait()?;
                if self.unpacker.remove_directory(path)? {
                    self.unpacked.directories -= 1;
                }
                self.parent = None;
                self.job.existing
            }
            Kind::File | Kind::HardLink | Kind::Symlink => {
                self.wait_for(name)?;
                if !is_made {
                    self.unpacker.remove_file(path)?;
                }
                OverwritePolicy::Overwrite
            }
            Kind::Fifo | Kind::Device => self.job.existing,
        };
        // The file may have been refused while this waited.
        match self.paths.kind(name) {
            Some(Kind::File) => self.unpacked.files -= 1,
            Some(Kind::HardLink) => {
                self.unpacked.files -= 1;
                self.unpacked.hard_links -= 1;
            }
            Some(Kind::Symlink) => self.unpacked.symlinks -= 1,
            Some(Kind::Directory | Kind::Fifo | Kind::Device) | None => {}
        }
        self.paths.set(name, kind);
        Ok(existing)
    }

    /// Forgets the path of a member that could not be made.
    fn forget_if_failed<T>(&mut self, path: &[u8], made: Result<T>) -> Result<T> {
        if made.is_err() {
            self.paths.remove(self.paths.hash(path));
        }
        made
    }

    /// Makes a hard link to the file that is at the target now.
    fn hard_link(&mut self, member: Member) -> Result<()> {
        let Member { path, target, .. } = member;
        let refused = || {
            let path = OsStr::from_bytes(&path);
            Error::new(ErrorKind::InvalidInput, "make the hard link").at(path)
        };
        check_path(&target).map_err(|e| refused().caused_by(e))?;
        let (name, to) = (self.paths.hash(&path), self.paths.hash(&target));
        self.wait_for(to)?;
        let kind = match self.paths.kind(to) {
            None => return Err(refused().caused_by("no file of that name came before it")),
            // GNU tar stores a file that it reads a second time as a link to itself.
            Some(_) if name == to => return Ok(()),
            Some(Kind::Directory) => return Err(refused().caused_by("it names a directory")),
            Some(kind @ (Kind::Fifo | Kind::Device)) => return self.leave_out(path, kind),
            Some(Kind::Symlink) => Kind::Symlink,
            Some(Kind::File | Kind::HardLink) => Kind::HardLink,
        };
        let existing = self.clear_path(&path, kind)?;
        let made = self.unpacker.hard_link(&path, &target, existing);
        self.forget_if_failed(&path, made)?;
        match kind {
            Kind::Symlink => self.unpacked.symlinks += 1,
            _ => {
                self.unpacked.files += 1;
                self.unpacked.hard_links += 1;
            }
        }
        Ok(())
    }

    fn begin_file(&mut self, member: Member, meta: Attributes) -> Result<()> {
        let Member { path, size, .. } = member;
        let name = self.paths.hash(&path);
        let existing = self.clear_path(&path, Kind::File)?;
        self.unpacked.files += 1;
        self.unpacked.content += size;
        let parts = Vec::new();
        self.current =
            Some(Current { name, path, size, meta, existing, parts, end: 0, file: None });
        Ok(())
    }

    /// Leaves out a member of a kind that is not extracted. Removes the file that it replaces.
    fn leave_out(&mut self, path: Vec<u8>, kind: Kind) -> Result<()> {
        self.clear_path(&path, kind)?;
        self.unpacker.make_parent(&path)?;
        self.not_empty.insert(self.paths.hash(split(&path).0));
        let is_fifo = kind == Kind::Fifo;
        let reason = if is_fifo { NotExtractedReason::Fifo } else { NotExtractedReason::Device };
        self.skip(path, reason);
        Ok(())
    }

    pub(super) fn skip(&mut self, path: Vec<u8>, reason: NotExtractedReason) {
        self.unpacked.skip(path, reason);
    }

    fn wait_for(&mut self, name: PathHash) -> Result<()> {
        self.writes.wait_for(name)?;
        self.collect_refused();
        Ok(())
    }

    pub(super) fn wait(&mut self) -> Result<()> {
        self.writes.wait()?;
        self.collect_refused();
        Ok(())
    }

    /// Subtracts the files that workers refused from the counts, and lists them as skipped.
    fn collect_refused(&mut self) {
        for file in self.writes.refused() {
            if self.paths.kind(file.name) == Some(Kind::File) {
                self.paths.remove(file.name);
                self.unpacked.files -= 1;
            }
            self.unpacked.content -= file.size;
            self.skip(file.path, NotExtractedReason::Refused(file.why.to_string()));
        }
    }
}
