//! Compares an archive with another archive, or with a directory.

mod content;
mod difference;
mod item;
mod merge;
mod table;
mod tree;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

pub use difference::{Aspect, Compared, Difference, DifferenceKind};

use futures::Stream;

use crate::{
    error::Result,
    fs::{
        ignore::Excludes,
        root::Root,
        walk::{TreeWalk, WalkOptions},
    },
    ops::{
        batches::{BatchStream, Batches},
        diff::{content::Side, merge::Merge, table::TableSide, tree::TreeSide},
        events::{EventSender, Events},
        index_entries::IndexEntries,
        select::{Selection, Unmatched},
        unpacked::MEMBERS_MAX,
    },
    progress::{Phase, Tracker},
    read::{Source, damage::ReadMethod},
    source::{Archive, at_location},
    task::{Handle, Task},
    throttle::Throttle,
    warning::PatternOrigin,
};

/// A comparison of an archive with another archive, or with a directory.
///
/// ```no_run
/// use futures::TryStreamExt;
/// use wingback::{Archive, Diff};
///
/// # async fn f() -> wingback::Result<()> {
/// let (monday, friday) = (Archive::file("monday.tar.gz"), Archive::file("friday.tar.gz"));
/// let mut differences = Diff::new().select("world").start(monday, friday);
/// while let Some(difference) = differences.try_next().await? {
///     println!("{} {}", difference.kind().code(), String::from_utf8_lossy(&difference.path));
/// }
/// let compared = differences.compared().expect("the stream ended without an error");
/// println!("{} paths are unchanged", compared.unchanged);
/// # Ok(()) }
/// ```
///
/// # What "changed" rests on
///
/// Files of different sizes have different contents. For files of one size it depends on the two sides:
///
/// - **Two archives with an index**: the keys of their segments, which are hashes of the content. They decide every
///   large file, and every small file whose neighbors are unchanged too. Otherwise equal mtime, ctime and inode mean
///   equal content, unless the file was being changed. If they differ, the segments of the file are read. Keys find
///   damage and changes, but not a tenant who makes two contents with one key.
/// - **An archive and a directory**: an equal mtime means equal content, as for rsync. Otherwise the file is read,
///   and compared with the keys or the bytes of the archive. [`content`](Diff::content) reads every file.
/// - **An archive without an index**: it is read from start to end, and the BLAKE3 hashes of all contents are compared.
///   Its mtimes are compared in whole seconds.
///
/// Modes, owners and mtimes are compared as well, except modes of symlinks and mtimes of directories. A path that
/// became a directory, or was one, is removed and added. Devices, pipes and sockets are not compared.
///
/// # Memory
///
/// Archives with an index and directories are compared in constant memory. Of an archive without an index, all members
/// are kept in memory, up to [`max_members`](Diff::max_members).
#[derive(Clone, Debug)]
pub struct Diff {
    selection: Selection,
    reads_content: bool,
    includes_excluded: bool,
    max_members: u64,
}

impl Default for Diff {
    fn default() -> Self {
        Diff {
            selection: Selection::default(),
            reads_content: false,
            includes_excluded: false,
            max_members: MEMBERS_MAX,
        }
    }
}

/// The differences that a [`Diff`] finds, in the order of paths.
///
/// The stream ends after the last difference, or after an error.
///
/// # Cancel safety
///
/// Dropping the stream ends the comparison. Nothing is written.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct DiffStream<'a>(BatchStream<'a, Difference, Compared>);

impl Diff {
    /// Returns a comparison of all paths.
    pub fn new() -> Self {
        Diff::default()
    }

    /// Compares only this path with everything beneath it, or the paths that this pattern matches.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. [`Compared::unmatched`] has the paths and patterns that
    /// matched nothing.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Compares contents even if the times say that they are equal. The default is false.
    ///
    /// Every file of a directory whose size is equal is then read.
    #[must_use]
    pub fn content(mut self, content: bool) -> Self {
        self.reads_content = content;
        self
    }

    /// Also compares the paths of a directory that the archive's own patterns exclude. The default is false.
    ///
    /// Such paths are then added ones, because the archive does not have them.
    #[must_use]
    pub fn excluded(mut self, excluded: bool) -> Self {
        self.includes_excluded = excluded;
        self
    }

