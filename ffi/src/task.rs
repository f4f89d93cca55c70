//! `wingback_task`: one running operation.
//!
//! A thread of its own, the driver, polls the engine's future; whoever holds the handle only
//! observes.

use std::{
    any::Any,
    cell::Cell,
    ffi::c_void,
    future::Future,
    ptr,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures::{
    executor::block_on,
    future::{AbortHandle, Abortable},
};
use wingback::{Error, ErrorKind, Handle, Task};

use crate::{
    enums::{wingback_log_level, wingback_phase, wingback_status},
    error::{Failure, Result, wingback_error},
    guard::{caught, guard, infallible},
    log::log,
    opaque::{self, Borrowed, Opaque, Out, Owned, PATIENCE, lend},
    record::{self, Record},
    signals,
};

/// A running operation, such as a backup. It runs whether or not anybody waits for it.
pub struct wingback_task {
    _opaque: [u8; 0],
}

impl Opaque for wingback_task {
    type Rust = Running;
    type By = Owned;
}

/// How far a task is. No number ever becomes smaller.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_progress {
    /// sizeof(wingback_progress).
    pub struct_size: usize,
    /// What is being done.
    pub phase: wingback_phase,
    /// Whether the expected numbers are known.
    pub is_expected_known: bool,
    /// Files taken up so far.
    pub files: u64,
    /// Bytes of content that are done: of a backup, those read or known to be holes; of what reads
    /// an archive, those that came out of it.
    pub bytes: u64,
    /// Bytes of the archive that the destination has taken; only a backup writes one.
    pub written: u64,
    /// Bytes of the archive that a service has confirmed; 0 where the destination is no service.
    pub uploaded: u64,
    /// What the files will come to.
    pub expected_files: u64,
    /// What the bytes will come to.
    pub expected_bytes: u64,
}

// SAFETY: it is what it has to be; phase 0 is Starting.
unsafe impl Record for wingback_progress {}

/// Is called once, on a thread of the library, when a task is over. It may signal whoever waits, and
/// free the task; it should do nothing that takes long.
pub type wingback_done_function = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// What a task gave: one of the results, each with a type of its own.
pub(crate) type Outcome = Box<dyn Any + Send + Sync>;

/// A task, as its handle sees it.
pub(crate) struct Running {
    what: &'static str,
    control: Control,
    shared: Arc<Shared>,
}

/// How it is watched and cancelled.
enum Control {
    Task(Handle),
    /// One that has no progress.
    Future(AbortHandle),
}

#[derive(Default)]
struct Shared {
    outcome: OnceLock<Result<Outcome>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the outcome is set.
    is_over: bool,
    on_done: Option<OnDone>,
    had_on_done: bool,
    /// The driver, and a later caller of `on_done`.
    threads: Vec<JoinHandle<()>>,
    /// How many of those still run.
    running: usize,
}

