//! Runs a restore, into a staging directory or in place.

use std::{cell::RefCell, collections::HashMap, io, ops::ControlFlow};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::component_ends,
        durable::make_dirs,
        replace::{self, Recovered, Replacement, StateDir},
        unpack::{Beneath, OldTree, OverwritePolicy, Unpacker, UnpackerOptions},
    },
    ops::{
        extractor::{Job, unpack},
        restore::{
            Restore, Restored,
            rules::{Removal, Rules},
        },
        select::{quoted, refuse_unmatched},
        unpacked::attribute_warnings,
        verify::compare_sha1,
    },
    progress::{Phase, Tracker},
    read::Source,
    throttle::Throttle,
    warning::Warning,
};

impl Restore {
    pub(super) fn run(
        &self,
        source: Source,
        writes: &Throttle,
        tracker: &Tracker,
    ) -> Result<Restored> {
        // Paths in errors are relative to the directory, so that of the directory itself is empty.
        self.run_beneath(source, writes, tracker).map_err(|e| match e.path() {
            Some(path) if path.as_os_str().is_empty() => e.at(&self.dir),
            _ => e,
        })
    }

    fn run_beneath(
        &self,
        source: Source,
        writes: &Throttle,
        tracker: &Tracker,
    ) -> Result<Restored> {
        if self.dry_run {
            return self.run_dry(source, tracker);
        }
        let removal = self.removal(&source)?;
        let (interrupted, mut warnings) = self.check_keep(tracker)?;
        make_dirs(&self.dir, 0o777)
            .map_err(|e| Error::io("create the directory", e).at(&self.dir))?;
        let restored = if self.in_place {
            self.run_in_place(source, removal, writes, tracker)?
        } else {
            self.run_staged(source, removal, writes, tracker)?
        };
        warnings.extend(restored.warnings);
        Ok(Restored { recovered: restored.recovered.or(interrupted), warnings, ..restored })
    }

    /// Returns which files are removed. `None` if the archive says it only at its end.
    pub(super) fn removal(&self, source: &Source) -> Result<Option<Removal>> {
        match (self.delete, self.delete_excluded, source) {
            (false, ..) => Ok(Some(Removal::Nothing)),
            (true, true, _) => Ok(Some(Removal::All)),
            (true, false, Source::Stream(_)) => Ok(None),
            (true, false, Source::At(_)) => {
                Removal::of_included(source.index()?.ok().as_deref()).map(Some)
            }
        }
    }

