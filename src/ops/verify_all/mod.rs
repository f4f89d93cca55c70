//! Verifies the archives of a store.

mod choice;
mod log;
mod record;
mod report;

use std::{
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use futures::{Stream, future::ready};

use crate::{
    error::{ErrorKind, Result},
    fs::{replace::default_state_dir, state_file::StateFile},
    limiter::Limiter,
    listed::Listed,
    ops::{
        archives::{StoredArchive, list},
        events::{EventSender, Events},
        verify::Verify,
        verify_all::{
            choice::{after, sample},
            log::Log,
            record::Check,
            report::Finding,
        },
    },
    progress::{Expected, Phase, Tracker},
    source::Archive,
    store::Store,
    task::{Handle, Task},
};

pub use report::{ArchiveCheck, VerifiedAll};

/// Verifies the archives of a store, one after another.
///
/// With a [`record`](VerifyAll::record), a pass over all archives that was interrupted continues: archives that it
/// has verified are not read again. A [`sample`](VerifyAll::sample) takes the archives that were verified longest
/// ago, so that enough samples verify all.
///
/// ```no_run
/// use futures::TryStreamExt;
/// use wingback::{LocalStore, VerifyAll};
///
/// # async fn f() -> wingback::Result<()> {
/// let verify = VerifyAll::new().record(None, "/backups").sample(10.0);
/// let mut checks = verify.start(LocalStore::new("/backups"));
/// while let Some(check) = checks.try_next().await? {
///     println!("{}: {}", check.archive.key, check.is_whole());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct VerifyAll {
    verify: Verify,
    label: Option<Vec<u8>>,
    percent: Option<f64>,
    restart: bool,
    record: Option<(StateFile, String)>,
    read_limit: Limiter,
}

/// The checks of a [`VerifyAll`], each after its end.
///
/// The stream ends after the last archive, or after an error.
///
/// # Cancel safety
///
/// Dropping the stream ends the reading. The record then lacks the checks of the last second.
/// [`Handle::cancel`] loses none.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct VerifyAllStream<'a>(Events<'a, ArchiveCheck, VerifiedAll>);

impl VerifyAll {
    /// Returns a check of all archives, without a record.
    pub fn new() -> Self {
        VerifyAll::default()
    }

    /// Verifies only archives with this [label](crate::Info::label).
    #[must_use]
    pub fn label(mut self, label: impl Into<Vec<u8>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Verifies only archives that together have about this many percent of all bytes, and at least one.
    ///
    /// Archives that were never verified come first, newest first. After them come those whose last check is the
    /// oldest. Without a record, the newest archives are taken.
    #[must_use]
    pub fn sample(mut self, percent: f64) -> Self {
        self.percent = Some(percent);
        self
    }

    /// Keeps a record of the last check of each archive. `place` names the store, such as its path. One record is
    /// for one place.
    ///
    /// The record is a file in `state_dir/verified`, replaced atomically. It has only archives that the store has,
    /// at most 50,000. The default of `state_dir` is [`default_state_dir`]. Two processes do not harm the record
    /// of one place, but it keeps the checks of only one of them.
    #[must_use]
    pub fn record(mut self, state_dir: Option<PathBuf>, place: impl AsRef<[u8]>) -> Self {
        let place = place.as_ref();
        let name = blake3::hash(place).to_hex()[..32].to_owned();
        let dir = state_dir.unwrap_or_else(default_state_dir).join("verified");
        let place = String::from_utf8_lossy(place).into_owned();
        self.record = Some((StateFile::new(dir, name), place));
        self
    }

    /// Begins a new pass over all archives even if one was interrupted. The default is false.
    #[must_use]
    pub fn restart(mut self, restart: bool) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the number of threads that decode, as [`Verify::threads`].
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.verify = self.verify.threads(threads);
        self
    }

