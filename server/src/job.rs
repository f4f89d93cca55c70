//! What is being done with a backup right now: how far it is, and how it is cancelled.

use std::{
    any::Any,
    collections::{HashMap, hash_map},
    ops::Deref,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    FutureExt, StreamExt,
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

    /// The result of the job's work. A panic in the work is an error like any other, so that the job
    /// has an end that is recorded and told.
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

/// What a panic says.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

#[cfg(not(test))]
mod panics {
    pub(super) fn check(_: super::Uuid) {}
}

/// Jobs that a test lets panic.
#[cfg(test)]
pub(crate) mod panics {
    use super::*;

    static IN: Mutex<Vec<Uuid>> = Mutex::new(Vec::new());

    /// The job of this backup panics in its work.
    pub(crate) fn plan(backup: Uuid) {
        lock(&IN).push(backup);
    }

    pub(super) fn check(backup: Uuid) {
        let panics = lock(&IN).contains(&backup);
        assert!(!panics, "a test wants it");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        config::Config,
        node::Node,
        orders::{self, Wanted},
        record::{Adapter, Delivery, State},
        restore,
    };

    /// A node with a server, and a Panel that nobody is.
    fn node(root: &std::path::Path) -> (Arc<Node>, Uuid) {
        let server = Uuid::new_v4();
        fs::create_dir_all(root.join(format!("volumes/{server}"))).unwrap();
        fs::write(root.join(format!("volumes/{server}/level.dat")), "level").unwrap();
        let root = root.display();
        let text = format!(
            "remote: 'http://127.0.0.1:1'\nsystem: {{root_directory: {root}}}\n\
             wingback: {{slots: 1, reserve_mib: 0, panel_retry_max: 1}}\n"
        );
        (Arc::new(Node::new(Config::parse(&text).unwrap()).unwrap()), server)
    }

    async fn back_up(node: &Arc<Node>, server: Uuid, uuid: Uuid) {
        let wanted = Wanted { adapter: Adapter::Wings, uuid, ignore: String::new() };
        orders::back_up(node, server, wanted).await.unwrap();
    }

    async fn over(node: &Node, uuid: Uuid) {
        if let Some(job) = node.jobs.get(uuid) {
            job.over().await;
        }
    }

    fn runs_in_time(test: impl Future<Output = ()>) {
        let late = async {
            Timer::after(Duration::from_secs(30)).await;
            panic!("it takes too long");
        };
        smol::block_on(smol::future::or(test, late));
    }

    #[test]
    fn a_backup_that_panics_has_failed_and_the_next_one_has_its_slot() {
        let tmp = tempfile::tempdir().unwrap();
        let (node, server) = node(tmp.path());
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        panics::plan(first);
        runs_in_time(async {
            back_up(&node, server, first).await;
            back_up(&node, server, second).await;
            over(&node, first).await;
            let failed = node.backups.get(first).unwrap();
            assert_eq!((failed.state, failed.telling.state), (State::Failed, Delivery::Pending));
            assert_eq!(failed.error.as_deref(), Some("run the job: it panicked: a test wants it"));
            over(&node, second).await;
            assert_eq!(node.backups.get(second).unwrap().state, State::Complete);
            assert_eq!(node.queue.lengths(), (0, 0));
        });
    }

    #[test]
    fn a_restore_that_panics_has_failed_and_the_next_one_has_its_turn() {
        let tmp = tempfile::tempdir().unwrap();
        let (node, server) = node(tmp.path());
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let wanted =
            || restore::Wanted { adapter: Adapter::Wings, truncate: false, download_url: None };
        runs_in_time(async {
            for uuid in [first, second] {
                back_up(&node, server, uuid).await;
                over(&node, uuid).await;
            }
            panics::plan(first);
            for uuid in [first, second] {
                orders::restore(&node, server, uuid, wanted()).await.unwrap();
                over(&node, uuid).await;
            }
            let restored = |uuid| node.backups.get(uuid).unwrap().restored.unwrap().error;
            assert_eq!(
                restored(first).as_deref(),
                Some("run the job: it panicked: a test wants it")
            );
            assert_eq!(restored(second), None);
            let told = node.restores.select(|restore| restore.backup == first);
            assert_eq!(told[0].telling.state, Delivery::Pending);
            assert_eq!((told[0].successful, node.queue.lengths()), (Some(false), (0, 0)));
        });
    }

    #[test]
    fn a_check_that_panics_is_over() {
        let tmp = tempfile::tempdir().unwrap();
        let (node, server) = node(tmp.path());
        let uuid = Uuid::new_v4();
        runs_in_time(async {
            back_up(&node, server, uuid).await;
            over(&node, uuid).await;
            panics::plan(uuid);
            orders::verify(&node, server, uuid).await.unwrap();
            over(&node, uuid).await;
            assert!(node.backups.get(uuid).unwrap().verified.is_none());
            assert_eq!(node.queue.lengths(), (0, 0));
        });
    }

    #[test]
    fn an_archive_keeps_its_name_when_the_configuration_changes() {
        let tmp = tempfile::tempdir().unwrap();
        let (node, server) = node(tmp.path());
        let uuid = Uuid::new_v4();
        runs_in_time(async {
            back_up(&node, server, uuid).await;
            over(&node, uuid).await;
        });
        let mut record = node.backups.get(uuid).unwrap();
        let text = format!(
            "system: {{root_directory: {}}}\nwingback: {{archive_name: '{{server}}/{{uuid}}.tar.gz'}}",
            tmp.path().display()
        );
        let changed = Config::parse(&text).unwrap();
        let is_there = |record: &crate::record::Backup| {
            let at = crate::archives::at(&changed, record).unwrap().unwrap();
            smol::block_on(at.store.head(&at.key)).unwrap().is_some()
        };
        assert!(is_there(&record));
        // As an older daemon recorded it.
        record.key = None;
        assert!(!is_there(&record));
    }
}
