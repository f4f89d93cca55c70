//! `wingback_archives`: the archives in a store, with what each says about itself.

use std::{ptr, sync::Arc};

use wingback::StoredArchive;

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    info::wingback_info,
    opaque::{self, Borrowed, Opaque, Out, lend},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// Archives in a store, newest first. The list belongs to its task.
pub struct wingback_archives {
    _opaque: [u8; 0],
}

impl Opaque for wingback_archives {
    type Rust = StoredArchives;
    type By = Borrowed;
}

/// Results of a search share archives.
pub(crate) struct StoredArchives(Vec<Arc<StoredArchive>>);

impl StoredArchives {
    pub(crate) fn new(archives: Vec<StoredArchive>) -> Self {
        archives.into_iter().map(Arc::new).collect()
    }

    fn get(&self, index: usize) -> Result<&StoredArchive> {
        let found = self.0.get(index);
        found.map(|archive| &**archive).ok_or_else(|| Failure::no_element(index, self.0.len()))
    }
}

impl FromIterator<Arc<StoredArchive>> for StoredArchives {
    fn from_iter<I: IntoIterator<Item = Arc<StoredArchive>>>(archives: I) -> Self {
        StoredArchives(archives.into_iter().collect())
    }
}

/// An archive in a store.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_stored_archive {
    /// sizeof(wingback_stored_archive).
    pub struct_size: usize,
    /// Its name. The bytes are valid as long as the list.
    pub key: wingback_bytes,
    /// Its size in bytes.
    pub size: u64,
    /// Time at which it became complete, in nanoseconds since 1970, if is_modified_known.
    pub modified_ns: i64,
    /// Time when the backup began, in nanoseconds since 1970, if is_made_known. If the archive does not
    /// have it, it is `modified_ns`.
    pub made_ns: i64,
    /// Bytes of content more or fewer than in the archive before it with the same label and host, if
    /// has_content_change.
    pub content_change: i64,
    /// Whether `modified_ns` is set.
    pub is_modified_known: bool,
    /// Whether `made_ns` is set.
    pub is_made_known: bool,
    /// Whether `content_change` is set.
    pub has_content_change: bool,
    /// Whether the archive has its full length and an index. Only a verification finds other damage.
    pub is_whole: bool,
    /// Whether the archive has a lock: see wingback_archive_lock.
    pub is_locked: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer or a boolean.
unsafe impl Record for wingback_stored_archive {}

/// Lends the result of wingback_store_archives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_archives(
    task: *const wingback_task,
    archives: *mut *const wingback_archives,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `archives` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, archives, "list of archives", error) }
}

/// Returns the number of archives; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archives_count(archives: *const wingback_archives) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `archives` is NULL or alive.
        unsafe { opaque::get(archives, "archives") }.map_or(0, |archives| archives.0.len())
    })
}

/// Writes the archive at `index`, counted from 0, to `archive`. Its pointers are valid as long as the
/// list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archives_get(
    archives: *const wingback_archives,
    index: usize,
    archive: *mut wingback_stored_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archives` is NULL or alive; `archive` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let found = opaque::get(archives, "archives")?.get(index)?;
            let (modified_ns, made_ns) = (found.modified_ns(), found.made_ns());
            let value = wingback_stored_archive {
                struct_size: 0,
                key: wingback_bytes::lend(found.key.as_str().as_bytes()),
                size: found.size,
                modified_ns: modified_ns.unwrap_or(0),
                made_ns: made_ns.unwrap_or(0),
                content_change: found.content_change.unwrap_or(0),
                is_modified_known: modified_ns.is_some(),
                is_made_known: made_ns.is_some(),
                has_content_change: found.content_change.is_some(),
                is_whole: found.is_whole(),
                is_locked: found.is_locked,
            };
            record::write(archive, &value, "archive")
        })
    }
}

/// Lends what the archive at `index` says about itself, without its patterns. It is NULL if the archive
/// is not whole. It is valid as long as the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archives_info(
    archives: *const wingback_archives,
    index: usize,
    info: *mut *const wingback_info,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archives` is NULL or alive, and `info` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(info, "info")?;
            let found = opaque::get(archives, "archives")?.get(index)?;
            out.set(found.info.as_ref().map_or(ptr::null(), lend));
            Ok(())
        })
    }
}
