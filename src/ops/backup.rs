//! Makes a backup: the one place that knows every layer.

use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{AsyncWrite, AsyncWriteExt, FutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    format::{Level, Profile},
    fs::{
        ignore::{
            Excludes, Rules,
            file::{self as ignore_file, IgnoreFile, IgnoreText},
        },
        replace::{self, StateDir},
        root::Root,
        walk::{TreeWalk, WalkOptions},
    },
    limiter::Limiter,
    name::Key,
    ops::{
        cache::{Cache, Failure},
        estimate::{self, Estimate},
        previous::Previous,
    },
    progress::{Phase, Tracker},
    report::Report,
    rt::{
        background::Background,
        pipe::{self, ByteReceiver, ByteSender},
        threads::lower_priority,
    },
    store::{Store, Upload},
    task::{Task, unless_cancelled},
    warning::{PatternOrigin, Warning},
    write::{
        pipeline::{self, ArchiveReport, Settings},
        previous::PreviousArchive,
        tree::{self, TreeOptions, TreeReport},
    },
};

/// What to back up, and how. The methods are options; [`start`](Backup::start) and
/// [`write_to`](Backup::write_to) begin.
///
/// ```
/// use futures::executor::block_on;
/// use wingback::{Backup, LocalStore};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let (server, backups) = (tmp.path().join("server"), tmp.path().join("backups"));
/// # std::fs::create_dir(&server).unwrap();
/// # std::fs::write(server.join("level.dat"), "…").unwrap();
/// let store = LocalStore::new(&backups);
/// let key = store.key(&uuid::Uuid::new_v4());
/// let report = block_on(Backup::new(&server).exclude("*.log").start(store, key))?;
/// assert_eq!(report.files, 1);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backup {
    source: PathBuf,
    patterns: Vec<u8>,
    rules: Rules,
    ignore_file: IgnoreFile,
    ignore_file_name: String,
    strict_patterns: bool,
    one_file_system: bool,
    count_first: bool,
    previous: Option<Previous>,
    reuse_any: bool,
    cache: Option<Cache>,
    state_dir: Option<PathBuf>,
    tree: TreeOptions,
    settings: Settings,
}

