//! What is being done with a backup right now: how far it is, and how it is cancelled.

use std::{
    collections::{HashMap, hash_map},
    ops::Deref,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    StreamExt,
    future::{Either, select},
};
use serde::Serialize;
use smol::{
    Timer,
    channel::{self, Receiver, Sender},
};
use uuid::Uuid;
use wingback::{Error, ErrorKind, Handle, Phase, Progress, Result, Task};

/// The shortest time between two looks.
const TICK: Duration = Duration::from_millis(250);

/// What is being done.
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
    pub(crate) cancelled: Latch,
    /// All is done but for noting it down: whoever sees the note need not see the job any more.
    pub(crate) ending: Latch,
    over: Latch,
    handle: Mutex<Option<Handle>>,
    pace: Mutex<Option<Pace>>,
}

/// How far a job is, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Pace {
    pub(crate) uuid: Uuid,
    pub(crate) phase: &'static str,
    pub(crate) percent: Option<f64>,
    /// Of content.
    pub(crate) bytes: u64,
    pub(crate) expected_bytes: Option<u64>,
    /// Of the archive.
    pub(crate) written: u64,
    /// Bytes of content a second.
    pub(crate) rate: u64,
}

/// The jobs of a node; one for each backup. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs(Arc<Mutex<HashMap<Uuid, Arc<Job>>>>);

/// A job that is under way, for as long as this is there.
#[derive(Debug)]
pub(crate) struct Active {
    jobs: Jobs,
    job: Arc<Job>,
}

impl Jobs {
    /// Begins a job, unless there is one with this backup.
    pub(crate) fn begin(&self, uuid: Uuid, server: Uuid, kind: Kind) -> Option<Active> {
        let mut jobs = lock(&self.0);
        let hash_map::Entry::Vacant(entry) = jobs.entry(uuid) else { return None };
        let job = Arc::new(Job {
            uuid,
            server,
            kind,
            cancelled: Latch::new(),
            ending: Latch::new(),
            over: Latch::new(),
            handle: Mutex::default(),
            pace: Mutex::default(),
        });
        entry.insert(job.clone());
        Some(Active { jobs: self.clone(), job })
    }

    pub(crate) fn get(&self, uuid: Uuid) -> Option<Arc<Job>> {
        lock(&self.0).get(&uuid).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        lock(&self.0).values().cloned().collect()
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
        lock(&self.jobs.0).remove(&self.job.uuid);
        self.job.over.set();
    }
}

impl Job {
    /// Asks it to end; [`over`](Job::over) says when it has.
    pub(crate) fn cancel(&self) {
        self.cancelled.set();
        if let Some(handle) = &*lock(&self.handle) {
            handle.cancel();
        }
    }

    /// Waits for its turn, unless it is cancelled.
    pub(crate) async fn turn<T>(&self, turn: impl Future<Output = T>) -> Result<T> {
        match select(pin!(turn), pin!(self.cancelled.wait())).await {
            Either::Left((turn, _)) => Ok(turn),
            Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "wait for its turn")),
        }
    }

    /// Resolves once nothing of it is left.
    pub(crate) async fn over(&self) {
        self.over.wait().await;
    }

    pub(crate) fn pace(&self) -> Option<Pace> {
        lock(&self.pace).clone()
    }

    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.handle).is_some()
    }

    /// Runs a task of the engine's; tells how far it is, four times a second at most.
    pub(crate) async fn run<T>(&self, task: Task<'_, T>, mut tell: impl FnMut(&Pace)) -> Result<T> {
        let handle = task.handle();
        *lock(&self.handle) = Some(handle.clone());
        if self.cancelled.is_set() {
            handle.cancel();
        }
        let watch = async {
            let mut updates = handle.updates();
            let mut meter = Meter::default();
            while let Some(progress) = updates.next().await {
                if progress.phase == Phase::Done {
                    break;
                }
                let pace = meter.read(self.uuid, &progress);
                *lock(&self.pace) = Some(pace.clone());
                tell(&pace);
                Timer::after(TICK).await;
            }
            std::future::pending().await
        };
        smol::future::or(task, watch).await
    }
}

/// Turns snapshots into a rate: what has passed lately, not since the beginning.
#[derive(Debug, Default)]
struct Meter {
    last: Option<(Instant, u64)>,
    rate: f64,
}

impl Meter {
    fn read(&mut self, uuid: Uuid, progress: &Progress) -> Pace {
        let now = Instant::now();
        if let Some((then, bytes)) = self.last {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            let lately = progress.bytes.saturating_sub(bytes) as f64 / seconds;
            let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-seconds / 2.0).exp() };
            self.rate += (lately - self.rate) * weight;
        }
        self.last = Some((now, progress.bytes));
        let expected = progress.expected.map(|expected| expected.bytes);
        // A tree that grows meanwhile is not more than whole.
        let percent = expected.map(|expected| match expected {
            0 => 100.0,
            _ => (progress.bytes as f64 / expected as f64 * 1000.0).floor().min(1000.0) / 10.0,
        });
        Pace {
            uuid,
            phase: progress.phase.code(),
            percent,
            bytes: progress.bytes,
            expected_bytes: expected,
            written: progress.written,
            rate: self.rate as u64,
        }
    }
}

/// Is set once, and never again open.
#[derive(Debug)]
pub(crate) struct Latch(Sender<()>, Receiver<()>);

impl Latch {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel::bounded(1);
        Latch(sender, receiver)
    }

    pub(crate) fn set(&self) {
        self.0.close();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_closed()
    }

    pub(crate) async fn wait(&self) {
        let _ = self.1.recv().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
