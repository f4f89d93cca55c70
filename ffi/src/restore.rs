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

/// Brings a directory to an archive's state: options, and the call that starts. Nothing of the
/// directory is touched before the archive is known to be good; whatever happens then, a kill or a
/// power cut, the tree is the old one or the new one.
pub struct wingback_restore {
    _opaque: [u8; 0],
}

impl Opaque for wingback_restore {
    type Rust = Options<Restore>;
    type By = Owned;
}

/// A restore of a directory, which is made if it is not there, to exactly what the archive holds.
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

/// Whether the archive's files are put over what is there, each at once, and the rest is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_merge(
    restore: *mut wingback_restore,
    merge: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.merge(merge))) }
}

/// Leaves what this path or pattern matches as it is, such as what the backup left out. Calls add
/// up. Patterns are written as in gitignore. The task fails with INVALID_INPUT, with nothing touched,
/// for one that matches nothing in the directory; if the directory is empty, that is a warning.
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

/// Whether it needs no room for both trees: once the archive is verified, what it replaces is
/// removed and it is unpacked at once. A failure or kill on the way leaves a part of the tree. Not
/// for a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_in_place(
    restore: *mut wingback_restore,
    in_place: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `restore` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(restore, error, |restore| Ok(restore.in_place(in_place))) }
}

/// Unpacks into a directory inside this one, not inside the target. It must be on the same file
/// system.
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

/// Keeps the restore's record in this directory, which nobody else may write to: not in the target.
/// By default it is what `wingback_restore_recover` and backups use as well: $WINGBACK_STATE_DIR,
/// else /var/lib/wingback for root, else $XDG_STATE_HOME/wingback or ~/.local/state/wingback.
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

/// Fails with CORRUPT, with nothing touched, unless the archive's SHA-1 is this one, of 20 bytes.
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

/// Sets how members are written, and how much of them.
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

/// Starts the restore: `wingback_task_restored` has the result. A cancel ends it in order until the
/// exchange of the trees begins; from then on it is finished.
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

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restore_free(restore: *mut wingback_restore) {
    // SAFETY: the caller promises that `restore` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(restore) }));
}

/// Starts to finish or undo a restore of the directory that was interrupted:
/// `wingback_task_recovered` says which. Of the options only the state directory counts. A restore
/// of that directory does so by itself.
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

/// The result of `wingback_restore_recover`.
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

/// What a restore did, in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_restored_summary {
    /// sizeof(wingback_restored_summary).
    pub struct_size: usize,
    /// How the archive was read.
    pub read_method: wingback_read_method,
    /// What an interrupted restore before this one had left, and what became of it.
    pub recovered: wingback_recovered,
    /// From start to end, in nanoseconds.
    pub duration_ns: u64,
    /// What was written.
    pub unpacked: wingback_unpacked,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, an integer or a struct of integers.
unsafe impl Record for wingback_restored_summary {}

pub(crate) struct RestoreResult {
    summary: wingback_restored_summary,
    skipped: Notes,
    warnings: Notes,
}

impl RestoreResult {
    fn new(restored: wingback::Restored) -> Self {
        let summary = wingback_restored_summary {
            struct_size: 0,
            read_method: restored.read_method.into(),
            recovered: restored.recovered.into(),
            unpacked: (&restored.unpacked).into(),
            duration_ns: record::nanoseconds(restored.duration),
        };
        RestoreResult {
            summary,
            skipped: restored.unpacked.skipped.into(),
            warnings: restored.warnings.iter().map(|warning| Note::warning(warning)).collect(),
        }
    }
}

/// The result of `wingback_restore_start`.
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

/// The numbers of a restore.
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

/// Members that were not written, such as devices, and why. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_skipped(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.skipped) }
}

/// What is no failure but worth knowing. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_restored_warnings(
    restored: *const wingback_restored,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `restored` is NULL or alive.
    unsafe { notes::lend_notes(restored, |restored| &restored.warnings) }
}
