//! Owner, mode and time of files, links and directories.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{AtFlags, Gid, Mode, Uid},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{fail, os},
        sys::may_be_missing,
        unpack::{
            options::Owner,
            times::{ClampedTimes, times},
        },
    },
};

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
        clamped: &ClampedTimes,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.ids(path, owner)? {
            rustix::fs::fchown(fd, Some(uid), Some(gid))
                .map_err(|e| fail("set the owner of", path, e))?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(self.mode & 0o777))
            .map_err(|e| fail("set the mode of", path, e))?;
        rustix::fs::futimens(fd, &times(self.mtime_ns))
            .map_err(|e| fail("set the time of", path, e))?;
        clamped.check(path, self.mtime_ns, || rustix::fs::fstat(fd));
        Ok(())
    }

    /// Sets owner and time of the symlink `name` in `dir`. `path` is its path in the tree.
    pub(super) fn set_on_symlink(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        owner: Owner,
        clamped: &ClampedTimes,
    ) -> Result<()> {
        let fail = |e: Errno| fail("make the link", path, e);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = self.ids(path, owner)? {
            rustix::fs::chownat(dir, name, Some(uid), Some(gid), flags).map_err(fail)?;
        }
        match rustix::fs::utimensat(dir, name, &times(self.mtime_ns), flags) {
            // Some file systems keep no times of links.
            Err(e) if may_be_missing(e) => return Ok(()),
            result => result.map_err(fail)?,
        }
        clamped.check(path, self.mtime_ns, || rustix::fs::statat(dir, name, flags));
        Ok(())
    }

    /// Returns the owner to set; `None` if the owner is not changed.
    fn ids(&self, path: &[u8], owner: Owner) -> Result<Option<(Uid, Gid)>> {
        let ids = match owner {
            Owner::Keep => return Ok(None),
            Owner::Fixed { uid, gid } => Some((uid, gid)),
            Owner::FromArchive => u32::try_from(self.uid).ok().zip(u32::try_from(self.gid).ok()),
        };
        // `u32::MAX` would mean "do not change".
        match ids.filter(|&(uid, gid)| uid != u32::MAX && gid != u32::MAX) {
            Some((uid, gid)) => Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
            None => Err(Error::new(ErrorKind::InvalidInput, "set the owner of")
                .at(os(path))
                .caused_by("the number of its user or group is too large for this system")),
        }
    }
}
