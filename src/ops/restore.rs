//! Restores a directory from an archive.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        durable::make_dirs,
        replace::{self, ExchangeMode, Recovered, Replacement, StateDir},
        unpack::{Beneath, OverwritePolicy},
    },
    ops::{
        extractor::{Job, UnpackOutcome, unpack},
        hook::Hook,
        select::{Selection, quoted, refuse_unmatched},
        unpacked::{UnpackOptions, Unpacked, time_warnings},
        verify::Verify,
    },
    progress::{Phase, Tracker},
    read::{Source, damage::ReadMethod},
    source::Archive,
    task::Task,
    warning::Warning,
};

/// Restores a directory to the content of an archive.
///
/// The restore unpacks the archive into a staging directory inside the target (`.wingback-restore-` and a
/// random number), checks it, and makes it durable. Only then it exchanges the entries of the target for the
/// new ones, under a journal. So a failure before the exchange leaves the target as it was. After a kill or a
/// power cut during the exchange, the next restore of the target, or [`recover`](Restore::recover), finishes
/// or undoes the exchange: the tree is the old one or the new one. The target directory itself stays the same,
/// because it may be a mount point.
///
/// The journal and the record are in the [`state_dir`](Restore::state_dir). The restore trusts no file in the
/// target, so the owner of the files there cannot redirect it.
///
/// ```no_run
/// use wingback::{Archive, Restore};
///
/// let restore = Restore::new("/srv/minecraft").keep("logs");
/// let restored = restore.start(Archive::file("/backups/monday.tar.gz"));
/// for warning in futures::executor::block_on(restored)?.warnings {
///     println!("{warning}");
/// }
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Restore {
    dir: PathBuf,
    mode: Mode,
    keep: Selection,
    in_place: bool,
    staging: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    sha1: Option<[u8; 20]>,
    options: UnpackOptions,
    committed: Hook<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Replace,
    Merge,
}

