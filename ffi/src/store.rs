//! `wingback_store`: a place for archives.

use std::{
    ffi::{OsString, c_char},
    os::unix::ffi::{OsStrExt, OsStringExt},
    time::{Duration, UNIX_EPOCH},
};

use futures::TryStreamExt;
use uuid::Uuid;
use wingback::{Archives, Key, LocalStore, NameFields, NameTemplate, Store};

use crate::{
    archives::StoredArchives,
    bytes::{wingback_bytes, write_text},
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    notes::{Note, Notes, wingback_notes},
    objects::Objects,
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
    task::{self, wingback_task},
};

/// A place for archives: a directory, or a bucket of an S3 service. Several operations may use it
/// at once, and it may be freed while they run.
pub struct wingback_store {
    _opaque: [u8; 0],
}

impl Opaque for wingback_store {
    type Rust = AnyStore;
    type By = Owned;
}

/// A store of any kind. Each operation gets a clone.
#[derive(Clone)]
pub(crate) enum AnyStore {
    Local(LocalStore),
    #[cfg(feature = "s3")]
    S3(Box<wingback::S3Store>),
}

impl AnyStore {
    pub(crate) fn open(&self) -> Box<dyn Store> {
        match self.clone() {
            AnyStore::Local(store) => Box::new(store),
            #[cfg(feature = "s3")]
            AnyStore::S3(store) => store,
        }
    }

    fn key(&self, fields: NameFields) -> Key {
        match self {
            AnyStore::Local(store) => store.key(fields),
            #[cfg(feature = "s3")]
            AnyStore::S3(store) => store.key(fields),
        }
    }
}

/// Parses the name of an archive in a store.
///
/// # Safety
///
/// As for [`wingback_bytes::get`].
pub(crate) unsafe fn key(key: wingback_bytes) -> Result<Key> {
    // SAFETY: the caller makes the promise that `text` asks for.
    Ok(Key::new(unsafe { key.text("key") }?)?)
}

/// Parses a template for names. Empty bytes are the default template.
///
/// # Safety
///
/// As for [`wingback_bytes::get`].
pub(crate) unsafe fn template(names: wingback_bytes) -> Result<NameTemplate> {
    // SAFETY: the caller makes the promise that `text` asks for.
    match unsafe { names.text("names") }? {
        "" => Ok(NameTemplate::default()),
        names => Ok(names.parse()?),
    }
}

/// Creates a store in `directory` of the local file system. If the directory does not exist, a backup
/// fails with NOT_FOUND, unless `mkdir` is true; then it makes the directory with mode 0700. `names` is
/// the template for the names of new archives, such as "{uuid}.tar.gz"; if it is empty,
/// "backup-{uuid}.tar.gz". `reserve` is the number of bytes of the file system that must stay free. A
/// backup fails with NO_SPACE when less is left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_local(
    directory: wingback_bytes,
    names: wingback_bytes,
    reserve: u64,
    mkdir: bool,
    store: *mut *mut wingback_store,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `directory` and `names` are readable, and `store` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(store, "store")?;
            let directory = directory.path("directory")?;
            let local = LocalStore::new(directory).reserve(reserve).mkdir(mkdir);
            out.give(AnyStore::Local(local.names(template(names)?)));
            Ok(())
        })
    }
}

/// Writes the name of the archive for the backup `uuid` to `buffer`, followed by a zero byte, and
/// its length without that byte to `len`. The store's template gives the name, with the current time,
/// the name of the host, and `label`, which may be empty. An empty `uuid` means a new random one. With a `capacity` of 0, only `len` is written. INVALID_INPUT if the
/// buffer is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_key(
    store: *const wingback_store,
    uuid: wingback_bytes,
    label: wingback_bytes,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `uuid` and `label` are readable;
    // `buffer` is NULL or writable for `capacity` bytes; `len` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let len = Out::new(len, "len")?;
            let store = opaque::get(store, "store")?;
            let uuid = match uuid.text("uuid")? {
                "" => Uuid::new_v4(),
                text => Uuid::try_parse(text)
                    .map_err(|e| Failure::invalid(format!("{text:?} is not a UUID: {e}")))?,
            };
            let key = store.key(NameFields::new(uuid).label(label.get("label")?));
            write_text(key.as_str().as_bytes(), buffer, capacity, len)
        })
    }
}

/// Writes the path or URL of the archive `key`, which need not exist. `buffer`, `capacity` and
/// `len` are as in wingback_store_key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_location(
    store: *const wingback_store,
    key: wingback_bytes,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `key` is readable; `buffer` is
    // NULL or writable for `capacity` bytes; `len` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let len = Out::new(len, "len")?;
            let store = opaque::get(store, "store")?.open();
            let location = store.location(&self::key(key)?);
            write_text(location.as_bytes(), buffer, capacity, len)
        })
    }
}

/// Starts to list the archives in the store, newest first. Result: wingback_task_archives. An archive
/// is recognized by its content, whatever its name is. The last 64 KiB of each are read. If `label` is
/// not empty, only archives with this label are listed. Archives made before `since_ns`, in
/// nanoseconds since 1970, are left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_archives(
    store: *const wingback_store,
    label: wingback_bytes,
    since_ns: u64,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `label` is readable; `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let mut archives = Archives::new();
            if since_ns > 0 {
                archives = archives.since(UNIX_EPOCH + Duration::from_nanos(since_ns));
            }
            match label.get("label")? {
                b"" => {}
                label => archives = archives.label(label),
            }
            task::start("list archives", archives.start(store), out, StoredArchives::new)
        })
    }
}

/// Starts to list all objects in the store: archives, and files beside them such as locks. Nothing is
/// read. Result: wingback_task_objects.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_list(
    store: *const wingback_store,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive, and `task` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let work = async move { store.list().await };
            task::start_future("list a store", work, out, Objects::new)
        })
    }
}

/// Starts to delete the archive `key`, even if it has a lock. The task fails with NOT_FOUND if there is
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_delete(
    store: *const wingback_store,
    key: wingback_bytes,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `key` is readable; `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (store, key) = (opaque::get(store, "store")?.open(), self::key(key)?);
            let work = async move { store.delete(&key).await };
            task::start_future("delete an archive", work, out, |()| ())
        })
    }
}

/// Starts to remove files and uploads that killed processes left unfinished. It never removes those
/// that a process is still writing. Result: wingback_task_swept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_sweep(
    store: *const wingback_store,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive, and `task` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let store = opaque::get(store, "store")?.open();
            let work = async move { store.sweep().try_collect().await };
            let note = |location: OsString| Note::name(location.into_vec(), "swept");
            let notes = move |swept: Vec<OsString>| swept.into_iter().map(note).collect::<Notes>();
            task::start_future("sweep a store", work, out, notes)
        })
    }
}

/// Frees the store. NULL is allowed.
///
/// Blocks until the remains of dropped uploads are removed, for at most five seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_free(store: *mut wingback_store) {
    // SAFETY: the caller promises that `store` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(store) }));
}

/// Lends the result of wingback_store_sweep: one note for each removed file or upload, with its
/// location as the path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_swept(
    task: *const wingback_task,
    notes: *mut *const wingback_notes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `notes` and `error` are NULL or
    // writable.
    unsafe { task::lend_result(task, notes, "list of what was swept", error) }
}
