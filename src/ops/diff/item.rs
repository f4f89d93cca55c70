//! One path of a side of a comparison.

use std::cmp::Ordering;

use crate::{
    entry::{EntryKind, Member, MemberKind, is_beyond},
    format::index::sort_key,
    ops::{diff::difference::Aspect, stamp::Stamp},
};

const SECOND: i64 = 1_000_000_000;

/// A path, and what is known about its content.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// A file, symlink or directory.
    pub(super) member: Member,
    /// Properties that show that a file did not change. `None` if they are unknown.
    pub(super) stamp: Option<Stamp>,
    /// The times of the side are whole seconds.
    pub(super) has_whole_seconds: bool,
    pub(super) knowledge: Knowledge,
}

/// How much is known about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Everything.
    Full,
    /// The directory has no member of its own. Only its existence is compared.
    Existence,
    /// The directory could not be listed, so nobody knows what is beneath it.
    NotBeneath,
    /// The path could not be read, so nobody knows what is there and beneath it.
    Nothing,
}

impl Item {
    /// Returns a member with exact times, without a stamp.
    pub(super) fn of(member: Member) -> Self {
        Item { member, stamp: None, has_whole_seconds: false, knowledge: Knowledge::Full }
    }

    /// Returns an entry of an index.
    pub(super) fn of_entry((member, stamp): (Member, Stamp)) -> Self {
        Item { stamp: Some(stamp), ..Item::of(member) }
    }

    /// Returns whether nobody knows what is beneath the path.
    pub(super) fn is_unknown_beneath(&self) -> bool {
        matches!(self.knowledge, Knowledge::NotBeneath | Knowledge::Nothing)
    }

    /// Compares the positions in the order of the walk.
    pub(super) fn cmp_position(&self, other: &Item) -> Ordering {
        cmp_members(&self.member, &other.member)
    }

    /// Returns the differences of two members of one path, except those of content.
    pub(super) fn differences(&self, other: &Item) -> Vec<Aspect> {
        let (a, b) = (&self.member, &other.member);
        let is_same_kind = a.kind == b.kind;
        let is_link = is_same_kind && a.kind == MemberKind::Symlink;
        let is_directory = a.kind == MemberKind::Directory;
        let is_any_link = [a.kind, b.kind].contains(&MemberKind::Symlink);
        if [self.knowledge, other.knowledge].contains(&Knowledge::Existence) {
            return Vec::new();
        }
        let found = [
            (!is_same_kind, Aspect::Kind),
            (is_link && a.target != b.target, Aspect::Target),
            // Linux has no mode of a symlink.
            (!is_any_link && a.mode != b.mode, Aspect::Mode),
            ((a.uid, a.gid) != (b.uid, b.gid), Aspect::Owner),
            // The time of a directory changes with every name that is made or removed in it.
            (!is_directory && !self.is_same_time(other), Aspect::Mtime),
        ];
        found.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect).collect()
    }

    /// Returns whether the mtimes are equal, as exactly as both sides have them.
    pub(super) fn is_same_time(&self, other: &Item) -> bool {
        let (a, b) = (self.member.mtime_ns, other.member.mtime_ns);
        let is_of = |coarse: i64, fine: i64| {
            let seconds = fine.div_euclid(SECOND);
            // A header of tar may have 0 for a time before 1970.
            coarse % SECOND == 0 && [seconds, seconds.max(0)].contains(&(coarse / SECOND))
        };
        a == b || self.has_whole_seconds && is_of(a, b) || other.has_whole_seconds && is_of(b, a)
    }

    /// Returns whether a file of a directory has the content of this file of an archive, judged by its size and
    /// mtime, as rsync does.
    pub(super) fn looks_like_file(&self, file: &Item) -> bool {
        self.is_same_time(file)
            && !is_beyond(file.member.mtime_ns)
            && !self.stamp.is_some_and(|stamp| stamp.is_changed)
    }

    /// Returns whether the stamps of two archives prove that a file of one size has the same content.
    pub(super) fn is_same_stamp(&self, other: &Item) -> bool {
        matches!((&self.stamp, &other.stamp), (Some(a), Some(b)) if a.is_same(b))
    }
}

/// Compares the positions of two members in the order of the walk.
pub(super) fn cmp_members(a: &Member, b: &Member) -> Ordering {
    let kind = |member: &Member| match member.kind {
        MemberKind::Directory => EntryKind::Directory,
        _ => EntryKind::File,
    };
    sort_key(&a.path, kind(a)).cmp(sort_key(&b.path, kind(b)))
}
