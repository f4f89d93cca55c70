//! `wingback_error`: why a call or a task failed.

use std::ffi::c_char;

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    failure::Failure,
    opaque::{self, Opaque, Owned},
    panics::infallible,
};

/// Why a call or a task failed.
pub struct wingback_error {
    _opaque: [u8; 0],
}

impl Opaque for wingback_error {
    type Rust = Failure;
    type By = Owned;
}

/// Returns the status of the failure; OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_status(error: *const wingback_error) -> wingback_status {
    infallible(wingback_status::Internal, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        unsafe { opaque::get(error, "error") }.map_or(wingback_status::Ok, |error| error.status)
    })
}

/// Returns one line that names the operation, its subject and the reason. The text is UTF-8 and
/// ends in a zero byte. It is valid until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_message(error: *const wingback_error) -> *const c_char {
    infallible(c"".as_ptr(), || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(c"".as_ptr(), |error| error.message.as_ptr())
    })
}

/// Returns the path that the failure is about, or empty bytes if there is none. The bytes are valid
/// until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_path(error: *const wingback_error) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(wingback_bytes::EMPTY, |error| wingback_bytes::lend(&error.path))
    })
}

/// Returns whether the same call may succeed later without any change by the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_is_retryable(error: *const wingback_error) -> bool {
    infallible(false, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        unsafe { opaque::get(error, "error") }.is_ok_and(|error| error.is_retryable)
    })
}

/// Frees the error. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_free(error: *mut wingback_error) {
    // SAFETY: the caller promises that `error` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(error) }));
}
