//! Brings a directory to an archive's state.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt, io,
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        durable::make_dirs,
        replace::{self, How, Recovered, Replacement, StateDir},
        unpack::{Beneath, Existing},
    },
    ops::{
        extractor::{Job, UnpackOutcome, unpack},
        select::{Selection, quoted, refuse_unmatched},
        unpacked::{UnpackOptions, Unpacked, time_warnings},
        verify::Verify,
    },
    progress::{Phase, Tracker},
    read::{Source, damage::ReadMethod},
    source::Archive,
    task::Task,
};

/// Brings a directory to an archive's state.
///
/// Nothing of the directory is touched before the archive is known to be good: it is unpacked into a
/// staging directory inside the directory (`.wingback-restore-` and a random number), checked, and
/// made durable; then the directory's entries are exchanged under a journal. Whatever happens before
/// that, the directory stays as it was. Whatever happens after, a kill or a power cut, the next
/// restore of the directory, or [`recover`](Restore::recover), finishes or undoes it: the tree is the
/// old one or the new one. The directory itself stays the same, as it may be a mount point.
///
/// Journal and record lie in the [`state_dir`](Restore::state_dir). Nothing found in the directory is
/// taken for the engine's own, so the owner of its files cannot lead a restore anywhere else.
///
/// Cancel and drop end it in order until the exchange begins; from then on it is finished.
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
    committed: Hook,
}

/// What is called at a moment.
#[derive(Clone)]
struct Hook(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Replace,
    Merge,
}

/// What [`Restore`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// What was written, and what was not.
    pub unpacked: Unpacked,
    /// What an interrupted restore before this one had left, and what became of it.
    pub recovered: Option<Recovered>,
    /// What is no failure but worth knowing, such as a leftover that could not be removed.
    pub warnings: Vec<String>,
    /// From start to end.
    pub duration: Duration,
}

impl Restore {
    /// A restore of the directory `dir`, which is made if it is not there, to exactly what the
    /// archive holds.
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

    /// Puts the archive's files over what is there, each atomically, and leaves the rest alone.
    #[must_use]
    pub fn merge(mut self, merge: bool) -> Self {
        self.mode = if merge { Mode::Merge } else { Mode::Replace };
        self
    }

    /// Leaves what this path or pattern matches as it is, such as what the backup left out. More
    /// calls add more. Patterns are written as in gitignore.
    ///
    /// One that matches nothing in the directory is [`InvalidInput`](ErrorKind::InvalidInput), with
    /// nothing touched: the caller meant files that the restore would replace. Where the directory is
    /// empty or not there, a first restore, there is nothing to lose, and it is a
    /// [warning](Restored::warnings).
    #[must_use]
    pub fn keep(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.keep.add(path_or_pattern.as_ref());
        self
    }

    /// Needs no room for both trees: once the archive is verified, what it replaces is removed and
    /// it is unpacked at once. **A failure or kill on the way leaves a part of the tree.** Not for
    /// a stream, which cannot be read twice.
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }

    /// Unpacks into a directory inside this one, not inside the target. It must be on the same file
    /// system, and within the same quota project.
    #[must_use]
    pub fn staging(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging = Some(dir.into());
        self
    }

    /// Keeps the restore's record in this directory, which belongs to the caller or to root and which
    /// nobody else may write to: not in the target, where the record could be forged. Unless told
    /// otherwise, that is [`default_state_dir`](crate::default_state_dir). A restore that was
    /// interrupted is found again, and its backup refused, only with the same state directory.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Fails with [`Corrupt`](ErrorKind::Corrupt), with nothing touched, unless the archive's SHA-1
    /// is this one.
    #[must_use]
    pub fn sha1(mut self, sha1: [u8; 20]) -> Self {
        self.sha1 = Some(sha1);
        self
    }

    /// Sets how members are written, and how much of them.
    #[must_use]
    pub fn options(mut self, options: UnpackOptions) -> Self {
        self.options = options;
        self
    }

    /// Calls `committed` once the new tree is in place and durable, and before the journal is removed
    /// that says so: for programs with a record of their own, so that after a kill at any moment
    /// either that record says that the restore is done, or [`recover`](Restore::recover) does. It is
    /// called on a thread of the engine, which waits for it; not for a restore that fails.
    #[must_use]
    pub fn on_committed(mut self, committed: impl Fn() + Send + Sync + 'static) -> Self {
        self.committed = Hook(Arc::new(committed));
        self
    }

    /// Restores.
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

    /// Finishes or undoes a restore of the directory that was interrupted. `None` if there was none.
    /// Of the options only [`state_dir`](Restore::state_dir) counts.
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
            self.run_aside(source, tracker)?
        };
        warnings.extend(restored.warnings);
        Ok(Restored { recovered: restored.recovered.or(interrupted), warnings, ..restored })
    }

    /// Refuses paths and patterns to keep that match nothing in the directory; returns warnings if it
    /// is empty. What an interrupted restore has left there is ended first.
    fn check_keep(&self, tracker: &Tracker) -> Result<(Option<Recovered>, Vec<String>)> {
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
            true => format!(
                "the directory was empty before the restore, so nothing of {unmatched} was kept"
            ),
            false => format!(
                "nothing matches {unmatched}, except perhaps in directories that are closed to this user"
            ),
        };
        Ok((recovered, vec![warning]))
    }

    /// Unpacks beside the old files, and exchanges.
    fn run_aside(&self, source: Source, tracker: &Tracker) -> Result<Restored> {
        let replacement = Replacement::prepare(&self.dir, &self.state(), self.staging.as_deref())?;
        let recovered = replacement.recovered();
        let keep = |path: &[u8], is_dir| self.keeps(path, is_dir);
        let how = match self.mode {
            Mode::Replace => How::Replace { keep: &keep },
            Mode::Merge => How::Merge { keep: &keep },
        };
        replacement.check(how)?;
        let root = || Ok(Beneath::from_fd(replacement.tree()?));
        let all = Selection::default();
        let job = self.job(&all, Existing::Fresh, &|_, _| false);
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
        // What is kept and is there stays, with all that lies beneath it. What the archive puts there is
        // not what was there.
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
        let job = self.job(&all, Existing::Overwrite, &skip);
        let done = unpack(source, || Beneath::open(&self.dir), &job, tracker)?;
        (self.committed.0)();
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

    /// All of the archive, but for what is skipped.
    fn job<'a>(
        &'a self,
        all: &'a Selection,
        existing: Existing,
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

fn restored(done: UnpackOutcome, recovered: Option<Recovered>, warnings: Vec<String>) -> Restored {
    Restored {
        read_method: done.read.read_method,
        unpacked: done.unpacked,
        recovered,
        warnings,
        duration: Duration::ZERO,
    }
}
