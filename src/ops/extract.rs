//! Extracts members of an archive into a directory.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    checksum::Sha1,
    error::{Error, ErrorKind, Result},
    fs::{
        durable::make_dirs,
        unpack::{Beneath, OverwritePolicy, Unpacker, UnpackerOptions},
    },
    listed::Listed,
    ops::{
        extractor::{Job, UnpackOutcome, unpack},
        select::{Selection, refuse_unmatched},
        unpacked::{UnpackOptions, Unpacked, attribute_warnings},
        verify::{compare_sha1, require_whole},
    },
    progress::{Phase, Tracker},
    read::{
        Source,
        damage::{Damage, ReadMethod},
    },
    source::Archive,
    task::Task,
    throttle::Throttle,
    warning::Warning,
};

/// Extracts members of an archive into a directory.
///
/// An existing file is an error unless [`overwrite`](Extract::overwrite) is set. A file gets its name only after
/// it is complete. Nothing in an archive leads to a path outside of the directory.
///
/// ```no_run
/// use wingback::{Archive, Extract};
///
/// let extract = Extract::new("/tmp/world").select("world/region/*.mca");
/// let extracted = extract.start(Archive::file("backup.tar.gz"));
/// let extracted = futures::executor::block_on(extracted)?;
/// println!("{} files", extracted.unpacked.files);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Extract {
    dir: PathBuf,
    selection: Selection,
    overwrite: bool,
    salvage: bool,
    sha1: Option<Sha1>,
    options: UnpackOptions,
}

/// The result of [`Extract`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Extracted {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// Counts of the written members, and the members that were not written.
    pub unpacked: Unpacked,
    /// Damage of the archive, with the members that are lost. Empty without [`salvage`](Extract::salvage).
    pub damage: Listed<Damage>,
    /// Selected paths and patterns that matched nothing in an archive without an index. Their members may be
    /// in the damaged part. Empty without [`salvage`](Extract::salvage).
    pub unmatched: Vec<Vec<u8>>,
    /// Warnings, such as a time that the file system cannot store.
    pub warnings: Vec<Warning>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl Extract {
    /// Returns an extraction of all members into `dir`, which is created if it does not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Extract {
            dir: dir.into(),
            selection: Selection::default(),
            overwrite: false,
            salvage: false,
            sha1: None,
            options: UnpackOptions::default(),
        }
    }

    /// Extracts only this path with everything beneath it, or the members that this pattern matches.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. If one matches nothing, the task fails with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput). With an index it fails before anything is written.
    /// Without an index it fails at the end of the archive, and the members that the others matched are there.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Replaces existing files and symlinks, each one atomically.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Extracts all readable members of a damaged archive. [`Extracted::damage`] and
    /// [`Unpacked::skipped`] list the others. Without this option, damage is an error.
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Compares the SHA-1 of the archive with this one. If it differs, the task fails with
    /// [`Mismatch`](ErrorKind::Mismatch).
    ///
    /// The archive is verified before anything is written, so all of it is read, even for one file. A stream
    /// cannot be read twice: its SHA-1 is compared at its end, and the written files stay. It cannot be
    /// combined with [`salvage`](Extract::salvage).
    #[must_use]
    pub fn sha1(mut self, sha1: Sha1) -> Self {
        self.sha1 = Some(sha1);
        self
    }

    /// Sets threads, owner and limits.
    #[must_use]
    pub fn options(mut self, options: UnpackOptions) -> Self {
        self.options = options;
        self
    }

    /// Extracts the archive.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if the archive is not a regular file.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if it cannot be opened.
    /// - [`UrlExpired`](crate::ErrorKind::UrlExpired) if the signature of its link has expired.
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a file exists already.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) also if a selection matches nothing, if a member is
    ///   unusable (for example, its path leads outside of the directory), or if [`salvage`](Extract::salvage)
    ///   and [`sha1`](Extract::sha1) are both set.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the archive is damaged or is not a `.tar.gz`.
    /// - [`Mismatch`](ErrorKind::Mismatch) if the archive has another [SHA-1](Extract::sha1).
    /// - [`NoSpace`](crate::ErrorKind::NoSpace) if the disk is full, or the archive exceeds a limit of
    ///   [`UnpackOptions`].
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and
    ///   [`Internal`](crate::ErrorKind::Internal) for a fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// If the task fails, is cancelled or is dropped, complete files stay and incomplete ones are removed.
    pub fn start<'a>(self, archive: Archive<'a>) -> Task<'a, Extracted> {
        Task::new(|tracker| async move {
            let started = Instant::now();
            tracker.enter(Phase::Reading);
            let (watched, writes) = (tracker.clone(), archive.writes(&tracker));
            let done = archive
                .read(
                    &tracker,
                    move |source, _| self.run(source, &writes, &watched),
                    |_| futures::future::ready(Ok(())),
                )
                .await?;
            Ok(Extracted {
                read_method: done.read.read_method,
                unpacked: done.unpacked,
                damage: done.read.damage,
                unmatched: done.unmatched,
                warnings: attribute_warnings(&done.clamped, &done.unowned),
                duration: started.elapsed(),
            })
        })
    }

    fn run(self, source: Source, writes: &Throttle, tracker: &Tracker) -> Result<UnpackOutcome> {
        self.check_archive(&source, tracker)?;
        let is_stream = matches!(source, Source::Stream(_));
        let existing =
            if self.overwrite { OverwritePolicy::Overwrite } else { OverwritePolicy::Refuse };
        let job = Job {
            existing,
            selection: &self.selection,
            skip: &|_, _| false,
            salvage: self.salvage,
            // An archive that is not a stream was verified already.
            sha1: self.sha1.is_some() && is_stream,
            options: &self.options,
        };
        let unpacker = || {
            make_dirs(&self.dir, 0o777)
                .map_err(|e| Error::io("create the directory", e).at(&self.dir))?;
            let options = UnpackerOptions { policy: existing, owner: self.options.owner };
            Ok(Unpacker::new(Beneath::open(&self.dir)?, options).limited(writes))
        };
        let done = unpack(source, unpacker, &job, tracker)?;
        if !self.salvage {
            refuse_unmatched(&done.unmatched, "extract", "the archive")?;
        }
        if is_stream {
            compare_sha1(self.sha1, done.read.sha1)?;
        }
        Ok(done)
    }

    /// Verifies the archive if it must have a certain SHA-1 and can be read twice.
    fn check_archive(&self, source: &Source, tracker: &Tracker) -> Result<()> {
        if self.sha1.is_none() {
            return Ok(());
        }
        if self.salvage {
            let error = Error::new(ErrorKind::InvalidInput, "extract");
            return Err(error.caused_by("a SHA-1 is not compared for a damaged archive"));
        }
        if let Source::At(at) = source {
            require_whole(Source::At(at.clone()), self.sha1, &self.options, tracker)?;
            tracker.restart();
        }
        Ok(())
    }
}
