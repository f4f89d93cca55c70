//! Finds the entries of the old tree that an exchange removes.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, StatxAttributes, StatxFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, os},
        replace::{
            dir_access::open_dir,
            entries::{is_dir, join, sorted_names, stat},
        },
        stat::FileId,
    },
    listed::Listed,
};

/// What happens to an entry of the old tree that the new tree does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is removed. A directory stays if anything in it stays.
    Remove,
    /// It stays, with everything in it.
    Stay,
    /// It stays, and each entry in it has a fate of its own.
    Enter,
}

/// Decides about an entry of the old tree. The arguments are its path and whether it is a directory.
pub(crate) type Fates<'a> = &'a dyn Fn(&[u8], bool) -> Fate;

/// Returns whether an entry of the old tree is kept as it is. The arguments are its path and whether it is
/// a directory.
pub(crate) type Keep<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// Returns whether the new tree has a directory at a path; `None` if it has nothing there.
pub(crate) type NewTree<'a> = &'a dyn Fn(&[u8]) -> Result<Option<bool>>;

/// The entries that an exchange removes.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// The entries to move out. Each goes with everything in it.
    pub(crate) tops: Vec<Vec<u8>>,
    /// All entries, each directory after its content.
    pub(crate) paths: Listed<Vec<u8>>,
}

/// Finds what is removed from the tree `old`. The staging directory is never removed.
///
/// Fails if an entry cannot be removed: a mount point, or an immutable file.
pub(crate) fn find(
    old: &Beneath,
    staging: Option<FileId>,
    new: NewTree<'_>,
    keep: Keep<'_>,
    fates: Fates<'_>,
) -> Result<Removals> {
    let mut search = Search { old, staging, new, keep, fates, found: Removals::default() };
    let mut dirs = vec![search.list(Vec::new(), End::Stays)?];
    while let Some(dir) = dirs.last_mut() {
        match dir.inner.pop() {
            Some((path, end)) => dirs.push(search.list(path, end)?),
            None => {
                let dir = dirs.pop();
                let parent = dirs.last_mut();
                dir.map_or(Ok(()), |dir| search.end(dir, parent))?;
            }
        }
    }
    Ok(search.found)
}

struct Search<'a> {
    old: &'a Beneath,
    staging: Option<FileId>,
    new: NewTree<'a>,
    keep: Keep<'a>,
    fates: Fates<'a>,
    found: Removals,
}

/// A directory of the old tree while its subdirectories are searched.
struct Dir {
    path: Vec<u8>,
    end: End,
    /// Entries that are removed.
    removed: Vec<Vec<u8>>,
    has_staying: bool,
    /// Subdirectories that are not searched yet.
    inner: Vec<(Vec<u8>, End)>,
}

/// What becomes of a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stays,
    /// It is removed if nothing in it stays.
    Removed,
    /// The new tree has an entry of another type in its place.
    Replaced,
}

impl Search<'_> {
    fn list(&mut self, path: Vec<u8>, end: End) -> Result<Dir> {
        let mut dir = Dir { path, end, removed: Vec::new(), has_staying: false, inner: Vec::new() };
        let opened = match open_dir(self.old, &dir.path) {
            Ok(opened) => opened,
            // It was removed or replaced, or no pattern can match in it because its path is too long.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => return Ok(dir),
            Err(e) => return Err(Error::io("list", e).at(os(&dir.path))),
        };
        for name in sorted_names(&opened, &dir.path)? {
            let path = join(&dir.path, &name);
            let Some(found) = stat(&opened, &name, &path)? else {
                continue;
            };
            if Some(FileId::of(&found)) == self.staging {
                continue;
            }
            let is_dir = is_dir(&found);
            if let Some(is_new_dir) = (self.new)(&path)? {
                if is_dir && !(self.keep)(&path, true) {
                    let end = if is_new_dir { End::Stays } else { End::Replaced };
                    dir.inner.push((path, end));
                }
                continue;
            }
            let fate = (self.fates)(&path, is_dir);
            dir.has_staying |= fate != Fate::Remove;
            match fate {
                Fate::Enter if is_dir => dir.inner.push((path, End::Stays)),
                Fate::Stay | Fate::Enter => {}
                Fate::Remove => {
                    check_one(&opened, &name, &path)?;
                    match is_dir {
                        true => dir.inner.push((path, End::Removed)),
                        false => {
                            self.found.paths.push(path.clone());
                            dir.removed.push(path);
                        }
                    }
                }
            }
        }
        // The last one is searched first.
        dir.inner.reverse();
        Ok(dir)
    }

    fn end(&mut self, dir: Dir, parent: Option<&mut Dir>) -> Result<()> {
        match (dir.end, dir.has_staying) {
            (End::Removed, false) => {
                self.found.paths.push(dir.path.clone());
                if let Some(parent) = parent {
                    parent.removed.push(dir.path);
                }
            }
            (End::Replaced, false) => {}
            (End::Replaced, true) => return Err(in_the_way(&dir.path)),
            (End::Stays | End::Removed, _) => {
                if let Some(parent) = parent {
                    parent.has_staying = true;
                }
                self.found.tops.extend(dir.removed);
            }
        }
        Ok(())
    }
}

/// Returns the error for a directory that stays, and in whose place the archive has another entry.
pub(crate) fn in_the_way(path: &[u8]) -> Error {
    Error::new(ErrorKind::InvalidInput, "restore").at(os(path)).caused_by(
        "it is a directory with files that stay, and the archive has another entry in its place",
    )
}

/// Fails if the entry is a mount point or immutable.
pub(super) fn check_one(dir: impl AsFd, name: &[u8], path: &[u8]) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(found) = rustix::fs::statx(dir, name, flags, StatxFlags::empty()) else {
        // `statx` is missing before Linux 4.11 and under some filters. Then the rename fails, and is undone.
        return Ok(());
    };
    let attributes = found.stx_attributes & found.stx_attributes_mask;
    let why = if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        "a file system is mounted there"
    } else if attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        "it is immutable (chattr +i or +a)"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::PermissionDenied, "replace").at(os(path)).caused_by(why))
}