impl Backup {
    /// A backup of the directory `source` with all of its content, but for what an ignore file in
    /// it names.
    pub fn new(source: impl Into<PathBuf>) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Backup {
            source: source.into(),
            patterns: Vec::new(),
            rules: Rules::default(),
            ignore_file: IgnoreFile::default(),
            ignore_file_name: ".pteroignore".into(),
            strict_patterns: false,
            one_file_system: false,
            count_first: false,
            previous: None,
            reuse_any: false,
            cache: None,
            state_dir: None,
            tree: TreeOptions::default(),
            settings: Settings {
                level: Level::default(),
                profile: Profile::default(),
                threads,
                background: false,
                write_limit: Limiter::default(),
            },
        }
    }

    /// Leaves out what the patterns match, one a line, in the language that
    /// [`rules`](Backup::rules) says. Calls add up, and of several patterns the last that matches
    /// decides. More than a list may have ([`Excludes::add`]) fails the backup before it begins to
    /// write.
    #[must_use]
    pub fn exclude(mut self, patterns: impl AsRef<[u8]>) -> Self {
        self.patterns.extend_from_slice(patterns.as_ref());
        self.patterns.push(b'\n');
        self
    }

    /// Which language patterns are written in.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Looks in this state directory for a restore of the source that is under way, as
    /// [`Restore::state_dir`](crate::Restore::state_dir) has it. Unless told otherwise, that is
    /// [`default_state_dir`](crate::default_state_dir).
    ///
    /// A source whose restore was interrupted in the middle of its exchange is neither the old tree
    /// nor the new one: its backup fails with [`Busy`](ErrorKind::Busy). A record that cannot be
    /// read fails it as well.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// What the ignore file in the source's root is used for.
    #[must_use]
    pub fn ignore_file(mut self, mode: IgnoreFile) -> Self {
        self.ignore_file = mode;
        self
    }

    /// The name of that file: `.pteroignore` unless told otherwise.
    #[must_use]
    pub fn ignore_file_name(mut self, name: impl Into<String>) -> Self {
        self.ignore_file_name = name.into();
        self
    }

    /// Fails on an odd pattern before anything is written, where it would be a warning.
    #[must_use]
    pub fn strict_patterns(mut self, strict: bool) -> Self {
        self.strict_patterns = strict;
        self
    }

    /// Does not enter directories on other file systems than the source's.
    #[must_use]
    pub fn one_file_system(mut self, stay: bool) -> Self {
        self.one_file_system = stay;
        self
    }

    /// Counts the tree first, beside the backup, so that [`Progress::expected`] is known. Where there
    /// is a [previous](Backup::previous) archive, what that holds is taken for it instead.
    ///
    /// [`Progress::expected`]: crate::Progress::expected
    #[must_use]
    pub fn count_first(mut self, count: bool) -> Self {
        self.count_first = count;
        self
    }

    /// Makes the archive from a previous one of the same source: what is unchanged is not read, and
    /// what is equal is not compressed again, but copied from there. The new archive is as whole and
    /// as much by itself as any, with the bytes that it would have had anyway (with ISA-L, the content).
    ///
    /// A file is unchanged if its size, mtime, ctime and inode are those of the previous backup, and
    /// it was not being changed then. What is copied has its checksum; where it has not, or the archive
    /// cannot be used, the source is read instead, and a warning in the report says so. It must be an
    /// archive that nobody else could have written, since its content is taken for the source's.
    #[must_use]
    pub fn previous(mut self, previous: Previous) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Believes that a file with its old mtime is unchanged, whatever its ctime: where every file is
    /// given to its owner again and again, as Wings does at each start of a server. Who sets a
    /// file's mtime back after a change is not noticed then.
    #[must_use]
    pub fn trust_mtime(mut self, trust: bool) -> Self {
        self.tree.trust_mtime = trust;
        self
    }

    /// Also copies what another encoder or level has compressed. The archive is then not, byte for byte,
    /// what it would have been.
    #[must_use]
    pub fn reuse_any(mut self, any: bool) -> Self {
        self.reuse_any = any;
        self
    }

    /// Makes the archive from the last one in `cache`, unless [`previous`](Backup::previous) says
    /// otherwise, and keeps a copy of the new one there: for destinations that are no local store.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// What time it is: for tests, which cannot make ctimes older.
    #[doc(hidden)]
    #[must_use]
    pub fn now(mut self, now: std::time::SystemTime) -> Self {
        self.tree.now = Some(now);
        self
    }

    /// Which entries get a place in the tar.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.tree.profile = profile;
        self.settings.profile = profile;
        self
    }

    /// How hard to compress.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.settings.level = level;
        self
    }

    /// How many threads compress: as many as there are processors unless told otherwise, at least
    /// one. Two more read and hash. The archive's bytes do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.clamp(1, 1024);
        self
    }

    /// Gives way to other work: the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.settings.background = background;
        self
    }

    /// Limits how fast the source is read.
    #[must_use]
    pub fn read_limit(mut self, limit: Limiter) -> Self {
        self.tree.read_limit = limit;
        self
    }

    /// Limits how fast the archive is written.
    #[must_use]
    pub fn write_limit(mut self, limit: Limiter) -> Self {
        self.settings.write_limit = limit;
        self
    }

    /// Backs up only the first `len` bytes of the file at `path`, relative to the source. A running
    /// Bedrock server's `save query` gives such lengths.
    #[must_use]
    pub fn max_len(mut self, path: impl Into<Vec<u8>>, len: u64) -> Self {
        self.tree.max_len.insert(path.into(), len);
        self
    }

    /// Leaves ctimes and inode numbers out of the index, so that copies of a tree give the same
    /// bytes. A later backup cannot tell from such an archive what is unchanged.
    #[must_use]
    pub fn reproducible(mut self, reproducible: bool) -> Self {
        self.tree.reproducible = reproducible;
        self
    }

    /// Backs up into `store` under `key`. The archive is visible there once the task resolves with
    /// a report, and never before it is whole.
    pub fn start<'a>(mut self, store: impl Store + 'a, key: Key) -> Task<'a, Report> {
        Task::new(|tracker| async move {
            let mut source = self.open_source(Some(&store), &tracker).await?;
            let mut at_most = None;
            if store.wants_bound() {
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
            self.make(source, upload, &tracker).await
        })
    }

    /// Sends the archive to an upload that was begun elsewhere, such as to the part URLs of a panel.
    pub fn send_to<'a>(self, upload: impl Upload + 'a) -> Task<'a, Report> {
        Task::new(|tracker| async move {
            let source = self.open_source(None, &tracker).await?;
            self.make(source, Box::new(upload), &tracker).await
        })
    }

    /// Writes the archive to any destination (or to a `&mut` of one), and flushes it at the end
    /// without closing it. Whether it is whole only the report says: after an error or a drop the
    /// destination holds a part of an archive.
    pub fn write_to<'a, W>(self, destination: W) -> Task<'a, Report>
    where
        W: AsyncWrite + Unpin + Send + 'a,
    {
        Task::new(|tracker| async move {
            let source = self.open_source(None, &tracker).await?;
            self.make(source, Box::new(Plain(destination)), &tracker).await
        })
    }

    /// Counts the source, without reading any file, and says how large its archive can become.
    pub fn estimate(self) -> Task<'static, Estimate> {
        Task::new(|tracker| async move {
            let watched = tracker.clone();
            let count = pipe::spawn(move |_| {
                let source = self.open()?;
                source.count(&self.tree, &watched)
            })?;
            unless_cancelled(&tracker, count.finish()).await
        })
    }

    /// On a thread of its own, since a dead mount may hold it for long.
    async fn open_source(
        &self,
        store: Option<&dyn Store>,
        tracker: &Arc<Tracker>,
    ) -> Result<Background<Source>> {
        let this = self.clone();
        let open = pipe::spawn(move |_| this.open().map(Background::new))?;
        let mut source = unless_cancelled(tracker, open.finish()).await?;
        let stock = async { Ok(self.stock(store).await) };
        match unless_cancelled(tracker, stock).await? {
            Ok(stock) => source.stock = stock.map(Arc::new),
            Err(why) => source.warnings.push(why),
        }
        Ok(source)
    }

    /// The previous archive, where there is to be one.
    async fn stock(&self, store: Option<&dyn Store>) -> Result<Option<PreviousArchive>, Warning> {
        let previous = match (&self.previous, &self.cache) {
            (Some(previous), _) => Some(previous.clone()),
            (None, Some(cache)) => (cache.previous(&self.source).await)
                .map_err(|e| Warning::PreviousUnused(e.to_string()))?,
            (None, None) => None,
        };
        match previous {
            Some(previous) => {
                previous.open(store, self.settings.level, self.reuse_any).await.map(Some)
            }
            None => Ok(None),
        }
    }

    fn open(&self) -> Result<Source> {
        let root = Root::open(&self.source)?;
        let state = StateDir::new(self.state_dir.as_deref());
        let staging = replace::check_whole(&root, root.path(), &state)?;
        let mut excludes = Excludes::new(self.rules);
        let mut warnings = Vec::new();
        let is_list_empty = self.patterns.iter().all(|&b| b == b'\n');
        if self.ignore_file.is_used(is_list_empty) {
            match ignore_file::read(&root, &self.ignore_file_name)? {
                IgnoreText::Text(text) => {
                    if let Err(e) = excludes.add(PatternOrigin::IgnoreFile, &text) {
                        let name = &self.ignore_file_name;
                        warnings.push(Warning::IgnoreFile(format!("{name} is not used: {e}")));
                    }
                }
                IgnoreText::Unusable(why) => warnings.push(Warning::IgnoreFile(why)),
                IgnoreText::Missing => {}
            }
        }
        excludes.add(PatternOrigin::Caller, &self.patterns)?;
        if let (true, Some(odd)) = (self.strict_patterns, excludes.warnings().first()) {
            let error = Error::new(ErrorKind::InvalidInput, "use the patterns");
            return Err(error.caused_by(odd.to_string()));
        }
        warnings.extend(excludes.warnings().iter().cloned().map(Warning::Pattern));
        if excludes.more_warnings() > 0 {
            warnings.push(Warning::MorePatterns(excludes.more_warnings()));
        }
        let walk =
            WalkOptions { excludes, one_file_system: self.one_file_system, own: None, staging };
        Ok(Source { root, walk, state, stock: None, warnings })
    }

    /// Makes the archive on its threads, and hands its bytes to `upload` here.
    async fn make<'a>(
        self,
        mut source: Background<Source>,
        mut upload: Box<dyn Upload + 'a>,
        tracker: &Arc<Tracker>,
    ) -> Result<Report> {
        let started = Instant::now();
        let mut not_kept = Failure::default();
        if let Some(cache) = &self.cache {
            (upload, not_kept) = cache.keep(&self.source, upload).await;
        }
        source.walk.own = upload.own_backups();
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
        upload.on_sent(Arc::new(move |bytes| counted.add_uploaded(bytes)));
        let pumped = unless_cancelled(tracker, pump(&mut receiver, &mut *upload, tracker)).await;
        if let Err(e) = pumped {
            // Whatever the threads are doing, it is for nothing now.
            tracker.cancel();
            let _ = upload.abort().await;
            let _ = receiver.finish().await;
            return Err(e);
        }
        // That the bytes have ended says nothing; only the thread's own word does.
        let made = match receiver.finish().await {
            Ok(_) if tracker.is_cancelled() => Err(Error::cancelled()),
            made => made,
        };
        let made = match made {
            Ok(made) => unless_cancelled(tracker, upload.flush()).await.map(|()| made),
            Err(e) => Err(e),
        };
        let mut report = match made {
            Ok(made) => made,
            Err(e) => {
                let _ = upload.abort().await;
                return Err(e);
            }
        };
        tracker.enter(Phase::Committing);
        upload.complete().await?;
        report.warnings.extend(not_kept.warning());
        Ok(Report { duration: started.elapsed(), ..report })
    }

    /// The engine's thread.
    fn produce(self, source: Source, mut sender: ByteSender, tracker: &Tracker) -> Result<Report> {
        if self.settings.background {
            lower_priority();
        }
        let (summary, facts) = thread::scope(|scope| {
            let count = || {
                if let Ok(estimate) = source.count(&self.tree, tracker) {
                    tracker.expect(estimate.into());
                }
            };
            let counting = match (self.count_first, &source.stock) {
                (false, _) => None,
                // Near enough, and at no cost.
                (true, Some(stock)) => {
                    tracker.expect(stock.contents());
                    None
                }
                (true, None) => Some(scope.spawn(count)),
            };
            let made = pipeline::run(
                &self.settings,
                source.stock.as_deref(),
                tracker,
                |bytes| sender.send(bytes),
                |feeder| {
                    let walk = TreeWalk::new(&source.root, &source.walk)?;
                    let stock = source.stock.clone();
                    let done = tree::write(walk, &self.tree, stock, tracker, feeder)?;
                    source.root.check_still_there()?;
                    // A restore may have begun meanwhile.
                    replace::check_whole(&source.root, source.root.path(), &source.state)?;
                    tracker.enter(Phase::SourceRead);
                    Ok(done)
                },
            );
            // A scope waits for its threads' work only, not for their end.
            counting.map(thread::ScopedJoinHandle::join);
            made
        })?;
        let mut warnings = source.warnings;
        let damaged = source.stock.as_ref().map_or(0, |stock| stock.damaged());
        warnings.extend((damaged > 0).then_some(Warning::PreviousDamaged(damaged)));
        if source.stock.is_some() && summary.is_all_new && facts.files > 0 {
            warnings.push(Warning::PreviousUnused("nothing of this source is in it".into()));
        }
        warnings.extend(facts.unused_max_len.iter().cloned().map(Warning::MaxLenUnused));
        warnings.extend(facts.times_beyond.iter().cloned().map(Warning::Time));
        let more = facts.times_beyond.more();
        warnings.extend((more > 0).then_some(Warning::MoreTimes(more)));
        Ok(report(summary, facts, warnings))
    }
}

