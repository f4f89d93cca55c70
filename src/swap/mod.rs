//! Exchanges a directory's content for another, so that whatever happens it is the one or the other.
//!
//! ```text
//! target/.wingback-restore/      locked for as long as its owner lives
//!     new/        what is to come, filled by the caller
//!     old/        what was there, by number
//!     journal     all steps; from the moment it is there, they are finished
//!     elsewhere   where new and old are, if not here
//! ```
//!
//! [`Staging::prepare`] finishes or undoes what an exchange before has left. [`Staging::commit`]
//! makes everything durable, writes the journal, exchanges (see [`exchange`]), and removes the
//! place. The target itself stays the same directory: it may be a mount point.

mod exchange;
mod journal;
mod ops;
mod plan;
mod remove;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fmt,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};

pub(crate) use crate::swap::plan::{How, Keep};
use crate::{
    error::{Error, ErrorKind, Result},
    swap::{exchange::Trees, journal::Journal, ops::At},
    unpack::Beneath,
    walk::{
        STAGING,
        root::{DIRECTORY, FileId},
    },
};

const ELSEWHERE: &[u8] = b"elsewhere";

/// What became of what an interrupted restore had left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// Its exchange had begun, and was finished: the tree is the new one.
    Finished,
    /// Its exchange had begun and could not be finished: it was undone, and the tree is the old one.
    Undone,
    /// Its exchange had not begun: what it had unpacked was removed. The tree is the old one.
    Discarded,
}

impl Recovered {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Recovered::Finished => "finished",
            Recovered::Undone => "undone",
            Recovered::Discarded => "discarded",
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Recovered::Finished => {
                "an interrupted restore was finished: the new files are in place"
            }
            Recovered::Undone => "an interrupted restore was undone: the old files are in place",
            Recovered::Discarded => "what an interrupted restore had unpacked was removed",
        })
    }
}

/// The place, locked.
#[derive(Debug)]
pub(crate) struct Staging {
    place: Place,
    trees: Trees,
    recovered: Option<Recovered>,
    path: PathBuf,
    is_over: bool,
}

/// `target/.wingback-restore`.
#[derive(Debug)]
struct Place {
    target: Beneath,
    dir: Beneath,
}

impl Staging {
    /// Opens the directory at `target`, settles what is left of a restore before, and makes an empty
    /// place: in it, or in the directory `elsewhere`.
    pub(crate) fn prepare(target: &Path, elsewhere: Option<&Path>) -> Result<Staging> {
        let fail = |e: Errno| Error::io("make the staging place in", e).at(target);
        let root = Beneath::open(target)?;
        let (place, recovered) = loop {
            match ops::make_dir(&root, STAGING.as_bytes()) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(fail(e)),
            }
            // Another one that just ended may have removed it again.
            if let Some(place) = Place::open(Beneath::open(target)?, target)? {
                let recovered = place.settle(target)?;
                break (place, recovered);
            }
        };
        let trees = match place.make_trees(elsewhere) {
            Ok(trees) => trees,
            Err(e) => {
                let _ = place.remove();
                return Err(e);
            }
        };
        Ok(Staging { place, trees, recovered, path: target.to_owned(), is_over: false })
    }

    /// What was left, and what became of it.
    pub(crate) fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// The directory to unpack into.
    pub(crate) fn tree(&self) -> Result<OwnedFd> {
        let fail = |e: Errno| Error::io("open the staging place", e).at(&self.path);
        self.trees.new.dir(b"").map_err(fail)
    }

    /// Refuses what could not be exchanged, before any work is done.
    pub(crate) fn check(&self, how: How<'_>) -> Result<()> {
        plan::check(&self.trees.target, how)
    }

    /// Exchanges. Until the journal is written, `is_cancelled` ends it and a failure leaves the
    /// target untouched; a failure behind that undoes what was done. `committed` is called while the
    /// journal still says so. Returns what is worth knowing and no failure.
    pub(crate) fn commit(
        mut self,
        how: How<'_>,
        is_cancelled: &dyn Fn() -> bool,
        committed: &dyn Fn(),
    ) -> Result<Vec<String>> {
        let fail = |e: Errno| Error::io("make the restore durable in", e).at(&self.path);
        let journal = self.trees.plan(how)?;
        ops::sync_all(&self.trees.new).map_err(fail)?;
        if is_cancelled() {
            return Err(Error::cancelled());
        }
        journal.commit(&self.place.dir)?;
        // From here on the next one settles it, if this one does not.
        self.is_over = true;
        let late = match self.trees.forward(&journal) {
            Ok(late) => late,
            Err(e) => {
                self.trees.backward(&journal).map_err(|undo| stuck(&self.path, &e, &undo))?;
                ops::sync_all(&self.place.target).map_err(fail)?;
                Journal::remove(&self.place.dir).map_err(fail)?;
                let _ = self.remove_all();
                return Err(e);
            }
        };
        ops::sync_all(&self.place.target).map_err(fail)?;
        committed();
        Journal::remove(&self.place.dir).map_err(fail)?;
        let mut warnings: Vec<String> = late
            .iter()
            .map(|path| {
                let path = String::from_utf8_lossy(path).into_owned();
                format!(
                    "{path}: something made it during the exchange; the archive's is in its place"
                )
            })
            .collect();
        if let Err(e) = self.remove_all() {
            warnings.push(format!(
                "the old files could not be removed from {}: {e}",
                self.path.join(STAGING).display()
            ));
        }
        Ok(warnings)
    }

    fn remove_all(&self) -> Result<(), Errno> {
        remove::empty(&self.trees.new)?;
        remove::empty(&self.trees.old)?;
        self.place.remove()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_over {
            // What cannot be removed now the next one removes.
            let _ = self.remove_all();
        }
    }
}

