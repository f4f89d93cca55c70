//! `wingback_info`: what an archive says about itself.

use std::ptr;

use wingback::Info;

use crate::{
    bytes::wingback_bytes,
    enums::{wingback_profile, wingback_rules, wingback_status},
    error::wingback_error,
    failure::Failure,
    guard::guard,
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// What an archive says about itself. Nobody has confirmed it. It belongs to its task.
pub struct wingback_info {
    _opaque: [u8; 0],
}

impl Opaque for wingback_info {
    type Rust = Info;
    type By = Borrowed;
}

/// The result of a task; `None` if the archive has no index to use.
pub(crate) struct Identity(pub(crate) Option<Info>);

/// What an archive says about itself, without its tags. Bytes are empty if the archive does not have
/// them: a reproducible archive has no source, host and time.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_info_summary {
    /// sizeof(wingback_info_summary).
    pub struct_size: usize,
    /// The label that wingback_backup_label has set, otherwise the name of the source directory.
    pub label: wingback_bytes,
    /// Path of the source.
    pub source: wingback_bytes,
    /// Name of the host that made the archive, as UTF-8.
    pub host: wingback_bytes,
    /// Name and version of the program that made the archive, as UTF-8.
    pub tool: wingback_bytes,
    /// A word for the encoder; docs/command.md lists the words.
    pub encoder: wingback_bytes,
    /// The patterns that were in force, one per line: the ignore file, then those of the caller.
    pub excludes: wingback_bytes,
    /// Time when the backup began, in nanoseconds since 1970, if is_made_known.
    pub made_ns: i64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of content of the files.
    pub content: u64,
    /// Paths that the archive lacks because they could not be read.
    pub skipped: u64,
    /// Bytes of the tar stream.
    pub tar_len: u64,
    /// Segments of the tar stream.
    pub segments: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Level of the encoder.
    pub encoder_level: u32,
    /// Kinds of members that the tar has.
    pub profile: wingback_profile,
    /// Language of the patterns.
    pub rules: wingback_rules,
    /// Whether `made_ns` is set.
    pub is_made_known: bool,
    /// Whether the archive lacks paths of the source that no pattern in `excludes` names.
    pub omits_unnamed: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer, an enumeration that has the value 0 or a
// bool.
unsafe impl Record for wingback_info_summary {}

fn summary_of(info: &Info) -> wingback_info_summary {
    let text = |text: &Option<String>| {
        wingback_bytes::lend(text.as_deref().unwrap_or_default().as_bytes())
    };
    wingback_info_summary {
        struct_size: 0,
        label: wingback_bytes::lend(&info.label),
        source: wingback_bytes::lend(info.source.as_deref().unwrap_or_default()),
        host: text(&info.host),
        tool: wingback_bytes::lend(info.tool.as_bytes()),
        encoder: wingback_bytes::lend(info.encoder.code().as_bytes()),
        excludes: wingback_bytes::lend(&info.excludes),
        made_ns: info.made_ns().unwrap_or(0),
        files: info.files,
        directories: info.directories,
        symlinks: info.symlinks,
        content: info.content,
        skipped: info.skipped,
        tar_len: info.tar_len,
        segments: info.segments,
        size: info.size,
        encoder_level: info.encoder.level().into(),
        profile: info.profile.into(),
        rules: info.rules.into(),
        is_made_known: info.made.is_some(),
        omits_unnamed: info.omits_unnamed,
    }
}

/// Lends the result of wingback_archive_info. It is NULL if the archive has no index to use: another
/// program made it, its end is missing or damaged, or it is a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_info(
    task: *const wingback_task,
    info: *mut *const wingback_info,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `info` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(info, "info")?;
            let Identity(info) = task::result(task, "identity")?;
            out.set(info.as_ref().map_or(ptr::null(), lend));
            Ok(())
        })
    }
}

/// Writes the identity to `summary`. Its pointers are valid until the task is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_info_get(
    info: *const wingback_info,
    summary: *mut wingback_info_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `info` is NULL or alive; `summary` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || record::write(summary, &summary_of(opaque::get(info, "info")?), "summary"))
    }
}

/// Returns the number of tags; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_info_tag_count(info: *const wingback_info) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `info` is NULL or alive.
        unsafe { opaque::get(info, "info") }.map_or(0, |info| info.tags.len())
    })
}

/// Writes the `key` and the `value` of the tag at `index`, counted from 0, as UTF-8. The bytes are valid
/// until the task is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_info_tag(
    info: *const wingback_info,
    index: usize,
    key: *mut wingback_bytes,
    value: *mut wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `info` is NULL or alive, and `key`, `value` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let (key, value) = (Out::new(key, "key")?, Out::new(value, "value")?);
            let tags = &opaque::get(info, "info")?.tags;
            let (name, text) =
                tags.get(index).ok_or_else(|| Failure::no_element(index, tags.len()))?;
            key.set(wingback_bytes::lend(name.as_bytes()));
            value.set(wingback_bytes::lend(text.as_bytes()));
            Ok(())
        })
    }
}
