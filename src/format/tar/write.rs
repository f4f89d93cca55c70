//! Writes headers: POSIX ustar, or the GNU format for values that do not fit into ustar.
//!
//! PAX records are never written: several readers fail on global ones, and nothing here needs them.

use super::block::{
    BLOCK, CHECKSUM_FIELD, Field, GID_FIELD, GNU_MAGIC, LINK_FIELD, MAGIC_FIELD, MODE_FIELD,
    MTIME_FIELD, NAME_FIELD, NAME_MAX, PREFIX_FIELD, PREFIX_MAX, SIZE_FIELD, TYPE_FIELD, UID_FIELD,
    USTAR_MAGIC,
};
use crate::entry::{EntryKind, Metadata};

/// Largest number in eleven octal digits.
const OCTAL_11: u64 = 0o77_777_777_777;
/// Largest number in seven octal digits.
const OCTAL_7: u64 = 0o7_777_777;

/// The content of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    /// Path, without a `/` at the end.
    pub(crate) path: &'a [u8],
    pub(crate) kind: EntryKind,
    pub(crate) meta: &'a Metadata,
    /// Target of a symlink; empty for other kinds.
    pub(crate) target: &'a [u8],
}

impl Header<'_> {
    /// Returns the length of all blocks. It does not depend on the file's size below 8 GiB.
    pub(crate) fn len(&self) -> usize {
        let long = |len: usize| BLOCK + (len + 1).next_multiple_of(BLOCK);
        let mut len = BLOCK;
        if self.target.len() > NAME_MAX {
            len += long(self.target.len());
        }
        if self.needs_long_name() {
            len += long(self.name().len());
        }
        len
    }

    /// Appends the blocks.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let name = self.name();
        let long_name = self.needs_long_name();
        if self.target.len() > NAME_MAX {
            write_long(b'K', self.target, out);
        }
        if long_name {
            write_long(b'L', &name, out);
        }
        let mut block = Block::new();
        match split(&name) {
            Some((prefix, rest)) if self.fits_ustar() => {
                block.bytes(NAME_FIELD, rest);
                block.bytes(PREFIX_FIELD, prefix);
                block.bytes(MAGIC_FIELD, USTAR_MAGIC);
            }
            _ => {
                block.bytes(NAME_FIELD, &name[..name.len().min(NAME_MAX)]);
                block.bytes(MAGIC_FIELD, GNU_MAGIC);
            }
        }
        block.number(MODE_FIELD, u64::from(self.meta.mode & 0o7777));
        block.number(UID_FIELD, u64::from(self.meta.uid));
        block.number(GID_FIELD, u64::from(self.meta.gid));
        block.number(SIZE_FIELD, self.meta.size);
        block.number(MTIME_FIELD, self.mtime());
        block.bytes(
            TYPE_FIELD,
            match self.kind {
                EntryKind::File => b"0",
                EntryKind::Symlink => b"2",
                EntryKind::Directory => b"5",
            },
        );
        block.bytes(LINK_FIELD, &self.target[..self.target.len().min(NAME_MAX)]);
        out.extend_from_slice(&block.finish());
    }

    /// Returns the path as tar writes it.
    fn name(&self) -> Vec<u8> {
        let mut name = self.path.to_vec();
        if self.kind == EntryKind::Directory {
            name.push(b'/');
        }
        name
    }

    /// Returns whether the name needs a record of its own. A GNU header has no prefix, so a name that
    /// needs one is too long there.
    fn needs_long_name(&self) -> bool {
        let name = self.name();
        match split(&name) {
            None => true,
            Some(([], _)) => false,
            Some(_) => !self.fits_ustar(),
        }
    }

    /// Returns whether all values except the name fit into ustar.
    fn fits_ustar(&self) -> bool {
        self.target.len() <= NAME_MAX
            && self.meta.size <= OCTAL_11
            && self.mtime() <= OCTAL_11
            && u64::from(self.meta.uid.max(self.meta.gid)) <= OCTAL_7
    }

    /// Returns the mtime in whole seconds. Times before 1970 become 0.
    fn mtime(&self) -> u64 {
        u64::try_from(self.meta.mtime_ns / 1_000_000_000).unwrap_or(0)
    }
}

/// Splits a name into prefix and name, with the longest prefix that leaves a name of 1 to 100 bytes.
/// Returns `None` if no prefix does.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_MAX {
        return Some((&[], name));
    }
    let last = PREFIX_MAX.min(name.len().checked_sub(2)?);
    let slash = name[..=last].iter().rposition(|&b| b == b'/')?;
    let rest = &name[slash + 1..];
    (slash > 0 && rest.len() <= NAME_MAX).then_some((&name[..slash], rest))
}

