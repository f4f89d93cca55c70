//! `wingback_part_urls`: uploads through URLs that another program signed.

use wingback::Backup;

use crate::{
    bytes::{slice, wingback_bytes},
    enums::wingback_status,
    error::wingback_error,
    failure::Result,
    guard::guard,
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
    s3::wingback_transfer,
    task::wingback_task,
};
#[cfg(feature = "s3")]
use crate::{etags::Etags, report::BackupResult, task};

/// The URLs for the parts of one archive, in their order, as a panel issues them.
pub struct wingback_part_urls {
    _opaque: [u8; 0],
}

impl Opaque for wingback_part_urls {
    type Rust = PartUrls;
    type By = Owned;
}

#[cfg(feature = "s3")]
pub(crate) type PartUrls = wingback::PartUrls;

/// Without the network no value of this type exists.
#[cfg(not(feature = "s3"))]
pub(crate) enum PartUrls {}

/// Creates an object from the `count` URLs in `urls`, for parts of `part_size` bytes each. The last
/// part may be smaller, and URLs may stay unused. `transfer` may be NULL for the defaults. Parts
/// without room in memory (wingback_set_memory_limit) are kept in the directory `staging`; if that is
/// empty, in `$TMPDIR` or `/var/tmp`. UNSUPPORTED if the library has no network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_part_urls_new(
    urls: *const wingback_bytes,
    count: usize,
    part_size: u64,
    transfer: *const wingback_transfer,
    staging: wingback_bytes,
    part_urls: *mut *mut wingback_part_urls,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `staging` is readable; `count` elements are readable at
    // `urls`; `transfer` is NULL or readable for its `struct_size`; `part_urls` and `error` are
    // NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(part_urls, "part_urls")?;
            let urls = slice(urls, count, "urls")?.iter().map(|url| url.text("urls"));
            let urls = urls.collect::<Result<Vec<_>>>()?;
            out.give(new(&urls, part_size, transfer, staging)?);
            Ok(())
        })
    }
}

/// Makes the object.
///
/// # Safety
///
/// `transfer` is NULL or readable for its `struct_size`, and `staging` is readable.
#[cfg(feature = "s3")]
unsafe fn new(
    urls: &[&str],
    part_size: u64,
    transfer: *const wingback_transfer,
    staging: wingback_bytes,
) -> Result<PartUrls> {
    let urls = PartUrls::new(urls, part_size)?;
    // SAFETY: the caller promises that `transfer` is NULL or readable for its `struct_size`, and that
    // `staging` is readable.
    unsafe {
        let urls = urls.transfer(wingback_transfer::read(transfer)?);
        Ok(if staging.len > 0 { urls.staging(staging.path("staging")?) } else { urls })
    }
}

#[cfg(not(feature = "s3"))]
unsafe fn new(
    _: &[&str],
    _: u64,
    _: *const wingback_transfer,
    _: wingback_bytes,
) -> Result<PartUrls> {
    Err(crate::failure::Failure::without_s3())
}

/// Starts to upload the archive in the file at `path`, several parts at once. Result:
/// wingback_task_parts. The file must not change until the task is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_part_urls_upload_file(
    part_urls: *const wingback_part_urls,
    path: wingback_bytes,
    task: *mut *mut wingback_task,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `part_urls` is NULL or alive; `path` is readable; `task` and
    // `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(task, "task")?;
            let (urls, path) = (opaque::get(part_urls, "part_urls")?, path.path("path")?);
            upload_file(urls, path, out)
        })
    }
}

#[cfg(feature = "s3")]
fn upload_file(
    urls: &PartUrls,
    path: &std::path::Path,
    out: Out<*mut wingback_task>,
) -> Result<()> {
    task::start("upload an archive", urls.clone().upload_file(path), out, Etags::new)
}

#[cfg(not(feature = "s3"))]
fn upload_file(urls: &PartUrls, _: &std::path::Path, _: Out<*mut wingback_task>) -> Result<()> {
    match *urls {}
}

/// Starts a backup that is uploaded through the URLs.
#[cfg(feature = "s3")]
pub(crate) fn send(backup: Backup, urls: &PartUrls, out: Out<*mut wingback_task>) -> Result<()> {
    let (upload, parts) = urls.clone().upload();
    let reported = move |report| BackupResult::new(report).with_etags(Etags::new(parts.get()));
    task::start("back up", backup.send_to(upload), out, reported)
}

#[cfg(not(feature = "s3"))]
pub(crate) fn send(_: Backup, urls: &PartUrls, _: Out<*mut wingback_task>) -> Result<()> {
    match *urls {}
}

/// Frees the object; running tasks go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_part_urls_free(part_urls: *mut wingback_part_urls) {
    // SAFETY: the caller promises that `part_urls` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(part_urls) }));
}
