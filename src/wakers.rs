//! The wakers of the futures that wait for a change.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Waker},
};

/// The wakers to call. If there are none, [`wake`](Wakers::wake) costs one load.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    count: AtomicUsize,
    next: AtomicU64,
    list: Mutex<Vec<(u64, Waker)>>,
}

impl Wakers {
    pub(crate) fn wake(&self) {
        if self.count.load(SeqCst) > 0 {
            let woken = std::mem::take(&mut *self.lock());
            woken.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One entry of [`Wakers`]. Dropping it removes the entry.
#[derive(Debug)]
pub(crate) struct Waiter {
    wakers: Arc<Wakers>,
    id: u64,
}

impl Waiter {
    pub(crate) fn new(wakers: &Arc<Wakers>) -> Self {
        let id = wakers.next.fetch_add(1, Relaxed);
        wakers.count.fetch_add(1, SeqCst);
        Waiter { wakers: wakers.clone(), id }
    }

    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut list = self.wakers.lock();
        match list.iter_mut().find(|(id, _)| *id == self.id) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => list.push((self.id, cx.waker().clone())),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.wakers.count.fetch_sub(1, SeqCst);
        self.wakers.lock().retain(|(id, _)| *id != self.id);
    }
}
