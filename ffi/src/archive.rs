//! `wingback_archive`: an archive to read, and the operations that need no options.

use std::{
    ffi::c_int,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::AsyncWrite;
use wingback::{Archive, Key, Limiter, List, Member};

use crate::{
    bytes::{slice, wingback_bytes},
    descriptor,
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    info::Identity,
    limiter::wingback_limiter,
    listing::{Listing, member_record, wingback_member},
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
    record,
    s3::wingback_transfer,
    store::{self, AnyStore, wingback_store},
    task::{self, wingback_task},
};

/// An archive to read: a .tar.gz made by wingback or by another program. Several operations may
/// read it at once, except a stream. It may be freed while they run.
pub struct wingback_archive {
    _opaque: [u8; 0],
}

impl Opaque for wingback_archive {
    type Rust = ArchiveSource;
    type By = Owned;
}

/// An archive, and its limits.
pub(crate) struct ArchiveSource {
    place: Place,
    limits: Mutex<Limits>,
}

/// The place that an archive is read from.
enum Place {
    File(PathBuf),
    InStore(AnyStore, Key),
    #[cfg(feature = "s3")]
    Link(String, wingback::Transfer),
    /// `None` after an operation has taken it.
    Stream(Mutex<Option<OwnedFd>>),
}

#[derive(Clone, Default)]
struct Limits {
    read: Limiter,
    write: Limiter,
}

impl ArchiveSource {
    fn new(place: Place) -> Self {
        ArchiveSource { place, limits: Mutex::default() }
    }

    /// Opens the archive for one operation.
    pub(crate) fn open(&self) -> Result<Archive<'static>> {
        let Limits { read, write } = lock(&self.limits).clone();
        Ok(self.place.open()?.read_limit(read).write_limit(write))
    }
}

impl Place {
    fn open(&self) -> Result<Archive<'static>> {
        Ok(match self {
            Place::File(path) => Archive::file(path),
            Place::InStore(store, key) => Archive::in_store(store.open(), key.clone()),
            #[cfg(feature = "s3")]
            Place::Link(url, transfer) => Archive::link(url, transfer.clone())?,
            Place::Stream(fd) => {
                let fd = lock(fd).take();
                let fd =
                    fd.ok_or_else(|| Failure::invalid("an operation has already read the stream"))?;
                Archive::stream(descriptor::unblock(fd))
            }
        })
    }
}

/// Creates an archive that is the file at `path`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_file(
    path: wingback_bytes,
    archive: *mut *mut wingback_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `path` is readable, and `archive` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(archive, "archive")?;
            out.give(ArchiveSource::new(Place::File(path.path("path")?.to_owned())));
            Ok(())
        })
    }
}

/// Creates an archive that is in `store`, under the name `key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_in_store(
    store: *const wingback_store,
    key: wingback_bytes,
    archive: *mut *mut wingback_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `store` is NULL or alive; `key` is readable; `archive` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(archive, "archive")?;
            let store = opaque::get(store, "store")?.clone();
            out.give(ArchiveSource::new(Place::InStore(store, store::key(key)?)));
            Ok(())
        })
    }
}

/// Creates an archive behind `url`, an http or https link, such as a presigned URL of an object in
/// S3. The query of the link never appears in errors or logs. `transfer` may be NULL for the
/// defaults. UNSUPPORTED if the library has no network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_link(
    url: wingback_bytes,
    transfer: *const wingback_transfer,
    archive: *mut *mut wingback_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `url` is readable; `transfer` is NULL or readable for its
    // `struct_size`; `archive` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(archive, "archive")?;
            out.give(ArchiveSource::new(link(url.text("url")?, transfer)?));
            Ok(())
        })
    }
}

/// Checks a link.
///
/// # Safety
///
/// `transfer` is NULL, or readable for its `struct_size`.
#[cfg(feature = "s3")]
unsafe fn link(url: &str, transfer: *const wingback_transfer) -> Result<Place> {
    // SAFETY: the caller makes the promise that `read` asks for.
    let transfer = unsafe { wingback_transfer::read(transfer) }?;
    // An operation parses the link again; this reports an error before the first one.
    Archive::link(url, transfer.clone())?;
    Ok(Place::Link(url.to_owned(), transfer))
}

#[cfg(not(feature = "s3"))]
unsafe fn link(_: &str, _: *const wingback_transfer) -> Result<Place> {
    Err(Failure::without_s3())
}

/// Creates an archive that comes from the descriptor `fd`, such as that of a pipe or a socket. The
/// descriptor is duplicated: the caller keeps its own and may close it at once. The archive is read
/// from its start to its end, and by one operation only. If the writer stops writing, the task can
/// still be cancelled, but the thread that reads ends only after the writing end is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_stream(
    fd: c_int,
    archive: *mut *mut wingback_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(archive, "archive")?;
            let fd = descriptor::duplicate(fd)?;
            out.give(ArchiveSource::new(Place::Stream(Mutex::new(Some(fd)))));
            Ok(())
        })
    }
}

