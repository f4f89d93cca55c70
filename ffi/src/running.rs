//! An operation that runs: its driver thread, its result, and the callback at its end.
//!
//! The driver thread polls the engine's future. A handle only watches it, so an operation runs
//! whether or not a caller waits for it.

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
use wingback::{Error, ErrorKind, Handle, Phase, Progress, Task};

use crate::{
    enums::{wingback_log_level, wingback_status},
    failure::{Failure, Result},
    log::log,
    opaque::JOIN_TIMEOUT,
    panics::catch_panic,
    signals,
};

/// The result of an operation. Each operation has a type of its own for it.
type TaskResult = Box<dyn Any + Send + Sync>;

/// An operation, as its handle sees it.
pub(crate) struct Running {
    /// What it does, as an infinitive: "list an archive".
    operation: &'static str,
    control: Control,
    shared: Arc<Shared>,
}

/// How an operation is watched and cancelled.
enum Control {
    /// A task or stream of the engine, which has progress.
    Task(Handle),
    /// Any other future.
    Future(AbortHandle),
}

#[derive(Default)]
struct Shared {
    outcome: OnceLock<Result<TaskResult>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the outcome is set.
    is_done: bool,
    callback: Option<Callback>,
    had_callback: bool,
    /// The driver, and the thread of a callback that was set after the end.
    threads: Vec<JoinHandle<()>>,
    /// How many of those threads still run.
    running: usize,
}

