//! The loop: requests in, jobs on threads, events out.

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
use wingback::{BUILD, Error, ErrorKind, Limiter, Result};

use crate::{
    job::{Events, Job, Watched, lock},
    operations,
    request::{Fields, Operation, Request},
    streams::Streams,
};

/// The protocol's version, which grows with what an older side would misunderstand.
pub const PROTOCOL: u32 = 1;

/// A request may have ten thousand URLs in it, but not be without end.
const LINE_MAX: u64 = 64 << 20;

/// Between two words on how far a job is.
const TICK: Duration = Duration::from_millis(100);

/// How long jobs have to end in order once nobody asks for them any more.
const GRACE: Duration = Duration::from_secs(30);

/// What all jobs share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    limits: Mutex<HashMap<u64, Limiter>>,
    jobs: Mutex<Jobs>,
    jobs_changed: Condvar,
    events: Events,
}

#[derive(Debug, Default)]
struct Jobs {
    /// Those whose end is not said yet.
    running: HashMap<u64, Arc<Watched>>,
    /// How many have a thread: those, and those that are just saying it.
    threads: usize,
    /// No more will come, and nobody waits for those that are left.
    over: bool,
}

/// Serves the requests that come from one descriptor with events to another, until there are no
/// more; then cancels what still runs, and waits up to half a minute for its orderly end.
///
/// `streams` is a socket of type SEQPACKET, over which descriptors come. A fault of the other side
/// is answered with an event; an error is that of the descriptors themselves, or `TimedOut` if a job
/// does not end.
pub fn serve(requests: OwnedFd, events: OwnedFd, streams: OwnedFd) -> io::Result<()> {
    let events = Events::new(File::from(events));
    let shared = Arc::new(Shared {
        streams: Streams::new(streams),
        limits: Mutex::default(),
        jobs: Mutex::default(),
        jobs_changed: Condvar::new(),
        events: events.clone(),
    });
    events.send(&json!({
        "event": "hello",
        "protocol": PROTOCOL,
        "version": BUILD.version,
        "encoder": BUILD.encoder,
    }));
    let receiver = {
        let shared = shared.clone();
        start("wingback-streams", move || shared.streams.listen())?
    };
    let ticker = {
        let shared = shared.clone();
        start("wingback-ticker", move || shared.tick())?
    };
    let read = read(BufReader::new(File::from(requests)), &shared);
    for job in lock(&shared.jobs).running.values() {
        job.cancel();
    }
    let ended = shared.wait(GRACE);
    lock(&shared.jobs).over = true;
    shared.jobs_changed.notify_all();
    shared.streams.close();
    let received = receiver.join();
    // Where a job has not ended, the ticker too may be waiting for whoever should read the events.
    if ended {
        let _ = ticker.join();
    }
    read?;
    if !ended {
        return Err(io::ErrorKind::TimedOut.into());
    }
    received.unwrap_or_else(|_| Err(io::Error::other("the receiver of streams panicked")))
}

fn read(mut requests: impl BufRead, shared: &Arc<Shared>) -> io::Result<()> {
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
                shared.request(request).map_err(|e| (Some(id), e))
            }),
            (false, LINE_MAX) => {
                let id = leading_id(&line);
                drop(line);
                requests.skip_until(b'\n')?;
                let error = Error::new(ErrorKind::InvalidInput, "understand the request");
                Err((id, error.caused_by("it has more than 64 MiB")))
            }
            // Half a line is what a killed process leaves.
            (false, _) => return Ok(()),
        };
        if let Err((id, error)) = answered {
            shared.refuse(id, &error);
        }
    }
}

fn parse(line: &[u8]) -> std::result::Result<Request, (Option<u64>, Error)> {
    let request = serde_json::from_slice::<Fields>(line).and_then(|_| serde_json::from_slice(line));
    request.map_err(|e| {
        // The ID may be there although the rest is not as it should.
        let id = serde_json::from_slice::<Value>(line).ok().and_then(|v| v.get("id")?.as_u64());
        (id, Error::new(ErrorKind::InvalidInput, "understand the request").caused_by(e))
    })
}

/// The ID that a request begins with.
fn leading_id(line: &[u8]) -> Option<u64> {
    let mut rest = line;
    for token in [&b"{"[..], b"\"id\"", b":"] {
        rest = rest.trim_ascii_start().strip_prefix(token)?;
    }
    let digits = rest.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

impl Shared {
    /// Answers a request that is wrong. The ID and the streams of a job that runs are that job's.
    fn refuse(&self, id: Option<u64>, error: &Error) {
        let id = id.filter(|id| !lock(&self.jobs).running.contains_key(id));
        if let Some(id) = id {
            self.streams.discard(id);
        }
        self.events.error(id, error);
    }

    fn request(self: &Arc<Self>, request: Request) -> Result<()> {
        match request.operation {
            Operation::Cancel => {
                // It may just have ended, or was given up before its request was sent.
                match lock(&self.jobs).running.get(&request.id) {
                    Some(job) => job.cancel(),
                    None => self.streams.discard(request.id),
                }
            }
            Operation::Limit(limit) => {
                let mut limits = lock(&self.limits);
                limits.entry(limit.limit).or_default().set_rate(limit.bytes_per_second);
            }
            Operation::Unlimit(limit) => {
                lock(&self.limits).remove(&limit.limit);
            }
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
                return Err(error.caused_by(format!("there is a job {id}")));
            }
            jobs.running.insert(id, job.watched());
            jobs.threads += 1;
            self.jobs_changed.notify_all();
        }
        let shared = self.clone();
        let run = move || {
            let work = AssertUnwindSafe(|| block_on(operations::run(operation, &job, &shared)));
            let result = catch_unwind(work).unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "run the job").caused_by("it panicked"))
            });
            shared.streams.discard(id);
            // Its ID may be used again as soon as its end is said.
            lock(&shared.jobs).running.remove(&id);
            job.end(&result);
            shared.ended();
        };
        start("wingback-job", run).map(drop).map_err(|e| {
            lock(&self.jobs).running.remove(&id);
            self.ended();
            Error::io("start a thread", e)
        })
    }

    fn ended(&self) {
        lock(&self.jobs).threads -= 1;
        self.jobs_changed.notify_all();
    }

    /// The limit of that number.
    pub(crate) fn limit(&self, number: u64) -> Result<Limiter> {
        lock(&self.limits).get(&number).cloned().ok_or_else(|| {
            let error = Error::new(ErrorKind::InvalidInput, "use the limit");
            error.caused_by(format!("there is none with the number {number}"))
        })
    }

    /// Says how far jobs are, while there are any.
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
            let watched: Vec<_> = jobs.running.iter().map(|(id, job)| (*id, job.clone())).collect();
            drop(jobs);
            for (id, job) in watched {
                job.tell(id, &self.events);
            }
            thread::sleep(TICK);
        }
    }

    /// Waits until no job is left; false if one is after `time`.
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
