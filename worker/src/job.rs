//! One running job: its events, its progress and its cancellation.

use std::{
    fs::File,
    io::Write,
    pin::pin,
    sync::{Arc, Mutex},
};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{self, Either, Shared},
};
use serde::Serialize;
use serde_json::{Value, json};
use wingback::{Error, ErrorKind, Handle, Phase, Progress, Result, Task};

use crate::{lock::lock, question::Question};

/// An event of a job. An error of the protocol has no ID.
#[derive(Serialize)]
struct JobEvent<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    event: &'static str,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct Done<'a> {
    result: &'a Value,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: &'a Error,
}

/// The descriptor that events are written to.
#[derive(Clone, Debug)]
pub(crate) struct Events(Arc<Mutex<File>>);

impl Events {
    pub(crate) fn new(file: File) -> Self {
        Events(Arc::new(Mutex::new(file)))
    }

    /// Writes an event. A failure is ignored, because it means that the reader is gone.
    pub(crate) fn send(&self, event: &impl Serialize) {
        // Only a map with keys that are not text could fail.
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        let _ = lock(&self.0).write_all(&line);
    }

    /// Writes an error of the protocol, or of a job.
    pub(crate) fn error(&self, id: Option<u64>, error: &Error) {
        self.send(&JobEvent { id, event: "error", body: Failed { error } });
    }
}

/// The side of a job that its own thread uses.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    events: Events,
    state: Arc<JobState>,
    cancelled: Shared<oneshot::Receiver<()>>,
}

/// The side of a job that other threads use.
#[derive(Debug)]
pub(crate) struct JobState {
    cancel: Mutex<Option<oneshot::Sender<()>>>,
    task: Mutex<Option<(Handle, Option<Progress>)>>,
    source_read: Question,
}

impl Job {
    pub(crate) fn new(id: u64, events: Events) -> Self {
        let (cancel, cancelled) = oneshot::channel();
        let (cancel, task) = (Mutex::new(Some(cancel)), Mutex::new(None));
        let state = Arc::new(JobState { cancel, task, source_read: Question::default() });
        Job { id, events, state, cancelled: cancelled.shared() }
    }

    pub(crate) fn state(&self) -> Arc<JobState> {
        self.state.clone()
    }

    /// Returns a function that sends the event `source-read`, and waits for the answer of the client.
    pub(crate) fn source_read(
        &self,
    ) -> impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static {
        let (id, events, state) = (self.id, self.events.clone(), self.state.clone());
        move || {
            let send = || events.send(&json!({ "id": id, "event": "source-read" }));
            state.source_read.ask(send)
        }
    }

    /// Runs a task of the engine. Cancellation lets it clean up.
    pub(crate) async fn task<T>(&self, task: Task<'_, T>) -> Result<T> {
        self.follow(task.handle(), task).await
    }

    /// Runs `work`, which `handle` watches and can cancel.
    pub(crate) async fn follow<T>(
        &self,
        handle: Handle,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        *lock(&self.state.task) = Some((handle.clone(), None));
        match future::select(pin!(work), self.cancelled.clone()).await {
            Either::Left((result, _)) => result,
            Either::Right((_, work)) => {
                handle.cancel();
                // Not before the cancel, because the task continues then.
                self.state.source_read.close();
                work.await
            }
        }
    }

    /// Runs work that cannot be cancelled. Cancellation of the job drops it.
    pub(crate) async fn plain<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match future::select(pin!(work), self.cancelled.clone()).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(Error::new(ErrorKind::Cancelled, "run the job")),
        }
    }

    /// Reports the end of the job. No event of the job follows.
    pub(crate) fn end(self, result: &Result<Value>) {
        // While this lock is held, no progress event can be written.
        let mut task = lock(&self.state.task);
        *task = None;
        match result {
            Ok(result) => {
                let (id, body) = (Some(self.id), Done { result });
                self.events.send(&JobEvent { id, event: "done", body });
            }
            Err(error) => self.events.error(Some(self.id), error),
        }
    }
}

impl JobState {
    pub(crate) fn cancel(&self) {
        // Dropping the sender resolves the receiver.
        drop(lock(&self.cancel).take());
    }

    /// Answers the event `source-read`. Returns false if it was not sent.
    pub(crate) fn answer(&self, failure: Option<String>) -> bool {
        self.source_read.answer(failure.map_or(Ok(()), Err))
    }

    /// Reports the progress, if it has changed.
    pub(crate) fn report_progress(&self, id: u64, events: &Events) {
        let mut task = lock(&self.task);
        let Some((handle, last)) = task.as_mut() else { return };
        let now = handle.progress();
        if now.phase != Phase::Done && last.replace(now) != Some(now) {
            events.send(&JobEvent { id: Some(id), event: "progress", body: now });
        }
    }
}
