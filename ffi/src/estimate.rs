//! `wingback_estimate`: the size of a source.

use wingback::Estimate;

use crate::{
    enums::wingback_status,
    error::wingback_error,
    guard::guard,
    record::{self, Record},
    task::{self, wingback_task},
};

/// The size of a source. The source may change before it is backed up.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_estimate {
    /// sizeof(wingback_estimate).
    pub struct_size: usize,
    /// Number of regular files.
    pub files: u64,
    /// Number of directories.
    pub directories: u64,
    /// Number of symlinks.
    pub symlinks: u64,
    /// Bytes of the files' content.
    pub content: u64,
    /// Upper bound for the size of the archive in bytes, if the source does not change.
    pub archive_max: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer.
unsafe impl Record for wingback_estimate {}

pub(crate) struct EstimateResult(pub(crate) Estimate);

/// Writes the result of wingback_backup_estimate to `estimate`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_estimate(
    task: *const wingback_task,
    estimate: *mut wingback_estimate,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive; `estimate` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let EstimateResult(found) = task::result(task, "estimate")?;
            let value = wingback_estimate {
                struct_size: 0,
                files: found.files,
                directories: found.directories,
                symlinks: found.symlinks,
                content: found.content,
                archive_max: found.archive_max,
            };
            record::write(estimate, &value, "estimate")
        })
    }
}