/// Writes a GNU record for a name (`L`) or a target (`K`) that does not fit. It comes before the header,
/// and its content is the text and a NUL.
fn write_long(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    let mut block = Block::new();
    block.bytes(NAME_FIELD, b"././@LongLink");
    block.number(MODE_FIELD, 0o644);
    block.number(UID_FIELD, 0);
    block.number(GID_FIELD, 0);
    block.number(SIZE_FIELD, text.len() as u64 + 1);
    block.number(MTIME_FIELD, 0);
    block.bytes(TYPE_FIELD, &[kind]);
    block.bytes(MAGIC_FIELD, GNU_MAGIC);
    out.extend_from_slice(&block.finish());
    out.extend_from_slice(text);
    out.resize((out.len() + 1).next_multiple_of(BLOCK), 0);
}

struct Block([u8; BLOCK]);

impl Block {
    fn new() -> Self {
        Block([0; BLOCK])
    }

    fn bytes(&mut self, (start, len): Field, bytes: &[u8]) {
        debug_assert!(bytes.len() <= len);
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes octal digits and a NUL, or the base-256 format of GNU tar if the number is too large.
    fn number(&mut self, (start, len): Field, value: u64) {
        let field = &mut self.0[start..start + len];
        let digits = len - 1;
        if value >> (3 * digits) == 0 {
            let mut rest = value;
            for digit in field[..digits].iter_mut().rev() {
                *digit = b'0' + (rest & 7) as u8;
                rest >>= 3;
            }
        } else {
            field[..len - 8].fill(0);
            field[len - 8..].copy_from_slice(&value.to_be_bytes());
            field[0] |= 0x80;
        }
    }

    fn finish(mut self) -> [u8; BLOCK] {
        let (start, len) = CHECKSUM_FIELD;
        self.0[start..start + len].fill(b' ');
        let sum: u64 = self.0.iter().map(|&b| u64::from(b)).sum();
        self.number((start, len - 1), sum);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(path: &[u8], kind: EntryKind, meta: Metadata, target: &[u8]) -> Vec<u8> {
        let header = Header { path, kind, meta: &meta, target };
        let mut out = Vec::new();
        header.write(&mut out);
        assert_eq!(out.len(), header.len());
        out
    }

    /// Reads a header with the `tar` crate, an independent reader: path, size, uid, mtime, target.
    fn read(bytes: &[u8]) -> (Vec<u8>, u64, u64, u64, Vec<u8>) {
        let mut archive = tar::Archive::new(bytes);
        let entry = archive.entries().expect("entries").next().expect("one").expect("valid");
        (
            entry.path_bytes().into_owned(),
            entry.header().entry_size().expect("size"),
            entry.header().uid().expect("uid"),
            entry.header().mtime().expect("mtime"),
            entry.link_name_bytes().unwrap_or_default().into_owned(),
        )
    }

    #[test]
    fn names_of_every_length_come_back() {
        for len in (1..600).chain([1000, 4095, 4096]) {
            for step in [3, 50, 120, 5000] {
                let path: Vec<u8> = (0..len)
                    .map(|i| if i % step == step - 1 && i + 1 < len { b'/' } else { 0xe9 })
                    .collect();
                for kind in [EntryKind::File, EntryKind::Directory] {
                    let read = read(&header(&path, kind, Metadata::default(), b"")).0;
                    let name = read.strip_suffix(b"/").unwrap_or(&read);
                    assert!(name == path, "{len} {step} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn the_prefix_is_the_longest_that_leaves_a_name() {
        let name = [b"a".repeat(100), b"b".repeat(50), b"c".repeat(30)].join(&b'/');
        let (prefix, rest) = split(&name).expect("fits");
        assert_eq!((prefix.len(), rest.len()), (151, 30));
        let dir = [b"a".repeat(90), b"b".repeat(20), Vec::new()].join(&b'/');
        assert_eq!(split(&dir).expect("fits").1, [b"b".repeat(20), b"/".to_vec()].concat());
        assert!(split(&b"a".repeat(101)).is_none());
    }

    #[test]
    fn numbers_beyond_octal_come_back() {
        let long = [b"d".repeat(90), b"f".repeat(90)].join(&b'/');
        for size in [0, 511, OCTAL_11, OCTAL_11 + 1, u64::MAX / 2] {
            for uid in [0, 2_097_151, 2_097_152, u32::MAX] {
                for (mtime_ns, seconds) in
                    [(-1, 0), (0, 0), (1_999_999_999, 1), (i64::MAX, 9_223_372_036)]
                {
                    let meta = Metadata { size, uid, mtime_ns, ..Metadata::default() };
                    let got = read(&header(&long, EntryKind::File, meta, b""));
                    assert_eq!(got, (long.clone(), size, u64::from(uid), seconds, Vec::new()));
                }
            }
        }
    }

    #[test]
    fn targets_of_every_length_come_back() {
        for len in [1, 99, 100, 101, 511, 512, 4095] {
            let target = b"t".repeat(len);
            let got = read(&header(b"link", EntryKind::Symlink, Metadata::default(), &target));
            assert_eq!(got.4, target);
        }
    }
}
