//! `wingback_notes`: the parts of a result that are about single paths.

use std::ffi::{CString, c_char};

use wingback::{Change, Changed, Damage, Key, Listed, NotExtracted, Skipped, Unsearched, Warning};

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    failure::Failure,
    guard::guard,
    opaque::{self, Borrowed, Opaque, lend},
    panics::infallible,
    record::{self, Record},
};

/// A list of notes about skipped, changed or damaged paths. It belongs to the object that returned
/// it and is freed with that object.
pub struct wingback_notes {
    _opaque: [u8; 0],
}

impl Opaque for wingback_notes {
    type Rust = Notes;
    type By = Borrowed;
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    notes: Vec<Note>,
    more: u64,
}

impl FromIterator<Note> for Notes {
    fn from_iter<I: IntoIterator<Item = Note>>(notes: I) -> Self {
        Notes { notes: notes.into_iter().collect(), more: 0 }
    }
}

impl<T: Into<Note>> From<Listed<T>> for Notes {
    fn from(listed: Listed<T>) -> Self {
        let more = listed.more();
        Notes { more, ..listed.into_iter().map(Into::into).collect() }
    }
}

/// A note about one path.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_note {
    /// sizeof(wingback_note).
    pub struct_size: usize,
    /// The path, relative to the root, or the name of an archive; empty if the note is not about one.
    pub path: wingback_bytes,
    /// A word for programs, such as "unreadable", that stays the same in later versions;
    /// docs/command.md lists the words. It ends in a zero byte.
    pub code: *const c_char,
    /// An explanation for people, as UTF-8 that ends in a zero byte.
    pub text: *const c_char,
    /// Whether content is missing that should be there.
    pub is_data_loss: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, a nullable pointer or a bool.
unsafe impl Record for wingback_note {}

#[derive(Debug)]
pub(crate) struct Note {
    path: Vec<u8>,
    code: CString,
    text: CString,
    is_data_loss: bool,
}

impl Note {
    fn new(path: Vec<u8>, code: &str, text: &str, is_data_loss: bool) -> Self {
        let of = |text: &str| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        Note { path, code: of(code), text: of(text), is_data_loss }
    }

    /// A path or pattern that matched nothing.
    pub(crate) fn unmatched(path: Vec<u8>) -> Self {
        Note::new(path, "unmatched", "nothing in the archive matches it", true)
    }

    /// A path without a text.
    pub(crate) fn name(path: Vec<u8>, code: &str) -> Self {
        Note::new(path, code, "", false)
    }
}

impl From<Skipped> for Note {
    fn from(skipped: Skipped) -> Self {
        let reason = skipped.reason;
        Note::new(skipped.path, reason.code(), &reason.to_string(), reason.is_data_loss())
    }
}

impl From<Changed> for Note {
    fn from(changed: Changed) -> Self {
        let text = match changed.change {
            Change::Grew => "became longer while it was read",
            Change::Shrank => "became shorter while it was read",
            _ => "was written to while it was read",
        };
        Note::new(changed.path, changed.change.code(), text, false)
    }
}

impl From<Warning> for Note {
    fn from(warning: Warning) -> Self {
        let path = warning.path().map(<[u8]>::to_vec).unwrap_or_default();
        Note::new(path, warning.code(), &warning.to_string(), false)
    }
}

impl From<NotExtracted> for Note {
    fn from(skipped: NotExtracted) -> Self {
        Note::new(skipped.path, skipped.reason.code(), &skipped.reason.to_string(), true)
    }
}

impl From<Unsearched> for Note {
    fn from(unsearched: Unsearched) -> Self {
        let (key, error) = (unsearched.key.as_str().as_bytes().to_vec(), unsearched.error);
        Note::new(key, error.kind().code(), &error.to_string(), true)
    }
}

/// Makes a note for each member that is lost to damage, and one without a path for damage that costs no
/// member.
pub(crate) fn of_damage(damage: Listed<Damage>) -> Notes {
    let more = damage.more();
    let notes = damage.into_iter().flat_map(|damage| {
        let text = damage.to_string();
        let code = damage.code();
        let paths = match damage.members {
            none if none.is_empty() => vec![(Vec::new(), damage.truncates_rest)],
            members => members.into_iter().map(|member| (member, true)).collect(),
        };
        paths
            .into_iter()
            .map(move |(path, is_data_loss)| Note::new(path, code, &text, is_data_loss))
    });
    Notes { more, ..notes.collect() }
}

/// Makes a note with this code for each path.
pub(crate) fn of_paths(paths: Listed<Vec<u8>>, code: &str) -> Notes {
    let more = paths.more();
    Notes { more, ..paths.into_iter().map(|path| Note::name(path, code)).collect() }
}

/// Makes a note with this code for each archive, with its name as the path.
pub(crate) fn of_keys(keys: Listed<Key>, code: &str) -> Notes {
    let more = keys.more();
    let note = |key: Key| Note::name(key.as_str().as_bytes().to_vec(), code);
    Notes { more, ..keys.into_iter().map(note).collect() }
}

/// Lends C one of an object's lists. Returns NULL for NULL.
///
/// # Safety
///
/// As for [`opaque::get`].
pub(crate) unsafe fn lend_notes<C: Opaque>(
    object: *const C,
    notes: impl FnOnce(&C::Rust) -> &Notes,
) -> *const wingback_notes
where
    C::Rust: 'static,
{
    infallible(std::ptr::null(), || {
        // SAFETY: the caller makes the promise that `get` asks for.
        let object = unsafe { opaque::get(object, "object") };
        object.map_or(std::ptr::null(), |object| lend(notes(object)))
    })
}

/// Returns the number of notes; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_notes_count(notes: *const wingback_notes) -> usize {
    infallible(0, || {
        // SAFETY: the caller promises that `notes` is NULL or alive.
        unsafe { opaque::get(notes, "notes") }.map_or(0, |list| list.notes.len())
    })
}

/// Returns how many notes were left out. Lists of skipped and changed paths, damage and undamaged
/// files have at most 1,000 notes. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_notes_more(notes: *const wingback_notes) -> u64 {
    infallible(0, || {
        // SAFETY: the caller promises that `notes` is NULL or alive.
        unsafe { opaque::get(notes, "notes") }.map_or(0, |list| list.more)
    })
}

/// Writes the note at `index`, counted from 0, to `note`. Its pointers are valid as long as the
/// list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_notes_get(
    notes: *const wingback_notes,
    index: usize,
    note: *mut wingback_note,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `notes` is NULL or alive; `note` is NULL or writable for its
    // `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let notes = &opaque::get(notes, "notes")?.notes;
            let found = notes.get(index).ok_or_else(|| Failure::no_element(index, notes.len()))?;
            let value = wingback_note {
                struct_size: 0,
                path: wingback_bytes::lend(&found.path),
                code: found.code.as_ptr(),
                text: found.text.as_ptr(),
                is_data_loss: found.is_data_loss,
            };
            record::write(note, &value, "note")
        })
    }
}