/// Finishes or undoes what an interrupted restore of `target` left; `None` if there is nothing.
pub(crate) fn recover(target: &Path) -> Result<Option<Recovered>> {
    let fail = |e: Errno| Error::io("remove the staging place in", e).at(target);
    let Some(place) = Place::open(Beneath::open(target)?, target)? else {
        return Ok(None);
    };
    let recovered = place.settle(target)?;
    place.remove().map_err(fail)?;
    Ok(recovered.or(Some(Recovered::Discarded)))
}

/// Fails if an exchange of `target` has begun and is not over: what is there is neither the old tree
/// nor the new one.
pub(crate) fn check_settled(target: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let place = match rustix::fs::openat(target, STAGING, DIRECTORY, Mode::empty()) {
        Ok(place) => place,
        Err(_) => return Ok(()),
    };
    match Journal::read(&place)? {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Busy, "read the source").at(path).caused_by(
            "a restore of it is not finished: if none is running, `wingback recover` ends it",
        )),
    }
}

/// Removes all of `target` but what is kept, by way of the staging place.
pub(crate) fn clear(target: &Path, keep: Keep<'_>) -> Result<()> {
    let staging = Staging::prepare(target, None)?;
    let how = How::Replace { keep };
    staging.check(how)?;
    // An exchange for nothing but what is kept.
    staging.commit(how, &|| false, &|| ()).map(drop)
}

