//! `wingback_found`: the versions of files in all archives of a store.

use wingback::{Find, Found, Member};

use crate::{
    archives::{StoredArchives, wingback_archives},
    bytes::{slice, wingback_bytes},
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    limiter::wingback_limiter,
    listing::{member_record, wingback_member},
    notes::{self, Note, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    store::wingback_store,
    task::{self, wingback_task},
};

/// What is searched for. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_find_options {
    /// sizeof(wingback_find_options).
    pub struct_size: usize,
    /// Paths, with everything beneath them, or patterns.
    pub selection: *const wingback_bytes,
    /// Their number; 0 means all files.
    pub selection_count: usize,
    /// Only archives with this label are searched; empty for all archives.
    pub label: wingback_bytes,
    /// Limit for the members of all archives together that match; 0 means 1,000,000. Each 128 bytes of a
    /// member's path and target count as another member.
    pub max_members: u64,
    /// Limit for the speed at which all archives together are read; NULL for none.
    pub read_limit: *const wingback_limiter,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer, a pointer with its length or an integer.
unsafe impl Record for wingback_find_options {}

/// The versions of files that a search has found. A version is a file or symlink, and the archives that
/// contain it. They belong to their task.
pub struct wingback_found {
    _opaque: [u8; 0],
}

impl Opaque for wingback_found {
    type Rust = FindResult;
    type By = Borrowed;
}

pub(crate) struct FindResult {
    summary: wingback_found_summary,
    versions: Vec<(Member, StoredArchives)>,
    unsearched: Notes,
    unmatched: Notes,
}

impl FindResult {
    fn new(found: Found) -> Self {
        let summary = wingback_found_summary {
            struct_size: 0,
            paths: found.paths,
            searched: found.searched,
            duration_ns: record::nanoseconds(found.duration),
        };
        let versions = found.versions.into_iter();
        FindResult {
            summary,
            versions: versions.map(|v| (v.member, v.archives.into_iter().collect())).collect(),
            unsearched: found.unsearched.into(),
            unmatched: found.unmatched.into_iter().map(Note::unmatched).collect(),
        }
    }

    fn get(&self, index: usize) -> Result<&(Member, StoredArchives)> {
        self.versions.get(index).ok_or_else(|| Failure::no_element(index, self.versions.len()))
    }
}

/// The numbers of a search.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_found_summary {
    /// sizeof(wingback_found_summary).
    pub struct_size: usize,
    /// Number of paths that the versions have.
    pub paths: u64,
    /// Number of archives that were searched.
    pub searched: u64,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer.
unsafe impl Record for wingback_found_summary {}

/// Starts to search all archives in the store for files. Result: wingback_task_found. Only the indexes of
/// the archives are read. `options` may be NULL for the defaults. The task fails with NO_SPACE if more
/// members match than the limit allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_find(
    store: *const wingback_store,
    options: *const wingback_find_options,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `options` is NULL or readable for its
    // `struct_size`, and its selection and label are readable, and its
    // limiter is NULL or alive; `task` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let given = record::read(options, "options")?;
            let mut find = Find::new();
            for selector in slice(given.selection, given.selection_count, "options->selection")? {
                find = find.select(selector.get("options->selection")?);
            }
            match given.label.get("options->label")? {
                b"" => {}
                label => find = find.label(label),
            }
            if given.max_members > 0 {
                find = find.max_members(given.max_members);
            }
            if !given.read_limit.is_null() {
                let limiter = opaque::get(given.read_limit, "options->read_limit")?;
                find = find.read_limit(limiter.clone());
            }
            task::start("search a store", find.start(store), out, FindResult::new)
        })
    }
}

/// Lends the result of wingback_store_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_found(
    task: *const wingback_task,
    found: *mut *const wingback_found,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `found` and `error` are NULL or
    // writable.
    unsafe { task::lend_result(task, found, "result of a search", error) }
}

/// Writes the numbers of the search to `summary`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_found_get(
    found: *const wingback_found,
    summary: *mut wingback_found_summary,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `found` is NULL or alive; `summary` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || record::write(summary, &opaque::get(found, "found")?.summary, "summary"))
    }
}

/// Returns the number of versions; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_found_count(found: *const wingback_found) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `found` is NULL or alive.
        unsafe { opaque::get(found, "found") }.map_or(0, |found| found.versions.len())
    })
}

/// Writes the version at `index`, counted from 0: its member in the newest archive to `member`, and the list
/// of the archives that contain it to `archives`. Each may be NULL. The versions are in the order of their
/// paths; of one path, the version in the newest archive comes first. The pointers are valid as long as the
/// result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_found_version(
    found: *const wingback_found,
    index: usize,
    member: *mut wingback_member,
    archives: *mut *const wingback_archives,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `found` is NULL or alive; `member` is NULL or writable for its
    // `struct_size`; `archives` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let (of, containing) = opaque::get(found, "found")?.get(index)?;
            if !member.is_null() {
                record::write(member, &member_record(of), "member")?;
            }
            if !archives.is_null() {
                archives.write(lend(containing));
            }
            Ok(())
        })
    }
}

/// Returns the archives that could not be searched, such as those without an index: a note with the name of
/// the archive as its path, and the name of the status as its code. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_found_unsearched(
    found: *const wingback_found,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `found` is NULL or alive.
    unsafe { notes::lend_notes(found, |found| &found.unsearched) }
}

/// Returns the selected paths and patterns that matched nothing in any archive. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_found_unmatched(
    found: *const wingback_found,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `found` is NULL or alive.
    unsafe { notes::lend_notes(found, |found| &found.unmatched) }
}
