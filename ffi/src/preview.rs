//! `wingback_preview`: what a backup would contain.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use futures::TryStreamExt;
use wingback::{Error, ErrorKind, Handle, Preview, PreviewEntry, PreviewStream};

use crate::{
    backup::wingback_backup,
    bytes::wingback_bytes,
    enums::{wingback_member_kind, wingback_pattern_origin, wingback_status},
    error::wingback_error,
    failure::Failure,
    guard::guard,
    notes::{Notes, lend_notes, wingback_notes},
    opaque::{self, Opaque, Out, Owned},
    options,
    panics::infallible,
    record::{self, Record},
    signals,
};

/// The entries of a source, and whether a backup would contain them. If two threads call it at once, one
/// waits for the other.
pub struct wingback_preview {
    _opaque: [u8; 0],
}

impl Opaque for wingback_preview {
    type Rust = PreviewReader;
    type By = Owned;
}

pub(crate) struct PreviewReader {
    handle: Handle,
    state: Mutex<State>,
    /// Known after the last entry.
    summary: OnceLock<Summary>,
    before: Notes,
}

struct State {
    entries: PreviewStream,
    /// The last entry that C got. C has pointers into it.
    current: Option<Current>,
    has_failed: bool,
}

struct Current {
    entry: PreviewEntry,
    /// Word and text of the reason to skip it.
    skipped: Option<(CString, CString)>,
}

struct Summary {
    record: wingback_preview_summary,
    skipped: Notes,
    warnings: Notes,
}

impl PreviewReader {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self, of: impl FnOnce(&Summary) -> &Notes) -> &Notes {
        self.summary.get().map_or(&self.before, of)
    }
}

/// An entry of a source, and whether a backup would contain it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_preview_entry {
    /// sizeof(wingback_preview_entry).
    pub struct_size: usize,
    /// The path, relative to the root.
    pub path: wingback_bytes,
    /// Bytes of content that the backup would store.
    pub size: u64,
    /// The line with the pattern that decides, without its line end: it excludes the entry or, if it begins
    /// with "!", includes it again. Empty if there is none.
    pub pattern: wingback_bytes,
    /// Number of that line in its text, counted from 1. All texts of wingback_backup_exclude are one text.
    pub pattern_line: u64,
    /// The text that has the pattern; NONE if no pattern decides.
    pub pattern_origin: wingback_pattern_origin,
    /// Kind of the entry; OTHER for a socket, and for a path that the source does not have. A hard link is
    /// a file.
    pub kind: wingback_member_kind,
    /// A word for the reason why the backup would skip the entry, or the content of an included directory;
    /// docs/command.md lists the words. NULL if nothing is skipped, or if a pattern excludes the entry.
    pub skip_code: *const c_char,
    /// An explanation of that reason for people, as UTF-8; or NULL.
    pub skip_text: *const c_char,
    /// Whether the archive would lack content that should be there.
    pub is_data_loss: bool,
    /// Whether the backup would contain the entry.
    pub is_included: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, a nullable pointer, an integer, a bool or an
// enumeration that has the value 0.
unsafe impl Record for wingback_preview_entry {}

/// What a backup would contain.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_preview_summary {
    /// sizeof(wingback_preview_summary).
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
    /// Number of entries that a pattern excludes. The content of a directory that was not entered is not
    /// counted.
    pub excluded: u64,
    /// Number of entries that are not selected. The content of such a directory is not counted.
    pub unselected: u64,
    /// Whether the archive would lack something that could not be read.
    pub is_partial: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer or a bool.
unsafe impl Record for wingback_preview_summary {}

impl From<&Preview> for Summary {
    fn from(preview: &Preview) -> Self {
        let estimate = &preview.estimate;
        let record = wingback_preview_summary {
            struct_size: 0,
            files: estimate.files,
            directories: estimate.directories,
            symlinks: estimate.symlinks,
            content: estimate.content,
            archive_max: estimate.archive_max,
            excluded: preview.excluded,
            unselected: preview.unselected,
            is_partial: preview.is_partial(),
        };
        Summary {
            record,
            skipped: preview.skipped.clone().into(),
            warnings: preview.warnings.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// Begins a preview: which entries of the source the backup would contain, and what decides. Nothing is
/// written, and no store is needed. Locks and unfinished archives in a store inside of the source are
/// included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_preview(
    backup: *const wingback_backup,
    preview: *mut *mut wingback_preview,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `backup` is NULL or alive, and `preview` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(preview, "preview")?;
            let entries = options::copy(backup, "backup")?.preview(None);
            let handle = entries.handle();
            let state = Mutex::new(State { entries, current: None, has_failed: false });
            let (summary, before) = (OnceLock::new(), Notes::default());
            out.give(PreviewReader { handle, state, summary, before });
            Ok(())
        })
    }
}

