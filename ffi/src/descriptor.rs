//! File descriptors that C passes. The library reads and writes duplicates of them.

use std::{
    ffi::c_int,
    fs::File,
    os::fd::{BorrowedFd, OwnedFd},
};

use blocking::Unblock;
use wingback::Error;

use crate::failure::{Failure, Result};

/// Bytes between the engine and the thread that reads or writes the descriptor.
const BUFFER: usize = 1 << 20;

/// Duplicates a descriptor; the new one refers to the same open file.
pub(crate) fn duplicate(fd: c_int) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Failure::invalid(format!("{fd} is not a file descriptor")));
    }
    // SAFETY: the descriptor is only passed to fcntl(2) during this call, which fails if it is not
    // open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(|e| Error::io("duplicate the file descriptor", e).into())
}

/// Makes the descriptor asynchronous: a thread of the `blocking` pool reads and writes it.
pub(crate) fn unblock(fd: OwnedFd) -> Unblock<File> {
    Unblock::with_capacity(BUFFER, File::from(fd))
}
