//! What a member does to the tree, in the order of the archive: as tar does it.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use rustix::io::Errno;

use crate::{
    entry::{Member, MemberKind},
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{component_ends, fail, split},
        unpack::{self, Attributes, OverwritePolicy, check_path},
    },
    ops::{
        extractor::{
            Extractor,
            names::{Kind, Name},
            writes::Current,
        },
        unpacked::{NotExtractedReason, too_many, weight},
    },
};

impl Extractor<'_> {
    /// Takes a member up; true if its content is wanted.
    pub(super) fn take(&mut self, member: Member) -> Result<bool> {
        let is_dir = member.kind == MemberKind::Directory;
        if member.path.is_empty() && is_dir || !self.is_wanted(&member.path, is_dir) {
            return Ok(false);
        }
        check_path(&member.path)?;
        self.enter(&member.path)?;
        self.members = self.members.saturating_add(weight(&member));
        if self.members > self.job.options.max_members {
            return Err(too_many("extract", self.job.options.max_members));
        }
        let Member { mode, uid, gid, mtime_ns, .. } = member;
        let meta = Attributes { mode, uid, gid, mtime_ns };
        match member.kind {
            MemberKind::File => {
                self.allow(member.size)?;
                self.begin_file(member, meta)?;
                return Ok(true);
            }
            MemberKind::HardLink => self.hard_link(member)?,
            MemberKind::Symlink => {
                unpack::check_target(&member.path, &member.target)?;
                let existing = self.make_way(&member.path, Kind::Symlink)?;
                let made = self.unpacker.symlink(&member.path, &member.target, &meta, existing);
                self.keep(&member.path, made)?;
                self.unpacked.symlinks += 1;
            }
            MemberKind::Directory => {
                self.make_way(&member.path, Kind::Directory)?;
                let made = self.unpacker.directory(&member.path, &meta);
                let is_new = self.keep(&member.path, made)?;
                self.unpacked.directories += u64::from(is_new);
            }
            MemberKind::Fifo => self.leave_out(member.path, Kind::Fifo)?,
            MemberKind::CharDevice | MemberKind::BlockDevice => {
                self.leave_out(member.path, Kind::Device)?;
            }
        }
        Ok(false)
    }

    /// Sees to it that the directory of `path` can be one.
    fn enter(&mut self, path: &[u8]) -> Result<()> {
        let (parent, _) = split(path);
        if self.parent.as_deref() == Some(parent) {
            return Ok(());
        }
        for end in component_ends(parent) {
            let name = self.names.name(&parent[..end]);
            match self.names.kind(name) {
                Some(Kind::Directory) => {}
                None => {
                    self.names.set(name, Kind::Directory);
                    self.members = self.members.saturating_add(1);
                }
                Some(Kind::Symlink) => return Err(fail("extract", path, Errno::LOOP)),
                Some(_) => return Err(fail("extract", path, Errno::NOTDIR)),
            }
        }
        self.parent = Some(parent.to_vec());
        Ok(())
    }

    /// Makes room for a member of this kind: of two members of one name the last counts. Only a
    /// directory with something in it stays. Says what may be there when it is made.
    fn make_way(&mut self, path: &[u8], kind: Kind) -> Result<OverwritePolicy> {
        let name = self.names.name(path);
        let Some(old) = self.names.kind(name) else {
            self.names.set(name, kind);
            return Ok(self.job.existing);
        };
        let is_made = matches!(kind, Kind::File | Kind::HardLink | Kind::Symlink);
        let existing = match old {
            Kind::Directory if kind == Kind::Directory => return Ok(self.job.existing),
            Kind::Directory if self.not_empty.contains(&name) => {
                return Err(fail("replace", path, Errno::ISDIR));
            }
            Kind::Directory => {
                // A file in it may still be on its way.
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
        // It may have been refused meanwhile.
        match self.names.kind(name) {
            Some(Kind::File) => self.unpacked.files -= 1,
            Some(Kind::HardLink) => {
                self.unpacked.files -= 1;
                self.unpacked.hard_links -= 1;
            }
            Some(Kind::Symlink) => self.unpacked.symlinks -= 1,
            Some(Kind::Directory | Kind::Fifo | Kind::Device) | None => {}
        }
        self.names.set(name, kind);
        Ok(existing)
    }

    /// Forgets the name of what could not be made.
    fn keep<T>(&mut self, path: &[u8], made: Result<T>) -> Result<T> {
        if made.is_err() {
            self.names.remove(self.names.name(path));
        }
        made
    }

    /// Makes another name of what stands at the target now.
    fn hard_link(&mut self, member: Member) -> Result<()> {
        let Member { path, target, .. } = member;
        let refused = || {
            let path = OsStr::from_bytes(&path);
            Error::new(ErrorKind::InvalidInput, "make the hard link").at(path)
        };
        check_path(&target).map_err(|e| refused().caused_by(e))?;
        let (name, to) = (self.names.name(&path), self.names.name(&target));
        self.wait_for(to)?;
        let kind = match self.names.kind(to) {
            None => return Err(refused().caused_by("no file of that name came before it")),
            // GNU tar stores a file that it meets again as a link to itself.
            Some(_) if name == to => return Ok(()),
            Some(Kind::Directory) => return Err(refused().caused_by("it names a directory")),
            Some(kind @ (Kind::Fifo | Kind::Device)) => return self.leave_out(path, kind),
            Some(Kind::Symlink) => Kind::Symlink,
            Some(Kind::File | Kind::HardLink) => Kind::HardLink,
        };
        let existing = self.make_way(&path, kind)?;
        let made = self.unpacker.hard_link(&path, &target, existing);
        self.keep(&path, made)?;
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
        let name = self.names.name(&path);
        let existing = self.make_way(&path, Kind::File)?;
        self.unpacked.files += 1;
        self.unpacked.content += size;
        let parts = Vec::new();
        self.current = Some(Current { name, path, size, meta, existing, parts, file: None });
        Ok(())
    }

    /// Leaves out a member of a kind that is not extracted, and what it replaces.
    fn leave_out(&mut self, path: Vec<u8>, kind: Kind) -> Result<()> {
        self.make_way(&path, kind)?;
        self.unpacker.make_parent(&path)?;
        self.not_empty.insert(self.names.name(split(&path).0));
        let is_fifo = kind == Kind::Fifo;
        let reason = if is_fifo { NotExtractedReason::Fifo } else { NotExtractedReason::Device };
        self.skip(path, reason);
        Ok(())
    }

    pub(super) fn skip(&mut self, path: Vec<u8>, reason: NotExtractedReason) {
        self.unpacked.skip(path, reason);
    }

    fn wait_for(&mut self, name: Name) -> Result<()> {
        self.writes.wait_for(name)?;
        self.take_refused();
        Ok(())
    }

    pub(super) fn wait(&mut self) -> Result<()> {
        self.writes.wait()?;
        self.take_refused();
        Ok(())
    }

    /// Takes back what was counted of files that turned out to be unusable.
    fn take_refused(&mut self) {
        for file in self.writes.refused() {
            if self.names.kind(file.name) == Some(Kind::File) {
                self.names.remove(file.name);
                self.unpacked.files -= 1;
            }
            self.unpacked.content -= file.size;
            self.skip(file.path, NotExtractedReason::Refused(file.why.to_string()));
        }
    }
}
