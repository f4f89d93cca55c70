//! Shows what a backup would contain.

use std::{collections::BTreeSet, time::Instant};

use rustix::io::Errno;

use crate::{
    entry::{EntryKind, MemberKind, Metadata},
    error::Result,
    fs::{
        ignore::Excludes,
        root::skippable,
        walk::{OwnFiles, TreeWalk, WalkEntry},
    },
    listed::Listed,
    ops::{
        backup::{options::Backup, source::Source},
        batches::Batches,
        estimate::Counter,
        preview::{Preview, PreviewEntry, PreviewStream},
    },
    progress::{Phase, Tracker},
    report::{SkipReason, Skipped},
    rt::{pipe, threads::lower_priority},
    task::{Task, unless_cancelled},
    warning::Warning,
    write::tree::TreeOptions,
};

/// # Preview
impl Backup {
    /// Returns each entry of the source, and whether a backup would contain it, with the pattern or the reason that
    /// decides.
    ///
    /// `own` are the files of the store that the backup would go to, such as
    /// [`LocalStore::own_files`](crate::LocalStore::own_files). `None` is for a store outside of the source.
    ///
    /// The preview looks at each entry as a backup does. It opens files, because one that cannot be opened would be
    /// skipped, and reads the first bytes of each, which tell [archives](Backup::include_archives). It does not look
    /// at a store or a [previous](Backup::previous) archive, and calls no function of the caller.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wingback::Backup;
    ///
    /// # async fn f() -> wingback::Result<()> {
    /// let mut entries = Backup::new("/srv/minecraft").exclude("*.log\ncache/").preview(None);
    /// while let Some(entry) = entries.try_next().await? {
    ///     let path = String::from_utf8_lossy(&entry.path);
    ///     match &entry.pattern {
    ///         Some(pattern) => println!("{path}: line {} of {}", pattern.line, pattern.origin),
    ///         None => println!("{path}"),
    ///     }
    /// }
    /// let preview = entries.preview().expect("the stream ended without an error");
    /// println!("{} bytes of content", preview.estimate.content);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream returns [`NotFound`](crate::ErrorKind::NotFound), [`InvalidInput`](crate::ErrorKind::InvalidInput),
    /// [`Unsupported`](crate::ErrorKind::Unsupported), [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    /// [`Busy`](crate::ErrorKind::Busy), [`SourceGone`](crate::ErrorKind::SourceGone),
    /// [`Cancelled`](crate::ErrorKind::Cancelled) or [`Io`](crate::ErrorKind::Io), as for
    /// [`start`](Backup::start). An archive that would be empty is an error after the last entry.
    pub fn preview(self, own: Option<OwnFiles>) -> PreviewStream {
        PreviewStream::of(|entries| {
            Task::new(|tracker| async move {
                let watched = tracker.clone();
                let walk = pipe::spawn(move |_| {
                    let mut source = self.open()?;
                    source.walk.own = own;
                    source.walk.lists_unselected = true;
                    if self.settings.threads.background {
                        lower_priority();
                    }
                    watched.enter(Phase::Reading);
                    self.walk(source, entries, &watched)
                })?;
                unless_cancelled(&tracker, walk.finish()).await
            })
        })
    }

    /// Adds each entry of the source. Runs on a thread of the engine.
    fn walk(
        &self,
        source: Source,
        mut entries: Batches<PreviewEntry>,
        tracker: &Tracker,
    ) -> Result<Preview> {
        let started = Instant::now();
        let mut looker = Looker {
            walk: TreeWalk::new(&source.root, &source.walk)?,
            excludes: &source.walk.excludes,
            options: &self.tree,
            counter: Counter::new(&self.tree),
            excluded: 0,
            unselected: 0,
            skipped: Listed::default(),
            is_partial: false,
            unused_max_len: self.tree.max_len.keys().map(Vec::as_slice).collect(),
        };
        while let Some(step) = looker.walk.next()? {
            tracker.check()?;
            let entry = looker.look(step)?;
            if entry.is_included && entry.kind == Some(MemberKind::File) {
                tracker.add_file();
            }
            entries.add(entry)?;
        }
        entries.finish()?;
        source.root.check_still_there()?;
        let Looker { counter, excluded, unselected, skipped, is_partial, .. } = looker;
        let estimate = counter.finish(&source.info);
        let members = estimate.files + estimate.directories + estimate.symlinks;
        self.check_members(&source, members, excluded, skipped.total())?;
        let unused = looker.unused_max_len.iter().map(|path| Warning::MaxLenUnused(path.to_vec()));
        let empty = (members == 0).then_some(Warning::Empty);
        let warnings = source.warnings.iter().cloned().chain(empty).chain(unused).collect();
        let duration = started.elapsed();
        Ok(Preview { estimate, excluded, unselected, skipped, warnings, duration, is_partial })
    }
}

