//! Removes trees: no link followed, no mount entered, however deep they are.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, Dir, FileType},
    io::Errno,
};

use crate::fs::{
    beneath::Beneath,
    replace::ops::{self, At},
};

/// Names read at a time, so that memory does not grow with a directory.
const BATCH: usize = 1024;

/// Batches of one removal. A tenant that makes entries as fast as they are removed ends it here, and
/// so does a tree that is deeper than this.
const BATCHES_MAX: usize = 1 << 20;

/// Removes all that lies in `trash`. Directories that are not empty have their directories moved up
/// into `trash` first, so that no path becomes long and no descriptor stays open.
pub(crate) fn empty(trash: &Beneath) -> Result<(), Errno> {
    let mut removal = Removal { trash, moved: 0, batches: 0 };
    loop {
        let names = removal.batch(trash)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            ops::unless_gone(removal.remove(&name))?;
        }
    }
}

struct Removal<'a> {
    trash: &'a Beneath,
    moved: u64,
    batches: usize,
}

impl Removal<'_> {
    fn batch(&mut self, dir: &Beneath) -> Result<Vec<Vec<u8>>, Errno> {
        self.batches += 1;
        if self.batches > BATCHES_MAX {
            return Err(Errno::BUSY);
        }
        names(dir, BATCH)
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        if !is_dir(self.trash, name)? {
            return ops::remove_file(self.trash, name);
        }
        match ops::remove_dir(self.trash, name) {
            // POSIX lets it be either.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            result => return result,
        }
        let dir = Beneath::from_fd(ops::open_for_removal(self.trash, name)?);
        loop {
            let names = self.batch(&dir)?;
            if names.is_empty() {
                return ops::remove_dir(self.trash, name);
            }
            for inner in names {
                ops::unless_gone(self.remove_or_move_up(&dir, &inner))?;
            }
        }
    }

    fn remove_or_move_up(&mut self, dir: &Beneath, name: &[u8]) -> Result<(), Errno> {
        if !is_dir(dir, name)? {
            return ops::remove_file(dir, name);
        }
        if ops::remove_dir(dir, name).is_ok() {
            return Ok(());
        }
        let up = loop {
            let up = format!("moved-{}", self.moved).into_bytes();
            self.moved += 1;
            if !At(self.trash, &up).exists()? {
                break up;
            }
        };
        // A mount point cannot be renamed (EBUSY), so none is ever entered.
        ops::rename(At(dir, name), At(self.trash, &up), false)
    }
}

/// At most so many of the names in a directory.
pub(crate) fn names(dir: impl AsFd, max: usize) -> Result<Vec<Vec<u8>>, Errno> {
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

fn is_dir(dir: &Beneath, name: &[u8]) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
