//! Searches all archives of a store for files.

mod version;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use futures::{StreamExt, future::ready, stream};

use crate::{
    entry::MemberKind,
    error::{Error, ErrorKind, Result},
    limiter::Limiter,
    ops::{
        archives::list,
        find::version::{Seen, Versions},
        index_entries::IndexEntries,
        select::{Selection, Unmatched},
        unpacked::weight,
    },
    progress::{Phase, Tracker},
    read::Source,
    source::Archive,
    store::Store,
    task::Task,
};

pub use version::{FileVersion, Found, Unsearched};

/// Archives that are searched together.
const TOGETHER: usize = 4;

/// Default limit of what a [`Find`] may find.
const FOUND_MAX: u64 = 1_000_000;

/// Searches all archives of a store for versions of files.
///
/// Only the indexes are read. Contents of one path and size are one version if the keys of their segments, which
/// are hashes of the content, say so. Small files share segments. There, equal mtime, ctime and inode mean equal
/// content, unless the file was being changed. So one content may be listed as several versions, but two
/// contents are never listed as one. Keys find changes, but not a tenant who makes two contents with one key.
///
/// Directories are not found, but a selected directory selects everything beneath it.
///
/// ```
/// use wingback::{Backup, Find, MemoryStore, NameTemplate};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let server = tmp.path().join("lobby");
/// # std::fs::create_dir(&server).unwrap();
/// let (store, name) = (MemoryStore::new(), NameTemplate::default());
/// for level in ["one", "another"] {
///     std::fs::write(server.join("level.dat"), level).unwrap();
///     Backup::new(&server).start(store.clone(), name.key(&uuid::Uuid::new_v4())).wait()?;
/// }
/// let found = Find::new().select("level.dat").start(store).wait()?;
/// assert_eq!((found.paths, found.versions.len(), found.searched), (1, 2, 2));
/// # Ok::<(), wingback::Error>(())
/// ```
///
/// # Memory
///
/// The archives are read page by page. Everything that is found is kept in memory, up to
/// [`max_members`](Find::max_members).
#[derive(Clone, Debug)]
pub struct Find {
    selection: Selection,
    label: Option<Vec<u8>>,
    max_members: u64,
    read_limit: Limiter,
}

impl Default for Find {
    fn default() -> Self {
        Find {
            selection: Selection::default(),
            label: None,
            max_members: FOUND_MAX,
            read_limit: Limiter::default(),
        }
    }
}

impl Find {
    /// Returns a search for all files.
    pub fn new() -> Self {
        Find::default()
    }

    /// Searches only for this path with everything beneath it, or the paths that this pattern matches.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. [`Found::unmatched`] has the paths and patterns that
    /// matched nothing.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Searches only archives with this [label](crate::Info::label).
    #[must_use]
    pub fn label(mut self, label: impl Into<Vec<u8>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets how many members of all archives together may match. The default is 1,000,000. A member counts once
    /// more for each 128 bytes of its path and target.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Limits how fast the archives are read, all together: see [`Archive::read_limit`].
    #[must_use]
    pub fn read_limit(mut self, limit: Limiter) -> Self {
        self.read_limit = limit;
        self
    }

    /// Searches the archives of `store`.
    ///
    /// An archive that cannot be searched is not an error: [`Found::unsearched`] has it. An archive that is
    /// deleted meanwhile is left out.
    ///
    /// # Errors
    ///
    /// - Those of [`Archives::start`](crate::Archives::start).
    /// - [`NoSpace`](ErrorKind::NoSpace) if more than [`max_members`](Find::max_members) match.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Internal`](ErrorKind::Internal) for a fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn start<'a>(self, store: impl Store + 'a) -> Task<'a, Found> {
        let store: Arc<dyn Store + 'a> = Arc::new(store);
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            self.run(&store, &tracker).await
        })
    }

    async fn run<'a>(self, store: &Arc<dyn Store + 'a>, tracker: &Arc<Tracker>) -> Result<Found> {
        let started = Instant::now();
        let mut archives = list(store, &self.read_limit, tracker, || ()).await?;
        if let Some(label) = &self.label {
            archives.retain(|archive| archive.label() == Some(label));
        }
        let search = Arc::new(Search {
            selection: self.selection,
            max_members: self.max_members,
            matched: AtomicU64::new(0),
        });
        let searches = archives.into_iter().map(|archive| {
            let (search, watched) = (search.clone(), tracker.clone());
            let read_limit = self.read_limit.clone();
            async move {
                let place = Archive::in_store(store.clone(), archive.key.clone());
                let place = place.read_limit(read_limit);
                let work = move |source, _| search.all_of(&source, &watched);
                let seen = place.read(tracker, work, |_| ready(Ok(()))).await;
                (archive, seen)
            }
        });
        // Newest first, as the archives are listed.
        let mut searches = stream::iter(searches).buffered(TOGETHER);
        let (mut versions, mut unsearched) =
            (Versions::default(), crate::listed::Listed::default());
        let (mut unmatched, mut searched) = (search.selection.unmatched(), 0);
        while let Some((archive, seen)) = searches.next().await {
            match seen {
                Ok((seen, unmatched_here)) => {
                    searched += 1;
                    unmatched.retain(&unmatched_here);
                    versions.add(&Arc::new(archive), seen);
                }
                Err(e) => match e.kind() {
                    ErrorKind::NotFound => {}
                    ErrorKind::Cancelled | ErrorKind::NoSpace | ErrorKind::Internal => {
                        return Err(e);
                    }
                    _ => unsearched.push(Unsearched { key: archive.key, error: e }),
                },
            }
        }
        Ok(Found {
            paths: versions.paths(),
            versions: versions.into_versions(),
            searched,
            unsearched,
            unmatched: search.selection.texts(&unmatched),
            duration: started.elapsed(),
        })
    }
}

/// A search of several archives at a time.
struct Search {
    selection: Selection,
    max_members: u64,
    /// What the matches so far count.
    matched: AtomicU64,
}

impl Search {
    /// Returns the selected files and symlinks of an archive, and the selectors that match none.
    fn all_of(&self, source: &Source, tracker: &Tracker) -> Result<(Vec<Seen>, Unmatched)> {
        let (Ok(index), Source::At(at)) = (source.index()?, source) else {
            let why = "it has no index: another program made it, or its end is missing or damaged";
            return Err(Error::new(ErrorKind::InvalidInput, "search").caused_by(why));
        };
        let mut entries = IndexEntries::new(at.clone(), &index, None);
        let (mut seen, mut unmatched) = (Vec::new(), self.selection.unmatched());
        while let Some((member, stamp)) = entries.next()? {
            tracker.check()?;
            tracker.add_file();
            let is_directory = member.kind == MemberKind::Directory;
            if !self.selection.matches(&member.path, is_directory, &mut unmatched) || is_directory {
                continue;
            }
            let matched = self.matched.fetch_add(weight(&member), Relaxed);
            if matched.saturating_add(weight(&member)) > self.max_members {
                let why = format!("more than {} members match", self.max_members);
                return Err(Error::new(ErrorKind::NoSpace, "search").caused_by(why));
            }
            seen.push(Seen { keys: entries.keys()?, member, stamp });
        }
        Ok((seen, unmatched))
    }
}
