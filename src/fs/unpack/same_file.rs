//! Files with equal content that become one file with several names.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{fail, os, split},
        open_flags::FILE,
        stat::FileId,
        sys::lacks_links,
        unpack::parents::Parents,
    },
};

/// Makes those of `paths` that are equal to the first one names of that file. Returns how many.
pub(super) fn link_equal_files(parents: &Parents, paths: &[Vec<u8>]) -> Result<u64> {
    let [first, others @ ..] = paths else {
        return Ok(0);
    };
    let open = |path: &[u8]| {
        let (parent, name) = split(path);
        let dir = parents.open(parent)?;
        Ok((open_file(dir.as_fd(), name)?, dir))
    };
    let (first_file, first_dir) = open(first).map_err(|e| fail("open", first, e))?;
    let (_, first_name) = split(first);
    let mut linked = 0;
    for path in others {
        let fail = |e| fail("make the hard link", path, e);
        let (file, dir) = open(path).map_err(fail)?;
        if !are_equal(&first_file, &file).map_err(|e| Error::io("read", e).at(os(path)))? {
            continue;
        }
        let (_, name) = split(path);
        if is_same(&dir, name, &first_file).map_err(fail)? {
            linked += 1;
            continue;
        }
        let temporary = parents.temporary_name();
        match rustix::fs::linkat(&first_dir, first_name, &dir, &*temporary, AtFlags::empty()) {
            Ok(()) => {}
            // The file system has no more names for the file. The copy has the same content.
            Err(e) if lacks_links(e) => continue,
            Err(e) => return Err(fail(e)),
        }
        let renamed = check_same(&dir, &temporary, &first_file, path)
            .and_then(|()| rustix::fs::renameat(&dir, &*temporary, &dir, name).map_err(fail));
        if renamed.is_err() {
            let _ = rustix::fs::unlinkat(&dir, &*temporary, AtFlags::empty());
        }
        renamed?;
        linked += 1;
    }
    Ok(linked)
}

/// Checks that a new name leads to the file that was opened, and not to one that another process put
/// there.
pub(super) fn check_same(dir: &OwnedFd, name: &[u8], file: impl AsFd, path: &[u8]) -> Result<()> {
    let fail = |e| fail("make the hard link", path, e);
    match is_same(dir, name, file).map_err(fail)? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidInput, "make the hard link")
            .at(os(path))
            .caused_by("another process replaced the file that it links to")),
    }
}

/// Returns whether a name leads to the open file.
pub(super) fn is_same(dir: &OwnedFd, name: &[u8], file: impl AsFd) -> Result<bool, Errno> {
    let named = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        named => named?,
    };
    Ok(FileId::of(&named) == FileId::of(&rustix::fs::fstat(file)?))
}

/// Opens a regular file. Fails with `ENXIO` if the name leads to anything else.
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<File, Errno> {
    let file = rustix::fs::openat(dir, name, FILE | OFlags::CLOEXEC, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file.into()),
        _ => Err(Errno::NXIO),
    }
}

fn are_equal(a: &File, b: &File) -> io::Result<bool> {
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
