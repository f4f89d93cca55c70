//! `wingback_report`: the result of a backup.

use std::ffi::c_char;

use wingback::Report;

use crate::{
    enums::wingback_status,
    error::wingback_error,
    etags::Etags,
    guard::guard,
    notes::{self, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque},
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

/// What an archive is, in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_report_summary {
    /// sizeof(wingback_report_summary).
    pub struct_size: usize,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-1 of the archive's bytes.
    pub sha1: [u8; 20],
    /// Likewise in lower-case hexadecimal, with a zero byte at its end.
    pub sha1_hex: [c_char; 41],
    /// Whether something that should be in the archive could not be read; the skipped paths say
    /// what.
    pub is_partial: bool,
    /// Regular files in the archive.
    pub files: u64,
    /// Directories in the archive (in its index only, with profile WINGS).
    pub directories: u64,
    /// Symlinks in the archive (likewise).
    pub symlinks: u64,
    /// Groups of files that are hard links of one another; each is stored in full.
    pub hard_links: u64,
    /// Bytes of file content in the archive, holes included.
    pub content: u64,
    /// Bytes read from the source; less than the content where files have holes.
    pub read: u64,
    /// Segments that the archive was cut into.
    pub segments: u64,
    /// Files, symlinks and directories left out by a pattern; what lies in an excluded directory
    /// that was not entered is not counted.
    pub excluded: u64,
    /// From start to commit, in nanoseconds.
    pub duration_ns: u64,
    /// Bytes of the archive that were copied from the previous one.
    pub copied: u64,
    /// Bytes of the tar stream that were compressed: all of it but what was copied.
    pub compressed: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer, an array of integers or a bool.
unsafe impl Record for wingback_report_summary {}

pub(crate) struct BackupResult {
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
        for (to, from) in sha1_hex.iter_mut().zip(report.sha1_hex().bytes()) {
            *to = from as c_char;
        }
        let summary = wingback_report_summary {
            struct_size: 0,
            size: report.size,
            sha1: report.sha1,
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
        };
        BackupResult {
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

/// The result of `wingback_backup_start`, `wingback_backup_send_to` and `wingback_backup_write_to`.
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

/// The numbers of a report.
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

/// Paths that are not in the archive, or not wholly, and why. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_skipped(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.skipped) }
}

/// Files that changed while they were read. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_changed(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.changed) }
}

/// Odd patterns, and options that named a path which was not met. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_report_warnings(
    report: *const wingback_report,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `report` is NULL or alive.
    unsafe { notes::lend_notes(report, |report| &report.warnings) }
}
