//! The versions of files that a search finds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    entry::{Member, MemberKind},
    error::Error,
    listed::Listed,
    name::Key,
    ops::{archives::StoredArchive, index_entries::ContentKeys, stamp::Stamp},
};

/// A version of a file or symlink, and the archives that contain it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileVersion {
    /// The member of the newest of the archives.
    pub member: Member,
    /// The archives, newest first.
    pub archives: Vec<Arc<StoredArchive>>,
}

/// An archive that could not be searched.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unsearched {
    /// Name of the archive.
    pub key: Key,
    /// Reason.
    pub error: Error,
}

/// The result of a [`Find`](crate::Find).
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The versions, in the order of their paths. Of one path, the version in the newest archive comes first.
    pub versions: Vec<FileVersion>,
    /// Number of paths that the versions have.
    pub paths: u64,
    /// Number of archives that were searched.
    pub searched: u64,
    /// Archives that could not be searched: those without an index to use, and those that could not be read.
    pub unsearched: Listed<Unsearched>,
    /// The selected paths and patterns that matched nothing in any archive.
    pub unmatched: Vec<Vec<u8>>,
    /// Time from the start to the end.
    pub duration: Duration,
}

/// A file or symlink of one archive.
pub(super) struct Seen {
    pub(super) member: Member,
    pub(super) stamp: Stamp,
    pub(super) keys: ContentKeys,
}

/// The versions so far, by their paths.
#[derive(Default)]
pub(super) struct Versions(BTreeMap<Vec<u8>, Vec<Known>>);

struct Known {
    version: FileVersion,
    /// Of the oldest archive so far.
    last: Seen,
}

impl Seen {
    /// Returns whether both have the same content.
    fn is_same(&self, other: &Seen) -> bool {
        let (a, b) = (&self.member, &other.member);
        (a.kind, a.size, &a.target) == (b.kind, b.size, &b.target)
            && (a.kind == MemberKind::Symlink
                || self
                    .keys
                    .is_equal(&other.keys)
                    .unwrap_or_else(|| self.stamp.is_same(&other.stamp)))
    }
}

impl Versions {
    /// Adds what an archive contains. It must be older than the archives before.
    pub(super) fn add(&mut self, archive: &Arc<StoredArchive>, seen: Vec<Seen>) {
        for seen in seen {
            let versions = self.0.entry(seen.member.path.clone()).or_default();
            match versions.iter_mut().find(|known| known.last.is_same(&seen)) {
                Some(known) => {
                    known.version.archives.push(archive.clone());
                    known.last = seen;
                }
                None => {
                    let (member, archives) = (seen.member.clone(), vec![archive.clone()]);
                    let version = FileVersion { member, archives };
                    versions.push(Known { version, last: seen });
                }
            }
        }
    }

    pub(super) fn paths(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn into_versions(self) -> Vec<FileVersion> {
        self.0.into_values().flatten().map(|known| known.version).collect()
    }
}
