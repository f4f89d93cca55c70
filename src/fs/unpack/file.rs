//! A file in the making.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use rustix::{
    fs::{AtFlags, Gid, Mode, Uid},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{fail, os},
        sys::rename_new,
        unpack::{
            Meta, Owner,
            times::{Clamped, times},
        },
    },
};

/// Zeros are left out in whole pages, and where at least so many bytes of them come together.
const PAGE: usize = 4096;
const HOLE: usize = 64 << 10;

/// A file that is being written, by one thread or several. Dropped before it is finished, it is
/// removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) file: OwnedFd,
    pub(crate) dir: Arc<OwnedFd>,
    pub(crate) path: Vec<u8>,
    /// Its name while it is written; empty once it is finished.
    pub(crate) name: Vec<u8>,
    pub(crate) place: Place,
    pub(crate) size: u64,
    /// Where the last byte that was written ends.
    pub(crate) end: AtomicU64,
    pub(crate) meta: Meta,
    pub(crate) owner: Owner,
    pub(super) clamped: Arc<Clamped>,
}

/// Where it goes once it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is there.
    Here,
    /// Renamed to its own name, which must be free.
    New,
    /// Renamed over what is there.
    Over,
}

impl NewFile {
    /// Writes `bytes` at `offset`. Runs of zeros become holes.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            let data = zeros_end(bytes, at, offset);
            let zeros = data - at;
            // At an edge the hole may go on in the bytes before or behind.
            let is_hole = zeros >= HOLE || zeros > 0 && (at == 0 || data == bytes.len());
            let end = data_end(bytes, data, offset);
            let start = if is_hole { data } else { at };
            self.write_all_at(offset + start as u64, &bytes[start..end])?;
            at = end;
        }
        Ok(())
    }

    fn write_all_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.file, bytes, offset) {
                Ok(0) => return Err(fail("write", &self.path, Errno::IO)),
                Ok(n) => {
                    bytes = &bytes[n..];
                    offset += n as u64;
                    self.end.fetch_max(offset, SeqCst);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(fail("write", &self.path, e)),
            }
        }
        Ok(())
    }

    /// Sets length, owner, mode and time, and puts it in its place.
    pub(crate) fn finish(mut self) -> Result<()> {
        // A hole at the end.
        if self.end.load(SeqCst) != self.size {
            rustix::fs::ftruncate(&self.file, self.size)
                .map_err(|e| fail("set the length of", &self.path, e))?;
        }
        set_meta(&self.file, &self.path, &self.meta, self.owner, &self.clamped)?;
        let (_, name) = crate::fs::beneath::split(&self.path);
        match self.place {
            Place::Here => {}
            Place::New => rename_new(&self.dir, &*self.name, &self.dir, name)
                .map_err(|e| fail("rename to", &self.path, e))?,
            Place::Over => rustix::fs::renameat(&self.dir, &*self.name, &self.dir, name)
                .map_err(|e| fail("rename to", &self.path, e))?,
        }
        self.name.clear();
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = rustix::fs::unlinkat(&self.dir, &*self.name, AtFlags::empty());
        }
    }
}

/// Sets owner, mode and time of an open file or directory, the owner first: it takes bits away.
pub(super) fn set_meta(
    fd: &OwnedFd,
    path: &[u8],
    meta: &Meta,
    owner: Owner,
    clamped: &Clamped,
) -> Result<()> {
    if let Some((uid, gid)) = ids(path, meta, owner)? {
        rustix::fs::fchown(fd, Some(uid), Some(gid))
            .map_err(|e| fail("set the owner of", path, e))?;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(meta.mode & 0o777))
        .map_err(|e| fail("set the mode of", path, e))?;
    rustix::fs::futimens(fd, &times(meta.mtime_ns))
        .map_err(|e| fail("set the time of", path, e))?;
    clamped.check(path, meta.mtime_ns, || rustix::fs::fstat(fd));
    Ok(())
}

/// Whose it is to be; `None` to leave that alone.
pub(crate) fn ids(path: &[u8], meta: &Meta, owner: Owner) -> Result<Option<(Uid, Gid)>> {
    let (uid, gid) = match owner {
        Owner::Keep => return Ok(None),
        Owner::Fixed(uid, gid) => (uid, gid),
        Owner::FromArchive => match (u32::try_from(meta.uid), u32::try_from(meta.gid)) {
            (Ok(uid), Ok(gid)) => (uid, gid),
            _ => {
                let error = Error::new(ErrorKind::InvalidInput, "set the owner of").at(os(path));
                return Err(error.caused_by("its owner is no number that the system knows"));
            }
        },
    };
    // All ones would mean to leave it alone.
    if uid == u32::MAX || gid == u32::MAX {
        let error = Error::new(ErrorKind::InvalidInput, "set the owner of").at(os(path));
        return Err(error.caused_by("its owner is no number that the system knows"));
    }
    Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
}

/// Where the zeros that begin at `at` end: at a page of the file, whose byte `offset` is the first
/// of `bytes`.
fn zeros_end(bytes: &[u8], mut at: usize, offset: u64) -> usize {
    while at < bytes.len() {
        let end = page_end(bytes, at, offset);
        if !is_zero(&bytes[at..end]) {
            break;
        }
        at = end;
    }
    at
}

/// Where data that begins at `at` ends: before the next run of zeros that is worth a hole.
fn data_end(bytes: &[u8], mut at: usize, offset: u64) -> usize {
    while at < bytes.len() {
        let end = zeros_end(bytes, at, offset);
        if end - at >= HOLE || end > at && end == bytes.len() {
            break;
        }
        at = if end > at { end } else { page_end(bytes, at, offset) };
    }
    at
}

fn page_end(bytes: &[u8], at: usize, offset: u64) -> usize {
    let within = (offset % PAGE as u64) as usize + at;
    (at + PAGE - within % PAGE).min(bytes.len())
}

fn is_zero(page: &[u8]) -> bool {
    // Nearly all data is told by its first bytes.
    page.iter().take(16).all(|&b| b == 0) && page.iter().all(|&b| b == 0)
}
