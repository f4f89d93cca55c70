//! Remembers what an extraction has made at each path.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

/// A hash of a path, with a random key, so that nobody can prepare collisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathHash(u64);

/// The kind of the last member of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    /// Pipes and devices are not extracted, so nothing is there.
    Fifo,
    Device,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Directory, Kind::Fifo, Kind::Device];
}

/// The kind of each path of an extraction. Takes about ten bytes for a path of any length.
#[derive(Default)]
pub(super) struct PathKinds {
    hasher: RandomState,
    slots: HashSet<Slot, BuildHasherDefault<SlotHasher>>,
}

impl PathKinds {
    pub(super) fn hash(&self, path: &[u8]) -> PathHash {
        PathHash(self.hasher.hash_one(path) & !Slot::KIND)
    }

    pub(super) fn kind(&self, name: PathHash) -> Option<Kind> {
        let slot = self.slots.get(&Slot(name.0))?;
        Kind::ALL.get((slot.0 & Slot::KIND) as usize).copied()
    }

    pub(super) fn set(&mut self, name: PathHash, kind: Kind) {
        self.slots.replace(Slot(name.0 | kind as u64));
    }

    pub(super) fn remove(&mut self, name: PathHash) {
        self.slots.remove(&Slot(name.0));
    }
}

/// A hash whose last three bits are the kind. Two slots of one hash are equal, even if their kinds differ.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    const KIND: u64 = 7;
}

impl PartialEq for Slot {
    fn eq(&self, other: &Slot) -> bool {
        self.0 | Slot::KIND == other.0 | Slot::KIND
    }
}

impl Eq for Slot {}

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 / (Slot::KIND + 1));
    }
}

/// Spreads a value that is a hash of 61 bits already: the set uses the first bits and the last ones.
#[derive(Default)]
struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a slot is one number")
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_kind_that_was_set_last() {
        let mut paths = PathKinds::default();
        let path = |i: usize| test_path(i);
        for i in 0..1000 {
            let name = paths.hash(&path(i));
            assert_eq!(paths.kind(name), None);
            paths.set(name, Kind::ALL[i % 6]);
            paths.set(name, Kind::ALL[i % 5]);
        }
        for i in 0..1000 {
            let name = paths.hash(&path(i));
            assert_eq!(paths.kind(name), Some(Kind::ALL[i % 5]), "{i}");
            paths.remove(name);
            assert_eq!(paths.kind(name), None);
        }
        assert!(paths.slots.is_empty());
    }

    fn test_path(i: usize) -> Vec<u8> {
        format!("dir/{i}").into_bytes()
    }
}