/// Looks at the entries of a walk.
struct Looker<'a> {
    walk: TreeWalk<'a>,
    excludes: &'a Excludes,
    options: &'a TreeOptions,
    counter: Counter<'a>,
    excluded: u64,
    unselected: u64,
    skipped: Listed<Skipped>,
    is_partial: bool,
    /// Paths of `max_len` that were not found yet.
    unused_max_len: BTreeSet<&'a [u8]>,
}

/// What a backup would store of an entry, and the reason why it would skip the entry or its content.
type Found = (Option<(EntryKind, Metadata, Vec<u8>)>, Option<SkipReason>);

impl Looker<'_> {
    /// Looks at the current entry.
    fn look(&mut self, step: WalkEntry) -> Result<PreviewEntry> {
        let is_excluded = matches!(step, WalkEntry::Excluded);
        let (stored, skipped) = match step {
            WalkEntry::File => self.file()?,
            WalkEntry::Symlink => self.symlink()?,
            WalkEntry::Directory(meta, skipped) => {
                (Some((EntryKind::Directory, meta, Vec::new())), skipped)
            }
            WalkEntry::Excluded => (None, None),
            WalkEntry::Skipped(reason) => (None, Some(reason)),
        };
        let (path, kind) = (self.walk.path().to_vec(), self.walk.kind());
        let size = stored.as_ref().map_or(0, |(kind, meta, target)| {
            self.unused_max_len.remove(&*path);
            self.counter.add(&path, *kind, meta, target)
        });
        self.excluded += u64::from(is_excluded);
        match &skipped {
            Some(SkipReason::NotSelected) => self.unselected += 1,
            Some(reason) => {
                self.is_partial |= reason.is_data_loss();
                self.skipped.push(Skipped { path: path.clone(), reason: reason.clone() });
            }
            None => {}
        }
        let is_included = stored.is_some();
        let pattern = (is_included || is_excluded)
            .then(|| self.excludes.last_match(&path, kind == Some(MemberKind::Directory)))
            .flatten();
        Ok(PreviewEntry { path, kind, size, is_included, skipped, pattern })
    }

    fn file(&self) -> Result<Found> {
        let mut file = match self.walk.dir_entry().and_then(|entry| entry.open_file()) {
            Ok(file) => file,
            Err(errno) => return self.skip_or_fail("open", errno),
        };
        let meta = file.metadata();
        let fills = |into: &mut [u8], at| file.read_at(into, at) == Ok(into.len());
        let is_own = self.options.leaves_out(meta.size, fills);
        file.release_start();
        Ok(match is_own {
            true => (None, Some(SkipReason::OwnBackup)),
            false => (Some((EntryKind::File, meta, Vec::new())), None),
        })
    }

    fn symlink(&self) -> Result<Found> {
        match self.walk.dir_entry().and_then(|entry| entry.read_link()) {
            Ok((meta, target)) => Ok((Some((EntryKind::Symlink, meta, target)), None)),
            // It is no longer a symlink.
            Err(Errno::INVAL) => Ok((None, Some(SkipReason::Replaced))),
            Err(errno) => self.skip_or_fail("read the link", errno),
        }
    }

    /// Skips the current entry, or fails, as a backup would.
    fn skip_or_fail(&self, operation: &'static str, errno: Errno) -> Result<Found> {
        let reason = skippable(errno).ok_or_else(|| self.walk.fail(operation, errno))?;
        Ok((None, Some(reason)))
    }
}
