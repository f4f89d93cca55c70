//! The log: messages beside the results that calls return.

use std::{
    ffi::{CString, c_char, c_void},
    mem::MaybeUninit,
    sync::{PoisonError, RwLock},
};

use crate::{
    enums::{wingback_log_level, wingback_status},
    error::wingback_error,
    from_c::FromC,
    guard::guard,
    panics::catch_panic,
};

/// A function that gets each log message. Threads of the library call it, several at once. The
/// message is UTF-8, ends in a zero byte, and is valid until the function returns. The function
/// must not call this library.
pub type wingback_log_function = Option<
    unsafe extern "C" fn(level: wingback_log_level, message: *const c_char, user_data: *mut c_void),
>;

type Function = unsafe extern "C" fn(wingback_log_level, *const c_char, *mut c_void);

struct Hook {
    level: wingback_log_level,
    function: Function,
    user_data: *mut c_void,
}

// SAFETY: the only field that is not `Send` is `user_data`. The caller of `wingback_log_set` promises
// that the function may be called with it on any thread.
unsafe impl Send for Hook {}
// SAFETY: the same caller promises that several threads may call the function at once.
unsafe impl Sync for Hook {}

static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

/// Sets `function` as the log function of the process, for messages of `level` and more important
/// ones: the start and end of tasks, and failures that no call returns. It is called with
/// `user_data`. NULL removes the function. After this call has returned, the earlier function is
/// not called any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_log_set(
    level: MaybeUninit<wingback_log_level>,
    function: wingback_log_function,
    user_data: *mut c_void,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        let level = wingback_log_level::read(level, "level")?;
        let hook = function.map(|function| Hook { level, function, user_data });
        *HOOK.write().unwrap_or_else(PoisonError::into_inner) = hook;
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Passes a message to the log function, if one is set for `level`. Only then is `message` called.
pub(crate) fn log(level: wingback_log_level, message: impl FnOnce() -> String) {
    // A panic in the log must not fail the operation that logs.
    let _ = catch_panic(|| {
        let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(hook) = hook.as_ref().filter(|hook| level <= hook.level) {
            let message = CString::new(message().replace('\0', "\u{fffd}")).unwrap_or_default();
            // SAFETY: the caller of `wingback_log_set` promises that the function may be called with
            // `user_data` on any thread. The message is alive and ends in a zero byte, and the lock
            // keeps the function set until the call returns.
            unsafe { (hook.function)(level, message.as_ptr(), hook.user_data) };
        }
        Ok(())
    });
}
