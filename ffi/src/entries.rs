//! `wingback_entries`: reads the members of an archive one after another, with their content.

use std::{
    ffi::c_void,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{AsyncReadExt, TryStreamExt};
use wingback::{Entries, Error, ErrorKind, Handle, Member};

use crate::{
    archive::wingback_archive,
    enums::wingback_status,
    error::wingback_error,
    failure::Failure,
    guard::guard,
    listing::{member_record, wingback_member},
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
    record, signals,
};

/// The most bytes of one read.
const READ_MAX: usize = 1 << 20;

/// Reads the members of an archive one after another, each with its content, for programs that
/// write files themselves. If two threads call it at once, one waits for the other.
pub struct wingback_entries {
    _opaque: [u8; 0],
}

impl Opaque for wingback_entries {
    type Rust = EntryReader;
    type By = Owned;
}

pub(crate) struct EntryReader {
    handle: Handle,
    entries: Mutex<State>,
}

struct State {
    entries: Entries<'static>,
    /// The last member that C got. C has pointers into it.
    current: Option<Member>,
    has_failed: bool,
}

impl EntryReader {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to read the members of an archive, in the order of the archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_entries_open(
    archive: *const wingback_archive,
    entries: *mut *mut wingback_entries,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive, and `entries` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(entries, "entries")?;
            let entries = Entries::open(opaque::get(archive, "archive")?.open()?);
            let handle = entries.handle();
            let state = Mutex::new(State { entries, current: None, has_failed: false });
            out.give(EntryReader { handle, entries: state });
            Ok(())
        })
    }
}

/// Writes the next member to `member`, or returns END after the last member of an undamaged
/// archive. Unread content of the member before is skipped. The member's pointers are valid until
/// the next call. Content is known to be correct only after END, because a checksum may follow the
/// last file. After an error, each further call fails.
///
/// Blocks until the member has been read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_entries_next(
    entries: *mut wingback_entries,
    member: *mut wingback_member,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `entries` is NULL or alive; `member` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let reader = opaque::get(entries, "entries")?;
            // Checked before the member is read: one that cannot be written would be lost.
            record::check(member, "member")?;
            let mut state = reader.lock();
            state.current = None;
            if state.has_failed {
                // END would say that the archive is undamaged.
                let error = Error::new(ErrorKind::Internal, "read the archive");
                return Err(error.caused_by("it failed before").into());
            }
            let next = signals::block_on(state.entries.try_next());
            state.has_failed = next.is_err();
            let next = next?.ok_or_else(|| Failure::status_only(wingback_status::End))?;
            let next = state.current.insert(next);
            record::write(member, &member_record(next), "member")
        })
    }
}

/// Reads at most `capacity` bytes of the member's content into `buffer`, and writes their number to
/// `read`: 0 at the end of the content, and for anything but a file. The buffer may have been
/// written to even if the call fails.
///
/// Blocks until bytes have been read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_entries_read(
    entries: *mut wingback_entries,
    buffer: *mut c_void,
    capacity: usize,
    read: *mut usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `entries` is NULL or alive; `buffer` is NULL or writable for
    // `capacity` bytes; `read` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(read, "read")?;
            let reader = opaque::get(entries, "entries")?;
            if buffer.is_null() && capacity > 0 {
                return Err(opaque::null("buffer"));
            }
            let mut state = reader.lock();
            let room = capacity.min(READ_MAX);
            let place: &mut [u8] = if room == 0 {
                &mut []
            } else {
                // The memory may be uninitialized, and a slice must not be.
                buffer.cast::<u8>().write_bytes(0, room);
                std::slice::from_raw_parts_mut(buffer.cast(), room)
            };
            let read = signals::block_on(state.entries.read(place));
            let read = read.map_err(|e| match e.downcast::<Error>() {
                Ok(error) => Failure::from(error),
                Err(e) => Error::io("read the archive", e).into(),
            })?;
            out.set(read);
            Ok(())
        })
    }
}

/// Asks the reader to stop. A call that blocks on another thread ends with CANCELLED. NULL is
/// allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_entries_cancel(entries: *const wingback_entries) {
    infallible((), || {
        // SAFETY: the caller promises that `entries` is NULL or alive.
        if let Ok(reader) = unsafe { opaque::get(entries, "entries") } {
            reader.handle.cancel();
        }
    });
}

/// Frees the reader; it need not be at the end of the archive. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_entries_free(entries: *mut wingback_entries) {
    // SAFETY: the caller promises that `entries` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(entries) }));
}