    /// Refuses paths and patterns to keep that match nothing in the directory. Returns warnings if the directory
    /// is empty. Recovers an interrupted restore first.
    fn check_keep(&self, tracker: &Tracker) -> Result<(Option<Recovered>, Vec<Warning>)> {
        if self.keep.is_empty() {
            return Ok((None, Vec::new()));
        }
        let is_missing =
            std::fs::metadata(&self.dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        let recovered = match is_missing {
            true => None,
            false => replace::recover(&self.dir, &self.state())?,
        };
        Ok((recovered, self.keep_warnings(is_missing, tracker)?))
    }

    /// Returns warnings about paths and patterns to keep that match nothing. If the directory has files, it is
    /// an error.
    pub(super) fn keep_warnings(
        &self,
        is_missing: bool,
        tracker: &Tracker,
    ) -> Result<Vec<Warning>> {
        let mut unmatched = self.keep.unmatched();
        let (mut is_empty, mut is_open) = (true, true);
        if !is_missing {
            is_open = replace::visit(&Beneath::open(&self.dir)?, |path, is_dir| {
                if tracker.is_cancelled() {
                    return Err(Error::cancelled());
                }
                is_empty = false;
                self.keep.matches(path, is_dir, &mut unmatched);
                let all_matched = unmatched.is_empty();
                Ok(if all_matched { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
        let unmatched = self.keep.texts(&unmatched);
        if unmatched.is_empty() {
            return Ok(Vec::new());
        }
        if !is_empty && is_open {
            let operation = "find what to keep in";
            let refused = refuse_unmatched(&unmatched, operation, "the directory");
            return refused.map(|()| Vec::new()).map_err(|e| e.at(&self.dir));
        }
        let unmatched = quoted(&unmatched);
        Ok(vec![match is_empty {
            true => Warning::KeptNothing(unmatched),
            false => Warning::KeepUnmatched(unmatched),
        }])
    }

    /// Unpacks into a staging directory, and exchanges the trees.
    fn run_staged(
        &self,
        source: Source,
        removal: Option<Removal>,
        writes: &Throttle,
        tracker: &Tracker,
    ) -> Result<Restored> {
        let replacement = Replacement::prepare(&self.dir, &self.state(), self.staging.as_deref())?;
        let recovered = replacement.recovered();
        if let Some(removal) = &removal {
            let rules = self.rules(removal.clone());
            rules.exchange(&|_| false, |how| replacement.check(how))?;
        }
        let unpacker = || {
            let owner = self.options.owner;
            let options = UnpackerOptions { policy: OverwritePolicy::NewTree, owner };
            let unpacker = Unpacker::new(Beneath::from_fd(replacement.tree()?), options);
            Ok(unpacker.limited(writes).with_old(OldTree::new(replacement.old_tree()?, owner)?))
        };
        let job = self.job(OverwritePolicy::NewTree, &|_, _| false);
        let done = unpack(source, unpacker, &job, tracker)?;
        compare_sha1(self.sha1, done.read.sha1)?;
        refuse_unmatched(&done.unmatched, "restore", "the archive")?;
        let rules = self.rules(match removal {
            Some(removal) => removal,
            None => Removal::of_included(done.read.index.as_deref())?,
        });
        tracker.enter(Phase::Committing);
        let is_named = |path: &[u8]| done.directories.contains(path);
        let (changes, more) = rules.exchange(&is_named, |how| {
            replacement.commit(how, &|| tracker.is_cancelled(), &*self.committed.0)
        })?;
        let mut warnings = attribute_warnings(&done.clamped, &done.unowned);
        warnings.extend(more);
        let restored = Restored::new(done.read.read_method, done.unpacked, changes);
        Ok(Restored { recovered, warnings, ..restored })
    }

    /// Unpacks over the old files.
    fn run_in_place(
        &self,
        source: Source,
        removal: Option<Removal>,
        writes: &Throttle,
        tracker: &Tracker,
    ) -> Result<Restored> {
        let (Source::At(at), Some(removal)) = (&source, removal) else {
            let error = Error::new(ErrorKind::InvalidInput, "restore in place");
            return Err(error.caused_by("a stream cannot be verified before it is unpacked"));
        };
        let recovered = replace::recover(&self.dir, &self.state())?;
        // This reads the archive, so its damage is found before anything changes.
        let dir = Some(Beneath::open(&self.dir)?);
        let at = Source::At(at.clone());
        let planned = self.preview(at, dir, None, Some(removal.clone()), tracker)?;
        let rules = self.rules(removal);
        tracker.restart();
        let cleared = rules.exchange(&|_| false, |how| {
            how.fates.map(|fates| replace::clear(&self.dir, &self.state(), fates)).transpose()
        })?;
        let root = Beneath::open(&self.dir)?;
        // A path to keep that exists stays, with everything beneath it. Files that the unpack creates do not
        // count as existing.
        let was_there = RefCell::new(HashMap::new());
        let skip = |path: &[u8], is_dir: bool| {
            let kept =
                component_ends(path).find(|&i| rules.keeps(&path[..i], is_dir || i < path.len()));
            kept.is_some_and(|i| {
                let there = || root.kind(&path[..i]).is_some();
                *was_there.borrow_mut().entry(path[..i].to_vec()).or_insert_with(there)
            })
        };
        let job = self.job(OverwritePolicy::Overwrite, &skip);
        let unpacker = || {
            let (policy, owner) = (OverwritePolicy::Overwrite, self.options.owner);
            let options = UnpackerOptions { policy, owner };
            Ok(Unpacker::new(Beneath::open(&self.dir)?, options).limited(writes))
        };
        let done = unpack(source, unpacker, &job, tracker)?;
        self.committed.call();
        let mut warnings = cleared.unwrap_or_default();
        warnings.extend(attribute_warnings(&done.clamped, &done.unowned));
        let restored = Restored::new(done.read.read_method, done.unpacked, planned.changes);
        Ok(Restored { recovered, warnings, ..restored })
    }

    pub(super) fn state(&self) -> StateDir {
        StateDir::new(self.state_dir.as_deref())
    }

    pub(super) fn rules(&self, removal: Removal) -> Rules<'_> {
        Rules { keep: &self.keep, selection: &self.selection, removal }
    }

    /// Returns the job that unpacks the selected members except the skipped ones.
    fn job<'a>(
        &'a self,
        existing: OverwritePolicy,
        skip: &'a dyn Fn(&[u8], bool) -> bool,
    ) -> Job<'a> {
        Job {
            existing,
            selection: &self.selection,
            skip,
            salvage: false,
            sha1: self.sha1.is_some(),
            options: &self.options,
        }
    }
}
