//! `wingback_archive`: an archive to be read, and what is read of it without more ado.

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
    bytes::{list, wingback_bytes},
    descriptor,
    enums::wingback_status,
    error::{Failure, Result, wingback_error},
    guard::{guard, infallible},
    listing::{Listing, member_of, wingback_member},
    opaque::{self, Opaque, Owned},
    record,
    s3::wingback_transfer,
    store::{self, Stored, wingback_store},
    task::{self, wingback_task},
};

/// An archive to be read, wherever it is: a .tar.gz of ours or of any other program. Any number of
/// operations may read it at once, but for a stream, and it may be freed while they run.
pub struct wingback_archive {
    _opaque: [u8; 0],
}

impl Opaque for wingback_archive {
    type Rust = Place;
    type By = Owned;
}

/// Where an archive is.
pub(crate) enum Place {
    File(PathBuf),
    InStore(Stored, Key),
    #[cfg(feature = "s3")]
    Link(String, wingback::Transfer),
    /// None once it was read.
    Stream(Mutex<Option<OwnedFd>>),
}

impl Place {
    /// The archive, for one operation.
    pub(crate) fn open(&self) -> Result<Archive<'static>> {
        Ok(match self {
            Place::File(path) => Archive::file(path),
            Place::InStore(store, key) => Archive::in_store(store.open(), key.clone()),
            #[cfg(feature = "s3")]
            Place::Link(url, transfer) => Archive::link(url, transfer.clone())?,
            Place::Stream(fd) => {
                let fd = fd.lock().unwrap_or_else(PoisonError::into_inner).take();
                let fd = fd.ok_or_else(|| Failure::invalid("the stream was read already"))?;
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
    let body = || {
        let out = opaque::out(archive, "archive")?;
        // SAFETY: as the header says.
        unsafe { out.give(Place::File(path.path("path")?.to_owned())) };
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// An archive in a store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_in_store(
    store: *const wingback_store,
    key: wingback_bytes,
    archive: *mut *mut wingback_archive,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(archive, "archive")?;
        // SAFETY: as the header says.
        unsafe {
            let store = opaque::get(store, "store")?.clone();
            out.give(Place::InStore(store, store::key(key)?));
        }
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
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
    let body = || {
        let out = opaque::out(archive, "archive")?;
        // SAFETY: as the header says.
        unsafe { out.give(link(url.text("url")?, transfer)?) };
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// # Safety
///
/// As the header says.
#[cfg(feature = "s3")]
unsafe fn link(url: &str, transfer: *const wingback_transfer) -> Result<Place> {
    // SAFETY: the caller says so.
    let transfer = unsafe { wingback_transfer::read(transfer) }?;
    // What is wrong with it is said now.
    Archive::link(url, transfer.clone())?;
    Ok(Place::Link(url.to_owned(), transfer))
}

#[cfg(not(feature = "s3"))]
unsafe fn link(_: &str, _: *const wingback_transfer) -> Result<Place> {
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
    let body = || {
        let out = opaque::out(archive, "archive")?;
        let fd = descriptor::duplicate(fd)?;
        // SAFETY: as the header says.
        unsafe { out.give(Place::Stream(Mutex::new(Some(fd)))) };
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
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
    let body = || {
        let out = opaque::out(task, "task")?;
        // SAFETY: as the header says.
        let (archive, list) = unsafe {
            let mut wanted = List::new();
            for one in list(selection, count, "selection")? {
                wanted = wanted.select(one.get("selection")?);
            }
            (opaque::get(archive, "archive")?.open()?, wanted)
        };
        task::start("list an archive", list.start(archive), out, Listing::new)
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
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
    let body = || {
        let out = opaque::out(task, "task")?;
        // SAFETY: as the header says.
        let (path, archive) =
            unsafe { (path.get("path")?, opaque::get(archive, "archive")?.open()?) };
        let buffer = Buffer { bytes: Arc::default(), max };
        let content = buffer.bytes.clone();
        task::start("read a file", archive.copy_file(path, buffer), out, move |member| {
            let content = std::mem::take(&mut *lock(&content));
            ReadFile { member, content }
        })
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
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
    let body = || {
        let out = opaque::out(task, "task")?;
        let fd = descriptor::duplicate(fd)?;
        // SAFETY: as the header says.
        let (path, archive) =
            unsafe { (path.get("path")?, opaque::get(archive, "archive")?.open()?) };
        let copy = archive.copy_file(path, descriptor::unblock(fd));
        let file = |member| ReadFile { member, content: Vec::new() };
        task::start("copy a file", copy, out, file)
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_archive_free(archive: *mut wingback_archive) {
    // SAFETY: as the header says.
    infallible((), || drop(unsafe { opaque::take(archive) }));
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
    let body = || {
        // SAFETY: as the header says.
        unsafe {
            let file: &ReadFile = task::result(task, "file")?;
            if !member.is_null() {
                record::write(member, &member_of(&file.member), "member")?;
            }
            if !content.is_null() {
                content.write(wingback_bytes::lend(&file.content));
            }
        }
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

struct ReadFile {
    member: Member,
    content: Vec<u8>,
}

/// Memory for a file, of which the task's result gets the content.
struct Buffer {
    bytes: Arc<Mutex<Vec<u8>>>,
    max: u64,
}

fn lock(bytes: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncWrite for Buffer {
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
