//! `wingback_task`: one running operation.

use std::{any::Any, ffi::c_void, future::Future, time::Duration};

use wingback::{Handle, Task};

use crate::{
    enums::{wingback_phase, wingback_status},
    error::wingback_error,
    failure::Result,
    guard::guard,
    opaque::{self, Borrowed, Opaque, Out, Owned, lend},
    panics::infallible,
    record::{self, Record},
    running::{Callback, Running},
};

/// A running operation, such as a backup. It runs whether or not a thread waits for it.
pub struct wingback_task {
    _opaque: [u8; 0],
}

impl Opaque for wingback_task {
    type Rust = Running;
    type By = Owned;
}

/// How far a task is. The counts never become smaller.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_progress {
    /// sizeof(wingback_progress).
    pub struct_size: usize,
    /// What the task is doing.
    pub phase: wingback_phase,
    /// Whether the two expected numbers are known.
    pub is_expected_known: bool,
    /// Whether `time_left_ns` is known: the phase is READING, the expected bytes are known and not
    /// reached, and the rate is not 0.
    pub is_time_left_known: bool,
    /// Files that the task has begun with or finished.
    pub files: u64,
    /// Bytes of content that are done. A backup counts bytes that it has read or knows to be holes.
    /// A task that reads an archive counts decoded bytes.
    pub bytes: u64,
    /// Bytes of the archive that the destination has accepted. Only a backup writes an archive.
    pub written: u64,
    /// Bytes of the archive that were sent to a service, and that it has confirmed; 0 if the
    /// destination is not a service.
    pub uploaded: u64,
    /// What `files` is expected to be at the end.
    pub expected_files: u64,
    /// What `bytes` is expected to be at the end.
    pub expected_bytes: u64,
    /// Current speed: bytes of `bytes` per second. It is the mean over the time since the task began
    /// to read, in which the weight of a moment falls to 37 % in 5 seconds. 0 before the first byte
    /// and after the end.
    pub rate: u64,
    /// Estimated nanoseconds until `bytes` reaches `expected_bytes`, at this rate.
    pub time_left_ns: u64,
    /// Bytes of the archive that a service has copied from the previous archive in the same store.
    pub copied_in_store: u64,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an enumeration that has the value 0, a bool or an integer.
unsafe impl Record for wingback_progress {}

/// A function that is called once when a task is done, on a thread of the library. It may wake a
/// waiting thread, and it may free the task. It should return quickly.
pub type wingback_done_function = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Starts a task of the engine, and gives C the handle.
pub(crate) fn start<T: 'static, R: Any + Send + Sync>(
    operation: &'static str,
    task: Task<'static, T>,
    out: Out<*mut wingback_task>,
    result: impl FnOnce(T) -> R + Send + 'static,
) -> Result<()> {
    out.give(Running::start(operation, task, result)?);
    Ok(())
}

/// Starts a future that reads a stream of the engine, and gives C the handle. `handle` is that of the stream.
pub(crate) fn start_watched<T: 'static, R: Any + Send + Sync>(
    operation: &'static str,
    handle: Handle,
    future: impl Future<Output = wingback::Result<T>> + Send + 'static,
    out: Out<*mut wingback_task>,
    result: impl FnOnce(T) -> R + Send + 'static,
) -> Result<()> {
    out.give(Running::start_watched(operation, handle, future, result)?);
    Ok(())
}

/// Starts a future that is not a task of the engine, and gives C the handle. A cancel drops the
/// future.
pub(crate) fn start_future<T: 'static, R: Any + Send + Sync>(
    operation: &'static str,
    future: impl Future<Output = wingback::Result<T>> + Send + 'static,
    out: Out<*mut wingback_task>,
    result: impl FnOnce(T) -> R + Send + 'static,
) -> Result<()> {
    out.give(Running::start_future(operation, future, result)?);
    Ok(())
}

