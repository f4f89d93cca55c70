//! `wingback_limiter`.

use wingback::Limiter;

use crate::{
    enums::wingback_status,
    error::wingback_error,
    guard::{guard, infallible},
    opaque::{self, Opaque, Owned},
};

/// A limit in bytes a second. Given to many backups, they stay below it together; changed, it holds
/// at once for all of them. It may be freed while they run.
pub struct wingback_limiter {
    _opaque: [u8; 0],
}

impl Opaque for wingback_limiter {
    type Rust = Limiter;
    type By = Owned;
}

/// A limit of so many bytes a second; 0 is without limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_new(
    bytes_per_second: u64,
    limiter: *mut *mut wingback_limiter,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let out = opaque::out(limiter, "limiter")?;
        // SAFETY: as the header says.
        unsafe { out.give(Limiter::new(bytes_per_second)) };
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Changes it, for all that share it; 0 is without limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_set_rate(
    limiter: *const wingback_limiter,
    bytes_per_second: u64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        // SAFETY: as the header says.
        unsafe { opaque::get(limiter, "limiter") }?.set_rate(bytes_per_second);
        Ok(())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// What it is now; 0 is without limit, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_rate(limiter: *const wingback_limiter) -> u64 {
    infallible(0, || {
        // SAFETY: as the header says.
        unsafe { opaque::get(limiter, "limiter") }.map_or(0, Limiter::rate)
    })
}

/// Frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_limiter_free(limiter: *mut wingback_limiter) {
    // SAFETY: as the header says.
    infallible((), || drop(unsafe { opaque::take(limiter) }));
}
