//! `wingback_restore` and `wingback_restored`: brings a directory to the state of an archive.

use wingback::{Recovered, Restore};

use crate::{
    archive::wingback_archive,
    bytes::wingback_bytes,
    enums::{wingback_read_method, wingback_recovered, wingback_status},
    error::wingback_error,
    guard::guard,
    notes::{self, Note, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque, Out, Owned},
    options::{self, Options},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
    unpack::{wingback_unpack_options, wingback_unpacked},
    verify,
};

/// The options of a restore. The files of the archive replace those of the directory. Files that the
/// archive does not have stay, unless wingback_restore_delete is set. Nothing in the directory is
/// changed before the archive is known to be undamaged. After a kill or a power cut, the tree is
/// either the old one or the new one.
pub struct wingback_restore {
    _opaque: [u8; 0],
}

impl Opaque for wingback_restore {
    type Rust = Options<Restore>;
    type By = Owned;
}

/// Creates the options for a restore of all members into `directory`, which is made if it does not
/// exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_new(
    directory: wingback_bytes,
    restore: *mut *mut wingback_restore,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `directory` is readable, and `restore` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(restore, "restore")?;
            out.give(Options::new(Restore::new(directory.path("directory")?)));
            Ok(())
        })
    }
}

/// If `deletes` is true, files that the archive does not have are removed, and
/// wingback_restored_removed lists them. Files that the patterns of the backup had excluded stay. If
/// the archive does not record its patterns because it has no index, the task fails with
/// INVALID_INPUT. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_delete(
    restore: *mut wingback_restore,
    deletes: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.delete(deletes))) }
}

/// If `delete_excluded` is true, wingback_restore_delete also removes files that the patterns of the
/// backup had excluded: the directory gets exactly the tree of the archive. Alone it has no effect.
/// The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_delete_excluded(
    restore: *mut wingback_restore,
    delete_excluded: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.delete_excluded(delete_excluded))) }
}

/// Restores only the path `path_or_pattern` with everything beneath it, or the members that it
/// matches as a pattern. With wingback_restore_delete, only files that it matches are removed. Calls
/// add up. Patterns have the syntax of .gitignore. If one matches nothing in the archive, the task
/// fails with INVALID_INPUT and changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_select(
    restore: *mut wingback_restore,
    path_or_pattern: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `path_or_pattern` is readable;
    // `error` is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let selector = path_or_pattern.get("path_or_pattern")?;
            Ok(restore.select(selector))
        })
    }
}

/// If `dry_run` is true, the task reads the archive and the directory, and changes nothing. The
/// result is the one that a restore would have. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_dry_run(
    restore: *mut wingback_restore,
    dry_run: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.dry_run(dry_run))) }
}

/// Keeps what `path_or_pattern` matches as it is: it is neither replaced nor removed. Calls add up.
/// Patterns have the syntax of .gitignore. If one matches nothing in the directory, the task fails
/// with INVALID_INPUT before anything is changed; if the directory is empty, that is a warning.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_keep(
    restore: *mut wingback_restore,
    path_or_pattern: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `path_or_pattern` is readable;
    // `error` is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let selector = path_or_pattern.get("path_or_pattern")?;
            Ok(restore.keep(selector))
        })
    }
}

/// If `in_place` is true, the restore needs no space for a second copy of the files that differ.
/// After the archive is verified, files are removed if wingback_restore_delete is set, and the
/// archive is unpacked over the others. A failure or a kill after that leaves a part of the tree. It
/// cannot be used with a stream. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_in_place(
    restore: *mut wingback_restore,
    in_place: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.in_place(in_place))) }
}

/// Unpacks into a new directory inside `directory` instead of one inside the target. It must be on
/// the same file system as the target.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_staging(
    restore: *mut wingback_restore,
    directory: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `directory` is readable; `error`
    // is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let directory = directory.path("directory")?;
            Ok(restore.staging(directory))
        })
    }
}

/// Keeps the restore's record in `directory`. It must not be inside the target, and nobody else may
/// be able to write to it. The default is $WINGBACK_STATE_DIR; else /var/lib/wingback for root;
/// else $XDG_STATE_HOME/wingback or ~/.local/state/wingback. wingback_restore_recover and backups
/// must use the same directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_state_dir(
    restore: *mut wingback_restore,
    directory: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `directory` is readable; `error`
    // is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let directory = directory.path("directory")?;
            Ok(restore.state_dir(directory))
        })
    }
}

