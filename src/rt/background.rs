//! Work that remains when a future is dropped. It may block, so it runs on a thread of its own.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use crate::rt::threads;

/// A value whose drop may block, for example since it closes or removes a large file. The value is dropped
/// on a thread of the engine. [`join_threads`](crate::join_threads) waits for that thread.
#[derive(Debug)]
pub(crate) struct Background<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Background<T> {
    pub(crate) fn new(value: T) -> Self {
        Background(Some(value))
    }

    /// Returns the value. The caller drops it.
    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("the value is present until the drop")
    }
}

impl<T: Send + 'static> Deref for Background<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the value is present until the drop")
    }
}

impl<T: Send + 'static> DerefMut for Background<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("the value is present until the drop")
    }
}

impl<T: Send + 'static> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            run(move || drop(value));
        }
    }
}

/// Runs `work` on a thread of the engine. If no thread can be started, `work` is dropped here, and the
/// values that it owns clean up in their own drops.
pub(crate) fn run(work: impl FnOnce() + Send + 'static) {
    let _ = threads::spawn("wingback", work);
}

/// Counts work that runs although nobody awaits it. Clones share one count.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingWork(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    count: usize,
    waiting: Vec<Waker>,
}

/// One piece of work. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct WorkGuard(PendingWork);

impl PendingWork {
    pub(crate) fn begin(&self) -> WorkGuard {
        self.lock().count += 1;
        WorkGuard(self.clone())
    }

    /// Resolves when the count is 0.
    pub(crate) async fn wait_until_idle(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.count == 0 {
                return Poll::Ready(());
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WorkGuard {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.count -= 1;
        if state.count == 0 {
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread::{self, ThreadId},
        time::Duration,
    };

    use futures::FutureExt;

    use super::*;

    struct Dropped(mpsc::Sender<ThreadId>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn a_value_is_dropped_on_another_thread_unless_it_was_taken_out() {
        let (sender, dropped) = mpsc::channel();
        drop(Background::new(Dropped(sender.clone())));
        let on = dropped.recv_timeout(Duration::from_secs(10)).expect("dropped");
        assert_ne!(on, thread::current().id());
        drop(Background::new(Dropped(sender)).into_inner());
        assert_eq!(dropped.try_recv(), Ok(thread::current().id()));
    }

    #[test]
    fn the_wait_ends_with_the_last_work() {
        let pending = PendingWork::default();
        assert!(pending.wait_until_idle().now_or_never().is_some());
        let (first, second) = (pending.begin(), pending.clone().begin());
        let mut idle = Box::pin(pending.wait_until_idle());
        drop(first);
        assert!((&mut idle).now_or_never().is_none());
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            drop(second);
        });
        futures::executor::block_on(idle);
        late.join().expect("it ends");
    }
}
