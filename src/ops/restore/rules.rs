//! Decides which files of the directory a restore keeps, replaces and removes.

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        ignore::Excludes,
        replace::{Exchange, Fate, Fates},
    },
    ops::select::Selection,
    read::Index,
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
    /// All of them, except those that the patterns of the backup had excluded.
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

    /// Decides about an entry of the directory that the archive does not have.
    fn fate(&self, path: &[u8], is_dir: bool) -> Fate {
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
        let fate = |path: &[u8], is_dir| self.fate(path, is_dir);
        let removes = !matches!(self.removal, Removal::Nothing);
        let fates: Option<Fates<'_>> = removes.then_some(&fate);
        work(Exchange { keep: &keep, fates, is_named })
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

/// Returns the error for an archive that does not say what its backup excluded.
fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "delete files that the archive does not have").caused_by(
        format!(
            "the archive does not say which files its backup excluded, because {why}. The option to \
             delete excluded files deletes those as well"
        ),
    )
}
