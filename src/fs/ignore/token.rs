//! Tokens: the parts of a pattern, the same for both sets of rules.

use super::limits::MAX_SETS;

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// This byte.
    Byte(u8),
    /// One byte other than a slash.
    NotSlash,
    /// One byte of a set.
    Set(u16),
    /// Any number of bytes other than slashes.
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

impl Token {
    /// Returns whether the token matches exactly one byte.
    pub(super) fn is_one_byte(self) -> bool {
        matches!(self, Token::Byte(_) | Token::NotSlash | Token::Set(_))
    }

    /// Returns whether the token matches exactly one byte, and matches `byte`.
    pub(super) fn matches(self, byte: u8, sets: &Sets) -> bool {
        match self {
            Token::Byte(own) => own == byte,
            Token::NotSlash => byte != b'/',
            Token::Set(index) => sets.0[usize::from(index)].contains(byte),
            _ => false,
        }
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

    /// Adds a set and returns its token. One set more than the limit may be added: the whole list is
    /// refused then.
    pub(super) fn add(&mut self, set: Set) -> Token {
        if self.0.last() != Some(&set) && self.0.len() <= MAX_SETS {
            self.0.push(set);
        }
        Token::Set(u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX))
    }
}
