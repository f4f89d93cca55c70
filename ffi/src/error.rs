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

/// What went wrong. OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_status(error: *const wingback_error) -> wingback_status {
    infallible(wingback_status::Internal, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        unsafe { opaque::get(error, "error") }.map_or(wingback_status::Ok, |error| error.status)
    })
}

/// One line that says what was being done, with what, and what is wrong: UTF-8 that ends in a zero
/// byte, good until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_message(error: *const wingback_error) -> *const c_char {
    infallible(c"".as_ptr(), || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(c"".as_ptr(), |error| error.message.as_ptr())
    })
}

/// The path that it was about, if there is one, good until the error is freed. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_path(error: *const wingback_error) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        let error = unsafe { opaque::get(error, "error") };
        error.map_or(wingback_bytes::EMPTY, |error| wingback_bytes::lend(&error.path))
    })
}

/// Whether the same call may succeed a little later without anybody changing anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_is_retryable(error: *const wingback_error) -> bool {
    infallible(false, || {
        // SAFETY: the caller promises that `error` is NULL or alive.
        unsafe { opaque::get(error, "error") }.is_ok_and(|error| error.is_retryable)
    })
}

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_error_free(error: *mut wingback_error) {
    // SAFETY: the caller promises that `error` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(error) }));
}
