//! `wingback_verified`: the result of checking an archive.

use wingback::{Sha1, Verify};

use crate::{
    archive::wingback_archive,
    enums::{wingback_read_method, wingback_status},
    error::wingback_error,
    failure::Result,
    guard::guard,
    notes::{self, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque, Out},
    record::{self, Record},
    task::{self, wingback_task},
};

/// How an archive is checked. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_verify_options {
    /// sizeof(wingback_verify_options).
    pub struct_size: usize,
    /// The expected SHA-1 of the whole file, 20 bytes; NULL if it is unknown.
    pub sha1: *const u8,
    /// Number of threads that decode; 0 means one for each processor.
    pub threads: u32,
    /// Not 0: run at the lowest priority.
    pub background: u32,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer or an integer.
unsafe impl Record for wingback_verify_options {}

/// Copies a SHA-1 of the caller; `None` for NULL.
///
/// # Safety
///
/// `sha1` is NULL, or readable for 20 bytes.
pub(crate) unsafe fn sha1(sha1: *const u8) -> Result<Option<Sha1>> {
    // SAFETY: the caller promises that `sha1` is NULL or readable for 20 bytes. Bytes need no alignment.
    Ok(unsafe { sha1.cast::<[u8; 20]>().as_ref() }.copied().map(Sha1))
}

/// Starts to check every checksum of the archive. Result: wingback_task_verified. Damage does not
/// make the task fail; the result reports it. `options` may be NULL for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_verify(
    archive: *const wingback_archive,
    options: *const wingback_verify_options,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive; `options` is NULL or readable
    // for its `struct_size`, and its `sha1` is NULL or readable for 20 bytes; `task` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (given, archive) =
                (record::read(options, "options")?, opaque::get(archive, "archive")?.open()?);
            let mut verify = Verify::new().background(given.background != 0);
            if given.threads > 0 {
                verify = verify.threads(given.threads as usize);
            }
            if let Some(sha1) = sha1(given.sha1)? {
                verify = verify.sha1(sha1);
            }
            task::start("verify", verify.start(archive), out, VerifyResult::new)
        })
    }
}

/// The result of a check. It belongs to its task.
pub struct wingback_verified {
    _opaque: [u8; 0],
}

impl Opaque for wingback_verified {
    type Rust = VerifyResult;
    type By = Borrowed;
}

/// The numbers of a check.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_verified_summary {
    /// sizeof(wingback_verified_summary).
    pub struct_size: usize,
    /// How the archive was read.
    pub read_method: wingback_read_method,
    /// Whether the archive is undamaged, as far as its checksums can tell.
    pub is_whole: bool,
    /// Whether `sha1` is set: the options had a SHA-1, and the whole archive could be read.
    pub is_sha1_known: bool,
    /// Whether the SHA-1 is the expected one.
    pub sha1_matches: bool,
    /// The SHA-1 of the archive.
    pub sha1: [u8; 20],
    /// Size of the archive in bytes; 0 for a stream.
    pub size: u64,
    /// Number of checked segments; 0 without an index.
    pub segments: u64,
    /// Files in the archive, as far as it could be read.
    pub files: u64,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, a bool, an array of integers or an
// integer.
unsafe impl Record for wingback_verified_summary {}

pub(crate) struct VerifyResult {
    summary: wingback_verified_summary,
    damage: Notes,
    whole_files: Notes,
}

impl VerifyResult {
    pub(crate) fn new(verified: wingback::Verified) -> Self {
        let summary = wingback_verified_summary {
            struct_size: 0,
            read_method: verified.read_method.into(),
            is_whole: verified.is_whole(),
            is_sha1_known: verified.sha1.is_some(),
            sha1_matches: verified.sha1_matches == Some(true),
            sha1: verified.sha1.map_or([0; 20], |sha1| sha1.0),
            size: verified.size.unwrap_or_default(),
            segments: verified.segments,
            files: verified.files,
            duration_ns: record::nanoseconds(verified.duration),
        };
        VerifyResult {
            summary,
            damage: notes::of_damage(verified.damage),
            whole_files: notes::of_paths(verified.whole_files, "whole"),
        }
    }
}

/// Lends the result of wingback_archive_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_verified(
    task: *const wingback_task,
    verified: *mut *const wingback_verified,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `verified` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, verified, "result of a check", error) }
}

/// Writes the numbers of the check to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_get(
    verified: *const wingback_verified,
    summary: *mut wingback_verified_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `verified` is NULL or alive; `summary` is NULL or writable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            record::write(summary, &opaque::get(verified, "verified")?.summary, "summary")
        })
    }
}

/// Returns the damage: one note for each member that is lost, and one without a path for damage
/// that costs no member. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_damage(
    verified: *const wingback_verified,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `verified` is NULL or alive.
    unsafe { notes::lend_notes(verified, |verified| &verified.damage) }
}

/// Returns the undamaged files; empty if nothing is damaged. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_whole_files(
    verified: *const wingback_verified,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `verified` is NULL or alive.
    unsafe { notes::lend_notes(verified, |verified| &verified.whole_files) }
}
