//! `wingback_verified_all`: the result of checking the archives of a store.

use std::{path::PathBuf, ptr};

use futures::TryStreamExt;
use wingback::{ArchiveCheck, Error, ErrorKind, StoredArchive, VerifiedAll, VerifyAll};

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    limiter::wingback_limiter,
    notes::{self, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    store::wingback_store,
    task::{self, wingback_task},
    verify::{VerifyResult, wingback_verified},
};

/// Which archives of a store are checked, and how. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_verify_all_options {
    /// sizeof(wingback_verify_all_options).
    pub struct_size: usize,
    /// Only archives with this label; empty for all archives.
    pub label: wingback_bytes,
    /// Name of the store in the record of checks, such as its path. If it is empty, no record is kept.
    pub place: wingback_bytes,
    /// Directory of the record; empty for the default state directory.
    pub state_directory: wingback_bytes,
    /// Check only archives that together have about this many percent of all bytes, and at least one: those
    /// whose last check is the oldest. 0 means all archives.
    pub sample: f64,
    /// Limit for the speed at which all archives together are read; NULL for none.
    pub read_limit: *const wingback_limiter,
    /// Not 0: begin a new pass over all archives even if one was interrupted.
    pub restart: u32,
    /// Number of threads that decode; 0 means one for each processor.
    pub threads: u32,
    /// Not 0: run at the lowest priority.
    pub background: u32,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer, a pointer with its length, a floating-point number or an
// integer.
unsafe impl Record for wingback_verify_all_options {}

impl wingback_verify_all_options {
    /// Reads the options. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `options` is NULL, or readable for its `struct_size`. Its bytes are readable, and its limiter is NULL or alive.
    unsafe fn read(options: *const Self) -> Result<VerifyAll> {
        // SAFETY: the caller makes the promise that `read` asks for.
        let given = unsafe { record::read(options, "options") }?;
        let mut verify =
            VerifyAll::new().restart(given.restart != 0).background(given.background != 0);
        if given.threads > 0 {
            verify = verify.threads(given.threads as usize);
        }
        if given.sample > 0.0 {
            verify = verify.sample(given.sample);
        }
        if !given.read_limit.is_null() {
            // SAFETY: the caller promises that the limiter is alive.
            let limiter = unsafe { opaque::get(given.read_limit, "options->read_limit") }?;
            verify = verify.read_limit(limiter.clone());
        }
        // SAFETY: the caller promises that the bytes are readable.
        let (label, place, state_directory) = unsafe {
            let state_directory = match given.state_directory.get("options->state_directory")? {
                b"" => None,
                _ => Some(given.state_directory.path("options->state_directory")?),
            };
            (
                given.label.get("options->label")?,
                given.place.get("options->place")?,
                state_directory,
            )
        };
        if !label.is_empty() {
            verify = verify.label(label);
        }
        if !place.is_empty() {
            verify = verify.record(state_directory.map(PathBuf::from), place);
        }
        Ok(verify)
    }
}

/// The result of checking the archives of a store. It belongs to its task.
pub struct wingback_verified_all {
    _opaque: [u8; 0],
}

impl Opaque for wingback_verified_all {
    type Rust = VerifyAllResult;
    type By = Borrowed;
}

pub(crate) struct VerifyAllResult {
    summary: wingback_verified_all_summary,
    checks: Vec<Check>,
    damaged: Notes,
}

struct Check {
    archive: StoredArchive,
    result: Result<VerifyResult>,
    is_whole: bool,
}

impl From<ArchiveCheck> for Check {
    fn from(check: ArchiveCheck) -> Self {
        let is_whole = check.is_whole();
        let result = check.result.map(VerifyResult::new).map_err(Failure::from);
        Check { archive: check.archive, result, is_whole }
    }
}

impl VerifyAllResult {
    fn new((checks, all): (Vec<ArchiveCheck>, VerifiedAll)) -> Self {
        VerifyAllResult {
            summary: wingback_verified_all_summary::from(&all),
            checks: checks.into_iter().map(Check::from).collect(),
            damaged: notes::of_keys(all.damaged, "damaged"),
        }
    }

    fn get(&self, index: usize) -> Result<&Check> {
        self.checks.get(index).ok_or_else(|| Failure::no_element(index, self.checks.len()))
    }
}

/// The numbers of a check of all archives.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_verified_all_summary {
    /// sizeof(wingback_verified_all_summary).
    pub struct_size: usize,
    /// Number of archives.
    pub archives: u64,
    /// Number of archives that were read now.
    pub verified: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Number of archives that were not read now because the interrupted pass had read them.
    pub earlier: u64,
    /// Number of archives that could not be read now.
    pub failed: u64,
    /// Number of archives without a check so far.
    pub never: u64,
    /// Start of the interrupted pass that was continued, in nanoseconds since 1970, if is_resumed.
    pub resumed_ns: i64,
    /// Time of the oldest of the last checks of all archives, in nanoseconds since 1970, if is_oldest_known.
    pub oldest_ns: i64,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
    /// Whether no damage is known, and every archive that was to be read could be.
    pub is_whole: bool,
    /// Whether an interrupted pass was continued.
    pub is_resumed: bool,
    /// Whether any archive has a check.
    pub is_oldest_known: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer or a bool.
