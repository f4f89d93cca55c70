//! The request loop: reads requests, runs jobs on threads, writes events.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use serde_json::{Value, json};
use wingback::{BUILD, Error, ErrorKind, Result};

use crate::{
    job::{Events, Job, JobState},
    limits::Limits,
    lock::lock,
    operations,
    request::{Fields, Operation, Request},
    shared::Shared,
    streams::Streams,
};

/// Version of the protocol. It grows with each change that an older side would misunderstand.
pub const PROTOCOL: u32 = 1;

/// Longest request: ten thousand URLs fit.
const LINE_MAX: u64 = 64 << 20;

/// Pause between two progress events of a job.
const TICK: Duration = Duration::from_millis(100);

/// How long cancelled jobs may take to end after the last request.
const GRACE: Duration = Duration::from_secs(30);

/// The state of [`serve`], which its threads share.
#[derive(Debug)]
struct Worker {
    shared: Shared,
    jobs: Mutex<Jobs>,
    jobs_changed: Condvar,
    events: Events,
}

#[derive(Debug, Default)]
struct Jobs {
    /// Jobs whose end is not reported yet.
    running: HashMap<u64, Arc<JobState>>,
    /// Number of job threads: those of running jobs, and those that are reporting the end.
    threads: usize,
    /// No more jobs will start, and `serve` does not wait for the rest.
    over: bool,
}

/// Reads requests from one descriptor and writes events to another, until the requests end. Then it
/// cancels the running jobs, and waits up to half a minute for their ends.
///
/// `streams` is a socket of type SEQPACKET that receives descriptors. A wrong request is answered with an
/// event. An error of this function means that a descriptor failed, or `TimedOut` if a job did not end.
pub fn serve(requests: OwnedFd, events: OwnedFd, streams: OwnedFd) -> io::Result<()> {
    let events = Events::new(File::from(events));
    let worker = Arc::new(Worker {
        shared: Shared { streams: Streams::new(streams), limits: Limits::default() },
        jobs: Mutex::default(),
        jobs_changed: Condvar::new(),
        events: events.clone(),
    });
    events.send(&json!({
        "event": "hello",
        "protocol": PROTOCOL,
        "version": BUILD.version,
        "encoders": BUILD.encoders.iter().map(|encoder| encoder.code()).collect::<Vec<_>>(),
    }));
    let receiver = {
        let worker = worker.clone();
        start("wingback-streams", move || worker.shared.streams.listen())?
    };
    let ticker = {
        let worker = worker.clone();
        start("wingback-ticker", move || worker.tick())?
    };
    let read = read(BufReader::new(File::from(requests)), &worker);
    for job in lock(&worker.jobs).running.values() {
        job.cancel();
    }
    let ended = worker.wait(GRACE);
    lock(&worker.jobs).over = true;
    worker.jobs_changed.notify_all();
    worker.shared.streams.close();
    let received = receiver.join();
    // If a job has not ended, the ticker may wait for the reader of the events as well.
    if ended {
        let _ = ticker.join();
    }
    read?;
    if !ended {
        return Err(io::ErrorKind::TimedOut.into());
    }
    received.unwrap_or_else(|_| Err(io::Error::other("the receiver of streams panicked")))
}

fn read(mut requests: impl BufRead, worker: &Arc<Worker>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        requests.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let is_whole = line.last() == Some(&b'\n');
        let answered = match (is_whole, line.len() as u64) {
            (true, _) => parse(&line).and_then(|request| {
                let id = request.id;
                worker.request(request).map_err(|e| (Some(id), e))
            }),
            (false, LINE_MAX) => {
                let id = leading_id(&line);
                drop(line);
                requests.skip_until(b'\n')?;
                let error = Error::new(ErrorKind::InvalidInput, "understand the request");
                Err((id, error.caused_by("it is larger than 64 MiB")))
            }
            // A killed process leaves an incomplete line.
            (false, _) => return Ok(()),
        };
        if let Err((id, error)) = answered {
            worker.reject(id, &error);
        }
    }
}

