//! The queue of jobs. A node runs a limited number of jobs, a server runs one, and the others wait in
//! their order.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::channel::oneshot;
use uuid::Uuid;

/// The queue of a node. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    slots: usize,
    running: Vec<Claim>,
    waiting: VecDeque<Waiting>,
}

/// The resources of a job: a slot of the node, exclusive use of a server, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) job: Uuid,
    pub(crate) server: Option<Uuid>,
    pub(crate) slot: bool,
}

#[derive(Debug)]
struct Waiting {
    claim: Claim,
    turn: oneshot::Sender<Turn>,
}

/// A job's turn. Dropping it ends the turn.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Queue,
    claim: Claim,
}

impl Queue {
    pub(crate) fn new(slots: usize) -> Self {
        let state = State { slots, running: Vec::new(), waiting: VecDeque::new() };
        Queue(Arc::new(Mutex::new(state)))
    }

    /// Joins the queue immediately. The future resolves when it is the job's turn. Dropping the future
    /// leaves the queue.
    pub(crate) fn enter(&self, claim: Claim) -> impl Future<Output = Turn> + Send + use<> {
        let (turn, wait) = oneshot::channel();
        self.lock().waiting.push_back(Waiting { claim, turn });
        self.advance();
        async move { wait.await.expect("only the receiver drops a waiting turn") }
    }

    /// Returns the position of a waiting job, from 1.
    pub(crate) fn position(&self, job: Uuid) -> Option<usize> {
        let state = self.lock();
        let mut waiting = state.waiting.iter().filter(|w| !w.turn.is_canceled());
        waiting.position(|w| w.claim.job == job).map(|i| i + 1)
    }

    /// Returns the number of jobs with a slot, and the number of waiting jobs.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let state = self.lock();
        let waiting = state.waiting.iter().filter(|w| !w.turn.is_canceled()).count();
        (state.running.iter().filter(|claim| claim.slot).count(), waiting)
    }

    pub(crate) fn set_slots(&self, slots: usize) {
        self.lock().slots = slots;
        self.advance();
    }

    /// Gives turns to the jobs whose resources are free, in their order.
    fn advance(&self) {
        loop {
            let mut state = self.lock();
            state.waiting.retain(|w| !w.turn.is_canceled());
            let Some(next) = state.waiting.iter().position(|w| state.has_resources_for(w.claim))
            else {
                return;
            };
            let Some(Waiting { claim, turn }) = state.waiting.remove(next) else { return };
            state.running.push(claim);
            // If the receiver is gone, the turn is dropped here, and that needs the lock.
            drop(state);
            drop(turn.send(Turn { queue: self.clone(), claim }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_resources_for(&self, claim: Claim) -> bool {
        let taken = self.running.iter().filter(|running| running.slot).count();
        let is_server_free = claim
            .server
            .is_none_or(|server| self.running.iter().all(|running| running.server != Some(server)));
        is_server_free && (!claim.slot || taken < self.slots)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        if let Some(at) = state.running.iter().position(|claim| *claim == self.claim) {
            state.running.swap_remove(at);
        }
        drop(state);
        self.queue.advance();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn claim(job: u128, server: u128) -> Claim {
        Claim { job: Uuid::from_u128(job), server: Some(Uuid::from_u128(server)), slot: true }
    }

    #[test]
    fn slots_are_shared_and_a_server_has_one_job() {
        let queue = Queue::new(2);
        let mut turns: Vec<_> = [(1, 1), (2, 1), (3, 2), (4, 3)]
            .map(|(job, server)| queue.enter(claim(job, server)).boxed())
            .into();
        let first = turns[0].as_mut().now_or_never().unwrap();
        assert!(turns[1].as_mut().now_or_never().is_none(), "its server is busy");
        let third = turns[2].as_mut().now_or_never().unwrap();
        assert!(turns[3].as_mut().now_or_never().is_none(), "no slot");
        assert_eq!(queue.position(Uuid::from_u128(2)), Some(1));
        assert_eq!(queue.position(Uuid::from_u128(4)), Some(2));
        assert_eq!(queue.lengths(), (2, 2));
        drop(third);
        let fourth = turns[3].as_mut().now_or_never().unwrap();
        drop(first);
        let second = turns[1].as_mut().now_or_never().unwrap();
        drop((second, fourth));
        assert_eq!(queue.lengths(), (0, 0));
    }

    #[test]
    fn a_job_that_leaves_the_queue_blocks_no_other_job() {
        let queue = Queue::new(1);
        let first = queue.enter(claim(1, 1)).now_or_never().unwrap();
        let second = queue.enter(claim(2, 2));
        let mut third = queue.enter(claim(3, 3)).boxed();
        drop(second);
        assert_eq!(queue.position(Uuid::from_u128(3)), Some(1));
        drop(first);
        drop(third.as_mut().now_or_never().unwrap());
        // This job leaves after it has received its turn.
        let given = queue.enter(claim(4, 4));
        drop(given);
        assert!(queue.enter(claim(5, 5)).now_or_never().is_some());
    }

    #[test]
    fn a_restore_needs_its_server_and_no_slot() {
        let queue = Queue::new(1);
        let backup = queue.enter(claim(1, 1)).now_or_never().unwrap();
        let restore = |job, server| queue.enter(Claim { slot: false, ..claim(job, server) });
        assert!(restore(2, 2).now_or_never().is_some());
        let mut waits = restore(3, 1).boxed();
        assert!(waits.as_mut().now_or_never().is_none());
        drop(backup);
        assert!(waits.as_mut().now_or_never().is_some());
    }

    #[test]
    fn more_slots_run_more_jobs() {
        let queue = Queue::new(1);
        let _first = queue.enter(claim(1, 1)).now_or_never().unwrap();
        let mut second = queue.enter(claim(2, 2)).boxed();
        assert!(second.as_mut().now_or_never().is_none());
        queue.set_slots(2);
        assert!(second.as_mut().now_or_never().is_some());
    }
}
