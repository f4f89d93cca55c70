//! Restores a directory from an archive.

mod comparison;
mod preview;
mod rules;
mod run;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    checksum::Sha1,
    fs::replace::{self, Changes, Recovered},
    listed::Listed,
    ops::{
        hook::Hook,
        select::Selection,
        unpacked::{UnpackOptions, Unpacked},
    },
    progress::Phase,
    read::damage::ReadMethod,
    source::Archive,
    task::Task,
    warning::Warning,
};

/// Restores the files of an archive into a directory.
///
/// Files of the archive replace those of the directory. Files that the archive does not have stay, unless
/// [`delete`](Restore::delete) is set.
///
/// The restore unpacks the archive into a staging directory inside the target (`.wingback-restore-` and a
/// random number), checks it, and makes it durable. Only then it exchanges the entries of the target for the
/// new ones, under a journal. So a failure before the exchange leaves the target as it was. After a kill or a
/// power cut during the exchange, the next restore of the target, or [`recover`](Restore::recover), finishes
/// or undoes the exchange: the tree is the old one or the new one. The target directory itself stays the same,
/// because it may be a mount point.
///
/// A file of the directory that is equal to the one of the archive is not written again, so the restore needs
/// room only for files that differ. Equal means: the same size, time of the last change, permission bits, owner
/// and content, and no second name.
///
/// The journal and the record are in the [`state_dir`](Restore::state_dir). The restore trusts no file in the
/// target, so the owner of the files there cannot redirect it.
///
/// ```no_run
/// use wingback::{Archive, Restore};
///
/// let restore = Restore::new("/srv/minecraft").delete(true);
/// let restored = restore.start(Archive::file("/backups/monday.tar.gz"));
/// let restored = futures::executor::block_on(restored)?;
/// println!("{} files were removed", restored.removed.total());
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Restore {
    dir: PathBuf,
    delete: bool,
    delete_excluded: bool,
    selection: Selection,
    keep: Selection,
    dry_run: bool,
    in_place: bool,
    staging: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    sha1: Option<Sha1>,
    options: UnpackOptions,
    committed: Hook<()>,
}

/// The result of [`Restore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// Counts of the members, including unchanged files, and the members that were not written.
    pub unpacked: Unpacked,
    /// Paths that were not in the directory before, each directory before its content.
    pub added: Listed<Vec<u8>>,
    /// Paths of files, symlinks and others that were replaced. A directory that both had is not listed.
    pub replaced: Listed<Vec<u8>>,
    /// Paths that were removed, each directory after its content. Empty without [`delete`](Restore::delete).
    pub removed: Listed<Vec<u8>>,
    /// Number of files and symlinks that are equal in the directory and the archive.
    pub unchanged: u64,
    /// Result of the recovery of an interrupted restore before this one. `None` if there was none.
    pub recovered: Option<Recovered>,
    /// Warnings, such as an old file that could not be removed.
    pub warnings: Vec<Warning>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl Restore {
    /// Returns a restore of all members into the directory `dir`, which is created if it does not exist. Files
    /// that the archive does not have stay.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Restore {
            dir: dir.into(),
            delete: false,
            delete_excluded: false,
            selection: Selection::default(),
            keep: Selection::default(),
            dry_run: false,
            in_place: false,
            staging: None,
            state_dir: None,
            sha1: None,
            options: UnpackOptions::default(),
            committed: Hook(Arc::new(|| ())),
        }
    }

    /// Removes files that the archive does not have. [`Restored::removed`] lists them.
    ///
    /// Archives of wingback and their locks stay, because a backup leaves them out. They are recognized by their bytes.
    /// So a file that this process may not read stays as well.
    ///
    /// Files that the patterns of the backup had excluded stay, because the archive does not have them by intent.
    /// The archive records these [patterns](crate::Info::excludes). If it has no index, it does not. If it lacks
    /// paths for [another reason](crate::Info::omits_unnamed), patterns do not name them. In both cases the task fails
    /// with [`InvalidInput`](crate::ErrorKind::InvalidInput): see [`delete_excluded`](Restore::delete_excluded).
    #[must_use]
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Lets [`delete`](Restore::delete) also remove archives, and files that the patterns of the backup had excluded.
    /// Then the directory gets exactly the tree of the archive. Without `delete`, this has no effect.
    #[must_use]
    pub fn delete_excluded(mut self, delete_excluded: bool) -> Self {
        self.delete_excluded = delete_excluded;
        self
    }

    /// Restores only this path with everything beneath it, or the members that this pattern matches. With
    /// [`delete`](Restore::delete), only files that it matches are removed.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. If one matches nothing in the archive, the task fails with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) and changes nothing.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Reads the archive and the directory, and changes nothing. The result is the one that a restore would have.
    ///
    /// Nothing is written, neither to the directory nor to the state directory. So an interrupted restore of the
    /// directory is not recovered; if its exchange has begun, the task fails with [`Busy`](crate::ErrorKind::Busy).
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Keeps the files that this path or pattern matches as they are: they are neither replaced nor removed.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. If one matches nothing in the directory, the task fails
    /// with [`InvalidInput`](crate::ErrorKind::InvalidInput) and changes nothing, because the restore would replace
    /// files that the caller wants to keep. If the directory is empty or does not exist, nothing can be lost,
    /// so this is only a [warning](Restored::warnings).
    #[must_use]
    pub fn keep(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.keep.add(path_or_pattern.as_ref());
        self
    }

    /// Restores without disk space for a second copy of the files that differ: verifies the archive, removes
    /// files if [`delete`](Restore::delete) is set, and unpacks over the others.
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
    /// [`Mismatch`](crate::ErrorKind::Mismatch) and changes nothing.
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
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if a path to [keep](Restore::keep) or
    ///   [select](Restore::select) matches nothing, if a member is unusable (for example, its path leads outside of
    ///   the directory), if the archive has a file in place of a directory that stays, or if an option cannot be
    ///   used.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the archive, the directory or the state
    ///   directory refuses access.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the archive is damaged or is not a `.tar.gz`.
    /// - [`Mismatch`](crate::ErrorKind::Mismatch) if the archive has another [SHA-1](Restore::sha1).
    /// - [`NoSpace`](crate::ErrorKind::NoSpace) if the disk is full, or the archive exceeds a limit of
    ///   [`UnpackOptions`].
    /// - [`Busy`](crate::ErrorKind::Busy) if another restore of the directory is running, or another process changes a
    ///   file while the restore compares it.
    /// - [`UrlExpired`](crate::ErrorKind::UrlExpired) if the signature of the link to the archive has expired.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and [`Internal`](crate::ErrorKind::Internal) for a
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
            let (watched, writes) = (tracker.clone(), archive.writes(&tracker));
            let work = move |source, _| self.run(source, &writes, &watched);
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
    /// - [`Busy`](crate::ErrorKind::Busy) if a restore of the directory is running.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the record cannot be read. Nothing is changed then.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) or [`Io`](crate::ErrorKind::Io) if the recovery fails. A
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
}

impl Restored {
    fn new(read_method: ReadMethod, unpacked: Unpacked, changes: Changes) -> Restored {
        let Changes { added, replaced, removed, unchanged } = changes;
        Restored {
            read_method,
            unpacked,
            added,
            replaced,
            removed,
            unchanged,
            recovered: None,
            warnings: Vec::new(),
            duration: Duration::ZERO,
        }
    }
}
