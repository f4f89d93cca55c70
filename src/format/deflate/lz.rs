//! Finds repetitions (LZ77) for [`Level::Fast`](crate::Level::Fast).
//!
//! It probes a hash table once at each position, and checks whether the match at the next position is
//! longer. Where it finds nothing, it takes longer steps. The result depends only on the bytes.

/// A run of literals, then a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) literals: u32,
    /// Bytes of the match, 4 to 258; 0 for none, at the end of a block.
    pub(crate) len: u16,
    /// Distance back to the start of the match, 1 to 32768; 0 for no match.
    pub(crate) distance: u16,
}

/// Longest match in deflate.
const MATCH_MAX: usize = 258;
/// Shortest match: shorter ones rarely save bytes over their literals.
const MATCH_MIN: usize = 4;
/// Deflate's window.
const WINDOW: usize = 32 << 10;
/// Bytes that are read at each position.
const WORD: usize = 8;
/// With this size, the table just fits into the first-level cache of current processors.
const HASH_BITS: u32 = 14;
/// The step grows by one after every 64 literals in a row.
const STEP_SHIFT: u32 = 6;
/// A match of this length is used without checking the next position.
const GOOD_ENOUGH: usize = 32;

/// Finds matches with a table of the last position of each hash.
pub(crate) struct Matcher {
    /// The lowest 16 bits of each position. Outdated positions are detected by comparing the bytes.
    last: Box<[u16; 1 << HASH_BITS]>,
}

impl Matcher {
    pub(crate) fn new() -> Self {
        Matcher { last: Box::new([0; 1 << HASH_BITS]) }
    }

    /// Clears the table.
    pub(crate) fn clear(&mut self) {
        self.last.fill(0);
    }

    /// Replaces the content of `out` by the sequences of `raw[start..end]`. A match may refer to any byte
    /// before it in `raw`, so the caller passes the blocks in order.
    pub(crate) fn find(&mut self, raw: &[u8], start: usize, end: usize, out: &mut Vec<Sequence>) {
        out.clear();
        let raw = &raw[..end];
        let (mut run, mut at) = (start, start);
        while at + WORD < end {
            let Some((mut distance, mut len)) = self.probe(raw, at) else {
                at += 1 + ((at - run) >> STEP_SHIFT);
                continue;
            };
            if len < GOOD_ENOUGH
                && at + 1 + WORD < end
                && let Some(next) = self.probe(raw, at + 1).filter(|next| next.1 > len)
            {
                at += 1;
                (distance, len) = next;
            }
            // A step may have skipped the start of the match.
            while at > run
                && at > distance
                && len < MATCH_MAX
                && raw[at - 1] == raw[at - distance - 1]
            {
                at -= 1;
                len += 1;
            }
            out.push(Sequence {
                literals: (at - run) as u32,
                len: len as u16,
                distance: distance as u16,
            });
            at += len;
            run = at;
            if at + WORD < end {
                self.remember(raw, at - 2);
                self.remember(raw, at - 1);
            }
        }
        if run < end {
            out.push(Sequence { literals: (end - run) as u32, len: 0, distance: 0 });
        }
    }

    /// Returns distance and length of the match at `at`, if one is found.
    #[inline(always)]
    fn probe(&mut self, raw: &[u8], at: usize) -> Option<(usize, usize)> {
        let here = word(raw, at);
        let last = std::mem::replace(&mut self.last[hash(here)], at as u16);
        let distance = usize::from((at as u16).wrapping_sub(last));
        let is_within = distance > 0 && distance <= WINDOW && distance <= at;
        (is_within && word(raw, at - distance) as u32 == here as u32)
            .then(|| (distance, match_len(raw, at - distance, at)))
    }

    #[inline(always)]
    fn remember(&mut self, raw: &[u8], at: usize) {
        self.last[hash(word(raw, at))] = at as u16;
    }
}

#[inline(always)]
fn word(raw: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*raw[at..].first_chunk().expect("the caller has checked the length"))
}

/// Hashes the first four bytes (Knuth, TAOCP 3, 6.4: multiplicative hashing).
#[inline(always)]
fn hash(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// Returns the number of equal bytes at both positions. The first four are known to be equal.
#[inline(always)]
fn match_len(raw: &[u8], from: usize, at: usize) -> usize {
    let max = (raw.len() - at).min(MATCH_MAX);
    let (a, b) = (&raw[from..from + max], &raw[at..at + max]);
    let mut len = MATCH_MIN;
    while len + WORD <= max {
        let difference = word(a, len) ^ word(b, len);
        if difference != 0 {
            return len + (difference.trailing_zeros() / 8) as usize;
        }
        len += WORD;
    }
    while len < max && a[len] == b[len] {
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the sequences as an inflater does.
    fn expand(raw: &[u8], block: usize) -> Vec<u8> {
        let (mut matcher, mut sequences, mut out) = (Matcher::new(), Vec::new(), Vec::new());
        for start in (0..raw.len()).step_by(block) {
            let end = (start + block).min(raw.len());
            matcher.find(raw, start, end, &mut sequences);
            for s in &sequences {
                out.extend_from_slice(&raw[out.len()..out.len() + s.literals as usize]);
                assert!(s.len == 0 || (4..=258).contains(&s.len), "{s:?}");
                assert!(usize::from(s.distance) <= WINDOW.min(out.len()), "{s:?}");
                for _ in 0..s.len {
                    out.push(out[out.len() - usize::from(s.distance)]);
                }
            }
            assert_eq!(out.len(), end, "the sequences cover the block");
        }
        out
    }

    #[test]
    fn sequences_decode_to_the_same_bytes() {
        let mut rng = fastrand::Rng::with_seed(5);
        for len in (0..40).chain([255, 256, 259, 1000, 70_000, 200_000]) {
            for alphabet in [1, 2, 5, 256] {
                let raw: Vec<u8> = (0..len).map(|_| rng.u16(..alphabet) as u8).collect();
                for block in [len.max(1), 1000.max(len / 50), 65_536] {
                    assert!(expand(&raw, block) == raw, "{len} {alphabet} {block}");
                }
            }
        }
    }

    #[test]
    fn a_repetition_is_found_up_to_the_window_and_not_beyond() {
        let mut rng = fastrand::Rng::with_seed(6);
        let word: Vec<u8> = (0..200).map(|_| rng.u8(..)).collect();
        for (gap, is_found) in [(0, true), (WINDOW - 200, true), (WINDOW - 199, false)] {
            // A sequence of 32-bit numbers has no repetition within the gap.
            let filling = (0u32..).flat_map(u32::to_be_bytes).take(gap);
            let raw: Vec<u8> =
                word.iter().copied().chain(filling).chain(word.clone()).chain([0; 9]).collect();
            let mut sequences = Vec::new();
            Matcher::new().find(&raw, 0, raw.len(), &mut sequences);
            let found =
                sequences.iter().any(|s| usize::from(s.distance) == gap + 200 && s.len > 100);
            assert_eq!(found, is_found, "{gap}");
        }
    }
}
