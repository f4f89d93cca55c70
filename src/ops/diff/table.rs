//! An archive that is read in sequence, as a side of a comparison. All of its members are in memory.

use crate::{
    entry::{Member, MemberKind},
    error::Result,
    fs::beneath::component_ends,
    ops::{
        diff::item::{Item, Knowledge, cmp_members},
        last_members::{ContentHash, LastMembers},
        select::{Selection, Unmatched},
    },
    progress::Tracker,
    read::{
        self, Options, Source,
        damage::{NoIndex, ReadMethod},
        worker_pool::WorkerPool,
    },
};

const OPTIONS: Options = Options { sha1: false, keys: false, tolerant: false };

/// The members in the order of the walk, and the hash of the content of the current one.
pub(super) struct TableSide {
    members: std::iter::Peekable<std::vec::IntoIter<(Member, Option<ContentHash>)>>,
    /// The last member or directory that was returned.
    last: Vec<u8>,
    hash: ContentHash,
}

impl TableSide {
    /// Reads the whole archive. Fails with [`NoSpace`](crate::ErrorKind::NoSpace) if it has more than `max_members`.
    pub(super) fn read(
        source: Source,
        why: NoIndex,
        selection: &Selection,
        unmatched: &mut Unmatched,
        max_members: u64,
        tracker: &Tracker,
    ) -> Result<(Self, ReadMethod)> {
        let pool = WorkerPool::start(1, false)?;
        let mut sink =
            LastMembers::new("compare", selection, unmatched, max_members, tracker).with_contents();
        let outcome = read::in_sequence(source, why, &OPTIONS, &pool, tracker, &mut sink)?;
        // An archive of profile `wings` that came as a stream has its links at its end.
        if let Some(index) = &outcome.index {
            use read::sink::Sink;
            index.for_each_unlisted(|entry| sink.member(Member::of_entry(entry)).map(drop))?;
        }
        let mut members = sink.into_hashed();
        members.retain_mut(|(member, hash)| can_compare(member, hash.is_some()));
        members.sort_by(|(a, _), (b, _)| cmp_members(a, b));
        let members = members.into_iter().peekable();
        let side = TableSide { members, last: Vec::new(), hash: [0; 32] };
        Ok((side, outcome.read_method))
    }

    /// Goes to the next member, or to a directory that has none and is above it.
    pub(super) fn next(&mut self) -> Option<Item> {
        let (next, _) = self.members.peek()?;
        let is_missing = |end: &usize| {
            let directory = &next.path[..*end];
            let is_in = |path: &[u8]| path.strip_prefix(directory).is_some_and(is_end_or_slash);
            directory.len() < next.path.len() && !is_in(&self.last)
        };
        let missing = component_ends(&next.path).find(is_missing);
        let (member, knowledge) = match missing {
            Some(end) => (implied(&next.path[..end]), Knowledge::Existence),
            None => {
                let (member, hash) = self.members.next()?;
                self.hash = hash.unwrap_or_default();
                (member, Knowledge::Full)
            }
        };
        self.last.clone_from(&member.path);
        Some(Item { has_whole_seconds: true, knowledge, ..Item::of(member) })
    }

    /// Returns the hash of the content of the current member, a file.
    pub(super) fn hash(&self) -> ContentHash {
        self.hash
    }
}

fn is_end_or_slash(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(b"/")
}

/// Makes a hard link to a file a file. Returns whether the other side can have such a member: neither backups nor
/// walks have devices, pipes and an entry of the root.
fn can_compare(member: &mut Member, is_file: bool) -> bool {
    if is_file && member.kind == MemberKind::HardLink {
        (member.kind, member.target) = (MemberKind::File, Vec::new());
    }
    let kinds = [MemberKind::File, MemberKind::Symlink, MemberKind::Directory];
    kinds.contains(&member.kind) && !member.path.is_empty()
}

/// Returns a directory that the archive has no member of.
fn implied(path: &[u8]) -> Member {
    Member {
        path: path.to_vec(),
        kind: MemberKind::Directory,
        size: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
        target: Vec::new(),
    }
}
