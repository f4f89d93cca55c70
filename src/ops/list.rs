//! Looks into an archive: which members it has.

use std::{
    cmp::Ordering,
    collections::{HashMap, hash_map},
    hash::{BuildHasher, RandomState},
    iter::Peekable,
    ops::Range,
    sync::Arc,
};

use crate::{
    entry::{Entry, EntryKind, Member, MemberKind, Unlisted},
    error::{Error, ErrorKind, Result},
    fs::beneath::{ends, split},
    ops::{
        select::{Selection, Unmatched},
        unpacked::{MAX_MEMBERS, too_many, weight},
    },
    progress::{Phase, Tracker},
    read::{
        self, Options, Source,
        damage::ReadMethod,
        tar_reader::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
    source::Archive,
    task::Task,
};

const OPTIONS: Options = Options { sha1: false, keys: false, tolerant: false };

/// Lists what an archive holds.
///
/// Of several members of one path the last is listed, as it is the one that is extracted. A hard link
/// has the size of the file that it names; one to a symlink is listed as that symlink.
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

/// Resolved [`List`] found.
#[derive(Debug)]
pub struct Listing {
    read_method: ReadMethod,
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
        let mut unmatched = self.selection.unmatched();
        let (read_method, members) = match source.layout()? {
            Ok(layout) => {
                let Some(layout) = Arc::into_inner(layout) else {
                    return Err(Error::new(ErrorKind::Internal, "list"));
                };
                let (mut entries, mut unlisted) = (layout.index.entries, layout.index.unlisted);
                let mut matches = |path: &[u8], kind: EntryKind| {
                    self.selection.matches(path, kind == EntryKind::Directory, &mut unmatched)
                };
                entries.retain(|e| matches(&e.path, e.kind()));
                unlisted.retain(|u| matches(&u.path, u.kind()));
                (ReadMethod::Indexed, Members::Index(entries, unlisted))
            }
            Err(why) => {
                let pool = WorkerPool::start(1, false)?;
                let mut sink = Collect {
                    list: self,
                    unmatched: &mut unmatched,
                    hasher: RandomState::new(),
                    latest: HashMap::new(),
                    parent: Vec::new(),
                    members: Vec::new(),
                    count: 0,
                    tracker,
                };
                let outcome = read::in_sequence(source, why, &OPTIONS, &pool, tracker, &mut sink)?;
                // An archive of profile `wings` that came as a stream has its links at its end.
                for unlisted in outcome.layout.iter().flat_map(|l| &l.index.unlisted) {
                    sink.member(Member::of_unlisted(unlisted))?;
                }
                (
                    outcome.read_method,
                    Members::Sequence(sink.members.into_iter().flatten().collect()),
                )
            }
        };
        Ok(Listing { read_method, members, unmatched: self.selection.texts(&unmatched) })
    }
}

impl Listing {
    /// How the archive was read.
    pub fn read_method(&self) -> ReadMethod {
        self.read_method
    }

    /// Resolved it holds. With an index, in the order of paths; else in that of the archive.
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

/// Keeps the members that a list matches: of each path the last, as it would be extracted.
struct Collect<'a> {
    list: &'a List,
    unmatched: &'a mut Unmatched,
    hasher: RandomState,
    /// Resolved each path is by now, by its hash, and where it stands among the members.
    latest: HashMap<u64, (Resolved, Option<usize>)>,
    /// The directory of the last member.
    parent: Vec<u8>,
    /// `None` for one that another of its path came after.
    members: Vec<Option<Member>>,
    /// Resolved all members count, wanted or not: something is remembered of each.
    count: u64,
    tracker: &'a Tracker,
}

/// Resolved a hard link to a path becomes.
#[derive(Clone)]
enum Resolved {
    File(u64),
    Symlink(Arc<[u8]>),
    Other(MemberKind),
}

impl Collect<'_> {
    /// An archive need not name the directories that its members are in.
    fn enter(&mut self, path: &[u8]) {
        let parent = split(path).0;
        if self.parent != parent {
            for end in ends(parent) {
                let name = self.hasher.hash_one(&parent[..end]);
                let directory = Resolved::Other(MemberKind::Directory);
                if let hash_map::Entry::Vacant(vacant) = self.latest.entry(name) {
                    vacant.insert((directory, None));
                    self.count = self.count.saturating_add(1);
                }
            }
            self.parent = parent.to_vec();
        }
    }

    /// Makes of a hard link what it names. `None` if that is nothing.
    fn resolve(&self, member: &mut Member) -> Option<Resolved> {
        let what = match member.kind {
            MemberKind::File => Resolved::File(member.size),
            MemberKind::Symlink => Resolved::Symlink(member.target[..].into()),
            MemberKind::HardLink => {
                let (what, _) = self.latest.get(&self.hasher.hash_one(&*member.target))?;
                match what {
                    Resolved::File(size) => member.size = *size,
                    Resolved::Symlink(target) => {
                        (member.kind, member.target) = (MemberKind::Symlink, target.to_vec());
                    }
                    Resolved::Other(MemberKind::Directory) => return None,
                    Resolved::Other(kind) => (member.kind, member.target) = (*kind, Vec::new()),
                }
                what.clone()
            }
            kind => Resolved::Other(kind),
        };
        Some(what)
    }
}

impl Sink for Collect<'_> {
    fn member(&mut self, mut member: Member) -> Result<bool> {
        self.tracker.add_file();
        self.enter(&member.path);
        self.count = self.count.saturating_add(weight(&member));
        if self.count > self.list.max_members {
            return Err(too_many("list", self.list.max_members));
        }
        let name = self.hasher.hash_one(&*member.path);
        let before = self.latest.get(&name).map(|(_, place)| *place);
        let is_link = member.kind == MemberKind::HardLink;
        if is_link && member.path == member.target && before.is_some() {
            return Ok(false);
        }
        let what = match self.resolve(&mut member) {
            Some(what) => what,
            // It cannot be made, and leaves what is there.
            None if before.is_some() => return Ok(false),
            None => Resolved::Other(MemberKind::Directory),
        };
        if let Some(Some(place)) = before {
            self.members[place] = None;
        }
        let is_dir = member.kind == MemberKind::Directory;
        let is_wanted = self.list.selection.matches(&member.path, is_dir, self.unmatched);
        self.latest.insert(name, (what, is_wanted.then_some(self.members.len())));
        self.members.extend(is_wanted.then_some(Some(member)));
        Ok(false)
    }

    fn refuse(&mut self, member: Member, _: &'static str) -> Result<()> {
        self.member(member).map(drop)
    }

    fn data(&mut self, _: &SharedBuffer, _: Range<usize>, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }

    fn abandon(&mut self) {}
}
