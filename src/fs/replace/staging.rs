//! The staging directory. It is on the file system of the target, and only the record knows its name.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, Stat, StatxFlags},
    io::Errno,
};
use serde_bytes::ByteBuf;

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, os},
        open_flags::DIRECTORY,
        replace::{
            entries::names,
            exchange::Trees,
            ops::{self, At},
            record::{Identity, StagingRecord},
            remove::remove_contents,
            target::Target,
        },
        stat::FileId,
    },
};

/// The start of the names of staging directories.
pub(crate) const PREFIX: &str = ".wingback-restore-";

const NEW: &[u8] = b"new";
const OLD: &[u8] = b"old";

/// The most entries of the target that are searched for a staging directory that was renamed.
const RENAMED_MAX: usize = 100_000;

/// A staging directory, open. Its contents are used through the handle. The name is used to find and to
/// remove it.
#[derive(Debug)]
pub(crate) struct StagingDir {
    parent: Beneath,
    name: Vec<u8>,
    dir: Beneath,
    id: FileId,
}

impl StagingRecord {
    /// Chooses a name that nobody can guess, in the target or in the directory `external`.
    pub(crate) fn plan(external: Option<&Path>) -> Result<StagingRecord> {
        let external = external
            .map(|dir| {
                std::fs::canonicalize(dir)
                    .map(|dir| ByteBuf::from(dir.as_os_str().as_bytes()))
                    .map_err(|e| Error::io("stage the restore in", e).at(dir))
            })
            .transpose()?;
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()).into_bytes();
        Ok(StagingRecord { external, name, identity: None })
    }

    fn parent(&self, target: &Target) -> Result<Beneath> {
        match &self.external {
            None => target.dir.reopen().map_err(|e| Error::io("open the target", e)),
            Some(dir) => Beneath::open(Path::new(os(dir))),
        }
    }

    /// Returns the path of the directory, for messages.
    pub(crate) fn path(&self, target: &Path) -> PathBuf {
        let parent = self.external.as_ref().map_or(target, |dir| Path::new(os(dir)));
        parent.join(os(&self.name))
    }
}

impl StagingDir {
    /// Makes the directory, which must not exist. Returns the identity by which it is recognized later.
    pub(crate) fn make(target: &Target, staging: &StagingRecord) -> Result<(StagingDir, Identity)> {
        let fail =
            |e: Errno| Error::io("make the staging directory", e).at(staging.path(&target.path));
        let parent = staging.parent(target)?;
        ops::make_dir(&parent, &staging.name).map_err(fail)?;
        let fd = rustix::fs::openat(&parent, &*staging.name, DIRECTORY, Mode::empty());
        let fd = fd.map_err(fail)?;
        let stat = rustix::fs::fstat(&fd).map_err(fail)?;
        let identity = Identity::of(&stat, &fd);
        let dir = StagingDir::from_parts(parent, &staging.name, fd, &stat);
        if identity.mode & 0o077 != 0 || identity.owner != rustix::process::geteuid().as_raw() {
            let error = Error::new(ErrorKind::Io, "make the staging directory");
            return Err(error.at(staging.path(&target.path)).caused_by(
                "other users may write to it: the file system does not store owners and modes, or \
                 another process replaced the directory. `extract` needs no such directory",
            ));
        }
        Ok((dir, identity))
    }

