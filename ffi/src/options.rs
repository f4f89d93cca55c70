//! Objects that hold options, such as a backup. Setters change the options under a lock; a start copies
//! them.

use std::sync::{Mutex, PoisonError};

use crate::{
    enums::wingback_status,
    error::wingback_error,
    failure::Result,
    guard::guard,
    opaque::{self, Opaque},
};

/// Options that several threads may change.
pub(crate) type Options<T> = Mutex<T>;

/// Changes an option: the whole body of a setter. If `change` fails, the options stay as they were.
///
/// # Safety
///
/// `options` is NULL or alive, and `error` is NULL or writable.
pub(crate) unsafe fn set<C, T>(
    options: *const C,
    error: *mut *mut wingback_error,
    change: impl FnOnce(T) -> Result<T>,
) -> wingback_status
where
    C: Opaque<Rust = Options<T>>,
    T: Clone + 'static,
{
    let body = || {
        // SAFETY: the caller promises that `options` is NULL or alive.
        let options = unsafe { opaque::get(options, name_of::<C>()) }?;
        let mut options = options.lock().unwrap_or_else(PoisonError::into_inner);
        *options = change(options.clone())?;
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Copies the options for one operation.
///
/// # Safety
///
/// As for [`opaque::get`].
pub(crate) unsafe fn copy<C, T>(options: *const C, name: &str) -> Result<T>
where
    C: Opaque<Rust = Options<T>>,
    T: Clone + 'static,
{
    // SAFETY: the caller promises that `options` is NULL or alive.
    let options = unsafe { opaque::get(options, name) }?;
    Ok(options.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The name of a type, as the header has it.
fn name_of<C>() -> &'static str {
    let name = std::any::type_name::<C>();
    name.rsplit_once("::").map_or(name, |(_, name)| name)
}
