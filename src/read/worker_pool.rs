//! The threads that decode and write, and the limit for the memory that they share.
//!
//! The calling thread queues tasks and takes the results in order. Only that thread waits for others.
//! Tasks never wait for each other, so they always end and return their buffers.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use super::inflate::Inflater;
use crate::{
    error::{Error, ErrorKind, Result},
    format::buffer::{Buf, Pool, Pooled},
    rt::threads::lower_priority,
};

/// A task for a worker, which passes its decoder.
type Task = Box<dyn FnOnce(&mut Inflater) -> Result<()> + Send>;

/// A pool of worker threads. Dropping it stops each thread after its current task.
pub(crate) struct WorkerPool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Signals every change of the state.
    changed: Condvar,
    pool: Pool,
    buffers_max: usize,
}

#[derive(Default)]
struct State {
    /// Tasks that use up buffers. They go first, since they free memory.
    writes: VecDeque<Task>,
    reads: VecDeque<Task>,
    running: usize,
    /// Buffers in use.
    buffers: usize,
    error: Option<Error>,
    stopping: bool,
}

impl WorkerPool {
    /// Starts `threads` workers, with low priority if `background` is set.
    pub(crate) fn start(threads: usize, background: bool) -> Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            pool: Pool::default(),
            buffers_max: 2 * threads + 2,
        });
        let mut pool = WorkerPool { shared, workers: Vec::with_capacity(threads) };
        for i in 0..threads {
            let shared = pool.shared.clone();
            let worker = std::thread::Builder::new()
                .name(format!("wingback-read-{i}"))
                .spawn(move || {
                    if background {
                        lower_priority();
                    }
                    shared.work();
                })
                .map_err(|e| Error::io("start a thread", e))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Queues a task that fills a buffer.
    pub(crate) fn read(&self, task: impl FnOnce(&mut Inflater) -> Result<()> + Send + 'static) {
        self.shared.lock().reads.push_back(Box::new(task));
        self.shared.changed.notify_all();
    }

    /// Queues a task that uses up a buffer.
    pub(crate) fn write(&self, task: impl FnOnce() -> Result<()> + Send + 'static) {
        self.shared.lock().writes.push_back(Box::new(|_| task()));
        self.shared.changed.notify_all();
    }

    /// Returns a buffer, if one more is allowed now.
    pub(crate) fn try_buffer(&self) -> Option<Buffer> {
        self.shared.try_buffer(&mut self.shared.lock())
    }

    /// Waits until one more buffer is allowed, and returns it. Returns the error of a failed task.
    pub(crate) fn buffer(&self) -> Result<Buffer> {
        self.shared.buffer()
    }

    /// Returns a handle that gives buffers to another thread.
    pub(crate) fn buffer_source(&self) -> BufferSource {
        BufferSource(self.shared.clone())
    }

    /// Returns the error of a failed task, if any.
    pub(crate) fn check(&self) -> Result<()> {
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }

    /// Waits until all tasks have ended. Returns the error of a failed task, if any.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut state = self.shared.lock();
        while state.error.is_none()
            && (state.running > 0 || !state.writes.is_empty() || !state.reads.is_empty())
        {
            state = self.shared.wait(state);
        }
        state.error.take().map_or(Ok(()), Err)
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // Panics were caught and turned into errors.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut inflater = Inflater::new();
        let mut state = self.lock();
        loop {
            if state.stopping || state.error.is_some() {
                // The queued tasks will never run. Dropping them frees their buffers and open files.
                let queued = (std::mem::take(&mut state.writes), std::mem::take(&mut state.reads));
                drop(state);
                drop(queued);
                state = self.lock();
                if state.stopping {
                    return;
                }
            }
            let Some(task) = state.next() else {
                state = self.wait(state);
                continue;
            };
            state.running += 1;
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(|| task(&mut inflater)));
            let result = result.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "read the archive")
                    .caused_by("a worker panicked"))
            });
            state = self.lock();
            state.running -= 1;
            if let (Err(e), None) = (result, &state.error) {
                state.error = Some(e);
            }
            self.changed.notify_all();
        }
    }

    fn try_buffer(self: &Arc<Self>, state: &mut State) -> Option<Buffer> {
        if state.buffers >= self.buffers_max {
            return None;
        }
        state.buffers += 1;
        Some(Buffer { buf: self.pool.take(), shared: self.clone() })
    }

    fn buffer(self: &Arc<Self>) -> Result<Buffer> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.stopping {
                return Err(Error::cancelled());
            }
            match self.try_buffer(&mut state) {
                Some(buffer) => return Ok(buffer),
                None => state = self.wait(state),
            }
        }
    }
}

impl State {
    fn next(&mut self) -> Option<Task> {
        self.writes.pop_front().or_else(|| self.reads.pop_front())
    }
}

/// Gives buffers to another thread. See [`WorkerPool::buffer_source`].
pub(crate) struct BufferSource(Arc<Shared>);

impl BufferSource {
    /// Same as [`WorkerPool::buffer`].
    pub(crate) fn next(&self) -> Result<Buffer> {
        self.0.buffer()
    }
}

/// A buffer for a part of the tar stream. It counts against the limit of its pool.
pub(crate) struct Buffer {
    buf: Pooled,
    shared: Arc<Shared>,
}

impl Buffer {
    pub(crate) fn buf(&mut self) -> &mut Buf {
        &mut self.buf
    }

    /// Returns temporary memory that does not count against the limit.
    pub(crate) fn scratch(&self) -> Pooled {
        self.shared.pool.take()
    }

    /// Ends writing and makes the buffer shareable.
    pub(crate) fn freeze(self) -> SharedBuffer {
        SharedBuffer(Arc::new(self))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.shared.lock().buffers -= 1;
        self.shared.changed.notify_all();
    }
}

/// A part of the tar stream. Clones share the bytes, and dropping the last one frees the buffer.
#[derive(Clone)]
pub(crate) struct SharedBuffer(Arc<Buffer>);

impl std::ops::Deref for SharedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.buf
    }
}

impl AsRef<[u8]> for SharedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