thread_local! {
    /// Which task this thread is one of.
    static OF: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

struct OnDone {
    function: unsafe extern "C" fn(*mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the header says on which thread it is called.
unsafe impl Send for OnDone {}

impl OnDone {
    fn call(self) {
        // SAFETY: the header says how it is called.
        unsafe { (self.function)(self.user_data) };
    }
}

/// Starts a task of the engine, and hands its handle out.
pub(crate) fn start<T: 'static, R: Any + Send + Sync>(
    what: &'static str,
    task: Task<'static, T>,
    out: Out<*mut wingback_task>,
    result: impl FnOnce(T) -> R + Send + 'static,
) -> Result<()> {
    let control = Control::Task(task.handle());
    let work = async move { Ok(Box::new(result(task.await?)) as Outcome) };
    drive(what, control, work, out)
}

/// Starts what is no task of the engine, likewise. A cancel drops it.
pub(crate) fn start_future<T: 'static, R: Any + Send + Sync>(
    what: &'static str,
    future: impl Future<Output = wingback::Result<T>> + Send + 'static,
    out: Out<*mut wingback_task>,
    result: impl FnOnce(T) -> R + Send + 'static,
) -> Result<()> {
    let (abort, registration) = AbortHandle::new_pair();
    let work = async move {
        let aborted = |_| Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        let value = Abortable::new(future, registration).await.unwrap_or_else(aborted)?;
        Ok(Box::new(result(value)) as Outcome)
    };
    drive(what, Control::Future(abort), work, out)
}

fn drive(
    what: &'static str,
    control: Control,
    work: impl Future<Output = wingback::Result<Outcome>> + Send + 'static,
    out: Out<*mut wingback_task>,
) -> Result<()> {
    let shared = Arc::new(Shared::default());
    let driven = shared.clone();
    shared.spawn(move || {
        log(wingback_log_level::Info, || format!("{what}: begins"));
        let outcome = caught(|| Ok(block_on(work)?));
        match &outcome {
            Ok(_) => log(wingback_log_level::Info, || format!("{what}: done")),
            Err(failure) => {
                let level = match failure.status {
                    wingback_status::Internal => wingback_log_level::Error,
                    wingback_status::Cancelled => wingback_log_level::Info,
                    _ => wingback_log_level::Warning,
                };
                log(level, || format!("{what}: {}", failure.text()));
            }
        }
        driven.end(outcome);
    })?;
    // SAFETY: as the header says.
    unsafe { out.give(Running { what, control, shared }) };
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a thread that a free waits for.
    fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let shared = self.clone();
        // Held, so that the thread is in the list before it is over.
        let mut state = self.lock();
        let body = move || {
            OF.set(Arc::as_ptr(&shared));
            let _ = caught(|| {
                work();
                Ok(())
            });
            shared.lock().running -= 1;
            shared.changed.notify_all();
        };
        // From its first moment on.
        let _blocked = signals::block();
        let thread = thread::Builder::new().name("wingback-task".into()).spawn(body);
        let fail = |e| Failure::from(Error::io("start a thread", e));
        state.threads.push(thread.map_err(fail)?);
        state.running += 1;
        Ok(())
    }

    fn end(&self, outcome: Result<Outcome>) {
        let on_done = {
            let mut state = self.lock();
            let _ = self.outcome.set(outcome);
            state.is_over = true;
            state.on_done.take()
        };
        self.changed.notify_all();
        if let Some(on_done) = on_done {
            on_done.call();
        }
    }

    /// Waits while it is so; false if it still is after `timeout`.
    fn wait_while(&self, timeout: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let begun = Instant::now();
        let mut state = self.lock();
        while is_so(&state) {
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Running {
    fn cancel(&self) {
        match &self.control {
            Control::Task(handle) => handle.cancel(),
            Control::Future(abort) => abort.abort(),
        }
    }

    /// What it gave, or how it failed; `NotYet` while it runs.
    fn outcome(&self) -> Result<&Outcome> {
        match self.shared.outcome.get() {
            None => Err(Failure::only(wingback_status::NotYet)),
            Some(outcome) => outcome.as_ref().map_err(Clone::clone),
        }
    }

    /// Cancels it and waits for its threads; false if they cannot be waited for.
    fn shut_down(&self) -> bool {
        self.shared.lock().on_done = None;
        self.cancel();
        if OF.get() == Arc::as_ptr(&self.shared) {
            return false;
        }
        if !self.shared.wait_while(PATIENCE, |state| state.running > 0) {
            log(wingback_log_level::Warning, || {
                format!("{}: does not stop, and is left to itself", self.what)
            });
            return false;
        }
        let threads = std::mem::take(&mut self.shared.lock().threads);
        threads.into_iter().for_each(|thread| drop(thread.join()));
        true
    }

    fn progress(&self) -> wingback_progress {
        let mut progress = wingback_progress {
            struct_size: 0,
            phase: wingback_phase::Starting,
            is_expected_known: false,
            files: 0,
            bytes: 0,
            written: 0,
            uploaded: 0,
            expected_files: 0,
            expected_bytes: 0,
        };
        match &self.control {
            Control::Task(handle) => {
                let now = handle.progress();
                let expected = now.expected.unwrap_or_default();
                progress.phase = now.phase.into();
                progress.is_expected_known = now.expected.is_some();
                (progress.files, progress.bytes) = (now.files, now.bytes);
                (progress.written, progress.uploaded) = (now.written, now.uploaded);
                progress.expected_files = expected.files;
                progress.expected_bytes = expected.bytes;
            }
            Control::Future(_) if self.shared.outcome.get().is_some() => {
                progress.phase = wingback_phase::Done;
            }
            Control::Future(_) => {}
        }
        progress
    }
}

/// The result of a task, which must be over and of that kind.
///
/// # Safety
///
/// As of [`opaque::get`].
pub(crate) unsafe fn result<'a, T: Any>(
    task: *const wingback_task,
    what: &'static str,
) -> Result<&'a T> {
    // SAFETY: the caller says so.
    let task = unsafe { opaque::get(task, "task") }?;
    let outcome = task.outcome()?;
    outcome.downcast_ref().ok_or_else(|| {
        Failure::invalid(format!("this task is one to {}; it gives no {what}", task.what))
    })
}

/// Lends C the result of a task: the body of the calls that do that.
///
/// # Safety
///
/// As the header says of each argument.
pub(crate) unsafe fn lend_result<C>(
    task: *const wingback_task,
    place: *mut *const C,
    what: &'static str,
    error: *mut *mut wingback_error,
) -> wingback_status
where
    C: Opaque<By = Borrowed, Rust: Any>,
{
    let body = || {
        let out = opaque::out(place, "the place for the result")?;
        // SAFETY: the caller says so.
        unsafe { out.set(lend(result::<C::Rust>(task, what)?)) };
        Ok(())
    };
    // SAFETY: the caller says so.
    unsafe { guard(error, body) }
}

/// Waits until the task is over: for so many milliseconds, for none at 0, without end if negative.
/// OK if it ended well, NOT_YET if it is not over, else how it failed. Any number of threads may
/// wait, and as often as they like.
///
/// Blocks for as long as that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_wait(
    task: *const wingback_task,
    timeout_ms: i64,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        // SAFETY: as the header says.
        let task = unsafe { opaque::get(task, "task") }?;
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        task.shared.wait_while(timeout, |state| !state.is_over);
        task.outcome().map(drop)
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// How far the task is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_progress(
    task: *const wingback_task,
    progress: *mut wingback_progress,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        // SAFETY: as the header says.
        unsafe {
            let task = opaque::get(task, "task")?;
            record::write(progress, &task.progress(), "progress")
        }
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Asks the task to stop. It is over with CANCELLED once what it had begun is removed; where its
/// commit has begun it is too late, and it ends as if nobody had asked. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_cancel(task: *const wingback_task) {
    infallible((), || {
        // SAFETY: as the header says.
        if let Ok(task) = unsafe { opaque::get(task, "task") } {
            task.cancel();
        }
    });
}

