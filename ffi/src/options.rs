//! Objects of options, such as a backup before it starts: changed under a lock, copied to start.

use std::sync::{Mutex, PoisonError};

use crate::{
    enums::wingback_status,
    error::wingback_error,
    failure::Result,
    guard::guard,
    opaque::{self, Opaque},
};

/// Options that any thread may change.
pub(crate) type Options<T> = Mutex<T>;

/// Changes an option: all of a call that does that. Where the change fails, nothing is changed.
///
/// # Safety
///
/// As the header says of each argument.
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
        // SAFETY: the caller says so.
        let options = unsafe { opaque::get(options, name_of::<C>()) }?;
        let mut options = options.lock().unwrap_or_else(PoisonError::into_inner);
        *options = change(options.clone())?;
        Ok(())
    };
    // SAFETY: the caller says so.
    unsafe { guard(error, body) }
}

/// A copy to start.
///
/// # Safety
///
/// As of [`opaque::get`].
pub(crate) unsafe fn copy<C, T>(options: *const C, name: &str) -> Result<T>
where
    C: Opaque<Rust = Options<T>>,
    T: Clone + 'static,
{
    // SAFETY: the caller says so.
    let options = unsafe { opaque::get(options, name) }?;
    Ok(options.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// As the header has it.
fn name_of<C>() -> &'static str {
    let name = std::any::type_name::<C>();
    name.rsplit_once("::").map_or(name, |(_, name)| name)
}
