//! Threads that decode and write, and the bound on the memory they share.
//!
//! The thread that leads hands out tasks and takes results in order; it alone waits for others.
//! Tasks never wait for one another, so they always come to an end and give their memory back.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use crate::{
    error::{Error, ErrorKind, Result},
    format::buffer::{Buf, Pool, Pooled},
    read::inflate::Inflater,
    write::pipeline::lower_priority,
};

/// Something for a worker to do, with its decoder.
type Task = Box<dyn FnOnce(&mut Inflater) -> Result<()> + Send>;

/// The workers. Dropping it stops them once their present task is done.
pub(crate) struct WorkerPool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Something changed that the others may wait for.
    changed: Condvar,
    pool: Pool,
    stretches_max: usize,
}

#[derive(Default)]
struct State {
    /// What frees memory goes first.
    writes: VecDeque<Task>,
    reads: VecDeque<Task>,
    running: usize,
    stretches: usize,
    error: Option<Error>,
    stopping: bool,
}

impl WorkerPool {
    /// Starts `threads` workers.
    pub(crate) fn start(threads: usize, background: bool) -> Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            pool: Pool::default(),
            stretches_max: 2 * threads + 2,
        });
        let mut crew = WorkerPool { shared, workers: Vec::with_capacity(threads) };
        for i in 0..threads {
            let shared = crew.shared.clone();
            let worker = std::thread::Builder::new()
                .name(format!("wingback-read-{i}"))
                .spawn(move || {
                    if background {
                        lower_priority();
                    }
                    shared.work();
                })
                .map_err(|e| Error::io("start a thread", e))?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    /// Queues a task that makes a stretch.
    pub(crate) fn read(&self, task: impl FnOnce(&mut Inflater) -> Result<()> + Send + 'static) {
        self.shared.lock().reads.push_back(Box::new(task));
        self.shared.changed.notify_all();
    }

    /// Queues a task that uses one up.
    pub(crate) fn write(&self, task: impl FnOnce() -> Result<()> + Send + 'static) {
        self.shared.lock().writes.push_back(Box::new(|_| task()));
        self.shared.changed.notify_all();
    }

    /// Memory for a stretch, if there is room for one more.
    pub(crate) fn try_stretch(&self) -> Option<Buffer> {
        self.shared.try_stretch(&mut self.shared.lock())
    }

    /// Memory for a stretch, as soon as there is room; an error if a task failed meanwhile.
    pub(crate) fn stretch(&self) -> Result<Buffer> {
        self.shared.stretch()
    }

    /// Hands out memory for stretches on another thread.
    pub(crate) fn stretches(&self) -> BufferPermits {
        BufferPermits(self.shared.clone())
    }

    /// Fails if a task did.
    pub(crate) fn check(&self) -> Result<()> {
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }

    /// Waits until all tasks are done; an error if one failed.
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
            // Panics were caught, and are errors by now.
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
                // What is left will never run; its memory and open files go with it.
                let left = (std::mem::take(&mut state.writes), std::mem::take(&mut state.reads));
                drop(state);
                drop(left);
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

    fn try_stretch(self: &Arc<Self>, state: &mut State) -> Option<Buffer> {
        if state.stretches >= self.stretches_max {
            return None;
        }
        state.stretches += 1;
        Some(Buffer { buf: self.pool.take(), shared: self.clone() })
    }

    fn stretch(self: &Arc<Self>) -> Result<Buffer> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.stopping {
                return Err(Error::cancelled());
            }
            match self.try_stretch(&mut state) {
                Some(blank) => return Ok(blank),
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

/// See [`WorkerPool::stretches`].
pub(crate) struct BufferPermits(Arc<Shared>);

impl BufferPermits {
    /// As [`WorkerPool::stretch`].
    pub(crate) fn next(&self) -> Result<Buffer> {
        self.0.stretch()
    }
}

/// Memory for one stretch of the tar stream.
pub(crate) struct Buffer {
    buf: Pooled,
    shared: Arc<Shared>,
}

impl Buffer {
    pub(crate) fn buf(&mut self) -> &mut Buf {
        &mut self.buf
    }

    /// As scratch memory of the same kind.
    pub(crate) fn scratch(&self) -> Pooled {
        self.shared.pool.take()
    }

    /// To be read from now on, by any number.
    pub(crate) fn freeze(self) -> SharedBuffer {
        SharedBuffer(Arc::new(self))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.shared.lock().stretches -= 1;
        self.shared.changed.notify_all();
    }
}

/// The bytes of a stretch. Clones share them, and the last gives the memory back.
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