/// The result of [`Restore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// Counts of the written members, and the members that were not written.
    pub unpacked: Unpacked,
    /// Result of the recovery of an interrupted restore before this one. `None` if there was none.
    pub recovered: Option<Recovered>,
    /// Warnings, such as an old file that could not be removed.
    pub warnings: Vec<Warning>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl Restore {
    /// Returns a restore of the directory `dir` to exactly the content of the archive. The directory is created
    /// if it does not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Restore {
            dir: dir.into(),
            mode: Mode::Replace,
            keep: Selection::default(),
            in_place: false,
            staging: None,
            state_dir: None,
            sha1: None,
            options: UnpackOptions::default(),
            committed: Hook(Arc::new(|| ())),
        }
    }

    /// Keeps files that the archive does not contain, and replaces the others, each one atomically.
    #[must_use]
    pub fn merge(mut self, merge: bool) -> Self {
        self.mode = if merge { Mode::Merge } else { Mode::Replace };
        self
    }

    /// Keeps the files that this path or pattern matches as they are, such as files that the backup excluded.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. If one matches nothing in the directory, the task fails
    /// with [`InvalidInput`](ErrorKind::InvalidInput) and changes nothing, because the restore would replace
    /// files that the caller wants to keep. If the directory is empty or does not exist, nothing can be lost,
    /// so this is only a [warning](Restored::warnings).
    #[must_use]
    pub fn keep(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.keep.add(path_or_pattern.as_ref());
        self
    }

    /// Restores without disk space for both trees: verifies the archive, removes the old files, and unpacks into
    /// the directory.
    ///
    /// **A failure or a kill on the way leaves a part of the tree.** It does not work for a stream, which
    /// cannot be read twice.
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }

    /// Creates the staging directory inside `dir`, not inside the target. `dir` must be on the same file system
    /// and in the same quota project as the target.
    #[must_use]
    pub fn staging(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging = Some(dir.into());
        self
    }

    /// Sets the directory for the record and the journal of the restore. The default is
    /// [`default_state_dir`](crate::default_state_dir).
    ///
    /// It must belong to the caller or to root, and nobody else may write to it. It must not be in the target,
    /// where the owner of the files could forge the record. Only a [`Restore`] or a
    /// [`Backup`](crate::Backup) with the same state directory finds an interrupted restore.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Compares the SHA-1 of the archive with this one. If it differs, the task fails with
    /// [`Corrupt`](ErrorKind::Corrupt) and changes nothing.
    #[must_use]
    pub fn sha1(mut self, sha1: [u8; 20]) -> Self {
        self.sha1 = Some(sha1);
        self
    }

    /// Sets threads, owner and limits.
    #[must_use]
    pub fn options(mut self, options: UnpackOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets a function to call after the new tree is in place and durable, and before the journal is removed.
    ///
    /// It is for programs with a record of their own: after a kill at any moment, either that record or
    /// [`recover`](Restore::recover) says that the restore is done. A thread of the engine calls it and waits
    /// for it. It is not called for a restore that fails.
    #[must_use]
    pub fn on_committed(mut self, committed: impl Fn() + Send + Sync + 'static) -> Self {
        self.committed = Hook(Arc::new(committed));
        self
    }

    /// Restores the directory.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if a path to [keep](Restore::keep) matches nothing, if a
    ///   member is unusable (for example, its path leads outside of the directory), or if an option cannot be
    ///   used.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) if the archive, the directory or the state
    ///   directory refuses access.
    /// - [`Corrupt`](ErrorKind::Corrupt) if the archive is damaged, is not a `.tar.gz`, or has another
    ///   [SHA-1](Restore::sha1).
    /// - [`NoSpace`](ErrorKind::NoSpace) if the disk is full, or the archive exceeds a limit of
    ///   [`UnpackOptions`].
    /// - [`Busy`](ErrorKind::Busy) if another restore of the directory is running.
    /// - [`UrlExpired`](ErrorKind::UrlExpired) if the signature of the link to the archive has expired.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](ErrorKind::Io) if the disk or the network fails, and [`Internal`](ErrorKind::Internal) for a
    ///   fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// Before the exchange begins ([`Phase::Committing`]), a cancel or a drop leaves the directory as it was, and
    /// removes the staging directory. After that the exchange is finished on its thread. With
    /// [`in_place`](Restore::in_place) a cancel or a drop leaves a part of the tree.
    pub fn start<'a>(self, archive: Archive<'a>) -> Task<'a, Restored> {
        Task::new(|tracker| async move {
            let started = Instant::now();
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let work = move |source, _| self.run(source, &watched);
            let restored = archive.read(&tracker, work, |_| futures::future::ready(Ok(()))).await?;
            Ok(Restored { duration: started.elapsed(), ..restored })
        })
    }

    /// Finishes or undoes an interrupted restore of the directory. Returns `None` if there was none.
    ///
    /// It uses only the option [`state_dir`](Restore::state_dir).
    ///
    /// # Errors
    ///
    /// - [`Busy`](ErrorKind::Busy) if a restore of the directory is running.
    /// - [`Corrupt`](ErrorKind::Corrupt) if the record cannot be read. Nothing is changed then.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) or [`Io`](ErrorKind::Io) if the recovery fails. A
    ///   later call continues it.
    ///
    /// # Cancel safety
    ///
    /// If the task is dropped after its first poll, the recovery is finished on its thread.
    pub fn recover(self) -> Task<'static, Option<Recovered>> {
        Task::new(|_| async move {
            crate::rt::pipe::spawn(move |_| replace::recover(&self.dir, &self.state()))?
                .finish()
                .await
        })
    }

    fn run(&self, source: Source, tracker: &Tracker) -> Result<Restored> {
        let (interrupted, mut warnings) = self.check_keep(tracker)?;
        make_dirs(&self.dir, 0o777)
            .map_err(|e| Error::io("create the directory", e).at(&self.dir))?;
        let restored = if self.in_place {
            self.run_in_place(source, tracker)?
        } else {
            self.run_staged(source, tracker)?
        };
        warnings.extend(restored.warnings);
        Ok(Restored { recovered: restored.recovered.or(interrupted), warnings, ..restored })
    }

    /// Refuses paths and patterns to keep that match nothing in the directory. Returns warnings if the directory
    /// is empty. Recovers an interrupted restore first.
    fn check_keep(&self, tracker: &Tracker) -> Result<(Option<Recovered>, Vec<Warning>)> {
        if self.keep.is_empty() {
            return Ok((None, Vec::new()));
        }
        let mut unmatched = self.keep.unmatched();
        let (mut is_empty, mut is_open) = (true, true);
        let mut recovered = None;
        let is_missing =
            std::fs::metadata(&self.dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if !is_missing {
            recovered = replace::recover(&self.dir, &self.state())?;
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
            return Ok((recovered, Vec::new()));
        }
        if !is_empty && is_open {
            let operation = "find what to keep in";
            let refused = refuse_unmatched(&unmatched, operation, "the directory");
            return refused.map(|()| (recovered, Vec::new())).map_err(|e| e.at(&self.dir));
        }
        let unmatched = quoted(&unmatched);
        let warning = match is_empty {
            true => Warning::KeptNothing(unmatched),
            false => Warning::KeepUnmatched(unmatched),
        };
        Ok((recovered, vec![warning]))
    }

    /// Unpacks into a staging directory, and exchanges the trees.
    fn run_staged(&self, source: Source, tracker: &Tracker) -> Result<Restored> {
        let replacement = Replacement::prepare(&self.dir, &self.state(), self.staging.as_deref())?;
        let recovered = replacement.recovered();
        let keep = |path: &[u8], is_dir| self.keeps(path, is_dir);
        let how = match self.mode {
            Mode::Replace => ExchangeMode::Replace { keep: &keep },
            Mode::Merge => ExchangeMode::Merge { keep: &keep },
        };
        replacement.check(how)?;
        let root = || Ok(Beneath::from_fd(replacement.tree()?));
        let all = Selection::default();
        let job = self.job(&all, OverwritePolicy::NewTree, &|_, _| false);
        let done = unpack(source, root, &job, tracker)?;
        self.check_sha1(done.read.sha1)?;
        tracker.enter(Phase::Committing);
        let mut warnings = time_warnings(&done.clamped);
        warnings.extend(replacement.commit(how, &|| tracker.is_cancelled(), &*self.committed.0)?);
        Ok(restored(done, recovered, warnings))
    }

    fn run_in_place(&self, source: Source, tracker: &Tracker) -> Result<Restored> {
        let Source::At(at) = &source else {
            let error = Error::new(ErrorKind::InvalidInput, "restore in place");
            return Err(error.caused_by("a stream cannot be verified before it is unpacked"));
        };
        let recovered = replace::recover(&self.dir, &self.state())?;
        let verify = self.sha1.map_or_else(Verify::new, |sha1| Verify::new().sha1(sha1));
        let verified = verify.run(Source::At(at.clone()), tracker)?;
        if let Some(damage) = verified.damage.first() {
            let error = Error::new(ErrorKind::Corrupt, "read the archive");
            return Err(error.caused_by(damage.to_string()));
        }
        self.check_sha1(verified.sha1)?;
        let mut warnings = match self.mode {
            Mode::Merge => Vec::new(),
            Mode::Replace => {
                let keep = |path: &[u8], is_dir| self.keeps(path, is_dir);
                replace::clear(&self.dir, &self.state(), &keep)?
            }
        };
        let root = Beneath::open(&self.dir)?;
        // A path to keep that exists stays, with everything beneath it. Files that the unpack creates do not
        // count as existing.
        let was_there = RefCell::new(HashMap::new());
        let skip = |path: &[u8], is_dir: bool| {
            let mut ends = (1..=path.len()).filter(|&i| path.get(i).is_none_or(|&b| b == b'/'));
            let kept = ends.find(|&i| self.keeps(&path[..i], is_dir || i < path.len()));
            kept.is_some_and(|i| {
                let there = || root.kind(&path[..i]).is_some();
                *was_there.borrow_mut().entry(path[..i].to_vec()).or_insert_with(there)
            })
        };
        let all = Selection::default();
        let job = self.job(&all, OverwritePolicy::Overwrite, &skip);
        let done = unpack(source, || Beneath::open(&self.dir), &job, tracker)?;
        self.committed.call();
        warnings.extend(time_warnings(&done.clamped));
        Ok(restored(done, recovered, warnings))
    }

    fn state(&self) -> StateDir {
        StateDir::new(self.state_dir.as_deref())
    }

    fn keeps(&self, path: &[u8], is_dir: bool) -> bool {
        let mut unmatched = self.keep.unmatched();
        !self.keep.is_empty() && self.keep.matches(path, is_dir, &mut unmatched)
    }

    /// Returns the job that unpacks all members except the skipped ones.
    fn job<'a>(
        &'a self,
        all: &'a Selection,
        existing: OverwritePolicy,
        skip: &'a dyn Fn(&[u8], bool) -> bool,
    ) -> Job<'a> {
        let sha1 = self.sha1.is_some();
        Job { existing, selection: all, skip, salvage: false, sha1, options: &self.options }
    }

    fn check_sha1(&self, found: Option<[u8; 20]>) -> Result<()> {
        if self.sha1 == found || self.sha1.is_none() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Corrupt, "read the archive");
        Err(error.caused_by("its SHA-1 is not the one that was given"))
    }
}

fn restored(done: UnpackOutcome, recovered: Option<Recovered>, warnings: Vec<Warning>) -> Restored {
    Restored {
        read_method: done.read.read_method,
        unpacked: done.unpacked,
        recovered,
        warnings,
        duration: Duration::ZERO,
    }
}