impl Place {
    /// Opens and locks the place. `None` if there is none.
    fn open(target: Beneath, path: &Path) -> Result<Option<Place>> {
        let fail = |e: Errno| Error::io("open the staging place in", e).at(path);
        let dir = match rustix::fs::openat(&target, STAGING, DIRECTORY, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Error::new(ErrorKind::InvalidInput, "restore")
                    .at(path.join(STAGING))
                    .caused_by("something else stands where the staging place is to be"));
            }
            Err(e) => return Err(fail(e)),
        };
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::new(ErrorKind::Busy, "restore")
                    .at(path)
                    .caused_by("another restore of it is running"));
            }
            Err(e) => return Err(fail(e)),
        }
        let open = rustix::fs::fstat(&dir).map_err(fail)?;
        match At(&target, STAGING.as_bytes()).stat() {
            Ok(named) if FileId::of(&named) == FileId::of(&open) => {
                Ok(Some(Place { target, dir: Beneath::from_fd(dir) }))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(fail(e)),
        }
    }

    /// Finishes or undoes what a journal says, and empties the place.
    fn settle(&self, path: &Path) -> Result<Option<Recovered>> {
        let fail = |e: Errno| Error::io("settle the restore that was interrupted in", e).at(path);
        let is_empty = remove::names(&self.dir).map_err(fail)?.is_empty();
        if is_empty {
            return Ok(None);
        }
        let mut recovered = Recovered::Discarded;
        let trees = self.trees_that_are_there()?;
        if let Some(journal) = Journal::read(&self.dir)? {
            let Some(trees) = &trees else {
                let error = Error::new(ErrorKind::NotFound, "finish the interrupted restore of");
                return Err(error.at(path).caused_by("its unpacked files are gone"));
            };
            recovered = match trees.forward(&journal) {
                Ok(_) => Recovered::Finished,
                Err(e) => {
                    trees.backward(&journal).map_err(|undo| stuck(path, &e, &undo))?;
                    Recovered::Undone
                }
            };
            ops::sync_all(&self.target).map_err(fail)?;
            Journal::remove(&self.dir).map_err(fail)?;
        }
        if let Some(trees) = &trees {
            remove::empty(&trees.new).map_err(fail)?;
            remove::empty(&trees.old).map_err(fail)?;
        }
        self.empty().map_err(fail)?;
        Ok(Some(recovered))
    }

    /// `new` and `old`, wherever they are; `None` if they are not both there.
    fn trees_that_are_there(&self) -> Result<Option<Trees>> {
        let base = match self.elsewhere()? {
            Some(path) => match Beneath::open(&path) {
                Ok(base) => base,
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            },
            None => self.dir.reopen().map_err(|e| Error::io("open the staging place", e))?,
        };
        let open = |name: &[u8]| base.dir(name).map(Beneath::from_fd);
        let target = self.target.reopen().map_err(|e| Error::io("open the target", e))?;
        Ok(match (open(b"new"), open(b"old")) {
            (Ok(new), Ok(old)) => Some(Trees { target, new, old }),
            _ => None,
        })
    }

    fn make_trees(&self, elsewhere: Option<&Path>) -> Result<Trees> {
        let fail = |e: Errno| Error::io("make the staging place", e);
        let base = match elsewhere {
            None => self.dir.reopen().map_err(fail)?,
            Some(dir) => {
                let fail = |e: Errno| fail(e).at(dir);
                let above = Beneath::open(dir)?;
                let name = format!("{STAGING}-{}", uuid::Uuid::new_v4());
                ops::make_dir(&above, name.as_bytes()).map_err(fail)?;
                let path = std::path::absolute(dir.join(&name))
                    .map_err(|e| Error::io("make the staging place", e).at(dir))?;
                // Written first, so that it is found whatever happens next.
                ops::write_file(&self.dir, ELSEWHERE, path.as_os_str().as_bytes()).map_err(fail)?;
                let base = Beneath::open(&path)?;
                self.check_renames(&base, dir)?;
                base
            }
        };
        let make = |name: &[u8]| {
            ops::make_dir(&base, name)?;
            base.dir(name).map(Beneath::from_fd)
        };
        Ok(Trees {
            new: make(b"new").map_err(fail)?,
            old: make(b"old").map_err(fail)?,
            target: self.target.reopen().map_err(fail)?,
        })
    }

    /// Whether files can be renamed from there to here: on another file system they cannot, nor
    /// across the border of a quota project.
    fn check_renames(&self, base: &Beneath, dir: &Path) -> Result<()> {
        let fail = |e: Errno| match e {
            Errno::XDEV => {
                Error::new(ErrorKind::InvalidInput, "stage the restore in").at(dir).caused_by(
                    "it is on another file system, or in another quota project, than the target",
                )
            }
            e => Error::io("stage the restore in", e).at(dir),
        };
        ops::write_file(base, b"probe", b"").map_err(fail)?;
        ops::rename(At(base, b"probe"), At(&self.dir, b"probe"), true).map_err(fail)?;
        ops::remove_file(&self.dir, b"probe").map_err(fail)
    }

    fn elsewhere(&self) -> Result<Option<PathBuf>> {
        let fail = |e: Errno| Error::io("read the staging place", e);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, ELSEWHERE, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let mut path = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut path)
            .map_err(|e| Error::io("read the staging place", e))?;
        Ok((!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(&path))))
    }

    /// Removes all that is in the place, and what is elsewhere.
    fn empty(&self) -> Result<(), Errno> {
        if let Ok(Some(path)) = self.elsewhere()
            && let Ok(base) = Beneath::open(&path)
            && let (Some(above), Some(name)) = (path.parent(), path.file_name())
        {
            remove::empty(&base)?;
            let above = Beneath::open(above).map_err(|_| Errno::NOENT)?;
            ops::remove_dir(&above, name.as_bytes())?;
        }
        remove::empty(&self.dir)
    }

    /// Removes the place itself.
    fn remove(&self) -> Result<(), Errno> {
        self.empty()?;
        ops::remove_dir(&self.target, STAGING.as_bytes())
    }
}

/// Neither forward nor backward: everything is still there, and is to stay.
fn stuck(path: &Path, forward: &Error, backward: &Error) -> Error {
    Error::new(ErrorKind::Io, "restore").at(path).caused_by(format!(
        "the exchange could be neither finished ({forward}) nor undone ({backward}); the files are in \
         the directory and in its {STAGING}, and the next restore or `wingback recover` tries again"
    ))
}
