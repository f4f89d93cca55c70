//! Registry of the engine's threads, so that callers can join them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// The threads that were started and not joined yet.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// The pause between two checks for running threads.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Runs `work` on a thread of its own.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let fail = |e| Error::io("start a thread", e);
    let thread = Builder::new().name(name.to_owned()).spawn(work).map_err(fail)?;
    let mut threads = lock();
    join_finished(&mut threads);
    threads.push(thread);
    Ok(())
}

/// How many threads work on an archive, and at which priority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads {
    pub(crate) count: usize,
    pub(crate) background: bool,
}

impl Threads {
    /// Starts a thread of a scope.
    pub(crate) fn start<'scope, T: Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>> {
        Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, move || {
                if self.background {
                    lower_priority();
                }
                body()
            })
            .map_err(|e| Error::io("start a thread", e))
    }
}

/// Waits for the end of a thread. A scope waits only for the end of its work.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Blocks until no thread of the engine is left in this process. Returns false if some thread still runs
/// after `timeout`.
///
/// The threads of a task end by themselves, shortly after the task resolved or was dropped. The threads
/// of a store end with its last clone. A program that unloads the library, or that counts its threads,
/// needs to know when.
pub fn join_threads(timeout: Duration) -> bool {
    let start = Instant::now();
    loop {
        let mut threads = lock();
        join_finished(&mut threads);
        if threads.is_empty() {
            return true;
        }
        drop(threads);
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(CHECK_INTERVAL));
    }
}

fn lock() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins the threads that have finished their work. This takes almost no time.
fn join_finished(threads: &mut Vec<JoinHandle<()>>) {
    for finished in threads.extract_if(.., |thread| thread.is_finished()) {
        // A panic is not lost: the receiver of the result sees that the channel has ended.
        let _ = finished.join();
    }
}

/// Lowers the priority of the calling thread below all other work.
///
/// This applies to the processor, and also to the disk, because Linux derives the I/O priority from the
/// nice value (ioprio_set(2)). On Linux, a nice value belongs to the thread.
pub(crate) fn lower_priority() {
    // If the system refuses this, the thread runs at normal priority.
    let _ = rustix::process::setpriority_process(None, 19);
}
