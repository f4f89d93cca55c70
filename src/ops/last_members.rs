//! The members of an archive that is read in sequence: for each path the last, as it would be extracted.

use std::{
    collections::{HashMap, hash_map},
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

use crate::{
    entry::{Member, MemberKind},
    error::Result,
    fs::beneath::{component_ends, split},
    ops::{
        select::{Selection, Unmatched},
        unpacked::{too_many, weight},
    },
    progress::Tracker,
    read::{gaps::Gaps, sink::Sink, worker_pool::SharedBuffer},
};

/// BLAKE3 hash of the content of a file.
pub(super) type ContentHash = [u8; 32];

/// Collects the selected members: for each path the last, as it would be extracted.
pub(super) struct LastMembers<'a> {
    operation: &'static str,
    selection: &'a Selection,
    unmatched: &'a mut Unmatched,
    max_members: u64,
    hasher: RandomState,
    /// By the hash of each path: its kind so far, and its position in `members`.
    latest: HashMap<u64, (Resolved, Option<usize>)>,
    /// Parent of the last member.
    parent: Vec<u8>,
    /// `None` for a member that a later member of the same path replaced.
    members: Vec<Option<Member>>,
    /// Weight of all members, selected or not, because something is remembered of each.
    count: u64,
    tracker: &'a Tracker,
    /// `None` if the content is not wanted.
    contents: Option<Contents>,
}

/// Hashes of the contents of files, by the hash of their paths.
struct Contents {
    hashes: HashMap<u64, ContentHash>,
    /// The file whose content comes.
    path: u64,
    hasher: blake3::Hasher,
    gaps: Gaps,
}

/// The kind of member that a hard link to a path becomes.
#[derive(Clone)]
enum Resolved {
    File(u64),
    Symlink(Arc<[u8]>),
    Other(MemberKind),
}

impl<'a> LastMembers<'a> {
    /// Returns a sink for the members of an archive. `operation` is that of the error for too many of them.
    pub(super) fn new(
        operation: &'static str,
        selection: &'a Selection,
        unmatched: &'a mut Unmatched,
        max_members: u64,
        tracker: &'a Tracker,
    ) -> Self {
        LastMembers {
            operation,
            selection,
            unmatched,
            max_members,
            hasher: RandomState::new(),
            latest: HashMap::new(),
            parent: Vec::new(),
            members: Vec::new(),
            count: 0,
            tracker,
            contents: None,
        }
    }

    /// Also hashes the contents of the files.
    pub(super) fn with_contents(self) -> Self {
        let (hashes, hasher, gaps) = (HashMap::new(), blake3::Hasher::new(), Gaps::default());
        LastMembers { contents: Some(Contents { hashes, path: 0, hasher, gaps }), ..self }
    }

    /// Returns the members.
    pub(super) fn into_members(self) -> impl Iterator<Item = Member> {
        self.members.into_iter().flatten()
    }

    /// Returns the members, and the hash of the content of each file.
    pub(super) fn into_hashed(self) -> Vec<(Member, Option<ContentHash>)> {
        let (hasher, contents) = (self.hasher, self.contents);
        let hash = |path: &[u8]| {
            contents.as_ref().and_then(|all| all.hashes.get(&hasher.hash_one(path)).copied())
        };
        let members = self.members.into_iter().flatten();
        members
            .map(|member| (hash(&member.path), member))
            .map(|(hash, member)| (member, hash))
            .collect()
    }

    /// Records the parents of a member, because an archive need not contain them.
    fn enter(&mut self, path: &[u8]) {
        let parent = split(path).0;
        if self.parent != parent {
            for end in component_ends(parent) {
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

    /// Replaces a hard link by the member that it names. `None` if there is no such member.
    fn resolve(&mut self, member: &mut Member) -> Option<Resolved> {
        let what = match member.kind {
            MemberKind::File => Resolved::File(member.size),
            MemberKind::Symlink => Resolved::Symlink(member.target[..].into()),
            MemberKind::HardLink => {
                let (what, _) = self.latest.get(&self.hasher.hash_one(&*member.target))?;
                match what {
                    Resolved::File(size) => {
                        member.size = *size;
                        if let Some(contents) = &mut self.contents {
                            let of = contents.hashes.get(&self.hasher.hash_one(&*member.target));
                            let path = self.hasher.hash_one(&*member.path);
                            of.copied().map(|hash| contents.hashes.insert(path, hash));
                        }
                    }
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

impl Sink for LastMembers<'_> {
    fn member(&mut self, mut member: Member) -> Result<bool> {
        self.tracker.add_file();
        self.enter(&member.path);
        self.count = self.count.saturating_add(weight(&member));
        if self.count > self.max_members {
            return Err(too_many(self.operation, self.max_members));
        }
        let name = self.hasher.hash_one(&*member.path);
        let before = self.latest.get(&name).map(|(_, place)| *place);
        let is_link = member.kind == MemberKind::HardLink;
        if is_link && member.path == member.target && before.is_some() {
            return Ok(false);
        }
        let what = match self.resolve(&mut member) {
            Some(what) => what,
            // The link cannot be made, and the member before it stays.
            None if before.is_some() => return Ok(false),
            None => Resolved::Other(MemberKind::Directory),
        };
        if let Some(Some(place)) = before {
            self.members[place] = None;
        }
        let (is_dir, is_file) =
            (member.kind == MemberKind::Directory, member.kind == MemberKind::File);
        let is_selected = self.selection.matches(&member.path, is_dir, self.unmatched);
        self.latest.insert(name, (what, is_selected.then_some(self.members.len())));
        if let (true, Some(contents)) = (is_file, &mut self.contents) {
            contents.path = name;
            contents.hasher.reset();
            contents.gaps = Gaps::of(member.size);
        }
        self.members.extend(is_selected.then_some(Some(member)));
        Ok(is_file && self.contents.is_some())
    }

    fn refuse(&mut self, member: Member, _: &'static str) -> Result<()> {
        self.member(member).map(drop)
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        if let Some(contents) = &mut self.contents {
            while let Some(zeros) = contents.gaps.before(offset) {
                contents.hasher.update(&zeros);
            }
            contents.gaps.pass(range.len());
            self.tracker.add_bytes(range.len() as u64);
            contents.hasher.update(&raw[range]);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(contents) = &mut self.contents {
            while let Some(zeros) = contents.gaps.at_end() {
                contents.hasher.update(&zeros);
            }
            contents.hashes.insert(contents.path, contents.hasher.finalize().into());
        }
        Ok(())
    }

    fn abandon(&mut self) {}
}