fn progress_record(running: &Running) -> wingback_progress {
    let (phase, progress) = running.progress();
    let expected = progress.as_ref().and_then(|progress| progress.expected);
    let progress = progress.unwrap_or_default();
    wingback_progress {
        struct_size: 0,
        phase: phase.into(),
        is_expected_known: expected.is_some(),
        is_time_left_known: progress.time_left.is_some(),
        files: progress.files,
        bytes: progress.bytes,
        written: progress.written,
        uploaded: progress.uploaded,
        expected_files: expected.unwrap_or_default().files,
        expected_bytes: expected.unwrap_or_default().bytes,
        rate: progress.rate,
        time_left_ns: record::nanoseconds(progress.time_left.unwrap_or_default()),
        copied_in_store: progress.copied_in_store,
    }
}

/// Returns the result of a task. The task must be done, and must be one with a result of this type.
///
/// # Safety
///
/// As for [`opaque::get`].
pub(crate) unsafe fn result<'a, T: Any>(
    task: *const wingback_task,
    name: &'static str,
) -> Result<&'a T> {
    // SAFETY: the caller makes the promise that `get` asks for.
    unsafe { opaque::get(task, "task") }?.result(name)
}

/// Lends C the result of a task: the whole body of a `wingback_task_…` call that does so.
///
/// # Safety
///
/// `task` is NULL or alive, and `place` and `error` are NULL or writable.
pub(crate) unsafe fn lend_result<C>(
    task: *const wingback_task,
    place: *mut *const C,
    name: &'static str,
    error: *mut *mut wingback_error,
) -> wingback_status
where
    C: Opaque<By = Borrowed, Rust: Any>,
{
    // SAFETY: the caller promises that `task` is NULL or alive, and `place` and `error` are NULL or
    // writable.
    unsafe {
        guard(error, || {
            let out = Out::new(place, "the pointer for the result")?;
            out.set(lend(result::<C::Rust>(task, name)?));
            Ok(())
        })
    }
}

/// Waits until the task is done, for at most `timeout_ms` milliseconds. 0 does not wait; a negative
/// number waits without limit. Returns OK if the task succeeded, NOT_YET if it is not done,
/// otherwise the status of its failure. Several threads may wait for one task, and each may ask
/// again.
///
/// Blocks for that time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_wait(
    task: *const wingback_task,
    timeout_ms: i64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, and `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let task = opaque::get(task, "task")?;
            let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
            task.wait(timeout)
        })
    }
}

/// Writes how far the task is to `progress`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_progress(
    task: *const wingback_task,
    progress: *mut wingback_progress,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive; `progress` is NULL or writable for
    // its `struct_size`; `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let task = opaque::get(task, "task")?;
            record::write(progress, &progress_record(task), "progress")
        })
    }
}

/// Asks the task to stop, and returns at once. The task ends with CANCELLED after it has removed
/// what it had begun. If its commit has already begun, it ends as if this call had not been made.
/// NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_cancel(task: *const wingback_task) {
    infallible((), || {
        // SAFETY: the caller promises that `task` is NULL or alive.
        if let Ok(task) = unsafe { opaque::get(task, "task") } {
            task.cancel();
        }
    });
}

/// Sets `function`, which is called with `user_data` when the task is done. It is called once, on a
/// thread of the library; soon after this call if the task is done already. If the task is freed
/// first, the function is not called. wingback_task_free waits for a call that has begun, but no
/// longer than its time limit. INVALID_INPUT if the task already has such a function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_on_done(
    task: *const wingback_task,
    function: wingback_done_function,
    user_data: *mut c_void,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `task` is NULL or alive, that `error` is NULL or writable, and
    // that `function` may be called once with `user_data` on any thread.
    unsafe {
        guard(error, || {
            let task = opaque::get(task, "task")?;
            let function = function.ok_or_else(|| opaque::null("function"))?;
            task.on_done(Callback::new(function, user_data))
        })
    }
}

/// Frees the task and its results. A running task is cancelled first. NULL is allowed.
///
/// Blocks until the task's threads have ended, for at most five seconds. A thread that cannot be
/// stopped, for example on a dead mount, goes on by itself. If the function set by
/// wingback_task_on_done frees its own task, this call does not wait, and that thread ends when the
/// function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_free(task: *mut wingback_task) {
    infallible((), || {
        // SAFETY: the caller promises that `task` is NULL, or alive and not in use.
        let Some(mut task) = (unsafe { opaque::reclaim(task) }) else {
            return;
        };
        if !task.get().is_none_or(Running::shut_down) {
            task.patience = Duration::ZERO;
        }
    });
}

