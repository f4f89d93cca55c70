//! Symlinks and hard links.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{fail, os, split},
        root::{FILE, FileId},
        sys::{lacks_links, may_be_missing, rename_new},
        unpack::{Existing, Meta, NewFile, Unpacker, file::ids, times::times},
    },
};

/// The longest target that Linux takes, less its NUL.
const TARGET_MAX: usize = 4095;

pub(crate) fn check_target(path: &[u8], target: &[u8]) -> Result<()> {
    let problem = if target.is_empty() {
        "its target is empty"
    } else if target.len() > TARGET_MAX {
        "its target is over 4,095 bytes"
    } else if target.contains(&0) {
        "its target has a NUL"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, "make the link").at(os(path)).caused_by(problem))
}

impl Unpacker {
    /// Makes a symlink that says `target`, verbatim and unlooked at.
    pub(crate) fn symlink(
        &self,
        path: &[u8],
        target: &[u8],
        meta: &Meta,
        existing: Existing,
    ) -> Result<()> {
        let fail = |e| fail("make the link", path, e);
        let (parent, _) = split(path);
        let dir = self.parent(parent).map_err(fail)?;
        let dress = |name: &[u8]| {
            if let Some((uid, gid)) = ids(path, meta, self.options.owner)? {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&dir, name, Some(uid), Some(gid), flags).map_err(fail)?;
            }
            let time = times(meta.mtime_ns);
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::utimensat(&dir, name, &time, flags) {
                // Some file systems keep no times of links.
                Err(e) if may_be_missing(e) => return Ok(()),
                result => result.map_err(fail)?,
            }
            let look = || rustix::fs::statat(&dir, name, flags);
            self.clamped.check(path, meta.mtime_ns, look);
            Ok(())
        };
        let make = |name: &[u8]| rustix::fs::symlinkat(target, &dir, name);
        self.put(&dir, path, existing, make, dress)
    }

    /// Makes `path` another name of the file or symlink `to`, or a copy of it where the file system
    /// has no more names for it.
    pub(crate) fn hard_link(&self, path: &[u8], to: &[u8], existing: Existing) -> Result<()> {
        let fail = |e| fail("make the hard link", path, e);
        let (from, from_name) = split(to);
        let from = self.parent(from).map_err(fail)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(&from, from_name, flags, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&source).map_err(fail)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Symlink) {
            return Err(fail(Errno::NXIO));
        }
        let (parent, own) = split(path);
        let dir = self.parent(parent).map_err(fail)?;
        // A rename onto another name of the same file would do nothing, and leave the temporary name.
        if existing == Existing::Overwrite && is_same(&dir, own, &source).map_err(fail)? {
            return Ok(());
        }
        let link = |name: &[u8]| rustix::fs::linkat(&from, from_name, &dir, name, AtFlags::empty());
        let check = |name: &[u8]| self.check_same(&dir, name, &source, path);
        match self.put(&dir, path, existing, link, check) {
            Err(e) if is_refused(&e) => {}
            result => return result,
        }
        let seen = crate::entry::Metadata::of(&stat);
        let (mode, mtime_ns) = (seen.mode, seen.mtime_ns);
        let meta = Meta { mode, uid: seen.uid.into(), gid: seen.gid.into(), mtime_ns };
        if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(&from, from_name, Vec::new()).map_err(fail)?;
            return self.symlink(path, target.as_bytes(), &meta, existing);
        }
        let source = open_file(from.as_fd(), from_name).map_err(fail)?;
        self.copy(source, to, self.file(path, seen.size, &meta, existing)?)
    }

    fn copy(&self, mut source: File, from: &[u8], copy: NewFile) -> Result<()> {
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let n = source.read(&mut buffer).map_err(|e| Error::io("read", e).at(os(from)))?;
            if n == 0 {
                return copy.finish();
            }
            copy.write_at(at, &buffer[..n])?;
            at += n as u64;
        }
    }

    /// Makes names of one file of those that are equal to the first. Returns how many.
    pub(super) fn join(&self, group: &[Vec<u8>]) -> Result<u64> {
        let [first, others @ ..] = group else {
            return Ok(0);
        };
        let open = |path: &[u8]| {
            let (parent, name) = split(path);
            let dir = self.parent(parent)?;
            Ok((open_file(dir.as_fd(), name)?, dir))
        };
        let (first_file, first_dir) = open(first).map_err(|e| fail("open", first, e))?;
        let (_, first_name) = split(first);
        let mut joined = 0;
        for path in others {
            let fail = |e| fail("make the hard link", path, e);
            let (file, dir) = open(path).map_err(fail)?;
            if !are_equal(&first_file, &file).map_err(|e| Error::io("read", e).at(os(path)))? {
                continue;
            }
            let (_, name) = split(path);
            if is_same(&dir, name, &first_file).map_err(fail)? {
                joined += 1;
                continue;
            }
            let temporary = self.temporary();
            let link =
                rustix::fs::linkat(&first_dir, first_name, &dir, &*temporary, AtFlags::empty());
            match link {
                Ok(()) => {}
                // The copy is as good, where the file system has no more names for it.
                Err(e) if lacks_links(e) => continue,
                Err(e) => return Err(fail(e)),
            }
            let placed = self
                .check_same(&dir, &temporary, &first_file, path)
                .and_then(|()| rustix::fs::renameat(&dir, &*temporary, &dir, name).map_err(fail));
            if placed.is_err() {
                let _ = rustix::fs::unlinkat(&dir, &*temporary, AtFlags::empty());
            }
            placed?;
            joined += 1;
        }
        Ok(joined)
    }

    /// Makes something under its own name or, where it may have to replace what is there, under
    /// another that is then renamed.
    fn put(
        &self,
        dir: &OwnedFd,
        path: &[u8],
        existing: Existing,
        make: impl Fn(&[u8]) -> Result<(), Errno>,
        dress: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let fail = |e| fail("make the link", path, e);
        let (_, own) = split(path);
        let name = match existing {
            Existing::Fresh => own.to_vec(),
            _ => self.temporary(),
        };
        make(&name).map_err(fail)?;
        let placed = dress(&name).and_then(|()| {
            match existing {
                Existing::Fresh => Ok(()),
                Existing::Refuse => rename_new(dir, &name, dir, own),
                Existing::Overwrite => rustix::fs::renameat(dir, &*name, dir, own),
            }
            .map_err(fail)
        });
        if placed.is_err() {
            let _ = rustix::fs::unlinkat(dir, &*name, AtFlags::empty());
        }
        placed
    }

    /// That a new name leads to the file that was opened, and not to what somebody put there.
    fn check_same(&self, dir: &OwnedFd, name: &[u8], file: impl AsFd, path: &[u8]) -> Result<()> {
        let fail = |e| fail("make the hard link", path, e);
        match is_same(dir, name, file).map_err(fail)? {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::InvalidInput, "make the hard link")
                .at(os(path))
                .caused_by("the file it is to name was replaced meanwhile")),
        }
    }
}

