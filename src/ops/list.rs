//! Lists the members of an archive.

use std::sync::Arc;

use crate::{
    entry::{EntryKind, Member},
    error::Result,
    format::index::LocatedEntry,
    ops::{
        last_members::LastMembers,
        member_stream::{Collected, ListEnd, MemberSink, MemberStream},
        select::Selection,
        unpacked::MEMBERS_MAX,
    },
    progress::{Phase, Tracker},
    read::{
        self, Index, Options, Source,
        damage::{NoIndex, ReadMethod},
        is_damage,
        sink::Sink,
        worker_pool::WorkerPool,
    },
    source::Archive,
    task::Task,
};

const OPTIONS: Options = Options { sha1: false, keys: false, tolerant: false };

/// Lists the members of an archive.
///
/// If an archive has several members of one path, the last is listed, because it is the one that is
/// extracted. A hard link has the size of the file that it names. A hard link to a symlink is listed as that
/// symlink.
///
/// With an index, a list reads only the index, and trusts it. [`Verify`](crate::Verify) compares the index
/// with the archive.
///
/// ```no_run
/// use wingback::{Archive, List};
///
/// let listed = List::new().select("world/*.dat").start(Archive::file("backup.tar.gz"));
/// for member in futures::executor::block_on(listed)?.members() {
///     println!("{:>10} {}", member.size, String::from_utf8_lossy(&member.path));
/// }
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct List {
    selection: Selection,
    max_members: u64,
}

impl Default for List {
    fn default() -> Self {
        List { selection: Selection::default(), max_members: MEMBERS_MAX }
    }
}

/// The result of [`List`].
#[derive(Debug)]
pub struct Listing {
    members: Vec<Member>,
    end: ListEnd,
}

impl List {
    /// Returns a list of all members.
    pub fn new() -> Self {
        List::default()
    }

    /// Lists only this path with everything beneath it, or the members that this pattern matches.
    ///
    /// Calls add up. Patterns are those of `.gitignore`. [`Listing::unmatched`] returns the paths and patterns
    /// that matched nothing.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Sets how many members may be listed. The default is [`MEMBERS_MAX`], which explains how members count.
    /// Without an index, all members of the archive count, because something is remembered of each. A
    /// [`stream`](List::stream) by an index has no limit.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Lists the archive, and returns all members at once.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if the archive is not a regular file.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if it cannot be opened.
    /// - [`UrlExpired`](crate::ErrorKind::UrlExpired) if the signature of its link has expired.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the file is not a `.tar.gz`, or is damaged where the list
    ///   has to read it.
    /// - [`NoSpace`](crate::ErrorKind::NoSpace) if there are more than [`max_members`](List::max_members).
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and
    ///   [`Internal`](crate::ErrorKind::Internal) for a fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn start(self, archive: Archive<'_>) -> Task<'_, Listing> {
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let work = move |source, _| {
                let max = self.max_members;
                let mut collected = Collected { members: Vec::new(), left: max, max };
                let end = self.run(source, &mut collected, &watched)?;
                Ok(Listing { members: collected.members, end })
            };
            archive.read(&tracker, work, |_| futures::future::ready(Ok(()))).await
        })
    }

    /// Lists the archive, and returns the members one by one. With an index, this takes constant memory for an
    /// archive of any size. Without one, the members come after the whole archive was read, because a later
    /// member may replace an earlier one.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wingback::{Archive, List};
    ///
    /// # async fn f() -> wingback::Result<()> {
    /// let mut members = List::new().stream(Archive::file("backup.tar.gz"));
    /// while let Some(member) = members.try_next().await? {
    ///     println!("{}", String::from_utf8_lossy(&member.path));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream returns those of [`start`](List::start). If it has returned members by an index, and then a
    /// page of the index is damaged, it ends with [`Corrupt`](crate::ErrorKind::Corrupt);
    /// [`start`](List::start) would read the archive without its index.
    pub fn stream(self, archive: Archive<'_>) -> MemberStream<'_> {
        MemberStream::of(archive, move |source, members, tracker| {
            self.run(source, members, tracker)
        })
    }

    /// Lists the archive into `members`.
    fn run(
        &self,
        source: Source,
        members: &mut impl MemberSink,
        tracker: &Tracker,
    ) -> Result<ListEnd> {
        let why = match source.index()? {
            Ok(index) => match self.by_index(&index, members) {
                Err(e) if is_damage(&e) && members.restart() => NoIndex::Damaged,
                ended => return ended,
            },
            Err(why) => why,
        };
        let mut unmatched = self.selection.unmatched();
        let pool = WorkerPool::start(1, false)?;
        let mut sink =
            LastMembers::new("list", &self.selection, &mut unmatched, self.max_members, tracker);
        let outcome = read::in_sequence(source, why, &OPTIONS, &pool, tracker, &mut sink)?;
        // An archive of profile `wings` that came as a stream has its links at its end.
        if let Some(index) = &outcome.index {
            index.for_each_unlisted(|entry| sink.member(Member::of_entry(entry)).map(drop))?;
        }
        sink.into_members().try_for_each(|member| members.add(member))?;
        let unmatched = self.selection.texts(&unmatched);
        Ok(ListEnd { read_method: outcome.read_method, unmatched })
    }

    /// Lists the entries of an index. Fails with [`Corrupt`](crate::ErrorKind::Corrupt) if a page is damaged.
    fn by_index(&self, index: &Arc<Index>, members: &mut impl MemberSink) -> Result<ListEnd> {
        let mut unmatched = self.selection.unmatched();
        index.for_each_entry(|LocatedEntry { entry, .. }| {
            let is_directory = entry.kind == EntryKind::Directory;
            match self.selection.matches(&entry.path, is_directory, &mut unmatched) {
                true => members.add(Member::of_entry(entry)),
                false => Ok(()),
            }
        })?;
        let unmatched = self.selection.texts(&unmatched);
        Ok(ListEnd { read_method: ReadMethod::Indexed, unmatched })
    }
}

impl Listing {
    /// Returns how the archive was read.
    pub fn read_method(&self) -> ReadMethod {
        self.end.read_method
    }

    /// Returns the members. With an index they are in the order of paths, otherwise in the order of the
    /// archive.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.members.iter().cloned()
    }

    /// Returns the members without copying them.
    pub fn into_members(self) -> Vec<Member> {
        self.members
    }

    /// Returns the number of the members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the selected paths and patterns that matched nothing.
    pub fn unmatched(&self) -> &[Vec<u8>] {
        &self.end.unmatched
    }
}
