//! `wingback_limiter`: a limit of speed that tasks share.

use wingback::Limiter;

use crate::{
    enums::wingback_status,
    error::wingback_error,
    guard::guard,
    opaque::{self, Opaque, Out, Owned},
    panics::infallible,
};

/// A limit in bytes per second. Tasks that share it stay below it together. It may be freed while
/// they run.
pub struct wingback_limiter {
    _opaque: [u8; 0],
}

impl Opaque for wingback_limiter {
    type Rust = Limiter;
    type By = Owned;
}

/// Creates a limit of `bytes_per_second`. 0 means no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_new(
    bytes_per_second: u64,
    limiter: *mut *mut wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `limiter` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(limiter, "limiter")?;
            out.give(Limiter::new(bytes_per_second));
            Ok(())
        })
    }
}

/// Changes the limit to `bytes_per_second`, at once for all backups that share it. 0 means no
/// limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_set_rate(
    limiter: *const wingback_limiter,
    bytes_per_second: u64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `limiter` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        guard(error, || {
            opaque::get(limiter, "limiter")?.set_rate(bytes_per_second);
            Ok(())
        })
    }
}

/// Returns the limit in bytes per second; 0 if there is no limit, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_rate(limiter: *const wingback_limiter) -> u64 {
    infallible(0, || {
        // SAFETY: the caller promises that `limiter` is NULL or alive.
        unsafe { opaque::get(limiter, "limiter") }.map_or(0, Limiter::rate)
    })
}

/// Frees the limiter. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_free(limiter: *mut wingback_limiter) {
    // SAFETY: the caller promises that `limiter` is NULL, or alive and not in use.
    infallible((), || drop(unsafe { opaque::reclaim(limiter) }));
}