thread_local! {
    /// The operation that this thread works for.
    static CURRENT: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// A function of the caller, and its argument.
pub(crate) struct Callback {
    function: unsafe extern "C" fn(*mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the only field that is not `Send` is `user_data`. The caller of `Callback::new` promised
// that the function may be called with it on any thread.
unsafe impl Send for Callback {}

impl Callback {
    /// # Safety
    ///
    /// `function` may be called once with `user_data`, on any thread.
    pub(crate) unsafe fn new(
        function: unsafe extern "C" fn(*mut c_void),
        user_data: *mut c_void,
    ) -> Self {
        Callback { function, user_data }
    }

    fn call(self) {
        // SAFETY: the caller of `Callback::new` promised that one call is allowed on any thread,
        // and this method consumes the callback.
        unsafe { (self.function)(self.user_data) };
    }
}

impl Running {
    /// Starts a task of the engine.
    pub(crate) fn start<T: 'static, R: Any + Send + Sync>(
        operation: &'static str,
        task: Task<'static, T>,
        result: impl FnOnce(T) -> R + Send + 'static,
    ) -> Result<Self> {
        Running::start_watched(operation, task.handle(), task, result)
    }

    /// Starts a future that `handle` watches and cancels.
    pub(crate) fn start_watched<T: 'static, R: Any + Send + Sync>(
        operation: &'static str,
        handle: Handle,
        future: impl Future<Output = wingback::Result<T>> + Send + 'static,
        result: impl FnOnce(T) -> R + Send + 'static,
    ) -> Result<Self> {
        let work = async move { Ok(Box::new(result(future.await?)) as TaskResult) };
        Running::drive(operation, Control::Task(handle), work)
    }

    /// Starts a future that is not a task of the engine. A cancel drops it.
    pub(crate) fn start_future<T: 'static, R: Any + Send + Sync>(
        operation: &'static str,
        future: impl Future<Output = wingback::Result<T>> + Send + 'static,
        result: impl FnOnce(T) -> R + Send + 'static,
    ) -> Result<Self> {
        let (abort, registration) = AbortHandle::new_pair();
        let work = async move {
            let aborted = |_| Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            let value = Abortable::new(future, registration).await.unwrap_or_else(aborted)?;
            Ok(Box::new(result(value)) as TaskResult)
        };
        Running::drive(operation, Control::Future(abort), work)
    }

    fn drive(
        operation: &'static str,
        control: Control,
        work: impl Future<Output = wingback::Result<TaskResult>> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let driven = shared.clone();
        shared.spawn(move || {
            log(wingback_log_level::Info, || format!("{operation}: started"));
            let outcome = catch_panic(|| Ok(block_on(work)?));
            match &outcome {
                Ok(_) => log(wingback_log_level::Info, || format!("{operation}: done")),
                Err(failure) => {
                    let level = match failure.status {
                        wingback_status::Internal => wingback_log_level::Error,
                        wingback_status::Cancelled => wingback_log_level::Info,
                        _ => wingback_log_level::Warning,
                    };
                    log(level, || format!("{operation}: {}", failure.text()));
                }
            }
            driven.finish(outcome);
        })?;
        Ok(Running { operation, control, shared })
    }

    pub(crate) fn cancel(&self) {
        match &self.control {
            Control::Task(handle) => handle.cancel(),
            Control::Future(abort) => abort.abort(),
        }
    }

    /// Waits until the operation is done or `timeout` has passed. Returns how the operation ended,
    /// or `NotYet`.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<()> {
        self.shared.wait_while(timeout, |state| !state.is_done);
        self.outcome().map(drop)
    }

    /// Returns the result. The operation must be done, and must be one with a result of this type.
    pub(crate) fn result<T: Any>(&self, name: &'static str) -> Result<&T> {
        let operation = self.operation;
        self.outcome()?.downcast_ref().ok_or_else(|| {
            Failure::invalid(format!("the task has no {name}: its operation is to {operation}"))
        })
    }

    fn outcome(&self) -> Result<&TaskResult> {
        match self.shared.outcome.get() {
            None => Err(Failure::status_only(wingback_status::NotYet)),
            Some(outcome) => outcome.as_ref().map_err(Clone::clone),
        }
    }

    /// Calls `callback` when the operation is done: on the driver thread, or on a new thread if it is
    /// done already.
    pub(crate) fn on_done(&self, callback: Callback) -> Result<()> {
        let mut state = self.shared.lock();
        if state.had_callback {
            return Err(Failure::invalid(
                "the task already has a function to call when it is done",
            ));
        }
        state.had_callback = true;
        if !state.is_done {
            state.callback = Some(callback);
            return Ok(());
        }
        drop(state);
        let spawned = self.shared.spawn(move || callback.call());
        self.shared.lock().had_callback = spawned.is_ok();
        spawned
    }

    /// Returns the phase, and the numbers if the operation has any.
    pub(crate) fn progress(&self) -> (Phase, Option<Progress>) {
        match &self.control {
            Control::Task(handle) => {
                let progress = handle.progress();
                (progress.phase, Some(progress))
            }
            Control::Future(_) if self.shared.outcome.get().is_some() => (Phase::Done, None),
            Control::Future(_) => (Phase::Starting, None),
        }
    }

    /// Cancels the operation and joins its threads. Returns false if they could not be joined.
    pub(crate) fn shut_down(&self) -> bool {
        self.shared.lock().callback = None;
        self.cancel();
        if CURRENT.get() == Arc::as_ptr(&self.shared) {
            return false;
        }
        if !self.shared.wait_while(JOIN_TIMEOUT, |state| state.running > 0) {
            log(wingback_log_level::Warning, || {
                format!("{}: does not stop; the task was freed without it", self.operation)
            });
            return false;
        }
        let threads = std::mem::take(&mut self.shared.lock().threads);
        threads.into_iter().for_each(|thread| drop(thread.join()));
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a thread that `shut_down` joins.
    fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let shared = self.clone();
        // The lock is held until the thread is in the list, so that it cannot end before that.
        let mut state = self.lock();
        let body = move || {
            CURRENT.set(Arc::as_ptr(&shared));
            let _ = catch_panic(|| {
                work();
                Ok(())
            });
            shared.lock().running -= 1;
            shared.changed.notify_all();
        };
        // The new thread inherits the mask, so it never takes a signal.
        let _blocked = signals::block();
        let thread = thread::Builder::new().name("wingback-task".into()).spawn(body);
        let fail = |e| Failure::from(Error::io("start a thread", e));
        state.threads.push(thread.map_err(fail)?);
        state.running += 1;
        Ok(())
    }

    fn finish(&self, outcome: Result<TaskResult>) {
        let callback = {
            let mut state = self.lock();
            let _ = self.outcome.set(outcome);
            state.is_done = true;
            state.callback.take()
        };
        self.changed.notify_all();
        if let Some(callback) = callback {
            callback.call();
        }
    }

    /// Waits while `condition` holds. Returns false if it still holds after `timeout`.
    fn wait_while(&self, timeout: Duration, condition: impl Fn(&State) -> bool) -> bool {
        let start = Instant::now();
        let mut state = self.lock();
        while condition(&state) {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
