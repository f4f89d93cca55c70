//! `wingback_extract` and `wingback_extracted`: takes members out of an archive.

use wingback::Extract;

use crate::{
    archive::wingback_archive,
    bytes::wingback_bytes,
    enums::{wingback_read_method, wingback_status},
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

/// The options of an extraction, which writes members of an archive to a directory. A file that
/// exists already is an error unless overwriting is allowed.
pub struct wingback_extract {
    _opaque: [u8; 0],
}

impl Opaque for wingback_extract {
    type Rust = Options<Extract>;
    type By = Owned;
}

/// Creates the options for an extraction of all members into `directory`, which is made if it does
/// not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_new(
    directory: wingback_bytes,
    extract: *mut *mut wingback_extract,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `directory` is readable, and `extract` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(extract, "extract")?;
            out.give(Options::new(Extract::new(directory.path("directory")?)));
            Ok(())
        })
    }
}

/// Extracts only members that `path_or_pattern` matches, with all members below them. Calls add up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_select(
    extract: *mut wingback_extract,
    path_or_pattern: wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` is NULL or alive; `path_or_pattern` is readable;
    // `error` is NULL or writable.
    unsafe {
        options::set(extract, error, |extract| {
            let selector = path_or_pattern.get("path_or_pattern")?;
            Ok(extract.select(selector))
        })
    }
}

/// If `overwrite` is true, existing files and symlinks are replaced, each atomically. The default
/// is false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_overwrite(
    extract: *mut wingback_extract,
    overwrite: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(extract, error, |extract| Ok(extract.overwrite(overwrite))) }
}

/// If `salvage` is true, a damaged archive is extracted as far as possible. By default damage is an
/// error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_salvage(
    extract: *mut wingback_extract,
    salvage: bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(extract, error, |extract| Ok(extract.salvage(salvage))) }
}

/// Sets `sha1`, the SHA-1 of the archive, 20 bytes. If the archive has another one, the task fails
/// with MISMATCH before anything is written. A stream is compared at its end, and the written files
/// stay. It cannot be combined with wingback_extract_salvage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_sha1(
    extract: *mut wingback_extract,
    sha1: *const u8,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` is NULL or alive; `sha1` is NULL or readable for
    // 20 bytes; `error` is NULL or writable.
    unsafe {
        options::set(extract, error, |extract| {
            let sha1 = verify::sha1(sha1)?.ok_or_else(|| opaque::null("sha1"))?;
            Ok(extract.sha1(sha1))
        })
    }
}

/// Sets `options`: how members are written, and the limits for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_options(
    extract: *mut wingback_extract,
    options: *const wingback_unpack_options,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` is NULL or alive; `options` is NULL or readable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        options::set(extract, error, |extract| {
            let options = wingback_unpack_options::read(options)?;
            Ok(extract.options(options))
        })
    }
}

/// Starts to extract `archive`. Result: wingback_task_extracted. If the task fails or is cancelled,
/// complete files stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_start(
    extract: *const wingback_extract,
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extract` and `archive` are NULL or alive, and `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (extract, archive) =
                (options::copy(extract, "extract")?, opaque::get(archive, "archive")?.open()?);
            task::start("extract", extract.start(archive), out, ExtractResult::new)
        })
    }
}

/// Frees the options; running tasks go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extract_free(extract: *mut wingback_extract) {
    // SAFETY: the caller promises that `extract` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(extract) }));
}

/// The result of an extraction. It belongs to its task.
pub struct wingback_extracted {
    _opaque: [u8; 0],
}

impl Opaque for wingback_extracted {
    type Rust = ExtractResult;
    type By = Borrowed;
}

/// The numbers of an extraction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_extracted_summary {
    /// sizeof(wingback_extracted_summary).
    pub struct_size: usize,
    /// How the archive was read.
    pub read_method: wingback_read_method,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
    /// What was written.
    pub unpacked: wingback_unpacked,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, an integer or a struct of integers.
unsafe impl Record for wingback_extracted_summary {}

pub(crate) struct ExtractResult {
    summary: wingback_extracted_summary,
    skipped: Notes,
    damage: Notes,
    unmatched: Notes,
    warnings: Notes,
}

impl ExtractResult {
    fn new(extracted: wingback::Extracted) -> Self {
        let summary = wingback_extracted_summary {
            struct_size: 0,
            read_method: extracted.read_method.into(),
            unpacked: (&extracted.unpacked).into(),
            duration_ns: record::nanoseconds(extracted.duration),
        };
        ExtractResult {
            summary,
            skipped: extracted.unpacked.skipped.into(),
            damage: notes::of_damage(extracted.damage),
            unmatched: extracted.unmatched.into_iter().map(Note::unmatched).collect(),
            warnings: extracted.warnings.into_iter().map(Note::from).collect(),
        }
    }
}

/// Lends the result of wingback_extract_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_extracted(
    task: *const wingback_task,
    extracted: *mut *const wingback_extracted,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `extracted` and `error` are
    // NULL or writable.
    unsafe { task::lend_result(task, extracted, "result of an extraction", error) }
}

/// Writes the numbers of the extraction to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extracted_get(
    extracted: *const wingback_extracted,
    summary: *mut wingback_extracted_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `extracted` is NULL or alive; `summary` is NULL or writable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            record::write(summary, &opaque::get(extracted, "extracted")?.summary, "summary")
        })
    }
}

/// Returns the members that were not written, with the reasons. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extracted_skipped(
    extracted: *const wingback_extracted,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `extracted` is NULL or alive.
    unsafe { notes::lend_notes(extracted, |extracted| &extracted.skipped) }
}

/// Returns the damage: one note for each member that is lost, and one without a path for damage
/// that costs no member. It is empty unless wingback_extract_salvage was set. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extracted_damage(
    extracted: *const wingback_extracted,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `extracted` is NULL or alive.
    unsafe { notes::lend_notes(extracted, |extracted| &extracted.damage) }
}

/// Returns the paths and patterns that matched nothing in a damaged archive. In an undamaged
/// archive that is an error. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extracted_unmatched(
    extracted: *const wingback_extracted,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `extracted` is NULL or alive.
    unsafe { notes::lend_notes(extracted, |extracted| &extracted.unmatched) }
}

/// Returns warnings. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_extracted_warnings(
    extracted: *const wingback_extracted,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `extracted` is NULL or alive.
    unsafe { notes::lend_notes(extracted, |extracted| &extracted.warnings) }
}