    /// Sets how many members an archive without an index may have. The default is [`MEMBERS_MAX`], which explains how
    /// members count.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Compares the archive `before` with the archive `after`.
    ///
    /// # Errors
    ///
    /// The stream returns them:
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if an archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if an archive is not a regular file.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if one cannot be opened.
    /// - [`UrlExpired`](crate::ErrorKind::UrlExpired) if the signature of a link has expired.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if a file is not a `.tar.gz`, or is damaged where the comparison has to
    ///   read it.
    /// - [`NoSpace`](crate::ErrorKind::NoSpace) if an archive without an index has more than
    ///   [`max_members`](Diff::max_members).
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`].
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and
    ///   [`Internal`](crate::ErrorKind::Internal) for a fault in this crate.
    pub fn start<'a>(self, before: Archive<'a>, after: Archive<'a>) -> DiffStream<'a> {
        let places = (before.location(), after.location());
        DiffStream::of(move |sender| {
            Task::new(|tracker| async move {
                tracker.enter(Phase::Reading);
                let watched = tracker.clone();
                let work = move |a, b| self.compare_archives((a, b), places, sender, &watched);
                before.read_both(after, &tracker, work).await
            })
        })
    }

    /// Compares the archive with the directory `dir`.
    ///
    /// The archive's own patterns apply to the directory, so files that the backup left out are not differences. A file
    /// that cannot be read is not an error: [`Compared::skipped`] has it, and nothing beneath it is compared. The
    /// [`read_limit`](Archive::read_limit) of the archive also applies to the files of the directory.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Diff::start). [`NotFound`](crate::ErrorKind::NotFound) and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) also if the directory does not exist or is not one.
    pub fn with_dir<'a>(self, archive: Archive<'a>, dir: impl Into<PathBuf>) -> DiffStream<'a> {
        let (dir, place) = (dir.into(), archive.location());
        DiffStream::of(move |sender| {
            Task::new(|tracker| async move {
                tracker.enter(Phase::Reading);
                let (watched, reads) = (tracker.clone(), archive.reads(&tracker));
                let work = move |source, _| {
                    self.compare_dir(source, place, (&dir, reads), sender, &watched)
                };
                archive.read(&tracker, work, |_| futures::future::ready(Ok(()))).await
            })
        })
    }

    fn compare_archives(
        &self,
        (a, b): (Source, Source),
        (place_a, place_b): (Option<OsString>, Option<OsString>),
        sender: EventSender<Vec<Difference>>,
        tracker: &Tracker,
    ) -> Result<Compared> {
        let started = Instant::now();
        let mut unmatched = self.selection.unmatched();
        let (a, method_a, _) = self.open(a, place_a, &mut unmatched, tracker)?;
        let (b, method_b, _) = self.open(b, place_b, &mut unmatched, tracker)?;
        let compared = Compared::new(method_a, Some(method_b));
        let (compared, _) = self.merge((a, b), compared, unmatched, sender, tracker)?;
        Ok(Compared { duration: started.elapsed(), ..compared })
    }

    fn compare_dir(
        &self,
        source: Source,
        place: Option<OsString>,
        (dir, reads): (&Path, Throttle),
        sender: EventSender<Vec<Difference>>,
        tracker: &Tracker,
    ) -> Result<Compared> {
        let started = Instant::now();
        let root = Root::open(dir)?;
        let mut unmatched = self.selection.unmatched();
        let (archive, method, patterns) = self.open(source, place, &mut unmatched, tracker)?;
        let excludes = if self.includes_excluded { Excludes::default() } else { patterns };
        let options = WalkOptions { excludes, ..WalkOptions::default() };
        let tree = Side::Tree(Box::new(TreeSide::new(TreeWalk::new(&root, &options)?, reads)));
        let sides = (archive, tree);
        let compared = Compared::new(method, None);
        let (compared, side) = self.merge(sides, compared, unmatched, sender, tracker)?;
        root.check_still_there()?;
        let Side::Tree(tree) = side else { return Ok(compared) };
        let (excluded, skipped) = (tree.excluded, tree.skipped);
        Ok(Compared { excluded, skipped, duration: started.elapsed(), ..compared })
    }

    /// Opens an archive. Also returns how it is read, and the patterns of its backup.
    fn open(
        &self,
        source: Source,
        place: Option<OsString>,
        unmatched: &mut Unmatched,
        tracker: &Tracker,
    ) -> Result<(Side<'static>, ReadMethod, Excludes)> {
        let open = || {
            let why = match (source.checked_index()?, &source) {
                (Ok(index), Source::At(at)) => {
                    let mut excludes = Excludes::new(index.info().rules);
                    excludes.add(PatternOrigin::Caller, &index.excludes()?)?;
                    let side = IndexEntries::new(at.clone(), &index, place.clone());
                    return Ok((Side::Indexed(Box::new(side)), ReadMethod::Indexed, excludes));
                }
                (Ok(_), Source::Stream(_)) => unreachable!("a stream has no index"),
                (Err(why), _) => why,
            };
            let (side, method) = TableSide::read(
                source,
                why,
                &self.selection,
                unmatched,
                self.max_members,
                tracker,
            )?;
            Ok((Side::Table(Box::new(side)), method, Excludes::default()))
        };
        open().map_err(|e| at_location(e, place.as_ref()))
    }

    /// Compares both sides. Also returns the second one.
    fn merge<'s>(
        &self,
        (mut before, mut after): (Side<'static>, Side<'s>),
        mut compared: Compared,
        mut unmatched: Unmatched,
        sender: EventSender<Vec<Difference>>,
        tracker: &Tracker,
    ) -> Result<(Compared, Side<'s>)> {
        let mut differences = Batches::new(sender);
        let mut merge = Merge {
            selection: &self.selection,
            unmatched: &mut unmatched,
            reads_content: self.reads_content,
            tracker,
            compared: &mut compared,
            differences: &mut differences,
            unknown: None,
        };
        merge.run(&mut before, &mut after)?;
        differences.finish()?;
        compared.read = tracker.snapshot().bytes;
        compared.unmatched = self.selection.texts(&unmatched);
        Ok((compared, after))
    }
}

impl<'a> DiffStream<'a> {
    fn of(start: impl FnOnce(EventSender<Vec<Difference>>) -> Task<'a, Compared>) -> Self {
        DiffStream(BatchStream::new(Events::of_task(start)))
    }

    /// Returns a handle that watches and cancels the comparison.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Returns the number of differences that the stream has yielded.
    pub fn returned(&self) -> u64 {
        self.0.count()
    }

    /// Returns the result. `None` before the end of the stream, and after an error.
    pub fn compared(&self) -> Option<&Compared> {
        self.0.result()
    }

    /// Returns the result without copying it. `None` before the end of the stream, and after an error.
    pub fn into_compared(self) -> Option<Compared> {
        self.0.into_result()
    }
}

impl Stream for DiffStream<'_> {
    type Item = Result<Difference>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Difference>>> {
        self.0.poll_next(cx)
    }
}