/// Has `function` called with `user_data` when the task is over, or soon if it is already: once, on
/// a thread of the library. It is not called if the task is freed before, and has returned when that
/// does unless it takes longer than a free waits. INVALID_INPUT if the task has such a function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_on_done(
    task: *const wingback_task,
    function: wingback_done_function,
    user_data: *mut c_void,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let body = || {
        // SAFETY: as the header says.
        let task = unsafe { opaque::get(task, "task") }?;
        let function = function.ok_or_else(|| opaque::null("function"))?;
        let mut state = task.shared.lock();
        if state.had_on_done {
            return Err(Failure::invalid("the task has a function to call already"));
        }
        state.had_on_done = true;
        let on_done = OnDone { function, user_data };
        if !state.is_over {
            state.on_done = Some(on_done);
            return Ok(());
        }
        drop(state);
        let spawned = task.shared.spawn(move || on_done.call());
        task.shared.lock().had_on_done = spawned.is_ok();
        spawned
    };
    // SAFETY: as the header says.
    unsafe { guard(error, body) }
}

/// Frees the task and its results. One that runs is cancelled first. NULL is fine.
///
/// Blocks until its threads have ended, for five seconds at most; one that cannot be stopped, such
/// as on a dead mount, is left to itself. Within the function that `wingback_task_on_done` was given
/// it does not wait, and that thread ends when the function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_task_free(task: *mut wingback_task) {
    infallible((), || {
        // SAFETY: as the header says.
        let Some(mut task) = (unsafe { opaque::take(task) }) else {
            return;
        };
        if !task.get().is_none_or(Running::shut_down) {
            task.patience = Duration::ZERO;
        }
    });
}

/// Without the engine, so that Miri can run them.
#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    fn started<T: Any + Send + Sync>(
        future: impl Future<Output = wingback::Result<T>> + Send + 'static,
    ) -> *mut wingback_task {
        let mut task = std::ptr::null_mut();
        let out = opaque::out(&raw mut task, "task").expect("a place");
        start_future("test", future, out, |value| value).expect("started");
        task
    }

    fn wait(task: *const wingback_task) -> wingback_status {
        // SAFETY: it was not freed yet.
        unsafe { wingback_task_wait(task, -1, std::ptr::null_mut()) }
    }

    fn free(task: *mut wingback_task) {
        // SAFETY: nobody uses it any more.
        unsafe { wingback_task_free(task) };
    }

    #[test]
    fn a_result_is_lent_until_the_task_is_freed() {
        let task = started(ready(Ok(String::from("value"))));
        assert_eq!(wait(task), wingback_status::Ok);
        // SAFETY: it was not freed yet.
        unsafe {
            assert_eq!(result::<String>(task, "text").expect("that kind"), "value");
            assert!(result::<u64>(task, "number").is_err());
        }
        free(task);
    }

    #[test]
    fn an_error_and_a_panic_are_a_status_as_often_as_one_asks() {
        let failed = Error::new(ErrorKind::Busy, "try");
        let task = started::<()>(ready(Err(failed)));
        assert_eq!([wait(task), wait(task)], [wingback_status::Busy; 2]);
        free(task);
        let task = started::<()>(async { panic!("on purpose") });
        assert_eq!([wait(task), wait(task)], [wingback_status::Internal; 2]);
        free(task);
    }

    #[test]
    fn a_cancel_ends_it_and_a_free_cancels() {
        let task = started::<()>(pending());
        // SAFETY: it was not freed yet.
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
        // SAFETY: the tests below give this.
        unsafe { &*calls.cast::<AtomicUsize>() }.fetch_add(1, SeqCst);
    }

    fn on_done(task: *const wingback_task, calls: &AtomicUsize) -> wingback_status {
        let user_data = (&raw const *calls).cast_mut().cast();
        // SAFETY: the task is freed before the number goes.
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
