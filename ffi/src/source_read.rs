//! The function of a backup that is called after its source has been read.

use std::ffi::{CStr, c_char, c_void};

use crate::{
    backup::wingback_backup, enums::wingback_status, error::wingback_error, guard::guard, opaque,
    options,
};

/// A function that is called when a backup has read its source. It returns NULL, or the reason of its
/// failure: UTF-8 that ends in a zero byte. The library copies the reason at once.
pub type wingback_source_read_function =
    Option<unsafe extern "C" fn(user_data: *mut c_void) -> *const c_char>;

type Function = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// A function of C, with its argument.
struct SourceRead {
    function: Function,
    user_data: *mut c_void,
}

// SAFETY: the only field that is not `Send` is `user_data`. The caller of
// `wingback_backup_on_source_read` promises that the function may be called with it on any thread.
unsafe impl Send for SourceRead {}
// SAFETY: the same caller promises that several tasks may call the function at once.
unsafe impl Sync for SourceRead {}

impl SourceRead {
    fn call(&self) -> Result<(), String> {
        // SAFETY: the caller of `wingback_backup_on_source_read` promises that the function may be
        // called with `user_data` on any thread.
        let reason = unsafe { (self.function)(self.user_data) };
        if reason.is_null() {
            return Ok(());
        }
        // SAFETY: the same caller promises that a reason ends in a zero byte.
        Err(unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned())
    }
}

/// Sets `function`, which each task of the backup calls once with `user_data`, as soon as it has read the
/// source completely. It is for a server that does not save during a backup, and may save again now.
///
/// A thread of the library calls it. The archive is not visible in the store before the function has
/// returned. A failure of the function does not fail the backup: it is a warning with the code `hook` in
/// the report. The function is not called for a task that fails or is cancelled before that. A cancelled
/// task is done only after the function has returned.
///
/// `user_data` must be usable until all tasks of the backup are freed. If wingback_task_free reaches its
/// time limit, the function may still run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_backup_on_source_read(
    backup: *mut wingback_backup,
    function: wingback_source_read_function,
    user_data: *mut c_void,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let Some(function) = function else {
        // SAFETY: the caller promises that `error` is NULL or writable.
        return unsafe { guard(error, || Err(opaque::null("function"))) };
    };
    let hook = SourceRead { function, user_data };
    // SAFETY: the caller promises that `backup` is NULL or alive, and `error` is NULL or writable.
    unsafe { options::set(backup, error, |backup| Ok(backup.on_source_read(move || hook.call()))) }
}