/// Whether what stands at a name is the file that is open.
fn is_same(dir: &OwnedFd, name: &[u8], open: impl AsFd) -> Result<bool, Errno> {
    let named = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        named => named?,
    };
    Ok(FileId::of(&named) == FileId::of(&rustix::fs::fstat(open)?))
}

fn is_refused(error: &Error) -> bool {
    use std::error::Error as _;
    let errno = error.source().and_then(|e| e.downcast_ref::<std::io::Error>());
    errno.and_then(Errno::from_io_error).is_some_and(lacks_links)
}

/// Opens a regular file; anything else in its place is `ENXIO`.
fn open_file(dir: std::os::fd::BorrowedFd<'_>, name: &[u8]) -> Result<File, Errno> {
    let file = rustix::fs::openat(dir, name, FILE | OFlags::CLOEXEC, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file.into()),
        _ => Err(Errno::NXIO),
    }
}

fn are_equal(a: &File, b: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let len = a.metadata()?.len();
    if len != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut from_a, mut from_b) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    let mut at = 0;
    while at < len {
        let n = (len - at).min(from_a.len() as u64) as usize;
        a.read_exact_at(&mut from_a[..n], at)?;
        b.read_exact_at(&mut from_b[..n], at)?;
        if from_a[..n] != from_b[..n] {
            return Ok(false);
        }
        at += n as u64;
    }
    Ok(true)
}
