//! The thread that requests run on, and futures that any executor can poll.

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

/// How long the thread outlives its owner for the sake of what is still to be cleaned up.
const GRACE: Duration = Duration::from_secs(30);

/// A thread with a runtime. It ends once this is dropped and what [`Runtime::finish`] was given is
/// done.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: runtime::Handle,
    pending_cleanups: Arc<watch::Sender<usize>>,
    /// Dropped, it ends the thread.
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
            // A lookup of a name cannot be interrupted, and nobody waits for it.
            runtime.shutdown_background();
        })?;
        Ok(Runtime { handle, pending_cleanups, _owner: owner })
    }

    /// Runs `work` on the thread. Dropping the call ends it.
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

    /// Runs `work` to its end, whoever still waits for it: the thread and [`Runtime::wait_for_cleanup`] do.
    pub(crate) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        let pending_cleanups = PendingCleanup::new(self.pending_cleanups.clone());
        self.handle.spawn(async move {
            // Where nobody waits, the outcome is dropped here, before it counts as settled.
            let _ = answer.send(work.await);
            drop(pending_cleanups);
        });
        answered.map(|answer| answer.map_err(|_| gone())).boxed()
    }

    /// Resolves once nothing is left of what was to be settled.
    pub(crate) fn wait_for_cleanup(&self) -> impl Future<Output = ()> + Send + use<> {
        let pending_cleanups = self.pending_cleanups.clone();
        async move { wait_for_cleanup(&pending_cleanups).await }
    }
}

async fn wait_for_cleanup(pending_cleanups: &watch::Sender<usize>) {
    // It fails where the sender is gone, and it is here.
    let _ = pending_cleanups.subscribe().wait_for(|&n| n == 0).await;
}

/// One of those that are not settled.
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

/// Work on the thread, awaited from anywhere.
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
