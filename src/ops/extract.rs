//! Takes members out of an archive, into a directory.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    fs::{
        durable::make_dirs,
        unpack::{Beneath, Existing},
    },
    listed::Listed,
    ops::{
        extractor::{Job, UnpackOutcome, unpack},
        select::{Selection, refuse_unmatched},
        unpacked::{UnpackOptions, Unpacked, time_warnings},
    },
    progress::{Phase, Tracker},
    read::{
        Source,
        damage::{Damage, ReadMethod},
    },
    source::Archive,
    task::Task,
};

/// Takes members out of an archive, into a directory.
///
/// Files that are there already are an error unless [`overwrite`](Extract::overwrite) is asked for.
/// Every file is there under its name only once it is whole; when the task fails, is cancelled or
/// dropped, those that are whole stay.
#[derive(Clone, Debug)]
pub struct Extract {
    dir: PathBuf,
    selection: Selection,
    overwrite: bool,
    salvage: bool,
    options: UnpackOptions,
}

/// What [`Extract`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Extracted {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// What was written, and what was not.
    pub unpacked: Unpacked,
    /// What is damaged, and which members that cost; empty unless it was to be tolerated.
    pub damage: Listed<Damage>,
    /// With [`salvage`](Extract::salvage), paths and patterns that nothing in an archive without an
    /// index matched: it may have been in what is damaged. Empty otherwise.
    pub unmatched: Vec<Vec<u8>>,
    /// What is no failure but worth knowing, such as a time that the file system cannot say.
    pub warnings: Vec<String>,
    /// From start to end.
    pub duration: Duration,
}

impl Extract {
    /// Extracts everything into `dir`, which is made if it is not there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Extract {
            dir: dir.into(),
            selection: Selection::default(),
            overwrite: false,
            salvage: false,
            options: UnpackOptions::default(),
        }
    }

    /// Extracts only this path with all beneath it, or what this pattern matches; more calls add
    /// more. Patterns are written as in gitignore.
    ///
    /// One that matches nothing is [`InvalidInput`](crate::ErrorKind::InvalidInput): before anything is
    /// written if the archive has an index, and at its end otherwise, when what the others matched is
    /// there.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Replaces files and symlinks that are there already, each at once.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Takes what can be had from a damaged archive; what could not is in
    /// [`Extracted::damage`] and [`Unpacked::skipped`]. Without this, damage is an error.
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Sets how members are written, and how much of them.
    #[must_use]
    pub fn options(mut self, options: UnpackOptions) -> Self {
        self.options = options;
        self
    }

    /// Extracts.
    pub fn start<'a>(self, archive: Archive<'a>) -> Task<'a, Extracted> {
        Task::new(|tracker| async move {
            let started = Instant::now();
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let done = archive
                .read(
                    &tracker,
                    move |source, _| self.run(source, &watched),
                    |_| futures::future::ready(Ok(())),
                )
                .await?;
            Ok(Extracted {
                read_method: done.read.read_method,
                unpacked: done.unpacked,
                damage: done.read.damage,
                unmatched: done.unmatched,
                warnings: time_warnings(&done.clamped),
                duration: started.elapsed(),
            })
        })
    }

    fn run(self, source: Source, tracker: &Tracker) -> Result<UnpackOutcome> {
        let existing = if self.overwrite { Existing::Overwrite } else { Existing::Refuse };
        let job = Job {
            existing,
            selection: &self.selection,
            skip: &|_, _| false,
            salvage: self.salvage,
            sha1: false,
            options: &self.options,
        };
        let root = || {
            make_dirs(&self.dir, 0o777)
                .map_err(|e| Error::io("create the directory", e).at(&self.dir))?;
            Beneath::open(&self.dir)
        };
        let done = unpack(source, root, &job, tracker)?;
        if !self.salvage {
            refuse_unmatched(&done.unmatched, "extract", "the archive")?;
        }
        Ok(done)
    }
}
