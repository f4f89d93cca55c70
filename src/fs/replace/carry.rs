//! Moves a directory entry by entry where it cannot be renamed.
//!
//! Overlayfs answers `EXDEV` when a directory of a lower layer is renamed, but renames files, and
//! directories that were made since. The entries go into a directory of the staging directory, the
//! *part*, which gets the name that the rename would have given once it has all of them. So a move
//! that was cut off is told from one that is done: it goes on from the part, or is undone from it.
//! Directories keep owner and mode; where a move was cut off or undone, their times are new.

use rustix::{
    fs::{FileType, Gid, Mode, Stat, Uid},
    io::Errno,
};

use crate::{
    entry::Metadata,
    fs::{
        beneath::Beneath,
        replace::{
            ops::{self, At},
            remove::names,
        },
    },
};

/// Names read at a time, so that memory does not grow with a directory.
const BATCH: usize = 1024;

/// Lists of one directory. A tenant that makes entries as fast as they are moved ends the move here.
const LISTS_MAX: u32 = 1 << 20;

/// Renames `from` to `to`, which must not be there; or carries it there by way of `part`.
pub(super) fn carry(from: At<'_>, to: At<'_>, part: At<'_>) -> Result<(), Errno> {
    if !part.exists()? {
        match ops::rename(from, to, false) {
            Err(Errno::XDEV) if is_dir(&from.stat()?) => {}
            result => return result,
        }
        part.make_dir()?;
    }
    match from.stat() {
        Ok(stat) => move_entries(from, part, stat, Direction::Forward)?,
        // All of it is in the part.
        Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    ops::rename(part, to, false)
}

/// Undoes what [`carry`] has done of its move, if it has begun one.
pub(super) fn uncarry(from: At<'_>, part: At<'_>) -> Result<(), Errno> {
    let stat = match part.stat() {
        Err(Errno::NOENT) => return Ok(()),
        stat => stat?,
    };
    match from.exists()? {
        true => move_entries(part, from, stat, Direction::Back),
        false => ops::rename(part, from, false),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Directories are made, and get what the old ones had.
    Forward,
    /// Directories that are still there have kept what they had.
    Back,
}

/// Moves what lies in one directory to another that is there, and removes the first.
fn move_entries(from: At<'_>, to: At<'_>, stat: Stat, direction: Direction) -> Result<(), Errno> {
    let (from_tree, to_tree) = (from.0, to.0);
    let mut moves = vec![Move::begin(from.1.to_vec(), to.1.to_vec(), stat)];
    while let Some(mut current) = moves.pop() {
        let Some(name) = current.next(from_tree)? else {
            if direction == Direction::Forward {
                current.set_attributes(to_tree)?;
            }
            match ops::unless_gone(At(from_tree, &current.from).remove_dir()) {
                // Somebody made something in it meanwhile.
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
            // A move that was cut off made it.
            Err(Errno::EXIST) if is_dir(&inner.stat) && is_dir(&to.stat()?) => moves.push(inner),
            result => ops::unless_gone(result)?,
        }
    }
    Ok(())
}

/// One directory that is being moved.
struct Move {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Of `from`, before its entries were moved.
    stat: Stat,
    /// What is still to be moved of what was listed.
    names: Vec<Vec<u8>>,
    lists: u32,
}

impl Move {
    fn begin(from: Vec<u8>, to: Vec<u8>, stat: Stat) -> Move {
        Move { from, to, stat, names: Vec::new(), lists: 0 }
    }

    /// A name in the directory that was not moved yet; `None` once there is none.
    fn next(&mut self, tree: &Beneath) -> Result<Option<Vec<u8>>, Errno> {
        if self.names.is_empty() {
            self.lists += 1;
            self.names = match ops::dir(tree, &self.from).and_then(|dir| names(&dir, BATCH)) {
                Err(Errno::NOENT) => Vec::new(),
                names => names?,
            };
        }
        Ok(self.names.pop())
    }

    fn inner(&self, name: &[u8], tree: &Beneath) -> Result<Move, Errno> {
        let (from, to) = ([&self.from, name].join(&b'/'), [&self.to, name].join(&b'/'));
        let stat = At(tree, &from).stat()?;
        Ok(Move::begin(from, to, stat))
    }

    fn set_attributes(&self, tree: &Beneath) -> Result<(), Errno> {
        let dir = ops::dir(tree, &self.to)?;
        let made = rustix::fs::fstat(&dir)?;
        if (made.st_uid, made.st_gid) != (self.stat.st_uid, self.stat.st_gid) {
            let (uid, gid) = (Uid::from_raw(self.stat.st_uid), Gid::from_raw(self.stat.st_gid));
            ops::chown(&dir, uid, gid)?;
        }
        ops::set_times(&dir, Metadata::of(&self.stat).mtime_ns)?;
        dir.set_mode(Mode::from_raw_mode(self.stat.st_mode & 0o7777))
    }
}

fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