    /// Opens the directory of a record. Returns `None` if it is missing, or if it is not the one that the
    /// record describes. Such an entry is left alone.
    pub(crate) fn find(target: &Target, staging: &StagingRecord) -> Result<Option<StagingDir>> {
        let Some(identity) = staging.identity else {
            return Ok(None);
        };
        let parent = match staging.parent(target) {
            Ok(parent) => parent,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let fail =
            |e: Errno| Error::io("open the staging directory", e).at(staging.path(&target.path));
        if let Some(dir) = open_if_same(&parent, &staging.name, identity, target).map_err(fail)? {
            return Ok(Some(dir));
        }
        if staging.external.is_some() {
            return Ok(None);
        }
        // A tenant may rename the directory, but cannot change its identity.
        for name in names(&parent, RENAMED_MAX).map_err(fail)? {
            let stat = match At(&parent, &name).stat() {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(fail(e)),
            };
            if stat.st_ino == identity.inode
                && let Some(dir) = open_if_same(&parent, &name, identity, target).map_err(fail)?
            {
                return Ok(Some(dir));
            }
        }
        Ok(None)
    }

    fn from_parts(parent: Beneath, name: &[u8], fd: OwnedFd, stat: &Stat) -> StagingDir {
        let (id, dir) = (FileId::of(stat), Beneath::from_fd(fd));
        StagingDir { parent, name: name.to_vec(), dir, id }
    }

    /// Makes the directories of the two trees.
    pub(crate) fn make_trees(&self, target: &Target) -> Result<Trees> {
        let fail = |e: Errno| Error::io("make the staging directory in", e).at(&target.path);
        for tree in [NEW, OLD] {
            ops::make_dir(&self.dir, tree).map_err(fail)?;
        }
        self.trees(target)?.ok_or_else(|| fail(Errno::NOENT))
    }

    /// Opens the two trees. Returns `None` if one of them is missing, or if another process has put
    /// something else in its place.
    pub(crate) fn trees(&self, target: &Target) -> Result<Option<Trees>> {
        let fail = |e: Errno| Error::io("open the staging directory in", e).at(&target.path);
        let open = |name| match self.dir.dir(name) {
            Ok(fd) => Ok(Some(Beneath::from_fd(fd))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(fail(e)),
        };
        let (Some(new), Some(old)) = (open(NEW)?, open(OLD)?) else {
            return Ok(None);
        };
        let target = target.dir.reopen().map_err(fail)?;
        Ok(Some(Trees { target, new, old, staging: self.id }))
    }

    /// Fails unless files can be renamed from here to the target. They cannot if the target is on another
    /// file system or in another quota project.
    pub(crate) fn check_renames(&self, target: &Target, external: &Path) -> Result<()> {
        let fail = |e: Errno| match e {
            Errno::XDEV => {
                Error::new(ErrorKind::InvalidInput, "stage the restore in").at(external).caused_by(
                    "it is on another file system, or in another quota project, than the target",
                )
            }
            e => Error::io("stage the restore in", e).at(external),
        };
        ops::make_file(&self.dir, &self.name).map_err(fail)?;
        ops::rename(At(&self.dir, &self.name), At(&target.dir, &self.name), false).map_err(fail)?;
        ops::remove_file(&target.dir, &self.name).map_err(fail)
    }

    /// Removes the directory and everything in it.
    pub(crate) fn remove(&self) -> Result<(), Errno> {
        remove_contents(&self.dir)?;
        match At(&self.parent, &self.name).stat() {
            Ok(stat) if FileId::of(&stat) == self.id => ops::remove_dir(&self.parent, &self.name),
            // Another process has moved it. It is empty, and is left alone.
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Removes the directory of a record that has no identity yet. A process that was killed may have made the
/// directory, and has put nothing into it.
pub(crate) fn remove_unidentified(target: &Target, staging: &StagingRecord) {
    if let Ok(parent) = staging.parent(target) {
        let _ = ops::remove_dir(&parent, &staging.name);
    }
}

impl Identity {
    fn of(stat: &Stat, dir: impl AsFd) -> Identity {
        let of_stat = Identity::without_birth(stat);
        let extended = rustix::fs::statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok();
        let born = extended.filter(|x| x.stx_mask & StatxFlags::BTIME.bits() != 0).map(|x| {
            i128::from(x.stx_btime.tv_sec) * 1_000_000_000 + i128::from(x.stx_btime.tv_nsec)
        });
        Identity { born, ..of_stat }
    }

    fn without_birth(stat: &Stat) -> Identity {
        let mode = stat.st_mode & 0o7777;
        Identity { inode: stat.st_ino, owner: stat.st_uid, mode, born: None }
    }

    /// Returns whether both describe the same directory. A time that is not known matches any.
    fn is_same(&self, other: &Identity) -> bool {
        let is_born_apart = self.born.zip(other.born).is_some_and(|(a, b)| a != b);
        let without = |identity: &Identity| Identity { born: None, ..*identity };
        !is_born_apart && without(self) == without(other)
    }
}

/// Opens the directory if it is the one with this identity.
fn open_if_same(
    parent: &Beneath,
    name: &[u8],
    identity: Identity,
    target: &Target,
) -> Result<Option<StagingDir>, Errno> {
    let fd = match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        // The owner cannot open it, so its mode has changed since it was made.
        Err(Errno::ACCESS) if differs(parent, name, identity)? => return Ok(None),
        Err(e) => return Err(e),
    };
    let stat = rustix::fs::fstat(&fd)?;
    // A file system that is mounted over it has another device.
    let is_same = Identity::of(&stat, &fd).is_same(&identity)
        && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && stat.st_dev == target.id.dev;
    if !is_same {
        return Ok(None);
    }
    let parent = Beneath::from_fd(rustix::fs::openat(parent, c".", DIRECTORY, Mode::empty())?);
    Ok(Some(StagingDir::from_parts(parent, name, fd, &stat)))
}

fn differs(parent: &Beneath, name: &[u8], identity: Identity) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(!Identity::without_birth(&stat).is_same(&identity))
}
