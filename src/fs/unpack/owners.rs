//! Members whose owner could not be set.

use std::sync::{Mutex, PoisonError};

use rustix::{
    fs::{Gid, Stat, Uid},
    io::Errno,
};

use crate::{error::Result, fs::beneath::fail, listed::Listed};

/// Members whose owner could not be set. They belong to the user that runs this process.
#[derive(Debug, Default)]
pub(crate) struct UnsetOwners(Mutex<Listed<Vec<u8>>>);

impl UnsetOwners {
    /// Sets an owner with `chown`. If this user may not set it, the member is noted.
    pub(super) fn set(
        &self,
        path: &[u8],
        (uid, gid): (u64, u64),
        chown: impl FnOnce(Uid, Gid) -> Result<(), Errno>,
        stat: impl FnOnce() -> Result<Stat, Errno>,
    ) -> Result<()> {
        let id = |id: u64| u32::try_from(id).ok().filter(|&id| id != u32::MAX);
        let result = match (id(uid), id(gid)) {
            (Some(uid), Some(gid)) => chown(Uid::from_raw(uid), Gid::from_raw(gid)),
            // `u32::MAX` would mean "do not change".
            _ => Err(Errno::OVERFLOW),
        };
        match result {
            Err(e) if is_refused(e) => {
                let is_set = |found: Stat| (found.st_uid.into(), found.st_gid.into()) == (uid, gid);
                if !stat().is_ok_and(is_set) {
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_vec());
                }
                Ok(())
            }
            result => result.map_err(|e| fail("set the owner of", path, e)),
        }
    }

    pub(super) fn take(&self) -> Listed<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns whether an owner cannot be set: this user may not, the user namespace does not have it, or the file
/// system keeps no owners. Systems answer with many errors for that. A failure of the disk is not one of them.
fn is_refused(errno: Errno) -> bool {
    !matches!(
        errno,
        Errno::IO | Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::NOMEM | Errno::NOENT
    )
}
