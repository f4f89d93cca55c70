//! Owner, mode and time of files, links and directories.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{AtFlags, Mode},
    io::Errno,
};

use crate::{
    error::Result,
    fs::{
        beneath::fail,
        sys::may_be_missing,
        unpack::{
            options::Owner,
            owners::UnsetOwners,
            times::{ClampedTimes, times},
        },
    },
};

/// Members that have other attributes than in the archive.
#[derive(Debug, Default)]
pub(crate) struct Deviations {
    pub(super) times: ClampedTimes,
    pub(super) owners: UnsetOwners,
}

/// The attributes that a file, link or directory gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Setuid, setgid and sticky bits are never set.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime_ns: i64,
}

impl Attributes {
    /// Sets owner, mode and time of an open file or directory. The owner comes first, since a change of
    /// the owner clears bits of the mode.
    pub(super) fn set(
        &self,
        fd: &OwnedFd,
        path: &[u8],
        owner: Owner,
        deviations: &Deviations,
    ) -> Result<()> {
        if let Some(owner) = self.owner(owner) {
            let chown = |uid, gid| rustix::fs::fchown(fd, Some(uid), Some(gid));
            deviations.owners.set(path, owner, chown, || rustix::fs::fstat(fd))?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(self.mode & 0o777))
            .map_err(|e| fail("set the mode of", path, e))?;
        rustix::fs::futimens(fd, &times(self.mtime_ns))
            .map_err(|e| fail("set the time of", path, e))?;
        deviations.times.check(path, self.mtime_ns, || rustix::fs::fstat(fd));
        Ok(())
    }

    /// Sets owner and time of the symlink `name` in `dir`. `path` is its path in the tree.
    pub(super) fn set_on_symlink(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        owner: Owner,
        deviations: &Deviations,
    ) -> Result<()> {
        let fail = |e: Errno| fail("make the link", path, e);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = || rustix::fs::statat(dir, name, flags);
        if let Some(owner) = self.owner(owner) {
            let chown = |uid, gid| rustix::fs::chownat(dir, name, Some(uid), Some(gid), flags);
            deviations.owners.set(path, owner, chown, stat)?;
        }
        match rustix::fs::utimensat(dir, name, &times(self.mtime_ns), flags) {
            // Some file systems keep no times of links.
            Err(e) if may_be_missing(e) => return Ok(()),
            result => result.map_err(fail)?,
        }
        deviations.times.check(path, self.mtime_ns, stat);
        Ok(())
    }

    /// Returns the owner to set; `None` if the owner is not changed.
    pub(super) fn owner(&self, owner: Owner) -> Option<(u64, u64)> {
        match owner {
            Owner::Keep => None,
            Owner::Fixed { uid, gid } => Some((uid.into(), gid.into())),
            Owner::FromArchive => Some((self.uid, self.gid)),
        }
    }

    /// Returns the owner that a file with these attributes has in the end.
    pub(super) fn final_owner(&self, owner: Owner) -> (u64, u64) {
        self.owner(owner).unwrap_or_else(|| {
            let uid = rustix::process::geteuid().as_raw().into();
            (uid, rustix::process::getegid().as_raw().into())
        })
    }
}
