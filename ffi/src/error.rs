//! `wingback_error`.

use std::{
    ffi::{CString, c_char},
    os::unix::ffi::OsStrExt,
};

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    guard::infallible,
    opaque::{self, Opaque, Owned},
};

/// Why a call or a task failed.
pub struct wingback_error {
    _opaque: [u8; 0],
}

impl Opaque for wingback_error {
    type Rust = Failure;
    type By = Owned;
}

/// A failure, as C is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: wingback_status,
    message: CString,
    path: Vec<u8>,
    is_retryable: bool,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: wingback_status, message: impl Into<String>) -> Self {
        let message = message.into().replace('\0', "\u{fffd}");
        // None is left in it.
        let message = CString::new(message).unwrap_or_default();
        Failure { status, message, path: Vec::new(), is_retryable: false }
    }

    /// An argument that cannot be used.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Failure::new(wingback_status::InvalidInput, message)
    }

    /// An index beyond the end of a list.
    pub(crate) fn no_element(index: usize, count: usize) -> Self {
        Failure::invalid(format!("there is no element {index} in a list of {count}"))
    }

    /// A status that is no failure, and leaves no error behind.
    pub(crate) fn only(status: wingback_status) -> Self {
        Failure::new(status, "")
    }

    #[cfg(not(feature = "s3"))]
    pub(crate) fn without_s3() -> Self {
        Failure::new(wingback_status::Unsupported, "this build of the library has no network")
    }

    pub(crate) fn text(&self) -> &str {
        self.message.to_str().unwrap_or_default()
    }
}

impl From<wingback::Error> for Failure {
    fn from(error: wingback::Error) -> Self {
        let failure = Failure::new(wingback_status::of_error(error.kind()), error.to_string());
        let path = error.path().map(|path| path.as_os_str().as_bytes().to_vec());
        Failure { path: path.unwrap_or_default(), is_retryable: error.is_retryable(), ..failure }
    }
}

/// What went wrong. OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_status(error: *const wingback_error) -> wingback_status {
    infallible(wingback_status::Internal, || {
        // SAFETY: as the header says.
        unsafe { opaque::get(error, "error") }.map_or(wingback_status::Ok, |error| error.status)
    })
}

/// One line that says what was being done, with what, and what is wrong: UTF-8 that ends in a zero
/// byte, good until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_message(error: *const wingback_error) -> *const c_char {
    infallible(c"".as_ptr(), || {
        // SAFETY: as the header says.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(c"".as_ptr(), |error| error.message.as_ptr())
    })
}

/// The path that it was about, if there is one, good until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_path(error: *const wingback_error) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        // SAFETY: as the header says.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(wingback_bytes::EMPTY, |error| wingback_bytes::lend(&error.path))
    })
}

/// Whether the same call may succeed a little later without anybody changing anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_is_retryable(error: *const wingback_error) -> bool {
    infallible(false, || {
        // SAFETY: as the header says.
        unsafe { opaque::get(error, "error") }.is_ok_and(|error| error.is_retryable)
    })
}

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_free(error: *mut wingback_error) {
    // SAFETY: as the header says.
    infallible((), || drop(unsafe { opaque::take(error) }));
}
