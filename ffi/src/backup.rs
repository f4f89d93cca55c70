//! `wingback_backup`: the options of a backup.

use std::mem::MaybeUninit;

use wingback::Backup;

use crate::{
    bytes::{slice, wingback_bytes},
    enums::{
        wingback_encoder, wingback_ignore_file, wingback_level, wingback_profile, wingback_rules,
        wingback_status,
    },
    error::wingback_error,
    failure::Result,
    from_c::FromC,
    guard::guard,
    limiter::wingback_limiter,
    opaque::{self, Opaque, Out, Owned},
    options::{self, Options},
};

/// The options of a backup. It can be started several times. It may be changed or freed while its
/// tasks run, because each task has its own copy.
pub struct wingback_backup {
    _opaque: [u8; 0],
}

impl Opaque for wingback_backup {
    type Rust = Options<Backup>;
    type By = Owned;
}

/// Creates the options for a backup of the directory `source`. By default the archive gets
/// everything except what an ignore file in the directory excludes.
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

/// Backs up only these paths and everything beneath them, and the directories that lead to them. There are
/// `count` of them at `paths`, relative to the source; they are not patterns. Calls add up. One with a `count` of 0
/// selects nothing. Excludes apply to selected paths as well. A path that is absolute or has ".." makes the task
/// fail with INVALID_INPUT before anything is written. The report lists a path that the source does not have as
/// skipped with the reason "missing".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_select(
    backup: *mut wingback_backup,
    paths: *const wingback_bytes,
    count: usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `count` elements are readable at `paths`; `error`
    // is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let paths = slice(paths, count, "paths")?.iter().map(|path| path.get("paths"));
            Ok(backup.select(paths.collect::<Result<Vec<_>>>()?))
        })
    }
}

/// Excludes what `patterns` match, one pattern per line. Calls add up. The last pattern that
/// matches a path decides. If the list exceeds the limits in docs/command.md, the task fails with
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

/// Sets `rules`, the language of the patterns. The default is GIT.
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

/// Sets `mode`, the use of the ignore file in the root of the source. The default is MERGE.
/// `name` is the name of the file; if it is empty, ".pteroignore".
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

/// If `strict` is true, a suspicious pattern makes the task fail before anything is written. By
/// default it is a warning.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_strict_patterns(
    backup: *mut wingback_backup,
    strict: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.strict_patterns(strict))) }
}

/// If `stay` is true, directories on other file systems than the source are left out. The default
/// is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_one_file_system(
    backup: *mut wingback_backup,
    stay: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.one_file_system(stay))) }
}

/// Sets `directory` as the state directory in which the backup looks for an unfinished restore of
/// the source; see wingback_restore_state_dir. If a restore was interrupted while it changed the
/// source, the backup fails with BUSY.
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

/// If `count` is true, the tree is counted while the backup begins, so that the progress has the
/// expected numbers. The default is true.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_count_first(
    backup: *mut wingback_backup,
    count: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.count_first(count))) }
}

/// Sets `profile`, the kinds of members that the tar gets. The default is FULL.
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

/// Sets `level`, the compression level. The default is FAST.
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

/// Sets `encoder`, the code that compresses. The default is WINGBACK. If the library does not have
/// the encoder, the task fails with UNSUPPORTED before anything is written. If the encoder does not
/// serve the level, it fails with INVALID_INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_encoder(
    backup: *mut wingback_backup,
    encoder: MaybeUninit<wingback_encoder>,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let encoder = wingback_encoder::read(encoder, "encoder")?;
            Ok(backup.encoder(encoder.into()))
        })
    }
}

/// Sets `threads`, the number of threads that compress. 0, the default, means one for each
/// processor. More threads read the source (four to eight) and hash. The number does not change the bytes
/// of the archive.
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

/// If `background` is true, the backup runs at the lowest priority for the processor and the disk.
/// The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_background(
    backup: *mut wingback_backup,
    background: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.background(background))) }
}

/// Sets `limiter` for the speed at which the source is read.
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

/// Sets `limiter` for the speed at which the archive is written.
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

/// Backs up only the first `len` bytes of the file at `path`, which is relative to the source. A
/// running Bedrock server reports such lengths in reply to "save query".
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

/// If `include` is true, archives of wingback in the source are backed up as well. The default is false: the report
/// lists them as skipped with the reason "own-backup".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_include_archives(
    backup: *mut wingback_backup,
    include: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.include_archives(include))) }
}

/// If `allow` is true, an archive without members is made, with the warning "empty". The default is false: the task
/// then fails with INVALID_INPUT before it commits anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_allow_empty(
    backup: *mut wingback_backup,
    allow: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.allow_empty(allow))) }
}

/// If `reproducible` is true, the index leaves out ctimes, inode numbers, and the host, path and time
/// of the backup, so that copies of a tree give the same bytes. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_reproducible(
    backup: *mut wingback_backup,
    reproducible: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.reproducible(reproducible))) }
}

/// If `align` is true, parts of the archive are aligned with the blocks of file systems, so that these can share
/// the equal parts of two archives. The archive becomes about 0.3 % larger. The default is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_align(
    backup: *mut wingback_backup,
    align: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.align(align))) }
}

/// Sets `label`, the label of the archive: a name of what it is a backup of, such as the UUID of a server. It
/// may hold any bytes, at most 255. The default is the name of the source directory. A
/// longer label makes the task fail with INVALID_INPUT before anything is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_label(
    backup: *mut wingback_backup,
    label: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `label` is readable; `error` is
    // NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let label = label.get("label")?;
            Ok(backup.label(label))
        })
    }
}

/// Adds `key` with `value`, both UTF-8, to what the archive says about itself. Calls add up. More than
/// 32 tags, a key that is empty, has "=" or more than 255 bytes, and a value of more than 512 bytes
/// make the task fail with INVALID_INPUT before anything is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_tag(
    backup: *mut wingback_backup,
    key: wingback_bytes,
    value: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive; `key` and `value` are readable;
    // `error` is NULL or writable.
    unsafe {
        options::set(backup, error, |backup| {
            let (key, value) = (key.text("key")?, value.text("value")?);
            Ok(backup.tag(key, value))
        })
    }
}
