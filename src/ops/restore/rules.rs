//! Decides which files of the directory a restore keeps, replaces and removes.

use std::{
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
};

use rustix::{
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::split,
        ignore::Excludes,
        open_flags::FILE,
        replace::{Exchange, Fate, Fates},
    },
    ops::select::Selection,
    read::{self, Index},
    warning::PatternOrigin,
};

/// What a restore does with the files of the directory.
pub(super) struct Rules<'a> {
    pub(super) keep: &'a Selection,
    /// Paths to restore. Files outside of them stay.
    pub(super) selection: &'a Selection,
    pub(super) removal: Removal,
}

/// Removal of files that the archive does not have.
#[derive(Clone, Debug)]
pub(super) enum Removal {
    Nothing,
    /// All of them, except archives and those that the patterns of the backup had excluded.
    Included(Box<Excludes>),
    /// All of them.
    All,
}

impl Rules<'_> {
    /// Returns whether the entry of the directory at this path is kept as it is.
    pub(super) fn keeps(&self, path: &[u8], is_dir: bool) -> bool {
        let mut unmatched = self.keep.unmatched();
        !self.keep.is_empty() && self.keep.matches(path, is_dir, &mut unmatched)
    }

    /// Returns whether a member of the archive is restored.
    pub(super) fn selects(&self, path: &[u8], is_dir: bool) -> bool {
        self.selection.matches(path, is_dir, &mut self.selection.unmatched())
    }

    /// Decides about an entry of the directory that the archive does not have. `parent` is the open directory that
    /// contains it.
    fn fate(&self, parent: BorrowedFd<'_>, path: &[u8], is_dir: bool) -> Fate {
        if self.keeps(path, is_dir) {
            return Fate::Stay;
        }
        if !self.selects(path, is_dir) {
            return Fate::Enter;
        }
        match &self.removal {
            Removal::Nothing => Fate::Stay,
            Removal::All => Fate::Remove,
            Removal::Included(excludes) => match excludes.covers(path, is_dir) {
                false if !is_dir && is_own_file(parent, split(path).1) => Fate::Stay,
                false => Fate::Remove,
                true if is_dir && excludes.must_enter(path) => Fate::Enter,
                true => Fate::Stay,
            },
        }
    }

    /// Passes these rules to `work`. `is_named` returns whether the archive has a directory as a member.
    pub(super) fn exchange<T>(
        &self,
        is_named: &dyn Fn(&[u8]) -> bool,
        work: impl FnOnce(Exchange<'_>) -> T,
    ) -> T {
        let keep = |path: &[u8], is_dir| self.keeps(path, is_dir);
        let fates: Fates<'_> = &|parent, path, is_dir| self.fate(parent, path, is_dir);
        let removes = !matches!(self.removal, Removal::Nothing);
        work(Exchange { keep: &keep, fates: removes.then_some(fates), is_named })
    }
}

impl Removal {
    /// Returns the removal of included files. `index` is the one of the archive. Fails if there is none, because
    /// only the index says what the backup excluded.
    pub(super) fn of_included(index: Option<&Index>) -> Result<Removal> {
        let Some(index) = index else {
            return Err(refused("it has no index to use"));
        };
        let info = index.info();
        if info.omits_unnamed {
            return Err(refused("it lacks further paths that no pattern names"));
        }
        let mut excludes = Excludes::new(info.rules);
        excludes
            .add(PatternOrigin::Caller, &index.excludes()?)
            .map_err(|e| refused(&e.to_string()))?;
        Ok(Removal::Included(Box::new(excludes)))
    }
}

/// Returns whether a backup leaves this file out although no pattern names it: it is an archive of wingback, or the
/// lock of one.
fn is_own_file(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    is_own_archive(dir, name)
        || name.strip_suffix(b".lock").is_some_and(|name| is_own_archive(dir, name))
}

/// Returns whether the file is an archive of wingback, or may be one because this process may not read it.
fn is_own_archive(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    let is_archive = || -> Result<bool, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        // A device may do something when it is opened.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(false);
        }
        let file = File::from(rustix::fs::openat(dir, name, FILE, Mode::empty())?);
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(read::is_own_archive(len, |into, at| file.read_exact_at(into, at).is_ok()))
    };
    is_archive().unwrap_or_else(|e| e == Errno::ACCESS)
}

/// Returns the error for an archive that does not say what its backup excluded.
fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "delete files that the archive does not have").caused_by(
        format!(
            "the archive does not say which files its backup excluded, because {why}. The option to \
             delete excluded files deletes those as well"
        ),
    )
}
