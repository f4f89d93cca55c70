//! `wingback_differences`: the comparison of an archive with another archive, or with a directory.

use futures::TryStreamExt;
use wingback::{Aspect, Compared, Diff, DiffStream, Difference, Error, ErrorKind, Member};

use crate::{
    archive::wingback_archive,
    bytes::{slice, wingback_bytes},
    enums::{wingback_difference_kind, wingback_read_method, wingback_status},
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    listing::{member_record, wingback_member},
    notes::{self, Note, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque, Out},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// How two sides are compared. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_diff_options {
    /// sizeof(wingback_diff_options).
    pub struct_size: usize,
    /// Paths or patterns: only these, and everything beneath them, are compared.
    pub selection: *const wingback_bytes,
    /// Their number; 0 means all paths.
    pub selection_count: usize,
    /// Limit for the number of members of an archive without an index, which are kept in memory; 0 means
    /// 5,000,000. Each 128 bytes of a member's path and target count as another member.
    pub max_members: u64,
    /// Not 0: contents are compared even if the times say that they are equal.
    pub content: u32,
    /// Not 0: the paths of a directory that the archive's own patterns exclude are compared as well.
    pub excluded: u32,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer or an integer.
unsafe impl Record for wingback_diff_options {}

impl wingback_diff_options {
    /// Reads the options. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `options` is NULL, or readable for its `struct_size`. Its selection is readable.
    unsafe fn read(options: *const Self) -> Result<Diff> {
        // SAFETY: the caller makes the promise that `read` asks for.
        let given = unsafe { record::read(options, "options") }?;
        let mut diff = Diff::new().content(given.content != 0).excluded(given.excluded != 0);
        if given.max_members > 0 {
            diff = diff.max_members(given.max_members);
        }
        // SAFETY: the caller promises that the selection is readable.
        unsafe {
            for selector in slice(given.selection, given.selection_count, "options->selection")? {
                diff = diff.select(selector.get("options->selection")?);
            }
        }
        Ok(diff)
    }
}

/// The differences between an archive and another archive or a directory. They belong to their task.
pub struct wingback_differences {
    _opaque: [u8; 0],
}

impl Opaque for wingback_differences {
    type Rust = Differences;
    type By = Borrowed;
}

pub(crate) struct Differences {
    summary: wingback_compared,
    differences: Vec<Difference>,
    skipped: Notes,
    unmatched: Notes,
}

impl Differences {
    fn new((differences, compared): (Vec<Difference>, Compared)) -> Self {
        let summary = wingback_compared::from(&compared);
        Differences {
            summary,
            differences,
            skipped: compared.skipped.into(),
            unmatched: compared.unmatched.into_iter().map(Note::unmatched).collect(),
        }
    }

    fn get(&self, index: usize) -> Result<&Difference> {
        let all = &self.differences;
        all.get(index).ok_or_else(|| Failure::no_element(index, all.len()))
    }
}

/// A path that differs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_difference {
    /// sizeof(wingback_difference).
    pub struct_size: usize,
    /// The path, relative to the root. The bytes are valid as long as the differences.
    pub path: wingback_bytes,
    /// Whether the path was added, removed or changed.
    pub kind: wingback_difference_kind,
    /// Whether a file became a symlink, or the other way round. This and the following are only set for a
    /// path that both sides have.
    pub kind_differs: bool,
    /// Whether the content of the file differs.
    pub content_differs: bool,
    /// Whether the target of the symlink differs.
    pub target_differs: bool,
    /// Whether the permission bits differ.
    pub mode_differs: bool,
    /// Whether the owner or the group differs.
    pub owner_differs: bool,
    /// Whether the time of the last change differs.
    pub mtime_differs: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an enumeration that has the value 0 or a bool.
unsafe impl Record for wingback_difference {}

/// The numbers of a comparison.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_compared {
    /// sizeof(wingback_compared).
    pub struct_size: usize,
    /// How the archive was read.
    pub read_method: wingback_read_method,
    /// How the other archive was read, if has_other_read_method.
    pub other_read_method: wingback_read_method,
    /// Whether the second side is an archive.
    pub has_other_read_method: bool,
    /// Whether there is no difference.
    pub is_equal: bool,
    /// Whether some paths could not be compared.
    pub is_partial: bool,
    /// Number of paths that only the second side has.
    pub added: u64,
    /// Bytes of content of the added files.
    pub added_bytes: u64,
    /// Number of paths that only the archive has.
    pub removed: u64,
    /// Bytes of content of the removed files.
    pub removed_bytes: u64,
    /// Number of paths whose kind, content or target differs.
    pub changed: u64,
    /// Bytes of content of the changed files, on the second side.
    pub changed_bytes: u64,
    /// Number of paths of which only mode, owner or time differ.
    pub metadata: u64,
    /// Number of paths without a difference.
    pub unchanged: u64,
    /// Bytes of content that were read to compare it.
    pub read: u64,
    /// Number of paths of the directory that the archive's own patterns exclude.
    pub excluded: u64,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, a bool or an integer.
unsafe impl Record for wingback_compared {}

impl From<&Compared> for wingback_compared {
    fn from(compared: &Compared) -> Self {
        let other = compared.other_read_method;
        wingback_compared {
            struct_size: 0,
            read_method: compared.read_method.into(),
            other_read_method: other.map_or(wingback_read_method::Indexed, Into::into),
            has_other_read_method: other.is_some(),
            is_equal: compared.is_equal(),
            is_partial: compared.is_partial(),
            added: compared.added,
            added_bytes: compared.added_bytes,
            removed: compared.removed,
            removed_bytes: compared.removed_bytes,
            changed: compared.changed,
            changed_bytes: compared.changed_bytes,
            metadata: compared.metadata,
            unchanged: compared.unchanged,
            read: compared.read,
            excluded: compared.excluded,
            duration_ns: record::nanoseconds(compared.duration),
        }
    }
}

/// Starts to compare the archive with the archive `after`. Result: wingback_task_differences. All
/// differences are kept in memory. `options` may be NULL for the defaults. Two archives with an index are
/// compared by the hashes in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_diff(
    archive: *const wingback_archive,
    after: *const wingback_archive,
    options: *const wingback_diff_options,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` and `after` are NULL or alive; `options` is NULL or
    // readable for its `struct_size`, and its selection is readable; `task` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let diff = wingback_diff_options::read(options)?;
            let (archive, after) = (opaque::get(archive, "archive")?, opaque::get(after, "after")?);
            start(diff.start(archive.open()?, after.open()?), out)
        })
    }
}

/// Starts to compare the archive with the directory `directory`. Result: wingback_task_differences. All
/// differences are kept in memory. `options` may be NULL for the defaults. A file with the size and time
/// of the archive counts as unchanged, unless the options say otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_diff_directory(
    archive: *const wingback_archive,
    directory: wingback_bytes,
    options: *const wingback_diff_options,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive; `directory` is readable; `options`
    // is NULL or readable for its `struct_size`, and its selection is readable; `task` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let diff = wingback_diff_options::read(options)?;
            let directory = directory.path("directory")?;
            let archive = opaque::get(archive, "archive")?.open()?;
            start(diff.with_dir(archive, directory), out)
        })
    }
}

fn start(mut stream: DiffStream<'static>, out: Out<*mut wingback_task>) -> Result<()> {
    let handle = stream.handle();
    let all = async move {
        let differences = (&mut stream).try_collect().await?;
        let compared = stream.into_compared();
        let none = || Error::new(ErrorKind::Internal, "read the result");
        Ok((differences, compared.ok_or_else(none)?))
    };
    task::start_watched("compare", handle, all, out, Differences::new)
}

/// Lends the result of wingback_archive_diff or wingback_archive_diff_directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_differences(
    task: *const wingback_task,
    differences: *mut *const wingback_differences,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `differences` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, differences, "list of differences", error) }
}

/// Returns the number of differences; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_count(
    differences: *const wingback_differences,
) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `differences` is NULL or alive.
        let all = unsafe { opaque::get(differences, "differences") };
        all.map_or(0, |all| all.differences.len())
    })
}

/// Writes the difference at `index`, counted from 0, to `difference`. They are in the order of paths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_get(
    differences: *const wingback_differences,
    index: usize,
    difference: *mut wingback_difference,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `differences` is NULL or alive; `difference` is NULL or writable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let found = opaque::get(differences, "differences")?.get(index)?;
            let has = |aspect| found.changes.contains(&aspect);
            let value = wingback_difference {
                struct_size: 0,
                path: wingback_bytes::lend(&found.path),
                kind: found.kind().into(),
                kind_differs: has(Aspect::Kind),
                content_differs: has(Aspect::Content),
                target_differs: has(Aspect::Target),
                mode_differs: has(Aspect::Mode),
                owner_differs: has(Aspect::Owner),
                mtime_differs: has(Aspect::Mtime),
            };
            record::write(difference, &value, "difference")
        })
    }
}

/// Writes the member of the archive at the path of the difference at `index` to `member`. Its pointers are
/// valid as long as the differences. NOT_FOUND if the path was added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_before(
    differences: *const wingback_differences,
    index: usize,
    member: *mut wingback_member,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `differences` is NULL or alive; `member` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe { side(differences, index, |found| found.before.as_ref(), member, error) }
}

/// Writes the member of the other archive, or the entry of the directory, at the path of the difference at
/// `index` to `member`. Its pointers are valid as long as the differences. NOT_FOUND if the path was
/// removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_after(
    differences: *const wingback_differences,
    index: usize,
    member: *mut wingback_member,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `differences` is NULL or alive; `member` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe { side(differences, index, |found| found.after.as_ref(), member, error) }
}

/// Writes the member of one side of a difference.
///
/// # Safety
///
/// `differences` is NULL or alive; `member` is NULL or writable for its `struct_size`; `error` is NULL or
/// writable.
unsafe fn side(
    differences: *const wingback_differences,
    index: usize,
    of: impl FnOnce(&Difference) -> Option<&Member>,
    member: *mut wingback_member,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller makes the promises that `guard`, `get` and `write` ask for.
    unsafe {
        guard(error, || {
            let found = of(opaque::get(differences, "differences")?.get(index)?);
            let none =
                || Failure::new(wingback_status::NotFound, "this side does not have the path");
            record::write(member, &member_record(found.ok_or_else(none)?), "member")
        })
    }
}

/// Writes the numbers of the comparison to `compared`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_compared(
    differences: *const wingback_differences,
    compared: *mut wingback_compared,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `differences` is NULL or alive; `compared` is NULL or writable
    // for its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let summary = &opaque::get(differences, "differences")?.summary;
            record::write(compared, summary, "compared")
        })
    }
}

/// Returns the paths of the directory that could not be read, and were not compared. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_skipped(
    differences: *const wingback_differences,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `differences` is NULL or alive.
    unsafe { notes::lend_notes(differences, |all| &all.skipped) }
}

/// Returns the selected paths and patterns that matched nothing on both sides. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_differences_unmatched(
    differences: *const wingback_differences,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `differences` is NULL or alive.
    unsafe { notes::lend_notes(differences, |all| &all.unmatched) }
}