    /// Runs with the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.verify = self.verify.background(background);
        self
    }

    /// Limits how fast the archives are read, all together: see [`Archive::read_limit`].
    #[must_use]
    pub fn read_limit(mut self, limit: Limiter) -> Self {
        self.read_limit = limit;
        self
    }

    /// Verifies the archives of `store`.
    ///
    /// An archive that cannot be read is not an error of the stream: [`ArchiveCheck::result`] has the reason. An
    /// archive that is deleted meanwhile is left out.
    ///
    /// # Errors
    ///
    /// The stream returns them:
    ///
    /// - Those of [`Archives::start`](crate::Archives::start).
    /// - [`Corrupt`](ErrorKind::Corrupt) if the record cannot be used.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) if others may write to the record's directory, or
    ///   [`Io`](ErrorKind::Io) if the record cannot be written.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`].
    /// - [`Internal`](ErrorKind::Internal) for a fault in this crate.
    pub fn start<'a>(self, store: impl Store + 'a) -> VerifyAllStream<'a> {
        let store: Arc<dyn Store + 'a> = Arc::new(store);
        VerifyAllStream(Events::of_task(move |sender| {
            Task::new(|tracker| async move {
                tracker.enter(Phase::Reading);
                self.run(&store, sender, &tracker).await
            })
        }))
    }

    async fn run<'a>(
        self,
        store: &Arc<dyn Store + 'a>,
        mut sender: EventSender<ArchiveCheck>,
        tracker: &Arc<Tracker>,
    ) -> Result<VerifiedAll> {
        let started = Instant::now();
        let mut log = Log::open(self.record.clone()).await?;
        let mut archives = list(store, &self.read_limit, tracker, || ()).await?;
        log.record.retain(&archives);
        if let Some(label) = &self.label {
            archives.retain(|archive| archive.label() == Some(label));
        }
        let now = SystemTime::now();
        let resumed = log.record.pass.filter(|_| self.percent.is_none() && !self.restart);
        let chosen = match self.percent {
            Some(percent) => sample(&archives, &log.record, percent),
            None => {
                let began = resumed.unwrap_or(now);
                log.record.pass = Some(began);
                after(&archives, &log.record, began)
            }
        };
        let bytes = chosen.iter().map(content).sum();
        let files = chosen.iter().flat_map(|archive| &archive.info).map(|info| info.files).sum();
        tracker.expect(Expected { files, bytes });
        let (mut verified, mut verified_bytes, mut failed) = (0, 0, 0);
        for archive in &chosen {
            let check = match self.check(store, archive, tracker).await {
                Ok(check) => check,
                Err(e) => {
                    log.save().await?;
                    return Err(e);
                }
            };
            match check.finding() {
                Finding::Whole | Finding::Damaged => {
                    verified += 1;
                    verified_bytes += archive.size;
                    log.set(archive, check.is_whole()).await?;
                }
                Finding::Gone => {
                    archives.retain(|other| other.key != archive.key);
                    continue;
                }
                Finding::Unreadable => failed += 1,
            }
            sender.pass(check).await?;
        }
        let checks = archives.iter().map(|archive| (&archive.key, log.record.check(archive)));
        let last = |check: Option<&Check>| check.map(|check| check.at);
        let is_pass_over = checks.clone().all(|(_, check)| last(check) >= log.record.pass);
        let mut damaged = Listed::default();
        let is_damaged = |check: Option<&Check>| check.is_some_and(|check| !check.is_whole);
        let hurt = checks.clone().filter(|(_, check)| is_damaged(*check));
        hurt.for_each(|(key, _)| damaged.push(key.clone()));
        let all = VerifiedAll {
            archives: archives.len() as u64,
            verified,
            bytes: verified_bytes,
            earlier: resumed.map_or(0, |_| archives.len() as u64 - verified - failed),
            resumed,
            damaged,
            failed,
            never: checks.clone().filter(|(_, check)| check.is_none()).count() as u64,
            oldest: checks.filter_map(|(_, check)| last(check)).min(),
            duration: started.elapsed(),
        };
        if self.percent.is_none() && is_pass_over {
            log.record.pass = None;
        }
        log.save().await?;
        Ok(all)
    }

    /// Verifies one archive. Fails only if the others are not to be verified any more.
    async fn check<'a>(
        &self,
        store: &Arc<dyn Store + 'a>,
        archive: &StoredArchive,
        tracker: &Arc<Tracker>,
    ) -> Result<ArchiveCheck> {
        let (verify, watched) = (self.verify.clone().in_part(), tracker.clone());
        let place = Archive::in_store(store.clone(), archive.key.clone());
        let place = place.read_limit(self.read_limit.clone());
        // The archive before this one may have failed.
        tracker.go_on();
        let started = Instant::now();
        let work = move |source, _| verify.run(source, &watched);
        let result = match place.read(tracker, work, |_| ready(Ok(()))).await {
            Ok(verified) => Ok(verified.took(started.elapsed())),
            Err(e) if matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::Internal) => {
                return Err(e);
            }
            Err(e) => Err(e),
        };
        Ok(ArchiveCheck { archive: archive.clone(), result })
    }
}

/// Returns the bytes that a check of the archive decodes, as far as they are known.
fn content(archive: &StoredArchive) -> u64 {
    archive.info.as_ref().map_or(archive.size, |info| info.content)
}

impl VerifyAllStream<'_> {
    /// Returns a handle that watches and cancels the reading.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Returns the result. `None` before the end of the stream, and after an error.
    pub fn verified_all(&self) -> Option<&VerifiedAll> {
        self.0.result()
    }
}

impl Stream for VerifyAllStream<'_> {
    type Item = Result<ArchiveCheck>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ArchiveCheck>>> {
        self.0.poll_next(cx).map(Result::transpose)
    }
}
