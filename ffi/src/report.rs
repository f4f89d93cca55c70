//! `wingback_report`: the result of a backup.

use std::{
    ffi::{OsString, c_char},
    os::unix::ffi::OsStrExt,
};

use wingback::Report;

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    etags::Etags,
    guard::guard,
    notes::{self, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// The result of a backup. It belongs to its task.
pub struct wingback_report {
    _opaque: [u8; 0],
}

impl Opaque for wingback_report {
    type Rust = BackupResult;
    type By = Borrowed;
}

/// The numbers of a backup.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_report_summary {
    /// sizeof(wingback_report_summary).
    pub struct_size: usize,
    /// Size of the archive in bytes.
    pub size: u64,
    /// SHA-1 of the archive.
    pub sha1: [u8; 20],
    /// The same SHA-1 in lower-case hexadecimal, followed by a zero byte.
    pub sha1_hex: [c_char; 41],
    /// Whether content is missing that should be in the archive. The list of skipped paths names
    /// it.
    pub is_partial: bool,
    /// Regular files in the archive.
    pub files: u64,
    /// Directories in the archive; with the profile WINGS only in its index.
    pub directories: u64,
    /// Symlinks in the archive; with the profile WINGS only in its index.
    pub symlinks: u64,
    /// Groups of files that are hard links of one another. Each file is stored in full.
    pub hard_links: u64,
    /// Bytes of file content in the archive, holes included.
    pub content: u64,
    /// Bytes read from the source; less than `content` if files have holes or were not read.
    pub read: u64,
    /// Number of segments of the archive.
    pub segments: u64,
    /// Files, symlinks and directories excluded by a pattern. The content of an excluded directory
    /// is not counted if the directory was not read.
    pub excluded: u64,
    /// Nanoseconds from the start to the commit.
    pub duration_ns: u64,
    /// Bytes of the archive that were copied from the previous archive.
    pub copied: u64,
    /// Bytes of the tar stream that were compressed: all except copied data.
    pub compressed: u64,
    /// Bytes of the archive that were sent to a service; 0 if the destination is not a service.
    pub uploaded: u64,
    /// Bytes of the archive that a service has copied from the previous archive in the same store. They
    /// were not sent.
    pub copied_in_store: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer, an array of integers or a bool.
unsafe impl Record for wingback_report_summary {}

pub(crate) struct BackupResult {
    location: OsString,
    summary: wingback_report_summary,
    skipped: Notes,
    changed: Notes,
    warnings: Notes,
    /// Set if the archive went to part URLs.
    pub(crate) etags: Option<Etags>,
}

impl BackupResult {
    pub(crate) fn new(report: Report) -> Self {
        let mut sha1_hex = [0; 41];
        for (to, from) in sha1_hex.iter_mut().zip(report.sha1.to_string().bytes()) {
            *to = from as c_char;
        }
        let summary = wingback_report_summary {
            struct_size: 0,
            size: report.size,
            sha1: report.sha1.0,
            sha1_hex,
            is_partial: report.is_partial(),
            files: report.files,
            directories: report.directories,
            symlinks: report.symlinks,
            hard_links: report.hard_links,
            content: report.content,
            read: report.read,
            segments: report.segments,
            excluded: report.excluded,
            duration_ns: record::nanoseconds(report.duration),
            copied: report.copied,
            compressed: report.compressed,
            uploaded: report.uploaded,
            copied_in_store: report.copied_in_store,
        };
        BackupResult {
            location: report.location.unwrap_or_default(),
            summary,
            skipped: report.skipped.into(),
            changed: report.changed.into(),
            warnings: report.warnings.into_iter().map(Into::into).collect(),
            etags: None,
        }
    }

    #[cfg(feature = "s3")]
    pub(crate) fn with_etags(self, etags: Etags) -> Self {
        BackupResult { etags: Some(etags), ..self }
    }
}

/// Lends the result of wingback_backup_start, wingback_backup_send_to or wingback_backup_write_to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_report(
    task: *const wingback_task,
    report: *mut *const wingback_report,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `report` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, report, "report", error) }
}

/// Writes the numbers of the report to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_get(
    report: *const wingback_report,
    summary: *mut wingback_report_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `report` is NULL or alive; `summary` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || record::write(summary, &opaque::get(report, "report")?.summary, "summary"))
    }
}

/// Returns the path or URL of the archive. Empty for NULL, and if the archive went to part URLs or a
/// descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_location(
    report: *const wingback_report,
) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        // SAFETY: the caller promises that `report` is NULL or alive.
        match unsafe { opaque::get(report, "report") } {
            Ok(report) => wingback_bytes::lend(report.location.as_bytes()),
            Err(_) => wingback_bytes::EMPTY,
        }
    })
}

/// Returns the paths that are missing from the archive or incomplete, with the reasons. NULL for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_skipped(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.skipped) }
}

/// Returns the files that changed while they were read. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_changed(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.changed) }
}

/// Returns warnings: suspicious patterns, options that name a path that was not found, and the
/// like. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_warnings(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.warnings) }
}
