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
use wingback::{Archive, Key, List, Member};

use crate::{
    bytes::{slice, wingback_bytes},
    descriptor,
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    listing::{Listing, member_record, wingback_member},
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
    record,
    s3::wingback_transfer,
    store::{self, AnyStore, wingback_store},
    task::{self, wingback_task},
};

/// An archive to be read, wherever it is: a .tar.gz of ours or of any other program. Any number of
/// operations may read it at once, but for a stream, and it may be freed while they run.
pub struct wingback_archive {
    _opaque: [u8; 0],
}

impl Opaque for wingback_archive {
    type Rust = ArchiveSource;
    type By = Owned;
}

/// The place that an archive is read from.
pub(crate) enum ArchiveSource {
    File(PathBuf),
    InStore(AnyStore, Key),
    #[cfg(feature = "s3")]
    Link(String, wingback::Transfer),
    /// `None` after an operation has taken it.
    Stream(Mutex<Option<OwnedFd>>),
}

impl ArchiveSource {
    /// Opens the archive for one operation.
    pub(crate) fn open(&self) -> Result<Archive<'static>> {
        Ok(match self {
            ArchiveSource::File(path) => Archive::file(path),
            ArchiveSource::InStore(store, key) => Archive::in_store(store.open(), key.clone()),
            #[cfg(feature = "s3")]
            ArchiveSource::Link(url, transfer) => Archive::link(url, transfer.clone())?,
            ArchiveSource::Stream(fd) => {
                let fd = fd.lock().unwrap_or_else(PoisonError::into_inner).take();
                let fd =
                    fd.ok_or_else(|| Failure::invalid("an operation has already read the stream"))?;
                Archive::stream(descriptor::unblock(fd))
            }
        })
    }
}

/// An archive that is a file.
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
            out.give(ArchiveSource::File(path.path("path")?.to_owned()));
            Ok(())
        })
    }
}

/// An archive in a store.
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
            out.give(ArchiveSource::InStore(store, store::key(key)?));
            Ok(())
        })
    }
}

/// What an http or https link leads to, such as one that somebody signed for an object in S3. Its
/// query is in no error and in no log. The transfer may be NULL. UNSUPPORTED without the network.
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
            out.give(link(url.text("url")?, transfer)?);
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
unsafe fn link(url: &str, transfer: *const wingback_transfer) -> Result<ArchiveSource> {
    // SAFETY: the caller makes the promise that `read` asks for.
    let transfer = unsafe { wingback_transfer::read(transfer) }?;
    // An operation parses the link again; this reports an error before the first one.
    Archive::link(url, transfer.clone())?;
    Ok(ArchiveSource::Link(url.to_owned(), transfer))
}

#[cfg(not(feature = "s3"))]
unsafe fn link(_: &str, _: *const wingback_transfer) -> Result<ArchiveSource> {
    Err(Failure::without_s3())
}

/// Bytes that come from an archive's start to its end, such as from a pipe or a socket. The
/// descriptor is duplicated: it stays the caller's, who may close it at once. It is read in
/// sequence, and by one operation only. A writer that only waits does not keep the task from being
/// cancelled, but the thread that reads: it ends once the writing end is closed.
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
            out.give(ArchiveSource::Stream(Mutex::new(Some(fd))));
            Ok(())
        })
    }
}

/// Starts a list of what the archive holds: `wingback_task_listing` has it. With `count` paths or
/// patterns in `selection` it has only those with all beneath them; with none it has everything.
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
            let (archive, list) = {
                let mut wanted = List::new();
                for one in slice(selection, count, "selection")? {
                    wanted = wanted.select(one.get("selection")?);
                }
                (opaque::get(archive, "archive")?.open()?, wanted)
            };
            task::start("list an archive", list.start(archive), out, Listing::new)
        })
    }
}

/// Starts to read one file of the archive into memory: `wingback_task_file` has it. It fails with
/// NO_SPACE if the file has more than `max` bytes.
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

/// Starts to copy one file of the archive to a descriptor, which is duplicated: it stays the
/// caller's, who may close it at once. `wingback_task_file` says what the file is. Only once the
/// task has ended well is what was written known to be right.
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

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_free(archive: *mut wingback_archive) {
    // SAFETY: the caller promises that `archive` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(archive) }));
}

/// The file that a task has read or copied, and its content where it was read into memory. Both
/// belong to the task. Either place may be NULL.
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

fn lock(bytes: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
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
