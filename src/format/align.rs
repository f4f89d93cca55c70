//! Padding that aligns segments with the blocks of file systems.
//!
//! The places depend only on the content of the next segment. So the unchanged parts of two archives have the
//! same places, and are equal blocks.

use super::index::Segment;

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 4096;

/// Bytes of the tar stream between two aligned segments, on average.
const STRIDE: u32 = 1 << 20;

/// An empty stored block on a byte boundary, and an empty block with fixed codes before an empty stored block
/// (RFC 1951).
const FIVE: [u8; 5] = [0, 0, 0, 0xff, 0xff];
const SIX: [u8; 6] = [2, 0, 0, 0, 0xff, 0xff];

/// Sums of fives and sixes have every length from here on.
const PADDING_MIN: u64 = 20;

/// Returns whether a segment begins at a multiple of [`BLOCK`].
pub(crate) fn begins_block(segment: &Segment) -> bool {
    let (first, _) = segment.key.split_first_chunk().expect("a key has 16 bytes");
    u32::from_le_bytes(*first) % STRIDE < segment.raw_len
}

/// Returns the padding after `size` bytes of an archive. Empty if the next segment is aligned without it.
pub(crate) fn padding(size: u64) -> Vec<u8> {
    let mut len = size.next_multiple_of(BLOCK) - size;
    if (1..PADDING_MIN).contains(&len) {
        len += BLOCK;
    }
    let sixes = (len % 5) as usize;
    let fives = (len as usize - 6 * sixes) / 5;
    [FIVE.repeat(fives), SIX.repeat(sixes)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::inflate::{Inflater, PADDING};

    #[test]
    fn padding_of_every_length_is_empty_and_ends_like_a_segment() {
        for size in 0..2 * BLOCK {
            let padding = padding(size);
            assert!((size + padding.len() as u64).is_multiple_of(BLOCK), "{size}");
            assert!(padding.len() < (BLOCK + PADDING_MIN) as usize, "{size}");
            if padding.is_empty() {
                continue;
            }
            assert!(padding.ends_with(&[0, 0, 0xff, 0xff]), "{size}");
            let mut with_room = [&padding[..], &[0; PADDING]].concat();
            assert!(Inflater::new().segment(&mut with_room, &mut []), "{size}");
        }
    }
}
