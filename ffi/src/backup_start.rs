//! The calls that start a backup, and the one that frees its options.

use std::ffi::c_int;

use crate::{
    backup::wingback_backup,
    bytes::wingback_bytes,
    descriptor,
    enums::wingback_status,
    error::wingback_error,
    estimate::EstimateResult,
    guard::guard,
    opaque::{self, Out},
    options,
    panics::infallible,
    part_urls::{self, wingback_part_urls},
    report::BackupResult,
    store::{self, wingback_store},
    task::{self, wingback_task},
};

/// Starts to count the source. No file is read. Result: wingback_task_estimate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_estimate(
    backup: *const wingback_backup,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let backup = options::copy(backup, "backup")?;
            task::start("estimate a backup", backup.estimate(), out, EstimateResult)
        })
    }
}

/// Starts the backup into `store`, under the name `key`. Result: wingback_task_report. The archive
/// becomes visible in the store when it is complete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_start(
    backup: *const wingback_backup,
    store: *const wingback_store,
    key: wingback_bytes,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` and `store` are NULL or alive; `key` is readable;
    // `task` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (backup, store, key) = (
                options::copy(backup, "backup")?,
                opaque::get(store, "store")?.open(),
                store::key(key)?,
            );
            task::start("back up", backup.start(store, key), out, BackupResult::new)
        })
    }
}

/// Starts the backup to `part_urls`. Nothing is written to a disk unless parts are over 256 MiB.
/// Results: wingback_task_report and wingback_task_parts. The program that issued the URLs
/// completes the upload, or aborts it if the task fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_send_to(
    backup: *const wingback_backup,
    part_urls: *const wingback_part_urls,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` and `part_urls` are NULL or alive, and `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (backup, part_urls) =
                (options::copy(backup, "backup")?, opaque::get(part_urls, "part_urls")?);
            part_urls::send(backup, part_urls, out)
        })
    }
}

/// Starts the backup to the descriptor `fd`, such as that of a pipe or a socket. Result:
/// wingback_task_report. The descriptor is duplicated: the caller keeps its own and may close it at
/// once. Only the end of the task says whether the written bytes are complete. A write without a
/// reader is an error. If the reader stops reading, the task can still be cancelled, but the thread
/// that writes ends only after the reading end is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_write_to(
    backup: *const wingback_backup,
    fd: c_int,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let fd = descriptor::duplicate(fd)?;
            let backup = options::copy(backup, "backup")?;
            let written = backup.write_to(descriptor::unblock(fd));
            task::start("back up", written, out, BackupResult::new)
        })
    }
}

/// Frees the options; running tasks go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_free(backup: *mut wingback_backup) {
    // SAFETY: the caller promises that `backup` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(backup) }));
}
