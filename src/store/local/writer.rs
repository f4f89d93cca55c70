//! Writes the bytes of an archive in order, and shares with another file those that this file has.
//!
//! File systems share whole blocks, but copied bytes come in pieces that end within a block. So the bytes of an
//! incomplete block wait for the next ones.

use std::{fs::File, io::Result, ops::Range, os::unix::fs::FileExt};

use rustix::{fs::copy_file_range, io::Errno};

use crate::format::align::BLOCK;

/// Maximum bytes that wait: those of an incomplete block and of the padding after them.
const WAITING_MAX: usize = 3 * BLOCK as usize;

/// The end of a file that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Length of the file, with the bytes that wait.
    len: u64,
    /// Bytes that are not written yet. The first of them begins a block.
    waiting: Vec<u8>,
}

impl Writer {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, file: &File, bytes: &[u8]) -> Result<()> {
        if !self.waiting.is_empty() && self.waiting.len() + bytes.len() <= WAITING_MAX {
            self.waiting.extend_from_slice(bytes);
        } else {
            self.flush(file)?;
            file.write_all_at(bytes, self.len)?;
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Appends bytes that `other` has at offset `at`. Blocks that have the same place in both files are shared, if
    /// the file system can. Otherwise the bytes are written.
    pub(super) fn copy(
        &mut self,
        file: &File,
        other: &File,
        mut at: u64,
        mut bytes: &[u8],
    ) -> Result<()> {
        if at % BLOCK != self.len % BLOCK {
            return self.write(file, bytes);
        }
        if !self.is_waiting_in(other, at) {
            self.flush(file)?;
        }
        if self.waiting.is_empty() {
            let before = (self.len.next_multiple_of(BLOCK) - self.len).min(bytes.len() as u64);
            self.write(file, &bytes[..before as usize])?;
            at += before;
            bytes = &bytes[before as usize..];
        }
        let (waiting, len) = (self.waiting.len() as u64, self.len + bytes.len() as u64);
        let blocks = self.len - waiting..len - len % BLOCK;
        if blocks.end <= self.len {
            self.waiting.extend_from_slice(bytes);
        } else if share(other, at - waiting, file, blocks.clone()) {
            self.waiting.clear();
            self.waiting.extend_from_slice(&bytes[(blocks.end - self.len) as usize..]);
        } else {
            self.flush(file)?;
            file.write_all_at(bytes, self.len)?;
        }
        self.len = len;
        Ok(())
    }

    /// Writes the bytes that wait.
    pub(super) fn flush(&mut self, file: &File) -> Result<()> {
        file.write_all_at(&self.waiting, self.len - self.waiting.len() as u64)?;
        self.waiting.clear();
        Ok(())
    }

    /// Returns whether `other` has the waiting bytes before offset `at`.
    fn is_waiting_in(&self, other: &File, at: u64) -> bool {
        let mut before = vec![0; self.waiting.len()];
        at.checked_sub(before.len() as u64)
            .is_some_and(|from| other.read_exact_at(&mut before, from).is_ok())
            && before == self.waiting
    }
}

/// Makes `range` of `file` share the blocks of `other` from offset `at` on. If the file system cannot share blocks,
/// the kernel may copy them. Returns whether the range has the bytes of `other`.
fn share(other: &File, mut at: u64, file: &File, mut range: Range<u64>) -> bool {
    while !range.is_empty() {
        let len = (range.end - range.start) as usize;
        match copy_file_range(other, Some(&mut at), file, Some(&mut range.start), len) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Returns the file with these bytes.
    fn file_with(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("made");
        file.write_all_at(bytes, 0).expect("written");
        file
    }

    /// Numbers that look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) as usize % end
        }
    }

    #[test]
    fn a_file_has_the_written_and_the_copied_bytes_in_their_order() {
        let mut random = Random(7);
        let source: Vec<u8> = (0..200_000).map(|_| random.below(256) as u8).collect();
        let other = file_with(&source);
        for _ in 0..300 {
            let (file, mut writer, mut expected) =
                (file_with(&[]), Writer::default(), Vec::<u8>::new());
            let mut at = 0;
            for _ in 0..random.below(12) {
                // Pieces continue, or begin at the same place within a block, or anywhere.
                at = match random.below(4) {
                    0 => random.below(source.len()),
                    1 => random.below(20) * BLOCK as usize + expected.len() % BLOCK as usize,
                    _ => at,
                };
                let piece = &source[at..(at + random.below(3 * BLOCK as usize)).min(source.len())];
                match random.below(4) {
                    0 => writer.write(&file, piece),
                    _ => writer.copy(&file, &other, at as u64, piece),
                }
                .expect("written");
                at += piece.len();
                expected.extend(piece);
                assert_eq!(writer.len(), expected.len() as u64);
            }
            writer.flush(&file).expect("written");
            let mut content = Vec::new();
            (&file).read_to_end(&mut content).expect("read");
            assert!(content == expected, "{} and {} bytes", content.len(), expected.len());
        }
    }

    #[test]
    fn what_another_file_no_longer_has_is_written() {
        let bytes = vec![7; 5 * BLOCK as usize];
        let other = file_with(&bytes);
        other.set_len(BLOCK).expect("truncated");
        let (file, mut writer) = (file_with(&[]), Writer::default());
        writer.copy(&file, &other, 0, &bytes).expect("written");
        writer.copy(&file, &other, bytes.len() as u64, b"more").expect("written");
        writer.flush(&file).expect("written");
        let mut content = Vec::new();
        (&file).read_to_end(&mut content).expect("read");
        assert_eq!(content, [&bytes[..], b"more"].concat());
    }
}