/// These tests do not use the engine, so that Miri can run them.
#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        thread,
    };

    use wingback::{Error, ErrorKind};

    use super::*;

    fn started<T: Any + Send + Sync>(
        future: impl Future<Output = wingback::Result<T>> + Send + 'static,
    ) -> *mut wingback_task {
        let mut task = std::ptr::null_mut();
        // SAFETY: the pointer is that of a local variable.
        let out = unsafe { Out::new(&raw mut task, "task") }.expect("not NULL");
        start_future("test", future, out, |value| value).expect("started");
        task
    }

    fn wait(task: *const wingback_task) -> wingback_status {
        // SAFETY: the tests wait only for tasks that they have not freed. NULL is allowed for the error.
        unsafe { wingback_task_wait(task, -1, std::ptr::null_mut()) }
    }

    fn free(task: *mut wingback_task) {
        // SAFETY: each test frees a task once, as its last use of it.
        unsafe { wingback_task_free(task) };
    }

    #[test]
    fn a_result_is_lent_until_the_task_is_freed() {
        let task = started(ready(Ok(String::from("value"))));
        assert_eq!(wait(task), wingback_status::Ok);
        // SAFETY: the test frees the task after this block.
        unsafe {
            assert_eq!(result::<String>(task, "text").expect("that kind"), "value");
            assert!(result::<u64>(task, "number").is_err());
        }
        free(task);
    }

    #[test]
    fn an_error_and_a_panic_give_the_same_status_at_each_wait() {
        let failed = Error::new(ErrorKind::Busy, "try");
        let task = started::<()>(ready(Err(failed)));
        assert_eq!([wait(task), wait(task)], [wingback_status::Busy; 2]);
        free(task);
        let task = started::<()>(async { panic!("on purpose") });
        assert_eq!([wait(task), wait(task)], [wingback_status::Internal; 2]);
        free(task);
    }

    #[test]
    fn cancel_ends_a_task_and_free_cancels_it() {
        let task = started::<()>(pending());
        // SAFETY: the test frees the task after this block.
        unsafe {
            let now = wingback_task_wait(task, 1, std::ptr::null_mut());
            assert_eq!(now, wingback_status::NotYet);
            wingback_task_cancel(task);
        }
        assert_eq!(wait(task), wingback_status::Cancelled);
        free(task);
        free(started::<()>(pending()));
    }

    unsafe extern "C" fn count(calls: *mut c_void) {
        // SAFETY: the tests set this function only with a pointer to an `AtomicUsize`, by `on_done`.
        unsafe { &*calls.cast::<AtomicUsize>() }.fetch_add(1, SeqCst);
    }

    fn on_done(task: *const wingback_task, calls: &AtomicUsize) -> wingback_status {
        let user_data = (&raw const *calls).cast_mut().cast();
        // SAFETY: the tests have not freed the task. They free it before `calls` goes out of scope, and a
        // free waits for `count`.
        unsafe { wingback_task_on_done(task, Some(count), user_data, std::ptr::null_mut()) }
    }

    #[test]
    fn on_done_is_called_once_early_or_late_and_not_after_a_free() {
        for is_late in [false, true] {
            let calls = AtomicUsize::new(0);
            let task = started(ready(Ok(())));
            if is_late {
                assert_eq!(wait(task), wingback_status::Ok);
            }
            assert_eq!(on_done(task, &calls), wingback_status::Ok);
            assert_eq!(on_done(task, &calls), wingback_status::InvalidInput);
            while calls.load(SeqCst) == 0 {
                thread::yield_now();
            }
            free(task);
            assert_eq!(calls.load(SeqCst), 1);
        }
        let calls = AtomicUsize::new(0);
        let task = started::<()>(pending());
        assert_eq!(on_done(task, &calls), wingback_status::Ok);
        free(task);
        assert_eq!(calls.load(SeqCst), 0);
    }
}
