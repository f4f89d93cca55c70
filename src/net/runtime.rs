//! The network thread, and futures on it that any executor can poll.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, channel::oneshot, future::BoxFuture};
use tokio::{runtime, sync::watch, task::AbortHandle};

use crate::{
    error::{Error, ErrorKind, Result},
    rt::threads,
};

/// Longest time for which the thread outlives its owner to finish cleanups.
const GRACE: Duration = Duration::from_secs(30);

/// A thread with a tokio runtime. It ends after this is dropped and the work of [`Runtime::finish`] is done.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: runtime::Handle,
    pending_cleanups: Arc<watch::Sender<usize>>,
    /// Dropping it ends the thread.
    _owner: oneshot::Sender<()>,
}

impl Runtime {
    pub(crate) fn start() -> Result<Self> {
        let fail = |e| Error::io("start a thread", e);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let handle = runtime.handle().clone();
        let (owner, owned) = oneshot::channel();
        let pending_cleanups = Arc::new(watch::Sender::new(0));
        let left = pending_cleanups.clone();
        threads::spawn("wingback-net", move || {
            runtime.block_on(async {
                let _ = owned.await;
                let _ = tokio::time::timeout(GRACE, wait_for_cleanup(&left)).await;
            });
            // A running name lookup cannot be interrupted, so this does not wait for it.
            runtime.shutdown_background();
        })?;
        Ok(Runtime { handle, pending_cleanups, _owner: owner })
    }

    /// Runs `work` on the thread. Dropping the call stops the work.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Call<T> {
        let (answer, answered) = oneshot::channel();
        let task = self.handle.spawn(async move {
            let _ = answer.send(work.await);
        });
        Call { answered, task: task.abort_handle() }
    }

    /// Runs `work` to its end, even if nobody waits for it. The end of the thread and
    /// [`Runtime::wait_for_cleanup`] wait for it.
    pub(crate) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        let pending_cleanups = PendingCleanup::new(self.pending_cleanups.clone());
        self.handle.spawn(async move {
            // If nobody waits, the result is dropped here, before the cleanup counts as done.
            let _ = answer.send(work.await);
            drop(pending_cleanups);
        });
        answered.map(|answer| answer.map_err(|_| gone())).boxed()
    }

    /// Resolves after all work of [`Runtime::finish`] is done.
    pub(crate) fn wait_for_cleanup(&self) -> impl Future<Output = ()> + Send + use<> {
        let pending_cleanups = self.pending_cleanups.clone();
        async move { wait_for_cleanup(&pending_cleanups).await }
    }
}

async fn wait_for_cleanup(pending_cleanups: &watch::Sender<usize>) {
    // This fails only if the sender is gone, and this function has it.
    let _ = pending_cleanups.subscribe().wait_for(|&n| n == 0).await;
}

/// Counts one cleanup as pending until it is dropped.
struct PendingCleanup(Arc<watch::Sender<usize>>);

impl PendingCleanup {
    fn new(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|n| *n += 1);
        PendingCleanup(count)
    }
}

impl Drop for PendingCleanup {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// Work on the thread. Any executor can await it.
#[derive(Debug)]
pub(crate) struct Call<T> {
    answered: oneshot::Receiver<Result<T>>,
    task: AbortHandle,
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.answered.poll_unpin(cx).map(|answer| answer.unwrap_or_else(|_| Err(gone())))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "talk to the service").caused_by("a thread panicked or ended")
}