unsafe impl Record for wingback_verified_all_summary {}

impl From<&VerifiedAll> for wingback_verified_all_summary {
    fn from(all: &VerifiedAll) -> Self {
        wingback_verified_all_summary {
            struct_size: 0,
            archives: all.archives,
            verified: all.verified,
            bytes: all.bytes,
            earlier: all.earlier,
            failed: all.failed,
            never: all.never,
            resumed_ns: all.resumed_ns().unwrap_or(0),
            oldest_ns: all.oldest_ns().unwrap_or(0),
            duration_ns: record::nanoseconds(all.duration),
            is_whole: all.is_whole(),
            is_resumed: all.resumed.is_some(),
            is_oldest_known: all.oldest.is_some(),
        }
    }
}

/// The check of one archive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_archive_check {
    /// sizeof(wingback_archive_check).
    pub struct_size: usize,
    /// Name of the archive. The bytes are valid as long as the result.
    pub key: wingback_bytes,
    /// Time when the backup began, in nanoseconds since 1970, if is_made_known.
    pub made_ns: i64,
    /// What was found out; NULL if the archive could not be read. It is valid as long as the result.
    pub verified: *const wingback_verified,
    /// Why the archive could not be read, as UTF-8; otherwise empty. The bytes are valid as long as the
    /// result.
    pub message: wingback_bytes,
    /// The status of that failure, or OK.
    pub status: wingback_status,
    /// Whether `made_ns` is set.
    pub is_made_known: bool,
    /// Whether the archive was read and no damage was found.
    pub is_whole: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer, a nullable pointer, an enumeration that
// has the value 0 or a bool.
unsafe impl Record for wingback_archive_check {}

/// Starts to check every checksum of the archives in the store, one after another. Result:
/// wingback_task_verified_all. Damage does not make the task fail, and neither does an archive that cannot be
/// read; the result reports both. `options` may be NULL for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_verify(
    store: *const wingback_store,
    options: *const wingback_verify_all_options,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `options` is NULL or readable for its
    // `struct_size`, its bytes are readable, and its limiter is NULL or alive; `task` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let mut stream = wingback_verify_all_options::read(options)?.start(store);
            let handle = stream.handle();
            let all = async move {
                let checks = (&mut stream).try_collect().await?;
                let none = || Error::new(ErrorKind::Internal, "read the result");
                Ok((checks, stream.verified_all().cloned().ok_or_else(none)?))
            };
            task::start_watched("verify a store", handle, all, out, VerifyAllResult::new)
        })
    }
}

/// Lends the result of wingback_store_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_verified_all(
    task: *const wingback_task,
    verified: *mut *const wingback_verified_all,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `verified` and `error` are NULL or
    // writable.
    unsafe { task::lend_result(task, verified, "result of a check of a store", error) }
}

/// Writes the numbers of the check to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_all_get(
    verified: *const wingback_verified_all,
    summary: *mut wingback_verified_all_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `verified` is NULL or alive; `summary` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            record::write(summary, &opaque::get(verified, "verified")?.summary, "summary")
        })
    }
}

/// Returns the number of archives that were read now, or could not be; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_all_count(
    verified: *const wingback_verified_all,
) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `verified` is NULL or alive.
        unsafe { opaque::get(verified, "verified") }.map_or(0, |all| all.checks.len())
    })
}

/// Writes the check at `index`, counted from 0, to `check`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_all_check(
    verified: *const wingback_verified_all,
    index: usize,
    check: *mut wingback_archive_check,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `verified` is NULL or alive; `check` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let found = opaque::get(verified, "verified")?.get(index)?;
            let made_ns = found.archive.made_ns();
            let failure = found.result.as_ref().err();
            let value = wingback_archive_check {
                struct_size: 0,
                key: wingback_bytes::lend(found.archive.key.as_str().as_bytes()),
                made_ns: made_ns.unwrap_or(0),
                verified: found.result.as_ref().map_or(ptr::null(), lend),
                message: failure.map_or(wingback_bytes::EMPTY, |failure| {
                    wingback_bytes::lend(failure.text().as_bytes())
                }),
                status: failure.map_or(wingback_status::Ok, |failure| failure.status),
                is_made_known: made_ns.is_some(),
                is_whole: found.is_whole,
            };
            record::write(check, &value, "check")
        })
    }
}

/// Returns the archives whose last check found damage, now or earlier: notes with the name of the archive as
/// the path. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_verified_all_damaged(
    verified: *const wingback_verified_all,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `verified` is NULL or alive.
    unsafe { notes::lend_notes(verified, |verified| &verified.damaged) }
}
