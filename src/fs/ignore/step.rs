//! What a pattern is made of once it is read, in either rule set.

use super::MAX_SETS;

/// One step of a pattern along a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This byte.
    Byte(u8),
    /// One byte that is not a slash.
    NotSlash,
    /// One byte of a set.
    Set(u16),
    /// Any number of bytes that are not slashes.
    Star,
    /// Any number of bytes.
    Deep,
    /// Nothing, or any number of bytes and a slash.
    Dirs,
    /// Nothing, or at least one byte and a slash.
    SomeDirs,
    /// Nothing, or a slash.
    MaybeSlash,
    /// Nothing, or a slash and any number of bytes.
    Beneath,
}

impl Step {
    /// Whether the step stands for exactly one byte.
    pub(super) fn is_one_byte(self) -> bool {
        matches!(self, Step::Byte(_) | Step::NotSlash | Step::Set(_))
    }

    /// Whether the step is one byte, and `byte` fits it.
    pub(super) fn fits(self, byte: u8, sets: &Sets) -> bool {
        match self {
            Step::Byte(own) => own == byte,
            Step::NotSlash => byte != b'/',
            Step::Set(index) => sets.0[usize::from(index)].contains(byte),
            _ => false,
        }
    }
}

/// Which pattern of a list decides, and what it says. A later pattern is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Verdict(std::num::NonZeroU32);

impl Verdict {
    /// That of the pattern with this number, counted from 0.
    pub(super) fn new(number: u32, negated: bool) -> Self {
        Verdict(std::num::NonZeroU32::MIN.saturating_add(number * 2 + u32::from(negated)))
    }

    pub(super) fn is_negated(self) -> bool {
        self.0.get().is_multiple_of(2)
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set([u64; 4]);

impl Set {
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    pub(super) fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] &= !(1 << (byte % 64));
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }

    pub(super) fn negated(self) -> Self {
        Set(self.0.map(|word| !word))
    }
}

/// The sets of a list of patterns.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets(Vec<Set>);

impl Sets {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The step for one byte of `set`. One set over the limit may be added: a list with that many
    /// is refused.
    pub(super) fn add(&mut self, set: Set) -> Step {
        if self.0.last() != Some(&set) && self.0.len() <= MAX_SETS {
            self.0.push(set);
        }
        Step::Set(u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX))
    }
}
