//! Runs a backup: the one place that knows every layer.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{AsyncWrite, AsyncWriteExt, FutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    format::info::Info,
    fs::{replace, walk::TreeWalk},
    name::Key,
    ops::{
        backup::{options::Backup, source::Source},
        cache::CacheFailure,
        estimate::Estimate,
    },
    progress::{Phase, Progress, Tracker},
    report::Report,
    rt::{
        background::Background,
        pipe::{self, ByteReceiver, ByteSender},
        threads::lower_priority,
    },
    store::{self, Store, Upload},
    task::{Task, unless_cancelled},
    warning::Warning,
    write::{
        pipeline::{self, ArchiveReport},
        tree::{self, TreeReport},
    },
};

/// # Start
impl Backup {
    /// Backs up into `store` under `key`.
    ///
    /// The archive is visible in the store after the task resolves with a report, and never before it is
    /// complete.
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the store has an archive of that name, or another
    ///   backup writes one.
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the source does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if the source is not a directory, a pattern or an option of
    ///   the store is not usable, or the encoder does not serve the level. Also if the archive would have no
    ///   members, without [`allow_empty`](Backup::allow_empty).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if this build does not have the encoder.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the source or the store refuses access. A
    ///   file that cannot be read is not an error; the report lists it.
    /// - [`NoSpace`](crate::ErrorKind::NoSpace) if the destination is full.
    /// - [`Busy`](crate::ErrorKind::Busy) if a restore of the source was interrupted.
    /// - [`SourceGone`](crate::ErrorKind::SourceGone) if the source was replaced or removed while it was read.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and [`Internal`](crate::ErrorKind::Internal) for
    ///   a fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// If the task fails, is cancelled or is dropped, the store has no archive of that name. A cancelled
    /// task resolves after it has removed what it wrote. A dropped task cannot wait: its threads stop
    /// within moments, and [`Store::wait_for_cleanup`] resolves after the rest is removed.
    pub fn start<'a>(mut self, store: impl Store + 'a, key: Key) -> Task<'a, Report> {
        Task::new(|tracker| async move {
            let mut source = self.open_source(Some(&store), &tracker).await?;
            let mut at_most = None;
            if store.needs_bound() {
                let (tree, watched) = (self.tree.clone(), tracker.clone());
                let count = pipe::spawn(move |_| {
                    let estimate = source.count(&tree, &watched)?;
                    Ok((source, estimate))
                })?;
                let estimate;
                (source, estimate) = unless_cancelled(&tracker, count.finish()).await?;
                at_most = Some(estimate.archive_max);
                tracker.expect(estimate.into());
                self.count_first = false;
            }
            let upload = match unless_cancelled(&tracker, store.create(&key, at_most)).await {
                Ok(upload) => upload,
                Err(e) => {
                    if tracker.is_cancelled() {
                        store.wait_for_cleanup().await;
                    }
                    return Err(e);
                }
            };
            let location = Some(store.location(&key));
            let report = self.make(source, upload, Some(&key), &tracker).await?;
            Ok(Report { location, ..report })
        })
    }

    /// Sends the archive to an upload that the caller has begun, such as one to the
    /// part URLs of a panel.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Backup::start), and those of the upload.
    ///
    /// # Cancel safety
    ///
    /// If the task fails or is cancelled, it aborts the upload. A dropped task drops the upload.
    pub fn send_to<'a>(self, upload: impl Upload + 'a) -> Task<'a, Report> {
        Task::new(|tracker| async move {
            let source = self.open_source(None, &tracker).await?;
            self.make(source, Box::new(upload), None, &tracker).await
        })
    }

    /// Writes the archive to any [`AsyncWrite`], or to a `&mut` of one.
    ///
    /// The task flushes the destination at the end and does not close it.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Backup::start). An error of the destination keeps its I/O error as
    /// [`source`](std::error::Error::source).
    ///
    /// # Cancel safety
    ///
    /// Only a report means that the archive is complete. After an error, a cancel or a drop the destination
    /// holds a part of an archive.
    pub fn write_to<'a, W>(self, destination: W) -> Task<'a, Report>
    where
        W: AsyncWrite + Unpin + Send + 'a,
    {
        Task::new(|tracker| async move {
            let source = self.open_source(None, &tracker).await?;
            self.make(source, Box::new(WriterUpload(destination)), None, &tracker).await
        })
    }

    /// Counts the source without reading any file, and returns how large its archive can become.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`InvalidInput`](crate::ErrorKind::InvalidInput),
    /// [`Unsupported`](crate::ErrorKind::Unsupported), [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    /// [`Busy`](crate::ErrorKind::Busy), [`Cancelled`](crate::ErrorKind::Cancelled) or
    /// [`Io`](crate::ErrorKind::Io), as for [`start`](Backup::start).
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. A dropped task leaves its thread, which stops at the next entry.
    pub fn estimate(self) -> Task<'static, Estimate> {
        Task::new(|tracker| async move {
            let watched = tracker.clone();
            let count = pipe::spawn(move |_| {
                let source = self.open()?;
                watched.enter(Phase::Reading);
                source.count_each(&self.tree, &watched, || watched.add_file())
            })?;
            unless_cancelled(&tracker, count.finish()).await
        })
    }

    /// Makes the archive on threads of the engine, and writes its bytes to `upload` in this future. `key` is the name
    /// of the archive, if it goes to a store.
    async fn make<'a>(
        mut self,
        mut source: Background<Source>,
        mut upload: Box<dyn Upload + 'a>,
        key: Option<&Key>,
        tracker: &Arc<Tracker>,
    ) -> Result<Report> {
        let started = Instant::now();
        let mut cache_failure = CacheFailure::default();
        if let Some(cache) = &self.cache {
            (upload, cache_failure) = cache.keep(&self.source, upload, key).await;
        }
        match unless_cancelled(tracker, can_copy_within(&mut *upload, &source)).await {
            Ok(can_copy) => self.settings.names_copies = self.settings.align || can_copy,
            Err(e) => {
                let _ = upload.abort().await;
                return Err(e);
            }
        }
        source.walk.own = upload.own_files();
        tracker.enter(Phase::Reading);
        let watched = tracker.clone();
        let produce = move |sender| self.produce(source.into_inner(), sender, &watched);
        let mut receiver = match pipe::spawn(produce) {
            Ok(receiver) => receiver,
            Err(e) => {
                let _ = upload.abort().await;
                return Err(e);
            }
        };
        let counted = tracker.clone();
        upload.on_sent(Arc::new(move |confirmed| counted.add_confirmed(confirmed)));
        let pumped = unless_cancelled(tracker, pump(&mut receiver, &mut *upload, tracker)).await;
        if let Err(e) = pumped {
            // The threads need not finish.
            tracker.cancel();
            let _ = upload.abort().await;
            let _ = receiver.finish().await;
            return Err(e);
        }
        // The end of the bytes does not mean success; only the result of the thread does.
        let report = match receiver.finish().await {
            Ok(_) if tracker.is_cancelled() => Err(Error::cancelled()),
            report => report,
        };
        let report = match report {
            Ok(report) => unless_cancelled(tracker, upload.flush()).await.map(|()| report),
            Err(e) => Err(e),
        };
        let mut report = match report {
            Ok(report) => report,
            Err(e) => {
                let _ = upload.abort().await;
                return Err(e);
            }
        };
        tracker.enter(Phase::Committing);
        upload.complete().await?;
        report.warnings.extend(cache_failure.warning());
        let Progress { uploaded, copied_in_store, .. } = tracker.snapshot();
        Ok(Report { uploaded, copied_in_store, duration: started.elapsed(), ..report })
    }

    /// Makes the archive. Runs on a thread of the engine.
    fn produce(self, source: Source, mut sender: ByteSender, tracker: &Tracker) -> Result<Report> {
        if self.settings.threads.background {
            lower_priority();
        }
        let mut hook_failure = None;
        let (summary, facts) = thread::scope(|scope| {
            let count = || {
                if let Ok(estimate) = source.count(&self.tree, tracker) {
                    tracker.expect(estimate.into());
                }
            };
            let counting = match (self.count_first, &source.previous) {
                (false, _) => None,
                // An estimate that costs nothing.
                (true, Some(previous)) => {
                    tracker.expect(previous.contents());
                    None
                }
                (true, None) => Some(scope.spawn(count)),
            };
            let made = pipeline::run(
                &self.settings,
                source.previous.as_deref(),
                tracker,
                |chunk| sender.send(chunk),
                |feeder| {
                    let walk = TreeWalk::new(&source.root, &source.walk)?;
                    let previous = source.previous.clone();
                    let threads = self.settings.threads;
                    let tree = tree::write(walk, &self.tree, threads, previous, tracker, feeder)?;
                    source.root.check_still_there()?;
                    // A restore may have begun while the backup read the source.
                    replace::check_whole(&source.root, source.root.path(), &source.state)?;
                    let skipped = tree.skipped.total();
                    self.check_members(&source, tree.members(), tree.excluded, skipped)?;
                    tracker.enter(Phase::SourceRead);
                    hook_failure = self.source_read.call().err();
                    Ok((info(source.info.clone(), &tree), tree))
                },
            );
            // A scope waits only for the work of its threads. `join` also waits for their end.
            counting.map(thread::ScopedJoinHandle::join);
            made
        })?;
        let mut warnings = source.warnings;
        let damaged = source.previous.as_ref().map_or(0, |previous| previous.damaged());
        warnings.extend((damaged > 0).then_some(Warning::PreviousDamaged(damaged)));
        if source.previous.is_some() && summary.is_all_new && facts.files > 0 {
            warnings.push(Warning::PreviousUnused("it has nothing of this source".into()));
        }
        warnings.extend((facts.members() == 0).then_some(Warning::Empty));
        warnings.extend(
            source
                .previous
                .as_ref()
                .and_then(|previous| shrank(facts.content, previous.contents().bytes)),
        );
        warnings.extend(facts.unused_max_len.iter().cloned().map(Warning::MaxLenUnused));
        warnings.extend(facts.times_beyond.iter().cloned().map(Warning::Time));
        let more = facts.times_beyond.more();
        warnings.extend((more > 0).then_some(Warning::MoreTimes(more)));
        warnings.extend(hook_failure.map(Warning::Hook));
        Ok(report(summary, facts, warnings))
    }

    /// Fails if the archive would be empty, unless the caller allows it.
    pub(super) fn check_members(
        &self,
        source: &Source,
        members: u64,
        excluded: u64,
        skipped: u64,
    ) -> Result<()> {
        if self.allow_empty || members > 0 {
            return Ok(());
        }
        let why = match excluded + skipped {
            0 => "the directory is empty".to_owned(),
            _ => format!("of its entries, {excluded} are excluded and {skipped} skipped"),
        };
        let why = format!("{why}; an empty archive must be allowed (--allow-empty)");
        Err(Error::new(ErrorKind::InvalidInput, "back up").at(source.root.path()).caused_by(why))
    }
}

