//! `wingback_store`: where archives live.

use std::ffi::c_char;

use uuid::Uuid;
use wingback::{Key, LocalStore, NameTemplate, Store};

use crate::{
    bytes::{fill, wingback_bytes},
    enums::wingback_status,
    error::{Failure, Result, wingback_error},
    guard::{guard, infallible},
    notes::{Note, Notes, wingback_notes},
    objects::Objects,
    opaque::{self, Opaque, Owned},
    task::{self, wingback_task},
};

/// A place for archives: a directory, or a bucket of an S3 service. Any number of operations may
/// use it at once, and it may be freed while they run.
pub struct wingback_store {
    _opaque: [u8; 0],
}

impl Opaque for wingback_store {
    type Rust = Stored;
    type By = Owned;
}

/// A store, of which each operation has a clone.
#[derive(Clone)]
pub(crate) enum Stored {
    Local(LocalStore),
    #[cfg(feature = "s3")]
    S3(Box<wingback::S3Store>),
}

impl Stored {
    pub(crate) fn open(&self) -> Box<dyn Store> {
        match self.clone() {
            Stored::Local(store) => Box::new(store),
            #[cfg(feature = "s3")]
            Stored::S3(store) => store,
        }
    }

    fn key(&self, uuid: &Uuid) -> Key {
        match self {
            Stored::Local(store) => store.key(uuid),
            #[cfg(feature = "s3")]
            Stored::S3(store) => store.key(uuid),
        }
    }
}

/// The name of an archive in a store.
///
/// # Safety
///
/// As of [`wingback_bytes::get`].
pub(crate) unsafe fn key(key: wingback_bytes) -> Result<Key> {
    // SAFETY: the caller says so.
    Ok(Key::new(unsafe { key.text("key") }?)?)
}

/// # Safety
///
/// As of [`wingback_bytes::get`].
pub(crate) unsafe fn template(names: wingback_bytes) -> Result<NameTemplate> {
    // SAFETY: the caller says so.
    match unsafe { names.text("names") }? {
        "" => Ok(NameTemplate::default()),
        names => Ok(names.parse()?),
    }
}

/// Archives in a directory of the local file system, which is made when it is first needed. They are
/// named as `names` says, such as "{uuid}.tar.gz"; "backup-{uuid}.tar.gz" if that is empty. So many
/// bytes of the file system stay free: a backup fails with NO_SPACE when less is left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_local(
    directory: wingback_bytes,
    names: wingback_bytes,
    reserve: u64,
    store: *mut *mut wingback_store,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(store, "store")?;
        // SAFETY: as the header says.
        unsafe {
            let local = LocalStore::new(directory.path("directory")?).reserve(reserve);
            out.give(Stored::Local(local.names(template(names)?)));
        }
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Writes the key for the backup `uuid`, by the store's names, to a buffer with a zero byte behind
/// it, and its length without that to `len`. An empty `uuid` stands for a new random one. With a
/// capacity of 0 only the length is told; INVALID_INPUT if the buffer is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_key(
    store: *const wingback_store,
    uuid: wingback_bytes,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let len = opaque::out(len, "len")?;
        // SAFETY: as the header says.
        unsafe {
            let store = opaque::get(store, "store")?;
            let uuid = match uuid.text("uuid")? {
                "" => Uuid::new_v4(),
                text => Uuid::try_parse(text)
                    .map_err(|e| Failure::invalid(format!("uuid is none: {text}: {e}")))?,
            };
            fill(store.key(&uuid).as_str(), buffer, capacity, len)
        }
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Writes where an archive is or would be, for people, to a buffer, in the same way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_location(
    store: *const wingback_store,
    key: wingback_bytes,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let len = opaque::out(len, "len")?;
        // SAFETY: as the header says.
        unsafe {
            let store = opaque::get(store, "store")?.open();
            fill(&store.location(&self::key(key)?), buffer, capacity, len)
        }
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Starts a list of all archives in the store: `wingback_task_objects` has them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_list(
    store: *const wingback_store,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(task, "task")?;
        // SAFETY: as the header says.
        let store = unsafe { opaque::get(store, "store") }?.open();
        let work = async move { store.list().await };
        task::start_future("list a store", work, out, Objects::new)
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Starts to remove an archive; it is over with NOT_FOUND if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_delete(
    store: *const wingback_store,
    key: wingback_bytes,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(task, "task")?;
        // SAFETY: as the header says.
        let (store, key) = unsafe { (opaque::get(store, "store")?.open(), self::key(key)?) };
        let work = async move { store.delete(&key).await };
        task::start_future("delete an archive", work, out, |()| ())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Starts to remove what killed processes left unfinished, never what is being written:
/// `wingback_task_swept` says what.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_sweep(
    store: *const wingback_store,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(task, "task")?;
        // SAFETY: as the header says.
        let store = unsafe { opaque::get(store, "store") }?.open();
        let work = async move { store.sweep().await };
        let note = |name: String| Note::name(name.into_bytes(), "swept");
        let notes = move |swept: Vec<String>| swept.into_iter().map(note).collect::<Notes>();
        task::start_future("sweep a store", work, out, notes)
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Frees it. What dropped uploads left there is removed first where that takes no more than five
/// seconds. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_free(store: *mut wingback_store) {
    // SAFETY: as the header says.
    infallible((), || drop(unsafe { opaque::take(store) }));
}

/// What a sweep has removed: one note for each, with where it was as its path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_swept(
    task: *const wingback_task,
    notes: *mut *const wingback_notes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: as the header says.
    unsafe { task::lend_result(task, notes, "list of what was swept", error) }
}
