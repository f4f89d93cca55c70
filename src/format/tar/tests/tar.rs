//! Builds valid and invalid tar streams, block by block.

use super::BLOCK;

/// A header block.
#[derive(Clone)]
pub(super) struct Block([u8; BLOCK]);

impl Block {
    /// Returns a POSIX header.
    pub(super) fn new(flag: u8, name: impl AsRef<[u8]>, size: u64) -> Self {
        Block([0; BLOCK])
            .put(0, name)
            .put(100, "0000644\x000000000\x000000000\0")
            .put(124, format!("{size:011o}"))
            .put(136, "00000000000")
            .put(156, [flag])
            .put(257, "ustar\x0000")
    }

    pub(super) fn gnu(self) -> Self {
        self.put(257, "ustar  \0")
    }

    pub(super) fn v7(self) -> Self {
        self.put(257, [0; 8])
    }

    pub(super) fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.put(157, target)
    }

    pub(super) fn mode(self, mode: u32) -> Self {
        self.put(100, format!("{mode:07o}"))
    }

    /// Writes any bytes at any offset.
    pub(super) fn put(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Writes an entry of a sparse map in the old GNU format.
    pub(super) fn extent(self, place: usize, offset: u64, len: u64) -> Self {
        self.put(386 + 24 * place, format!("{offset:011o}\0{len:011o}"))
    }

    pub(super) fn real_size(self, size: u64) -> Self {
        self.put(483, format!("{size:011o}"))
    }

    /// Returns the block with its checksum.
    pub(super) fn finish(self) -> [u8; BLOCK] {
        let block = self.put(148, [b' '; 8]);
        let sum: u32 = block.0.iter().map(|&byte| u32::from(byte)).sum();
        block.put(148, format!("{sum:06o}\0")).0
    }
}

/// A tar stream.
#[derive(Clone, Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    pub(super) fn new() -> Self {
        Tar::default()
    }

    pub(super) fn header(self, block: Block) -> Self {
        self.raw(block.finish())
    }

    pub(super) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// Adds content, padded to a whole block.
    pub(super) fn data(mut self, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len() + content.len().next_multiple_of(BLOCK) - content.len(), 0);
        self
    }

    pub(super) fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.member(Block::new(b'0', name, 0), content)
    }

    pub(super) fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.header(Block::new(b'5', name, 0).mode(0o755))
    }

    pub(super) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.header(Block::new(b'2', name, 0).link(target))
    }

    pub(super) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.header(Block::new(b'1', name, 0).link(target))
    }

    /// Adds a header with the length of the content, and the content.
    pub(super) fn member(self, block: Block, content: impl AsRef<[u8]>) -> Self {
        let size = format!("{:011o}", content.as_ref().len());
        self.header(block.put(124, size)).data(content)
    }

    /// Adds an `L` or `K` record of GNU tar.
    pub(super) fn long(self, flag: u8, text: impl AsRef<[u8]>) -> Self {
        let body = [text.as_ref(), b"\0"].concat();
        self.member(Block::new(flag, "././@LongLink", 0).gnu(), body)
    }

    /// Adds an extended header (`x`) or a global one (`g`). Records are `key=value`.
    pub(super) fn pax(self, flag: u8, pairs: &[&str]) -> Self {
        self.member(
            Block::new(flag, "PaxHeader/f", 0),
            pairs.iter().map(record).collect::<String>(),
        )
    }

    /// Adds the two blocks of zeros at the end.
    pub(super) fn end(self) -> Vec<u8> {
        self.raw([0; 2 * BLOCK]).0
    }
}

/// Returns a PAX record, with its length.
fn record(pair: impl AsRef<str>) -> String {
    let pair = pair.as_ref();
    let rest = pair.len() + 2;
    let len = (rest..).find(|len| rest + len.to_string().len() == *len).unwrap();
    format!("{len} {pair}\n")
}
