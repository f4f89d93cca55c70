//! Work that is left over when a future is dropped. It may block, so it runs on a thread of its own.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use crate::rt::threads;

/// A value whose drop may block: it closes a large file, or removes one. The value is dropped on a
/// thread of the engine, which [`join_threads`](crate::join_threads) waits for.
#[derive(Debug)]
pub(crate) struct Background<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Background<T> {
    pub(crate) fn new(value: T) -> Self {
        Background(Some(value))
    }

    /// The value, to be dropped by the caller.
    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Deref for Background<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> DerefMut for Background<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            run(move || drop(value));
        }
    }
}

/// Runs `work` on a thread of the engine. Without a thread, `work` is dropped here: whatever it owns
/// cleans up by its own drop.
pub(crate) fn run(work: impl FnOnce() + Send + 'static) {
    let _ = threads::spawn("wingback", work);
}

/// Counts work that goes on although nobody awaits it. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    count: usize,
    waiting: Vec<Waker>,
}

/// One piece of work, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingWork(Pending);

impl Pending {
    pub(crate) fn begin(&self) -> PendingWork {
        self.lock().count += 1;
        PendingWork(self.clone())
    }

    /// Resolves once there is no such work.
    pub(crate) async fn none(&self) {
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

impl Drop for PendingWork {
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
    fn work_is_waited_for_to_its_end() {
        let pending = Pending::default();
        assert!(pending.none().now_or_never().is_some());
        let (first, second) = (pending.begin(), pending.clone().begin());
        let mut none = Box::pin(pending.none());
        drop(first);
        assert!((&mut none).now_or_never().is_none());
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            drop(second);
        });
        futures::executor::block_on(none);
        late.join().expect("it ends");
    }
}