/// Sets `sha1`, the SHA-1 of the archive, 20 bytes. If the archive has another one, the task fails
/// with MISMATCH before anything is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_sha1(
    restore: *mut wingback_restore,
    sha1: *const u8,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `sha1` is NULL or readable for
    // 20 bytes; `error` is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let sha1 = verify::sha1(sha1)?.ok_or_else(|| opaque::null("sha1"))?;
            Ok(restore.sha1(sha1))
        })
    }
}

/// Sets `options`: how members are written, and the limits for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_options(
    restore: *mut wingback_restore,
    options: *const wingback_unpack_options,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive; `options` is NULL or readable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        options::set(restore, error, |restore| {
            let options = wingback_unpack_options::read(options)?;
            Ok(restore.options(options))
        })
    }
}

/// Starts the restore of `archive`. Result: wingback_task_restored. A cancel leaves the directory
/// as it was, until the exchange of the trees begins; from then on the restore is finished.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_start(
    restore: *const wingback_restore,
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` and `archive` are NULL or alive, and `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (restore, archive) =
                (options::copy(restore, "restore")?, opaque::get(archive, "archive")?.open()?);
            task::start("restore", restore.start(archive), out, RestoreResult::new)
        })
    }
}

/// Frees the options; running tasks go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_free(restore: *mut wingback_restore) {
    // SAFETY: the caller promises that `restore` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(restore) }));
}

/// Starts to finish or undo an interrupted restore of the directory. Result:
/// wingback_task_recovered. Of the options, only the state directory is used. A new restore of the
/// directory does this by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_recover(
    restore: *const wingback_restore,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let restore = options::copy(restore, "restore")?;
            task::start("recover a restore", restore.recover(), out, RecoverResult)
        })
    }
}

struct RecoverResult(Option<Recovered>);

/// Writes the result of wingback_restore_recover to `recovered`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_recovered(
    task: *const wingback_task,
    recovered: *mut wingback_recovered,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `recovered` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(recovered, "recovered")?;
            let RecoverResult(found) = task::result(task, "recovery")?;
            out.set((*found).into());
            Ok(())
        })
    }
}

/// The result of a restore. It belongs to its task.
pub struct wingback_restored {
    _opaque: [u8; 0],
}

impl Opaque for wingback_restored {
    type Rust = RestoreResult;
    type By = Borrowed;
}

/// The numbers of a restore.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_restored_summary {
    /// sizeof(wingback_restored_summary).
    pub struct_size: usize,
    /// How the archive was read.
    pub read_method: wingback_read_method,
    /// What was done about an earlier, interrupted restore of the directory.
    pub recovered: wingback_recovered,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
    /// Number of files and symlinks that are equal in the directory and the archive.
    pub unchanged: u64,
    /// Counts of the members.
    pub unpacked: wingback_unpacked,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, an integer or a struct of integers.
unsafe impl Record for wingback_restored_summary {}

pub(crate) struct RestoreResult {
    summary: wingback_restored_summary,
    skipped: Notes,
    added: Notes,
    replaced: Notes,
    removed: Notes,
    warnings: Notes,
}

impl RestoreResult {
    fn new(restored: wingback::Restored) -> Self {
        let summary = wingback_restored_summary {
            struct_size: 0,
            read_method: restored.read_method.into(),
            recovered: restored.recovered.into(),
            unchanged: restored.unchanged,
            unpacked: (&restored.unpacked).into(),
            duration_ns: record::nanoseconds(restored.duration),
        };
        RestoreResult {
            summary,
            skipped: restored.unpacked.skipped.into(),
            added: notes::of_paths(restored.added, "added"),
            replaced: notes::of_paths(restored.replaced, "replaced"),
            removed: notes::of_paths(restored.removed, "removed"),
            warnings: restored.warnings.into_iter().map(Note::from).collect(),
        }
    }
}

/// Lends the result of wingback_restore_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_restored(
    task: *const wingback_task,
    restored: *mut *const wingback_restored,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `restored` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, restored, "result of a restore", error) }
}

/// Writes the numbers of the restore to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_get(
    restored: *const wingback_restored,
    summary: *mut wingback_restored_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restored` is NULL or alive; `summary` is NULL or writable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            record::write(summary, &opaque::get(restored, "restored")?.summary, "summary")
        })
    }
}

/// Returns the members that were not written, such as devices, with the reasons. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_skipped(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.skipped) }
}

/// Returns the paths that were not in the directory before, each directory before its content. NULL
/// for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_added(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.added) }
}

/// Returns the paths of files, symlinks and others that were replaced. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_replaced(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.replaced) }
}

/// Returns the paths that were removed, each directory after its content; empty without
/// wingback_restore_delete. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_removed(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.removed) }
}

/// Returns warnings. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_warnings(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.warnings) }
}
