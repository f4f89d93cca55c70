//! File descriptors of the caller's, read and written without their being taken from it.

use std::{
    ffi::c_int,
    fs::File,
    os::fd::{BorrowedFd, OwnedFd},
};

use blocking::Unblock;
use wingback::Error;

use crate::error::{Failure, Result};

/// Bytes between the engine and the thread that reads or writes the descriptor.
const BUFFER: usize = 1 << 20;

/// A descriptor of our own for the same open file.
pub(crate) fn duplicate(fd: c_int) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Failure::invalid(format!("{fd} is no file descriptor")));
    }
    // SAFETY: it is only given to the system, which says what it thinks of one that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(|e| Error::io("use the file descriptor", e).into())
}

/// Reads and writes it on a thread of the `blocking` pool.
pub(crate) fn unblock(fd: OwnedFd) -> Unblock<File> {
    Unblock::with_capacity(BUFFER, File::from(fd))
}