/// Returns a warning if less than a tenth of the content is left.
fn shrank(content: u64, previous: u64) -> Option<Warning> {
    (content.saturating_mul(10) < previous).then_some(Warning::Shrank { content, previous })
}

/// Returns the identity of the archive, with the counts of its tree.
fn info(info: Info, tree: &TreeReport) -> Info {
    Info {
        files: tree.files,
        directories: tree.directories,
        symlinks: tree.symlinks,
        content: tree.content,
        skipped: tree.skipped.total(),
        omits_unnamed: info.omits_unnamed || tree.is_partial,
        ..info
    }
}

fn report(summary: ArchiveReport, facts: TreeReport, warnings: Vec<Warning>) -> Report {
    Report {
        location: None,
        size: summary.size,
        sha1: summary.sha1,
        segments: summary.segments,
        files: facts.files,
        directories: facts.directories,
        symlinks: facts.symlinks,
        hard_links: facts.hard_links,
        content: facts.content,
        read: facts.read,
        copied: summary.copied,
        compressed: summary.compressed,
        uploaded: 0,
        copied_in_store: 0,
        excluded: facts.excluded,
        is_partial: facts.is_partial,
        skipped: facts.skipped,
        changed: facts.changed,
        warnings,
        duration: Duration::ZERO,
    }
}

/// Returns whether the upload can copy from the previous archive.
async fn can_copy_within(upload: &mut (dyn Upload + '_), source: &Source) -> Result<bool> {
    match (&source.previous, &source.previous_key) {
        (Some(previous), Some(key)) => Ok(upload.copy_within(key, previous.len()).await),
        _ => Ok(false),
    }
}

/// Writes the bytes of the archive to the upload until they end.
async fn pump(
    receiver: &mut ByteReceiver<Report>,
    upload: &mut (dyn Upload + '_),
    tracker: &Tracker,
) -> Result<()> {
    while let Some(chunk) = receiver.next().await {
        let len = chunk.bytes.len() as u64;
        store::write(upload, chunk).await?;
        tracker.add_written(len);
    }
    Ok(())
}

/// An [`AsyncWrite`] as a destination. It has no name and no commit.
struct WriterUpload<W>(W);

impl<W: AsyncWrite + Unpin + Send> Upload for WriterUpload<W> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move { self.0.write_all(&bytes).await.map_err(|e| Error::io("write", e)) }.boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move { self.0.flush().await.map_err(|e| Error::io("flush", e)) }.boxed()
    }
}
