//! Looks into an archive: what is in it, and one file of it.

use std::{cmp::Ordering, iter::Peekable, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{AsyncWrite, AsyncWriteExt};

use crate::{
    archive::read::{
        self, Options, Source, Wanted,
        crew::{Crew, Raw},
        walker::{Gaps, Sink},
    },
    damage::{NoIndex, Way},
    entry::{Entry, EntryKind, Member, MemberKind, Unlisted},
    error::{Error, ErrorKind, Result},
    input::Archive,
    pipe::Outlet,
    progress::{Phase, Tracker},
    select::{Selection, Unmet},
    task::Task,
    unpacked::{MAX_MEMBERS, too_many, weight},
};

const OPTIONS: Options = Options { sha1: false, keys: false, tolerant: false };

/// Lists what an archive holds.
///
/// With an index that takes a read or two, whatever the archive's size, and believes the index;
/// [`Verify`](crate::Verify) compares it with the archive itself.
#[derive(Clone, Debug)]
pub struct List {
    selection: Selection,
    max_members: u64,
}

impl Default for List {
    fn default() -> Self {
        List { selection: Selection::default(), max_members: MAX_MEMBERS }
    }
}

/// What [`List`] found.
#[derive(Debug)]
pub struct Listing {
    way: Way,
    members: Members,
    unmatched: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Members {
    /// As the index has them: half the memory.
    Index(Vec<Entry>, Vec<Unlisted>),
    Sequence(Vec<Member>),
}

impl List {
    /// A list of everything.
    pub fn new() -> Self {
        List::default()
    }

    /// Lists only this path with all beneath it, or what this pattern matches; more calls add more.
    /// Patterns are written as in gitignore.
    #[must_use]
    pub fn select(mut self, path_or_pattern: impl AsRef<[u8]>) -> Self {
        self.selection.add(path_or_pattern.as_ref());
        self
    }

    /// Fails with [`NoSpace`](ErrorKind::NoSpace) when an archive that is read in sequence has more
    /// members that are to be listed: [`MAX_MEMBERS`] unless told otherwise. An index has a bound of
    /// its own.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Lists the archive.
    pub fn start(self, archive: Archive<'_>) -> Task<'_, Listing> {
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let work = move |source, _| self.run(source, &watched);
            archive.read(&tracker, work, |_| futures::future::ready(Ok(()))).await
        })
    }

    fn run(&self, source: Source, tracker: &Tracker) -> Result<Listing> {
        let mut unmet = self.selection.unmet();
        let (way, members) = match source.layout()? {
            Ok(layout) => {
                let Some(layout) = Arc::into_inner(layout) else {
                    return Err(Error::new(ErrorKind::Internal, "list"));
                };
                let (mut entries, mut unlisted) = (layout.index.entries, layout.index.unlisted);
                let mut wants = |path: &[u8], kind: EntryKind| {
                    self.selection.wants(path, kind == EntryKind::Directory, &mut unmet)
                };
                entries.retain(|e| wants(&e.path, e.kind()));
                unlisted.retain(|u| wants(&u.path, u.kind()));
                (Way::Index, Members::Index(entries, unlisted))
            }
            Err(why) => {
                let crew = Crew::start(1, false)?;
                let mut sink = Collect {
                    list: self,
                    unmet: &mut unmet,
                    members: Vec::new(),
                    count: 0,
                    tracker,
                };
                let outcome = read::in_sequence(source, why, &OPTIONS, &crew, tracker, &mut sink)?;
                // An archive of profile `wings` that came as a stream has its links at its end.
                for unlisted in outcome.layout.iter().flat_map(|l| &l.index.unlisted) {
                    sink.member(Member::of_unlisted(unlisted))?;
                }
                (outcome.way, Members::Sequence(sink.members))
            }
        };
        Ok(Listing { way, members, unmatched: self.selection.texts(&unmet) })
    }
}

impl Listing {
    /// Which way the archive was read.
    pub fn way(&self) -> Way {
        self.way
    }

    /// What it holds. With an index, in the order of paths; else in that of the archive.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let (entries, unlisted, members): (&[_], &[_], &[_]) = match &self.members {
            Members::Index(entries, unlisted) => (entries, unlisted, &[]),
            Members::Sequence(members) => (&[], &[], members),
        };
        merge(entries.iter(), unlisted.iter()).chain(members.iter().cloned())
    }

    /// Paths and patterns that nothing matched.
    pub fn unmatched(&self) -> &[Vec<u8>] {
        &self.unmatched
    }
}

/// Both lists in one order of paths.
fn merge<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    unlisted: impl Iterator<Item = &'a Unlisted>,
) -> impl Iterator<Item = Member> {
    fn key(member: &Member) -> impl Iterator<Item = &u8> {
        let slash = (member.kind == MemberKind::Directory).then_some(&b'/');
        member.path.iter().chain(slash)
    }
    fn next_of(
        members: &mut Peekable<impl Iterator<Item = Member>>,
        is_it: bool,
    ) -> Option<Member> {
        if is_it { members.next() } else { None }
    }
    let mut entries = entries.map(Member::of_entry).peekable();
    let mut unlisted = unlisted.map(Member::of_unlisted).peekable();
    std::iter::from_fn(move || {
        let is_entry = match (entries.peek(), unlisted.peek()) {
            (Some(a), Some(b)) => key(a).cmp(key(b)) != Ordering::Greater,
            (a, _) => a.is_some(),
        };
        next_of(&mut entries, is_entry).or_else(|| unlisted.next())
    })
}

