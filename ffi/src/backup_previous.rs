//! The options of `wingback_backup` about an earlier archive.

use wingback::{Cache, Previous};

use crate::{
    backup::wingback_backup, bytes::wingback_bytes, enums::wingback_status, error::wingback_error,
    options, store,
};

/// Sets `file`, the archive of an earlier backup of the same source. The backup does not read
/// unchanged files, and copies equal data from that archive. The new archive has the same bytes as
/// without it, except for its recorded time. If the previous archive cannot be used, that is a warning. Nobody but the caller may
/// be able to write to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_previous_file(
    backup: *mut wingback_backup,
    file: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `file` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let file = file.path("file")?.to_owned();
            Ok(backup.previous(Previous::File(file)))
        })
    }
}

/// Does the same as wingback_backup_previous_file with the archive `key` in the local store that
/// the backup goes to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_previous_key(
    backup: *mut wingback_backup,
    key: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `key` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let key = store::key(key)?;
            Ok(backup.previous(Previous::Key(key)))
        })
    }
}

/// Does the same as wingback_backup_previous_file with the newest archive in the local store that
/// the backup goes to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_previous_latest(
    backup: *mut wingback_backup,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.previous(Previous::Latest))) }
}

/// If `trust` is true, a file with an unchanged mtime counts as unchanged even if its ctime is new.
/// It matters only with a previous archive. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_trust_mtime(
    backup: *mut wingback_backup,
    trust: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.trust_mtime(trust))) }
}

/// If `any` is true, data that another encoder or level has compressed is copied as well. The
/// archive then has other bytes. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_reuse_any(
    backup: *mut wingback_backup,
    any: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.reuse_any(any))) }
}

/// Keeps a copy of the archive in the directory `dir`, and uses the copy of the earlier backup
/// there as the previous archive unless one is set. It is meant for archives that go to a remote
/// store. At most `max_bytes` stay in the directory. If a copy cannot be kept, that is a warning.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_cache(
    backup: *mut wingback_backup,
    dir: wingback_bytes,
    max_bytes: u64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `dir` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let dir = dir.path("dir")?;
            Ok(backup.cache(Cache::new(dir, max_bytes)))
        })
    }
}