/// The source, open, and what is left out of it.
struct Source {
    root: Root,
    walk: WalkOptions,
    state: StateDir,
    stock: Option<Arc<PreviousArchive>>,
    warnings: Vec<Warning>,
}

impl Source {
    fn count(&self, options: &TreeOptions, tracker: &Tracker) -> Result<Estimate> {
        estimate::count(TreeWalk::new(&self.root, &self.walk)?, options, || tracker.is_cancelled())
    }
}

fn report(summary: ArchiveReport, facts: TreeReport, warnings: Vec<Warning>) -> Report {
    Report {
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
        excluded: facts.excluded,
        is_partial: facts.is_partial,
        skipped: facts.skipped,
        changed: facts.changed,
        warnings,
        duration: Duration::ZERO,
    }
}

/// Hands bytes over until they end.
async fn pump(
    receiver: &mut ByteReceiver<Report>,
    upload: &mut (dyn Upload + '_),
    tracker: &Tracker,
) -> Result<()> {
    while let Some(bytes) = receiver.next().await {
        let len = bytes.len() as u64;
        upload.write(bytes).await?;
        tracker.add_written(len);
    }
    Ok(())
}

/// A destination that knows nothing of names and commits.
struct Plain<W>(W);

impl<W: AsyncWrite + Unpin + Send> Upload for Plain<W> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move { self.0.write_all(&bytes).await.map_err(|e| Error::io("write", e)) }.boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move { self.0.flush().await.map_err(|e| Error::io("flush", e)) }.boxed()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        futures::future::ready(Ok(())).boxed()
    }
}
