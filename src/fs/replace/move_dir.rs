//! Moves a directory entry by entry where it cannot be renamed.
//!
//! Overlayfs answers `EXDEV` to the rename of a directory of a lower layer. It can rename files, and
//! directories that were made later. The entries move into a directory in the staging directory, the
//! *part*. When the part has all entries, it is renamed to the name that the directory should get. So
//! an interrupted move differs from a finished one: while the part is there, the move continues
//! from it or is undone from it. Directories keep owner and mode. If a move was interrupted or undone,
//! their times are new.

use rustix::{
    fs::{Gid, Mode, Stat, Uid},
    io::Errno,
};

use crate::{
    entry::Metadata,
    fs::{
        beneath::Beneath,
        replace::{
            dir_access::open_dir,
            entries::{is_dir, join, names},
            ops::{self, At},
        },
    },
};

/// Names that are read at a time, so that memory does not grow with the directory.
const BATCH: usize = 1024;

/// The most times that one directory is listed. It bounds the move if a tenant makes entries as fast as
/// they are moved.
const LISTS_MAX: u32 = 1 << 20;

/// Renames `from` to `to`, which must not exist. A directory that cannot be renamed is moved entry by
/// entry, through `part`.
pub(super) fn move_entry(from: At<'_>, to: At<'_>, part: At<'_>) -> Result<(), Errno> {
    if !part.exists()? {
        match ops::rename(from, to, false) {
            Err(Errno::XDEV) if is_dir(&from.stat()?) => {}
            result => return result,
        }
        part.make_dir()?;
    }
    match from.stat() {
        Ok(stat) => move_contents(from, part, stat, Direction::Forward)?,
        // The part has all entries.
        Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    ops::rename(part, to, false)
}

/// Undoes a [`move_entry`] that was interrupted while it moved entries into `part`.
pub(super) fn undo_partial_move(from: At<'_>, part: At<'_>) -> Result<(), Errno> {
    let stat = match part.stat() {
        Err(Errno::NOENT) => return Ok(()),
        stat => stat?,
    };
    match from.exists()? {
        true => move_contents(part, from, stat, Direction::Back),
        false => ops::rename(part, from, false),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Directories are made, and get the attributes of the old ones.
    Forward,
    /// Directories that still exist have kept their attributes.
    Back,
}

/// Moves the contents of one directory into another existing one, and removes the first.
fn move_contents(from: At<'_>, to: At<'_>, stat: Stat, direction: Direction) -> Result<(), Errno> {
    let (from_tree, to_tree) = (from.0, to.0);
    let mut moves = vec![DirMove::begin(from.1.to_vec(), to.1.to_vec(), stat)];
    while let Some(mut current) = moves.pop() {
        let Some(name) = current.next(from_tree)? else {
            if direction == Direction::Forward {
                current.set_attributes(to_tree)?;
            }
            match ops::unless_gone(At(from_tree, &current.from).remove_dir()) {
                // Another process has made an entry in it: list it again.
                Err(Errno::NOTEMPTY | Errno::EXIST) if current.lists < LISTS_MAX => {
                    moves.push(current);
                }
                result => result?,
            }
            continue;
        };
        let inner = current.inner(&name, from_tree);
        moves.push(current);
        let inner = match inner {
            Err(Errno::NOENT) => continue,
            inner => inner?,
        };
        let to = At(to_tree, &inner.to);
        match ops::rename(At(from_tree, &inner.from), to, false) {
            Err(Errno::XDEV) if is_dir(&inner.stat) => {
                to.make_dir()?;
                moves.push(inner);
            }
            // An interrupted move has made it.
            Err(Errno::EXIST) if is_dir(&inner.stat) && is_dir(&to.stat()?) => moves.push(inner),
            result => ops::unless_gone(result)?,
        }
    }
    Ok(())
}

/// The move of one directory.
struct DirMove {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Metadata of `from` before its entries were moved.
    stat: Stat,
    /// Names that were listed and not moved yet.
    names: Vec<Vec<u8>>,
    lists: u32,
}

impl DirMove {
    fn begin(from: Vec<u8>, to: Vec<u8>, stat: Stat) -> DirMove {
        DirMove { from, to, stat, names: Vec::new(), lists: 0 }
    }

    /// Returns the next name to move; `None` if the directory is empty.
    fn next(&mut self, tree: &Beneath) -> Result<Option<Vec<u8>>, Errno> {
        if self.names.is_empty() {
            self.lists += 1;
            self.names = match open_dir(tree, &self.from).and_then(|dir| names(&dir, BATCH)) {
                Err(Errno::NOENT) => Vec::new(),
                names => names?,
            };
        }
        Ok(self.names.pop())
    }

    fn inner(&self, name: &[u8], tree: &Beneath) -> Result<DirMove, Errno> {
        let from = join(&self.from, name);
        let stat = At(tree, &from).stat()?;
        Ok(DirMove::begin(from, join(&self.to, name), stat))
    }

    fn set_attributes(&self, tree: &Beneath) -> Result<(), Errno> {
        let dir = open_dir(tree, &self.to)?;
        let made = rustix::fs::fstat(&dir)?;
        if (made.st_uid, made.st_gid) != (self.stat.st_uid, self.stat.st_gid) {
            let (uid, gid) = (Uid::from_raw(self.stat.st_uid), Gid::from_raw(self.stat.st_gid));
            ops::chown(&dir, uid, gid)?;
        }
        ops::set_times(&dir, Metadata::of(&self.stat).mtime_ns)?;
        dir.set_mode(Mode::from_raw_mode(self.stat.st_mode & 0o7777))
    }
}
