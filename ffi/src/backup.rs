//! `wingback_backup`: the options of a backup, and the calls that start it.

use std::{ffi::c_int, mem::MaybeUninit};

use wingback::{Backup, Cache, Previous};

use crate::{
    bytes::wingback_bytes,
    descriptor,
    enums::{
        wingback_ignore_file, wingback_level, wingback_profile, wingback_rules, wingback_status,
    },
    error::wingback_error,
    estimate::EstimateResult,
    from_c::FromC,
    guard::guard,
    limiter::wingback_limiter,
    opaque::{self, Opaque, Out, Owned},
    options::{self, Options},
    panics::infallible,
    part_urls::{self, wingback_part_urls},
    report::BackupResult,
    store::{self, wingback_store},
    task::{self, wingback_task},
};

/// What to back up, and how: options, and calls that start. It can be started more than once, and
/// be changed or freed while what was started runs, which has its own copy.
pub struct wingback_backup {
    _opaque: [u8; 0],
}

impl Opaque for wingback_backup {
    type Rust = Options<Backup>;
    type By = Owned;
}

/// A backup of a directory with all of its content, but for what an ignore file in it names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_new(
    source: wingback_bytes,
    backup: *mut *mut wingback_backup,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `source` is readable, and `backup` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(backup, "backup")?;
            out.give(Options::new(Backup::new(source.path("source")?)));
            Ok(())
        })
    }
}

/// Leaves out what the patterns match, one a line. Calls add up, and of several patterns the last
/// that matches decides. A list that is over the limits in docs/command.md fails the backup with
/// INVALID_INPUT before anything is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_exclude(
    backup: *mut wingback_backup,
    patterns: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `patterns` is readable; `error`
    // is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let patterns = patterns.get("patterns")?;
            Ok(backup.exclude(patterns))
        })
    }
}

/// Which language patterns are written in: GIT unless told otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_rules(
    backup: *mut wingback_backup,
    rules: MaybeUninit<wingback_rules>,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let rules = wingback_rules::read(rules, "rules")?;
            Ok(backup.rules(rules.into()))
        })
    }
}

/// What the ignore file in the source's root is used for (MERGE unless told otherwise), and its
/// name: ".pteroignore" if that is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_ignore_file(
    backup: *mut wingback_backup,
    mode: MaybeUninit<wingback_ignore_file>,
    name: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `name` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let mode = wingback_ignore_file::read(mode, "mode")?;
            let name = match name.text("name")? {
                "" => ".pteroignore",
                name => name,
            };
            Ok(backup.ignore_file(mode.into()).ignore_file_name(name))
        })
    }
}

/// Whether an odd pattern fails the backup before anything is written, where it would be a warning.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_strict_patterns(
    backup: *mut wingback_backup,
    strict: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.strict_patterns(strict))) }
}

/// Whether directories on other file systems than the source's are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_one_file_system(
    backup: *mut wingback_backup,
    stay: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.one_file_system(stay))) }
}

/// Looks in this state directory for a restore of the source that is under way, as
/// `wingback_restore_state_dir` has it. A source whose restore was interrupted in the middle fails
/// with BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_state_dir(
    backup: *mut wingback_backup,
    directory: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `directory` is readable; `error`
    // is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let directory = directory.path("directory")?;
            Ok(backup.state_dir(directory))
        })
    }
}

/// Whether the tree is counted first, beside the backup, so that the progress knows what to expect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_count_first(
    backup: *mut wingback_backup,
    count: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.count_first(count))) }
}

/// Which entries get a place in the tar: FULL unless told otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_profile(
    backup: *mut wingback_backup,
    profile: MaybeUninit<wingback_profile>,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let profile = wingback_profile::read(profile, "profile")?;
            Ok(backup.profile(profile.into()))
        })
    }
}

/// How hard to compress: FAST unless told otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_level(
    backup: *mut wingback_backup,
    level: MaybeUninit<wingback_level>,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let level = wingback_level::read(level, "level")?;
            Ok(backup.level(level.into()))
        })
    }
}

/// How many threads compress: as many as there are processors with 0, and unless told otherwise. Two
/// more read and hash. The archive's bytes do not depend on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_threads(
    backup: *mut wingback_backup,
    threads: u32,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let threads = match threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => threads as usize,
            };
            Ok(backup.threads(threads))
        })
    }
}

/// Whether it gives way to other work: the lowest priority for the processor and the disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_background(
    backup: *mut wingback_backup,
    background: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.background(background))) }
}

/// Limits how fast the source is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_read_limit(
    backup: *mut wingback_backup,
    limiter: *const wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` and `limiter` are NULL or alive, and `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let limiter = opaque::get(limiter, "limiter")?;
            Ok(backup.read_limit(limiter.clone()))
        })
    }
}

/// Limits how fast the archive is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_write_limit(
    backup: *mut wingback_backup,
    limiter: *const wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` and `limiter` are NULL or alive, and `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let limiter = opaque::get(limiter, "limiter")?;
            Ok(backup.write_limit(limiter.clone()))
        })
    }
}

/// Backs up only the first `len` bytes of the file at `path`, relative to the source, as a running
/// Bedrock server's "save query" gives them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_max_len(
    backup: *mut wingback_backup,
    path: wingback_bytes,
    len: u64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `path` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let path = path.get("path")?;
            Ok(backup.max_len(path, len))
        })
    }
}

/// Whether ctimes and inode numbers stay out of the index, so that copies of a tree give the same
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_reproducible(
    backup: *mut wingback_backup,
    reproducible: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.reproducible(reproducible))) }
}

/// Makes the archive from this one of an earlier backup of the same source: what is unchanged is not
/// read, and what is equal is copied from there. The result has the bytes that it would have had
/// anyway. A previous archive that cannot be used is a warning. It must be one that nobody else could
/// have written.
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

/// Likewise, from the one of this name in the local store that the backup goes to.
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

/// Likewise, from the newest in that store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_previous_latest(
    backup: *mut wingback_backup,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.previous(Previous::Latest))) }
}

/// Whether a file with its old mtime is unchanged whatever its ctime, where there is a previous archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_trust_mtime(
    backup: *mut wingback_backup,
    trust: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.trust_mtime(trust))) }
}

/// Whether what another encoder or level has compressed is copied too; the archive has other bytes then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_reuse_any(
    backup: *mut wingback_backup,
    any: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.reuse_any(any))) }
}

/// Keeps a copy of the archive in the directory `dir`, and makes it from the one before there, unless a
/// previous one is named: for archives that go far away. No more than `max_bytes` stay there; what
/// cannot be kept is a warning.
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

/// Starts to count the source, without reading any file: `wingback_task_estimate` has the result.
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

/// Starts the backup into a store, under a name: `wingback_task_report` has the result. The archive
/// is visible there once the task has ended well, and never before it is whole.
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

/// Starts the backup to part URLs that somebody handed out, with nothing staged on a disk unless
/// parts are over 256 MiB: `wingback_task_report` and `wingback_task_parts` have the result. Whoever
/// handed the URLs out completes the upload, or aborts it where the task fails.
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

/// Starts the backup to a descriptor, such as that of a pipe or a socket: `wingback_task_report` has
/// the result. The descriptor is duplicated: it stays the caller's, who may close it at once. Only
/// the end of the task says whether what was written is whole. Nobody reading is an error. A reader
/// that only waits does not keep the task from being cancelled, but the thread that writes: it ends
/// once the reading end is closed.
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

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_free(backup: *mut wingback_backup) {
    // SAFETY: the caller promises that `backup` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(backup) }));
}