/// Writes the next entry to `entry`, in the order of the archive, or returns END after the last one. A
/// directory whose content is left out is one entry. The entry's pointers are valid until the next call.
/// After an error, each further call fails. INVALID_INPUT after the last entry if the archive would be
/// empty.
///
/// Blocks until the entry has been looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_next(
    preview: *mut wingback_preview,
    entry: *mut wingback_preview_entry,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `preview` is NULL or alive; `entry` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let reader = opaque::get(preview, "preview")?;
            // Checked before the next entry: one that cannot be written would be lost.
            record::check(entry, "entry")?;
            let mut state = reader.lock();
            state.current = None;
            if state.has_failed {
                // END would say that the preview is complete.
                let error = Error::new(ErrorKind::Internal, "look at the source");
                return Err(error.caused_by("it failed before").into());
            }
            let next = signals::block_on(state.entries.try_next());
            state.has_failed = next.is_err();
            let Some(next) = next? else {
                if let Some(preview) = state.entries.preview() {
                    reader.summary.get_or_init(|| preview.into());
                }
                return Err(Failure::status_only(wingback_status::End));
            };
            let current = state.current.insert(Current::of(next));
            record::write(entry, &current.record(), "entry")
        })
    }
}

impl Current {
    fn of(entry: PreviewEntry) -> Self {
        // The words and texts have no zero byte.
        let of = |text: &str| CString::new(text).unwrap_or_default();
        let skipped = entry.skipped.as_ref();
        let skipped = skipped.map(|reason| (of(reason.code()), of(&reason.to_string())));
        Current { entry, skipped }
    }

    /// Makes the record of the entry. It points into it.
    fn record(&self) -> wingback_preview_entry {
        let PreviewEntry { path, kind, size, is_included, skipped, pattern, .. } = &self.entry;
        let found = pattern.as_ref();
        let line = found.map_or(&[][..], |found| &found.pattern);
        let skipped_as = self.skipped.as_ref();
        wingback_preview_entry {
            struct_size: 0,
            path: wingback_bytes::lend(path),
            size: *size,
            pattern: wingback_bytes::lend(line),
            pattern_line: found.map_or(0, |found| found.line as u64),
            pattern_origin: found.map(|found| &found.origin).into(),
            kind: kind.map_or(wingback_member_kind::Other, Into::into),
            skip_code: skipped_as.map_or(ptr::null(), |(code, _)| code.as_ptr()),
            skip_text: skipped_as.map_or(ptr::null(), |(_, text)| text.as_ptr()),
            is_data_loss: skipped.as_ref().is_some_and(|reason| reason.is_data_loss()),
            is_included: *is_included,
        }
    }
}

/// Writes the counts to `summary`. NOT_YET before wingback_preview_next has returned END.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_summarize(
    preview: *const wingback_preview,
    summary: *mut wingback_preview_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `preview` is NULL or alive; `summary` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let found = opaque::get(preview, "preview")?.summary.get();
            let found = found.ok_or_else(|| Failure::status_only(wingback_status::NotYet))?;
            record::write(summary, &found.record, "summary")
        })
    }
}

/// Returns the paths that the backup would skip, with reasons; at most 1,000. Empty before the last entry. NULL
/// for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_skipped(
    preview: *const wingback_preview,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `preview` is NULL or alive.
    unsafe { lend_notes(preview, |reader| reader.notes(|summary| &summary.skipped)) }
}

/// Returns the warnings. Empty before the last entry. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_warnings(
    preview: *const wingback_preview,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `preview` is NULL or alive.
    unsafe { lend_notes(preview, |reader| reader.notes(|summary| &summary.warnings)) }
}

/// Asks the preview to stop. A call that blocks on another thread ends with CANCELLED. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_cancel(preview: *const wingback_preview) {
    infallible((), || {
        // SAFETY: the caller promises that `preview` is NULL or alive.
        if let Ok(reader) = unsafe { opaque::get(preview, "preview") } {
            reader.handle.cancel();
        }
    });
}

/// Frees the preview; it need not have ended. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_preview_free(preview: *mut wingback_preview) {
    // SAFETY: the caller promises that `preview` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(preview) }));
}
