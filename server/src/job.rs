//! Running jobs: their progress, and how to cancel them.

use std::{
    any::Any,
    collections::{HashMap, hash_map},
    ops::Deref,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{Either, select},
};
use smol::{
    Timer,
    channel::{self, Receiver, Sender},
};
use tracing::Instrument;
use uuid::Uuid;
use wingback::{Error, ErrorKind, Handle, Phase, Result, Task};

use crate::{cancel::CancelToken, progress::ProgressView};

/// Shortest time between two progress reports.
const TICK: Duration = Duration::from_millis(250);

/// Starts work in the background. The lines of its log have the ID of the request that began it.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(work.in_current_span()).detach();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Backup,
    Restore,
    Verify,
    Delete,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) uuid: Uuid,
    pub(crate) server: Uuid,
    pub(crate) kind: Kind,
    cancel: CancelToken,
    is_ending: AtomicBool,
    /// Closes when the job's [`Active`] is dropped.
    finished: Receiver<()>,
    handle: Mutex<Option<Handle>>,
    progress: Mutex<Option<ProgressView>>,
}

/// The jobs of a node, at most one for each backup. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs(Arc<Mutex<HashMap<Uuid, Arc<Job>>>>);

/// Keeps a job in [`Jobs`] until it is dropped.
#[derive(Debug)]
pub(crate) struct Active {
    jobs: Jobs,
    job: Arc<Job>,
    _finished: Sender<()>,
}

impl Jobs {
    /// Begins a job; `None` if this backup already has one.
    pub(crate) fn begin(&self, uuid: Uuid, server: Uuid, kind: Kind) -> Option<Active> {
        let mut jobs = lock(&self.0);
        let hash_map::Entry::Vacant(entry) = jobs.entry(uuid) else { return None };
        let (sender, finished) = channel::bounded(1);
        let job = Arc::new(Job {
            uuid,
            server,
            kind,
            cancel: CancelToken::new(),
            is_ending: AtomicBool::new(false),
            finished,
            handle: Mutex::default(),
            progress: Mutex::default(),
        });
        entry.insert(job.clone());
        Some(Active { jobs: self.clone(), job, _finished: sender })
    }

    pub(crate) fn get(&self, uuid: Uuid) -> Option<Arc<Job>> {
        lock(&self.0).get(&uuid).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        lock(&self.0).values().cloned().collect()
    }
}

impl Active {
    /// Returns the job, for watching it beyond its end.
    pub(crate) fn shared(&self) -> Arc<Job> {
        self.job.clone()
    }
}

impl Deref for Active {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // The channel closes after this, so a caller that waits does not find the job any more.
        lock(&self.jobs.0).remove(&self.job.uuid);
    }
}

impl Job {
    /// Asks the job to end. [`finished`](Job::finished) waits for its end.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
        if let Some(handle) = &*lock(&self.handle) {
            handle.cancel();
        }
    }

    /// Resolves when the job has been asked to end.
    pub(crate) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits for `work`, or returns `Cancelled` if the job is cancelled first.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        match select(pin!(work), pin!(self.cancel.cancelled())).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "wait for its turn")),
        }
    }

    /// Runs the job's work. A panic becomes an error, so that the end of every job is recorded and
    /// reported.
    pub(crate) async fn work<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = async {
            panics::check(self.uuid);
            work.await
        };
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
            let error = Error::new(ErrorKind::Internal, "run the job");
            Err(error.caused_by(format!("it panicked: {}", message_of(&*panic))))
        })
    }

    /// Marks that only the record of the result is missing. A client that sees the record need not
    /// see the job any more.
    pub(crate) fn set_ending(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Resolves after the job has ended.
    pub(crate) async fn finished(&self) {
        let _ = self.finished.recv().await;
    }

    pub(crate) fn progress(&self) -> Option<ProgressView> {
        *lock(&self.progress)
    }

    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.handle).is_some()
    }

    /// Runs a task of the engine. Calls `report` with its progress, at most four times a second.
    pub(crate) async fn run<T>(
        &self,
        task: Task<'_, T>,
        mut report: impl FnMut(&ProgressView),
    ) -> Result<T> {
        let handle = task.handle();
        *lock(&self.handle) = Some(handle.clone());
        if self.cancel.is_cancelled() {
            handle.cancel();
        }
        let watch = async {
            let mut last = None;
            loop {
                // Not only after updates: the rate of a task that stands still falls.
                let progress = handle.progress();
                if progress.phase != Phase::Done && last.replace(progress) != Some(progress) {
                    let view = ProgressView { uuid: self.uuid, progress };
                    *lock(&self.progress) = Some(view);
                    report(&view);
                }
                Timer::after(TICK).await;
            }
        };
        smol::future::or(task, watch).await
    }
}

/// Returns the message of a panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(not(test))]
mod panics {
    pub(super) fn check(_: uuid::Uuid) {}
}

/// Panics that tests plan.
#[cfg(test)]
pub(crate) mod panics {
    use super::*;

    static PLANNED: Mutex<Vec<Uuid>> = Mutex::new(Vec::new());

    /// Lets the work of this backup's job panic.
    pub(crate) fn plan(backup: Uuid) {
        lock(&PLANNED).push(backup);
    }

    pub(super) fn check(backup: Uuid) {
        let is_planned = lock(&PLANNED).contains(&backup);
        assert!(!is_planned, "a test planned it");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