/// Sets `limiter` for the speed at which operations read the archive. It applies to tasks that start
/// after this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_read_limit(
    archive: *mut wingback_archive,
    limiter: *const wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` and `limiter` are NULL or alive, and `error` is NULL
    // or writable.
    unsafe {
        guard(error, || {
            let archive = opaque::get(archive, "archive")?;
            lock(&archive.limits).read = opaque::get(limiter, "limiter")?.clone();
            Ok(())
        })
    }
}

/// Sets `limiter` for the speed at which operations write what they take out of the archive: the
/// files of an extraction or a restore, and the content that wingback_archive_copy_file and
/// wingback_archive_read_file pass on. It applies to tasks that start after this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_write_limit(
    archive: *mut wingback_archive,
    limiter: *const wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` and `limiter` are NULL or alive, and `error` is NULL
    // or writable.
    unsafe {
        guard(error, || {
            let archive = opaque::get(archive, "archive")?;
            lock(&archive.limits).write = opaque::get(limiter, "limiter")?.clone();
            Ok(())
        })
    }
}

/// Starts to read what the archive says about itself. Result: wingback_task_info. It reads the last 64
/// KiB of the archive, and further parts only for many patterns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_info(
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let archive = opaque::get(archive, "archive")?.open()?;
            task::start("read an identity", archive.info(), out, Identity)
        })
    }
}

/// Starts to lock the archive, so that a prune and the daemon do not remove it. Result:
/// wingback_task_lock. The lock is an object beside the archive, with the name of the archive and
/// ".lock". wingback_store_delete does not look at it. The task fails with NOT_FOUND if there is no such
/// archive, and with INVALID_INPUT if it is behind a link or is a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_lock(
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let archive = opaque::get(archive, "archive")?.open()?;
            task::start("lock an archive", archive.lock(), out, LockResult)
        })
    }
}

/// Starts to remove the lock of the archive. Result: wingback_task_lock. The errors are those of
/// wingback_archive_lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_unlock(
    archive: *const wingback_archive,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive, and `task` and `error` are NULL
    // or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let archive = opaque::get(archive, "archive")?.open()?;
            task::start("unlock an archive", archive.unlock(), out, LockResult)
        })
    }
}

/// Writes the result of wingback_archive_lock or wingback_archive_unlock to `changed`: whether the task
/// has changed anything. It is false if the archive had the lock already, or had none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_lock(
    task: *const wingback_task,
    changed: *mut bool,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `changed` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(changed, "changed")?;
            let LockResult(changed) = task::result(task, "lock")?;
            out.set(*changed);
            Ok(())
        })
    }
}

/// The result of a task: whether it has changed the lock.
struct LockResult(bool);

/// Starts to list the members of the archive. Result: wingback_task_listing. `selection` has
/// `count` paths or patterns. The list has the members that they match, and all members below
/// those. If `count` is 0, it has all members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_list(
    archive: *const wingback_archive,
    selection: *const wingback_bytes,
    count: usize,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive; `count` elements are readable at
    // `selection`; `task` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let mut list = List::new();
            for selector in slice(selection, count, "selection")? {
                list = list.select(selector.get("selection")?);
            }
            let archive = opaque::get(archive, "archive")?.open()?;
            task::start("list an archive", list.start(archive), out, Listing::new)
        })
    }
}

/// Starts to read the file `path` of the archive into memory. Result: wingback_task_file. The task
/// fails with NO_SPACE if the file has more than `max` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_read_file(
    archive: *const wingback_archive,
    path: wingback_bytes,
    max: u64,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive; `path` is readable; `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (path, archive) = (path.get("path")?, opaque::get(archive, "archive")?.open()?);
            let buffer = FileBuffer { bytes: Arc::default(), max };
            let content = buffer.bytes.clone();
            task::start("read a file", archive.copy_file(path, buffer), out, move |member| {
                let content = std::mem::take(&mut *lock(&content));
                FileResult { member, content }
            })
        })
    }
}

/// Starts to copy the file `path` of the archive to the descriptor `fd`. Result:
/// wingback_task_file. The descriptor is duplicated: the caller keeps its own and may close it at
/// once. The written bytes are known to be correct only after the task has succeeded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_copy_file(
    archive: *const wingback_archive,
    path: wingback_bytes,
    fd: c_int,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `archive` is NULL or alive; `path` is readable; `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let fd = descriptor::duplicate(fd)?;
            let (path, archive) = (path.get("path")?, opaque::get(archive, "archive")?.open()?);
            let copy = archive.copy_file(path, descriptor::unblock(fd));
            let file = |member| FileResult { member, content: Vec::new() };
            task::start("copy a file", copy, out, file)
        })
    }
}

/// Frees the archive; running tasks go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_free(archive: *mut wingback_archive) {
    // SAFETY: the caller promises that `archive` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(archive) }));
}

/// Writes the result of wingback_archive_read_file or wingback_archive_copy_file: the member, and
/// its content if it was read into memory. Pointers in both are valid until the task is freed.
/// `member` and `content` may each be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_file(
    task: *const wingback_task,
    member: *mut wingback_member,
    content: *mut wingback_bytes,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive; `member` is NULL or writable for
    // its `struct_size`; `content` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let file: &FileResult = task::result(task, "file")?;
            if !member.is_null() {
                record::write(member, &member_record(&file.member), "member")?;
            }
            if !content.is_null() {
                content.write(wingback_bytes::lend(&file.content));
            }
            Ok(())
        })
    }
}

struct FileResult {
    member: Member,
    content: Vec<u8>,
}

/// Memory for the content of a file. The result of the task takes the content out of it.
struct FileBuffer {
    bytes: Arc<Mutex<Vec<u8>>>,
    max: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncWrite for FileBuffer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        more: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = lock(&self.bytes);
        if bytes.len() as u64 + more.len() as u64 > self.max {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        bytes.extend_from_slice(more);
        Poll::Ready(Ok(more.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