fn parse(line: &[u8]) -> std::result::Result<Request, (Option<u64>, Error)> {
    let request = serde_json::from_slice::<Fields>(line).and_then(|_| serde_json::from_slice(line));
    request.map_err(|e| {
        // The ID may be valid in a request that is not.
        let id = serde_json::from_slice::<Value>(line).ok().and_then(|v| v.get("id")?.as_u64());
        (id, Error::new(ErrorKind::InvalidInput, "understand the request").caused_by(e))
    })
}

/// Returns the ID at the beginning of a request.
fn leading_id(line: &[u8]) -> Option<u64> {
    let mut rest = line;
    for token in [&b"{"[..], b"\"id\"", b":"] {
        rest = rest.trim_ascii_start().strip_prefix(token)?;
    }
    let digits = rest.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

impl Worker {
    /// Answers a wrong request. If a running job has the same ID, the job keeps its ID and its streams.
    fn reject(&self, id: Option<u64>, error: &Error) {
        let id = id.filter(|id| !lock(&self.jobs).running.contains_key(id));
        if let Some(id) = id {
            self.shared.streams.discard(id);
        }
        self.events.error(id, error);
    }

    fn request(self: &Arc<Self>, request: Request) -> Result<()> {
        match request.operation {
            Operation::Cancel => {
                // The job may have ended, or the client gave it up before it sent the request.
                match lock(&self.jobs).running.get(&request.id) {
                    Some(job) => job.cancel(),
                    None => self.shared.streams.discard(request.id),
                }
            }
            Operation::Answer(answer) => {
                // The job may have ended.
                let job = lock(&self.jobs).running.get(&request.id).cloned();
                if job.is_some_and(|job| !job.answer(answer.failure)) {
                    let error = Error::new(ErrorKind::InvalidInput, "answer the job");
                    return Err(error.caused_by("it has not asked"));
                }
            }
            Operation::Limit(limit) => {
                self.shared.limits.set(limit.limit, limit.bytes_per_second);
            }
            Operation::Unlimit(limit) => {
                self.shared.limits.remove(limit.limit);
            }
            Operation::MemoryLimit(limit) => wingback::set_memory_limit(limit.bytes),
            operation => self.start(request.id, operation)?,
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, id: u64, operation: Operation) -> Result<()> {
        let job = Job::new(id, self.events.clone());
        {
            let mut jobs = lock(&self.jobs);
            if jobs.running.contains_key(&id) {
                let error = Error::new(ErrorKind::InvalidInput, "start the job");
                return Err(error.caused_by(format!("the job {id} is running")));
            }
            jobs.running.insert(id, job.state());
            jobs.threads += 1;
            self.jobs_changed.notify_all();
        }
        let worker = self.clone();
        let run = move || {
            let work =
                AssertUnwindSafe(|| block_on(operations::run(operation, &job, &worker.shared)));
            let result = catch_unwind(work).unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "run the job").caused_by("it panicked"))
            });
            worker.shared.streams.discard(id);
            // The ID may be used again as soon as the end is reported.
            lock(&worker.jobs).running.remove(&id);
            job.end(&result);
            worker.thread_ended();
        };
        start("wingback-job", run).map(drop).map_err(|e| {
            lock(&self.jobs).running.remove(&id);
            self.thread_ended();
            Error::io("start a thread", e)
        })
    }

    fn thread_ended(&self) {
        lock(&self.jobs).threads -= 1;
        self.jobs_changed.notify_all();
    }

    /// Reports the progress of all jobs until [`serve`] ends.
    fn tick(&self) {
        loop {
            let mut jobs = lock(&self.jobs);
            while jobs.running.is_empty() && !jobs.over {
                jobs = match self.jobs_changed.wait(jobs) {
                    Ok(jobs) => jobs,
                    Err(poisoned) => poisoned.into_inner(),
                };
            }
            if jobs.over {
                return;
            }
            let running: Vec<_> = jobs.running.iter().map(|(id, job)| (*id, job.clone())).collect();
            drop(jobs);
            for (id, job) in running {
                job.report_progress(id, &self.events);
            }
            thread::sleep(TICK);
        }
    }

    /// Waits until no job thread is left. Returns false if one is left after `time`.
    fn wait(&self, time: Duration) -> bool {
        let begun = Instant::now();
        let mut jobs = lock(&self.jobs);
        while jobs.threads > 0 {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            jobs = match self.jobs_changed.wait_timeout(jobs, left) {
                Ok((jobs, _)) => jobs,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
