//! What stands at each path that an extraction has made.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

/// A path, as a hash of it that nobody can guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(u64);

/// What the last member of a path made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    /// Nothing: these are not extracted.
    Fifo,
    Device,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Directory, Kind::Fifo, Kind::Device];
}

/// The paths of an extraction, and what stands there. Takes some ten bytes a path, however long it is.
#[derive(Default)]
pub(super) struct Names {
    hasher: RandomState,
    slots: HashSet<Slot, BuildHasherDefault<SlotHasher>>,
}

impl Names {
    pub(super) fn name(&self, path: &[u8]) -> Name {
        Name(self.hasher.hash_one(path) & !Slot::KIND)
    }

    pub(super) fn kind(&self, name: Name) -> Option<Kind> {
        let slot = self.slots.get(&Slot(name.0))?;
        Kind::ALL.get((slot.0 & Slot::KIND) as usize).copied()
    }

    pub(super) fn set(&mut self, name: Name, kind: Kind) {
        self.slots.replace(Slot(name.0 | kind as u64));
    }

    pub(super) fn remove(&mut self, name: Name) {
        self.slots.remove(&Slot(name.0));
    }
}

/// A hash whose last bits are the kind. Two of one hash are equal, whatever their kinds.
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

/// What is hashed is a hash already, of 61 bits; the set looks at the first bits and at the last.
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
        let mut names = Names::default();
        let path = |i: usize| names_path(i);
        for i in 0..1000 {
            let name = names.name(&path(i));
            assert_eq!(names.kind(name), None);
            names.set(name, Kind::ALL[i % 6]);
            names.set(name, Kind::ALL[i % 5]);
        }
        for i in 0..1000 {
            let name = names.name(&path(i));
            assert_eq!(names.kind(name), Some(Kind::ALL[i % 5]), "{i}");
            names.remove(name);
            assert_eq!(names.kind(name), None);
        }
        assert!(names.slots.is_empty());
    }

    fn names_path(i: usize) -> Vec<u8> {
        format!("dir/{i}").into_bytes()
    }
}
