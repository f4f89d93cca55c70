//! The engine's threads, kept in mind so that one can wait for their end.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// Those that nobody else joins.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Between two looks at them.
const TICK: Duration = Duration::from_millis(1);

/// Runs `work` on a thread of its own.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let fail = |e| Error::io("start a thread", e);
    let thread = Builder::new().name(name.to_owned()).spawn(work).map_err(fail)?;
    let mut threads = lock();
    join_ended(&mut threads);
    threads.push(thread);
    Ok(())
}

/// Waits, blocking, until no thread of the engine is left in this process; false if some is after
/// `timeout`.
///
/// A task's threads end by themselves, moments after it resolved or was dropped, and a store's with
/// the last of its clones. Who unloads the library, or counts threads, wants to know when.
pub fn join_threads(timeout: Duration) -> bool {
    let begun = Instant::now();
    loop {
        let mut threads = lock();
        join_ended(&mut threads);
        if threads.is_empty() {
            return true;
        }
        drop(threads);
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(TICK));
    }
}

fn lock() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// They have run their work, so that joining them takes no time worth naming.
fn join_ended(threads: &mut Vec<JoinHandle<()>>) {
    for ended in threads.extract_if(.., |thread| thread.is_finished()) {
        // Whoever waits for its work is told of a panic by the end of a channel.
        let _ = ended.join();
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
