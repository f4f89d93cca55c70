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

/// A thread with a runtime. It ends once this is dropped and what [`Runtime::settle`] was given is
/// done.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: runtime::Handle,
    unsettled: Arc<watch::Sender<usize>>,
    /// Dropped, it ends the thread.
    _owner: oneshot::Sender<()>,
}

impl Runtime {
    pub(crate) fn start() -> Result<Self> {
        let fail = |e| Error::io("start a thread", e);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let handle = runtime.handle().clone();
        let (owner, owned) = oneshot::channel();
        let unsettled = Arc::new(watch::Sender::new(0));
        let left = unsettled.clone();
        threads::spawn("wingback-net", move || {
            runtime.block_on(async {
                let _ = owned.await;
                let _ = tokio::time::timeout(GRACE, settled(&left)).await;
            });
            // A lookup of a name cannot be interrupted, and nobody waits for it.
            runtime.shutdown_background();
        })?;
        Ok(Runtime { handle, unsettled, _owner: owner })
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

    /// Runs `work` to its end, whoever still waits for it: the thread and [`Runtime::settled`] do.
    pub(crate) fn settle<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        let unsettled = Unsettled::new(self.unsettled.clone());
        self.handle.spawn(async move {
            // Where nobody waits, the outcome is dropped here, before it counts as settled.
            let _ = answer.send(work.await);
            drop(unsettled);
        });
        answered.map(|answer| answer.map_err(|_| gone())).boxed()
    }

    /// Resolves once nothing is left of what was to be settled.
    pub(crate) fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let unsettled = self.unsettled.clone();
        async move { settled(&unsettled).await }
    }
}

async fn settled(unsettled: &watch::Sender<usize>) {
    // It fails where the sender is gone, and it is here.
    let _ = unsettled.subscribe().wait_for(|&n| n == 0).await;
}

/// One of those that are not settled.
struct Unsettled(Arc<watch::Sender<usize>>);

impl Unsettled {
    fn new(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|n| *n += 1);
        Unsettled(count)
    }
}

impl Drop for Unsettled {
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
