//! A running operation: a future, and a handle to watch and cancel it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, executor::block_on, future::BoxFuture};

use crate::{
    error::{Error, Result},
    progress::{Phase, Progress, Tracker, Updates},
};

/// A running operation. It is a future that any executor can poll, and nothing has to be spawned.
///
/// Nothing happens before the first poll.
///
/// # Cancel safety
///
/// Dropping a task cancels it without waiting: its threads stop within moments. What it wrote for an archive
/// is removed after that; [`Store::wait_for_cleanup`](crate::Store::wait_for_cleanup) and
/// [`join_threads`](crate::join_threads) wait for it. To cancel in order, call [`Handle::cancel`] and poll
/// the task until it resolves.
#[must_use = "nothing happens before a task is polled"]
pub struct Task<'a, T> {
    future: BoxFuture<'a, Result<T>>,
    handle: Handle,
}

impl<'a, T> Task<'a, T> {
    pub(crate) fn new<F>(run: impl FnOnce(Arc<Tracker>) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'a,
    {
        let tracker = Arc::new(Tracker::default());
        Task { future: run(tracker.clone()).boxed(), handle: Handle(tracker) }
    }

    /// Returns a handle that watches and cancels the task from any thread. It may outlive the task.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Polls the task on the calling thread, and blocks that thread until the task resolves. It needs no
    /// executor.
    ///
    /// Do not call it in async code: the executor's thread would block, and other futures on that thread would
    /// not run. Await the task there instead.
    ///
    /// ```
    /// use wingback::Backup;
    ///
    /// # let tmp = tempfile::tempdir().unwrap();
    /// # let dir = tmp.path();
    /// # std::fs::write(dir.join("level.dat"), "level").unwrap();
    /// let mut archive = futures::io::Cursor::new(Vec::new());
    /// let report = Backup::new(dir).write_to(&mut archive).wait()?;
    /// assert_eq!(report.size, archive.get_ref().len() as u64);
    /// # Ok::<(), wingback::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// # Panics
    ///
    /// If an executor of the crate `futures` already runs on this thread.
    pub fn wait(self) -> Result<T> {
        block_on(self)
    }
}

impl<T> Future for Task<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let result = self.future.poll_unpin(cx);
        if result.is_ready() {
            self.handle.0.enter(Phase::Done);
        }
        result
    }
}

impl<T> Drop for Task<'_, T> {
    fn drop(&mut self) {
        self.handle.0.cancel();
        self.handle.0.enter(Phase::Done);
    }
}

impl<T> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.handle.progress()).finish()
    }
}

/// Watches and cancels a [`Task`]. Clones refer to the same task. Dropping a handle does nothing.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Tracker>);

impl Handle {
    /// Returns the current progress.
    pub fn progress(&self) -> Progress {
        self.0.snapshot()
    }

    /// Returns a stream with the progress after each change.
    pub fn updates(&self) -> Updates {
        Updates::new(self.0.clone())
    }

    /// Asks the task to stop. Returns at once.
    ///
    /// The task must still be polled. It removes what it wrote and then resolves with
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). If the commit has begun, it is too late: the
    /// task resolves as if it had not been cancelled.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Polls `work` until it is done or the task is cancelled.
pub(crate) async fn unless_cancelled<T>(
    tracker: &Tracker,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let cancelled = std::pin::pin!(tracker.cancelled());
    let work = std::pin::pin!(work);
    match futures::future::select(cancelled, work).await {
        futures::future::Either::Left(_) => Err(Error::cancelled()),
        futures::future::Either::Right((result, _)) => result,
    }
}
