//! Entries of directories: their names and metadata. No link is followed.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    fs::beneath::os,
};

/// The most entries of one directory that an exchange moves. Each takes some hundred bytes of memory.
const ENTRIES_MAX: usize = 4_000_000;

/// Returns at most `max` of the names in a directory.
pub(super) fn names(dir: impl AsFd, max: usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        if names.len() >= max {
            break;
        }
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns all names in a directory. Fails with `EFBIG` if there are too many.
pub(super) fn all_names(dir: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let names = names(dir, ENTRIES_MAX + 1)?;
    if names.len() > ENTRIES_MAX { Err(Errno::FBIG) } else { Ok(names) }
}

/// Returns all names in a directory, sorted. `path` is its path, for errors.
pub(super) fn sorted_names(dir: impl AsFd, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut names = all_names(dir).map_err(|e| Error::io("list", e).at(os(path)))?;
    names.sort_unstable();
    Ok(names)
}

/// Returns the metadata of an entry, or `None` if there is none. `path` is its path, for errors.
pub(super) fn stat(dir: impl AsFd, name: &[u8], path: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(Error::io("read the metadata of", e).at(os(path))),
    }
}

pub(super) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir => [dir, b"/", name].concat(),
    }
}