/// Keeps the members that a list wants.
struct Collect<'a> {
    list: &'a List,
    unmet: &'a mut Unmet,
    members: Vec<Member>,
    /// What they count.
    count: u64,
    tracker: &'a Tracker,
}

impl Sink for Collect<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        self.tracker.add_file();
        let is_dir = member.kind == MemberKind::Directory;
        if self.list.selection.wants(&member.path, is_dir, self.unmet) {
            self.count = self.count.saturating_add(weight(&member));
            if self.count > self.list.max_members {
                return Err(too_many("list", self.list.max_members));
            }
            self.members.push(member);
        }
        Ok(false)
    }

    fn data(&mut self, _: &Raw, _: Range<usize>, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }

    fn abandon(&mut self) {}
}

impl<'a> Archive<'a> {
    /// Copies the content of one file of the archive to `destination` (or to a `&mut` of one), and
    /// flushes it at the end.
    ///
    /// With an index only the segments that hold it are read. Without, all of the archive is, so that
    /// its checksum is looked at; of several files of that path, the first is taken. Only once the
    /// task resolves well is what was written known to be right. [`NotFound`](ErrorKind::NotFound)
    /// if there is none, [`InvalidInput`](ErrorKind::InvalidInput) if it is no file.
    pub fn copy_file<W>(self, path: impl Into<Vec<u8>>, destination: W) -> Task<'a, Member>
    where
        W: AsyncWrite + Unpin + Send + 'a,
    {
        let path = path.into();
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let destination = futures::lock::Mutex::new(destination);
            let work = move |source, outlet| copy_file(source, path, outlet, &watched);
            let write = |e| Error::io("write", e);
            let member = archive_write(self, &tracker, work, &destination).await?;
            destination.into_inner().flush().await.map_err(write)?;
            Ok(member)
        })
    }
}

async fn archive_write<W: AsyncWrite + Unpin + Send>(
    archive: Archive<'_>,
    tracker: &Arc<Tracker>,
    work: impl FnOnce(Source, Outlet) -> Result<Member> + Send + 'static,
    destination: &futures::lock::Mutex<W>,
) -> Result<Member> {
    archive
        .read(tracker, work, |bytes| async move {
            destination.lock().await.write_all(&bytes).await.map_err(|e| Error::io("write", e))
        })
        .await
}

fn copy_file(source: Source, path: Vec<u8>, outlet: Outlet, tracker: &Tracker) -> Result<Member> {
    let path = path.strip_prefix(b"./").unwrap_or(&path).to_vec();
    let mut sink = One { path, outlet, found: None, gaps: Gaps::default(), tracker };
    let crew = Crew::start(1, false)?;
    let mut why = NoIndex::Contradicted;
    match (source.layout()?, &source) {
        (Ok(layout), Source::At(at)) => {
            let entries = &layout.index.entries;
            if let Some(place) = entries.iter().position(|e| e.path == sink.path) {
                let wanted = Wanted::Some(vec![place]);
                let outcome =
                    read::by_index(at, layout, wanted, &OPTIONS, &crew, tracker, &mut sink)?;
                if outcome.is_some() {
                    return sink.finish();
                }
            } else {
                let unlisted = layout.index.unlisted.iter().find(|u| u.path == sink.path);
                sink.found = unlisted.map(Member::of_unlisted);
                return sink.finish();
            }
        }
        (Err(absent), _) => why = absent,
        (Ok(_), Source::Stream(_)) => {}
    }
    read::in_sequence(source, why, &OPTIONS, &crew, tracker, &mut sink)?;
    sink.finish()
}

/// Passes the content of one file on.
struct One<'a> {
    path: Vec<u8>,
    outlet: Outlet,
    found: Option<Member>,
    gaps: Gaps,
    tracker: &'a Tracker,
}

impl One<'_> {
    fn finish(self) -> Result<Member> {
        use std::os::unix::ffi::OsStrExt;
        let error = |kind, why: String| {
            let path = std::ffi::OsStr::from_bytes(&self.path);
            Err(Error::new(kind, "read the file").at(path).caused_by(why))
        };
        match self.found {
            Some(member) if member.kind == MemberKind::File => Ok(member),
            Some(member) if member.target.is_empty() => {
                error(ErrorKind::InvalidInput, format!("it is a {}", member.kind.code()))
            }
            Some(member) => {
                let target = String::from_utf8_lossy(&member.target).into_owned();
                error(
                    ErrorKind::InvalidInput,
                    format!("it is a {} to {target}", member.kind.code()),
                )
            }
            None => error(ErrorKind::NotFound, "the archive has nothing of that path".into()),
        }
    }
}

impl Sink for One<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let is_it = self.found.is_none() && member.path == self.path;
        let is_file = member.kind == MemberKind::File;
        if is_it {
            self.gaps = Gaps::of(member.size);
            self.found = Some(member);
        }
        Ok(is_it && is_file)
    }

    fn data(&mut self, raw: &Raw, range: Range<usize>, offset: u64) -> Result<()> {
        self.tracker.add_bytes(range.len() as u64);
        while let Some(zeros) = self.gaps.before(offset) {
            self.outlet.send(zeros)?;
        }
        self.gaps.pass(range.len());
        self.outlet.send(Bytes::from_owner(raw.clone()).slice(range))
    }

    fn end(&mut self) -> Result<()> {
        while let Some(zeros) = self.gaps.at_end() {
            self.outlet.send(zeros)?;
        }
        self.tracker.add_file();
        Ok(())
    }

    fn abandon(&mut self) {}
}
