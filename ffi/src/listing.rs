//! `wingback_listing` and `wingback_member`: the members of an archive.

use wingback::Member;

use crate::{
    bytes::wingback_bytes,
    enums::{wingback_member_kind, wingback_read_method, wingback_status},
    error::wingback_error,
    failure::Failure,
    guard::guard,
    notes::{self, Note, Notes, wingback_notes},
    opaque::{self, Borrowed, Opaque},
    panics::infallible,
    record::{self, Record},
    task::{self, wingback_task},
};

/// A member of an archive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_member {
    /// sizeof(wingback_member).
    pub struct_size: usize,
    /// Its path, relative to the root, without a "/" at the end; empty for the root.
    pub path: wingback_bytes,
    /// Target of a symlink or hard link. A listing by the index has no targets of symlinks; they
    /// are empty.
    pub target: wingback_bytes,
    /// Bytes of content; 0 for anything but a file.
    pub size: u64,
    /// Time of the last change of the content, in nanoseconds since 1970. A time before 1677 or
    /// after 2262 is replaced with the nearest that fits.
    pub mtime_ns: i64,
    /// User that owns it.
    pub uid: u64,
    /// Group that owns it.
    pub gid: u64,
    /// Permission bits.
    pub mode: u32,
    /// Its kind.
    pub kind: wingback_member_kind,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer or an enumeration that has the value 0.
unsafe impl Record for wingback_member {}

/// Makes the record of a member. It points into the member.
pub(crate) fn member_record(member: &Member) -> wingback_member {
    wingback_member {
        struct_size: 0,
        path: wingback_bytes::lend(&member.path),
        target: wingback_bytes::lend(&member.target),
        size: member.size,
        mtime_ns: member.mtime_ns,
        uid: member.uid,
        gid: member.gid,
        mode: member.mode,
        kind: member.kind.into(),
    }
}

/// The members of an archive. The listing belongs to its task.
pub struct wingback_listing {
    _opaque: [u8; 0],
}

impl Opaque for wingback_listing {
    type Rust = Listing;
    type By = Borrowed;
}

pub(crate) struct Listing {
    read_method: wingback_read_method,
    members: Vec<Member>,
    unmatched: Notes,
}

impl Listing {
    pub(crate) fn new(listing: wingback::Listing) -> Self {
        Listing {
            read_method: listing.read_method().into(),
            members: listing.members().collect(),
            unmatched: listing.unmatched().iter().cloned().map(Note::unmatched).collect(),
        }
    }
}

/// Lends the result of wingback_archive_list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_listing(
    task: *const wingback_task,
    listing: *mut *const wingback_listing,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `listing` and `error` are NULL
    // or writable.
    unsafe { task::lend_result(task, listing, "listing", error) }
}

/// Returns how the archive was read; INDEXED for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_listing_read_method(
    listing: *const wingback_listing,
) -> wingback_read_method {
    infallible(wingback_read_method::Indexed, || {
        // SAFETY: the caller promises that `listing` is NULL or alive.
        let listing = unsafe { opaque::get(listing, "listing") };
        listing.map_or(wingback_read_method::Indexed, |listing| listing.read_method)
    })
}

/// Returns the number of members; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_listing_count(listing: *const wingback_listing) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `listing` is NULL or alive.
        unsafe { opaque::get(listing, "listing") }.map_or(0, |listing| listing.members.len())
    })
}

/// Writes the member at `index`, counted from 0, to `member`. With an index the members are sorted
/// by path; otherwise they have the order of the archive. The pointers are valid as long as the
/// listing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_listing_get(
    listing: *const wingback_listing,
    index: usize,
    member: *mut wingback_member,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `listing` is NULL or alive; `member` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let members = &opaque::get(listing, "listing")?.members;
            let found =
                members.get(index).ok_or_else(|| Failure::no_element(index, members.len()))?;
            record::write(member, &member_record(found), "member")
        })
    }
}

/// Returns the paths and patterns that matched nothing in the archive. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_listing_unmatched(
    listing: *const wingback_listing,
) -> *const wingback_notes {
    // SAFETY: the caller promises that `listing` is NULL or alive.
    unsafe { notes::lend_notes(listing, |listing| &listing.unmatched) }
}
