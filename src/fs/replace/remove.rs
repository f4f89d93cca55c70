//! Removes trees of any depth. No link is followed, and no mount is entered.

use rustix::{fs::AtFlags, io::Errno};

use crate::fs::{
    beneath::Beneath,
    replace::{
        dir_access::open_for_removal,
        entries::{self, names},
        ops::{self, At},
    },
};

/// Names that are read at a time, so that memory does not grow with the directory.
const BATCH: usize = 1024;

/// The most batches of one removal. It bounds the removal if a tenant makes entries as fast as they are
/// removed, or if the tree is deeper than this.
const BATCHES_MAX: usize = 1 << 20;

/// Removes everything in `dir`. Before a subdirectory is removed, its non-empty directories are moved up
/// into `dir`. So no path becomes long, and no descriptor stays open.
pub(crate) fn remove_contents(dir: &Beneath) -> Result<(), Errno> {
    let mut removal = Removal { root: dir, moved: 0, batches: 0 };
    loop {
        let names = removal.next_batch(dir)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            ops::unless_gone(removal.remove(&name))?;
        }
    }
}

struct Removal<'a> {
    root: &'a Beneath,
    /// Directories that were moved up.
    moved: u64,
    batches: usize,
}

impl Removal<'_> {
    fn next_batch(&mut self, dir: &Beneath) -> Result<Vec<Vec<u8>>, Errno> {
        self.batches += 1;
        if self.batches > BATCHES_MAX {
            return Err(Errno::BUSY);
        }
        names(dir, BATCH)
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        if !is_dir(self.root, name)? {
            return ops::remove_file(self.root, name);
        }
        match ops::remove_dir(self.root, name) {
            // POSIX allows both.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            result => return result,
        }
        let dir = Beneath::from_fd(open_for_removal(self.root, name)?);
        loop {
            let names = self.next_batch(&dir)?;
            if names.is_empty() {
                return ops::remove_dir(self.root, name);
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
        let free_name = loop {
            let name = format!("moved-{}", self.moved).into_bytes();
            self.moved += 1;
            if !At(self.root, &name).exists()? {
                break name;
            }
        };
        // The rename of a mount point fails (EBUSY), so no mount is entered.
        ops::rename(At(dir, name), At(self.root, &free_name), false)
    }
}

fn is_dir(dir: &Beneath, name: &[u8]) -> Result<bool, Errno> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| entries::is_dir(&stat))
}
