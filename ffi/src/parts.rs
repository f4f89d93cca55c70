//! `wingback_parts`: the parts that an upload to part URLs has sent.

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    etags::Etags,
    failure::Failure,
    guard::guard,
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    report::BackupResult,
    task::{self, wingback_task},
};

/// The parts of an upload, in their order. The list belongs to its task.
pub struct wingback_parts {
    _opaque: [u8; 0],
}

impl Opaque for wingback_parts {
    type Rust = Etags;
    type By = Borrowed;
}

/// A part that the service has confirmed. The call that completes the upload needs both fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_part {
    /// sizeof(wingback_part).
    pub struct_size: usize,
    /// Its number, counted from 1.
    pub number: u32,
    /// The ETag in the service's answer, unchanged, including any quotes. The bytes are valid as
    /// long as the list.
    pub etag: wingback_bytes,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer or a pointer with its length.
unsafe impl Record for wingback_part {}

/// Lends the parts that wingback_part_urls_upload_file or wingback_backup_send_to has uploaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_parts(
    task: *const wingback_task,
    parts: *mut *const wingback_parts,
    error: *mut *mut wingback_error,
) -> wingback_status {
    const NAME: &str = "list of parts";
    // SAFETY: the caller promises that `task` is NULL or alive, and `parts` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(parts, "parts")?;
            let of_backup = |failure| {
                let report = task::result::<BackupResult>(task, NAME).ok();
                report.and_then(|report| report.etags.as_ref()).ok_or(failure)
            };
            out.set(lend(task::result::<Etags>(task, NAME).or_else(of_backup)?));
            Ok(())
        })
    }
}

/// Returns the number of parts; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_parts_count(parts: *const wingback_parts) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `parts` is NULL or alive.
        unsafe { opaque::get(parts, "parts") }.map_or(0, |parts| parts.0.len())
    })
}

/// Writes the part at `index`, counted from 0, to `part`. Its pointers are valid as long as the
/// list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_parts_get(
    parts: *const wingback_parts,
    index: usize,
    part: *mut wingback_part,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `parts` is NULL or alive; `part` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let parts = &opaque::get(parts, "parts")?.0;
            let etag = parts.get(index).ok_or_else(|| Failure::no_element(index, parts.len()))?;
            let etag = wingback_bytes::lend(etag.as_bytes());
            let value = wingback_part { struct_size: 0, number: index as u32 + 1, etag };
            record::write(part, &value, "part")
        })
    }
}
