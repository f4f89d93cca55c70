//! One running job: its events, how far it is, and how it is cancelled.

use std::{
    fs::File,
    io::Write,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{self, Either, Shared},
};
use serde_json::{Value, json};
use wingback::{Error, ErrorKind, Handle, Phase, Progress, Result, Task};

use crate::json::{self, with_fields};

/// Where events are written.
#[derive(Clone, Debug)]
pub(crate) struct Events(Arc<Mutex<File>>);

impl Events {
    pub(crate) fn new(file: File) -> Self {
        Events(Arc::new(Mutex::new(file)))
    }

    /// Writes one. Where nobody reads them any more, nobody misses it.
    pub(crate) fn send(&self, event: &Value) {
        let mut line = event.to_string();
        line.push('\n');
        let _ = lock(&self.0).write_all(line.as_bytes());
    }

    /// An error of the protocol itself, or of a job's.
    pub(crate) fn error(&self, id: Option<u64>, error: &Error) {
        let event = json!({ "event": "error", "error": json::error(error) });
        self.send(&match id {
            Some(id) => with_fields(event, json!({ "id": id })),
            None => event,
        });
    }
}

/// What the job's thread has of it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    events: Events,
    watched: Arc<Watched>,
    cancelled: Shared<oneshot::Receiver<()>>,
}

/// What everybody else has of it.
#[derive(Debug)]
pub(crate) struct Watched {
    cancel: Mutex<Option<oneshot::Sender<()>>>,
    task: Mutex<Option<(Handle, Option<Progress>)>>,
}

impl Job {
    pub(crate) fn new(id: u64, events: Events) -> Self {
        let (cancel, cancelled) = oneshot::channel();
        let (cancel, task) = (Mutex::new(Some(cancel)), Mutex::new(None));
        let watched = Arc::new(Watched { cancel, task });
        Job { id, events, watched, cancelled: cancelled.shared() }
    }

    pub(crate) fn watched(&self) -> Arc<Watched> {
        self.watched.clone()
    }

    /// Runs a task of the engine's; cancelled, it ends in order.
    pub(crate) async fn task<T>(&self, task: Task<'_, T>) -> Result<T> {
        self.follow(task.handle(), task).await
    }

    /// Runs what `handle` watches.
    pub(crate) async fn follow<T>(
        &self,
        handle: Handle,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        *lock(&self.watched.task) = Some((handle.clone(), None));
        match future::select(pin!(work), self.cancelled.clone()).await {
            Either::Left((result, _)) => result,
            Either::Right((_, work)) => {
                handle.cancel();
                work.await
            }
        }
    }

    /// Runs what has no end of its own when it is cancelled: it is dropped.
    pub(crate) async fn plain<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match future::select(pin!(work), self.cancelled.clone()).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "run the job")),
        }
    }

    /// Says how it ended. Nothing comes after it.
    pub(crate) fn end(self, result: &Result<Value>) {
        // With it in hand the last progress is out, or never will be.
        let mut task = lock(&self.watched.task);
        *task = None;
        match result {
            Ok(value) => {
                let event = json!({ "id": self.id, "event": "done", "result": value });
                self.events.send(&event);
            }
            Err(error) => self.events.error(Some(self.id), error),
        }
    }
}

impl Watched {
    pub(crate) fn cancel(&self) {
        // It is cancelled by its end, too.
        drop(lock(&self.cancel).take());
    }

    /// Says how far it is, if that has changed.
    pub(crate) fn tell(&self, id: u64, events: &Events) {
        let mut task = lock(&self.task);
        let Some((handle, last)) = task.as_mut() else { return };
        let now = handle.progress();
        if now.phase != Phase::Done && last.replace(now) != Some(now) {
            let event = json!({ "id": id, "event": "progress" });
            events.send(&with_fields(json::progress(&now), event));
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
