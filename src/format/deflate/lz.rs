//! Finds repetitions (LZ77), for the level `fast`.
//!
//! One probe of a hash table at each position, one look whether the next position does better, and
//! longer strides where nothing is found. What it finds depends on the bytes alone.

/// A run of literals, then a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) literals: u32,
    /// Bytes of the match, 4 to 258; 0 for none, at the end of a block.
    pub(crate) len: u16,
    /// How far back it begins, 1 to 32768; 0 for no match.
    pub(crate) distance: u16,
}

/// Longest match that deflate knows.
const MATCH_MAX: usize = 258;
/// Shorter ones are not looked for: they seldom beat their literals.
const MATCH_MIN: usize = 4;
/// Deflate's window.
const WINDOW: usize = 32 << 10;
/// Bytes that are read at a position that is looked at.
const LOOK: usize = 8;
/// The table then just fits the first-level cache of today's processors.
const HASH_BITS: u32 = 14;
/// After 64 literals in a row the stride grows by one, after 128 by two, and so on.
const PATIENCE: u32 = 6;
/// A match of this length is taken without looking at the next position.
const GOOD_ENOUGH: usize = 32;

/// Remembers where each hash was seen last.
pub(crate) struct Matcher {
    /// The lowest 16 bits of the position. Comparing the bytes weeds out what is stale.
    seen: Box<[u16; 1 << HASH_BITS]>,
}

impl Matcher {
    pub(crate) fn new() -> Self {
        Matcher { seen: Box::new([0; 1 << HASH_BITS]) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.seen.fill(0);
    }

    /// Replaces `out` by the sequences of `raw[start..end]`. Their matches may begin anywhere in
    /// `raw` before, so blocks are to be found in order.
    pub(crate) fn find(&mut self, raw: &[u8], start: usize, end: usize, out: &mut Vec<Sequence>) {
        out.clear();
        let raw = &raw[..end];
        let (mut run, mut at) = (start, start);
        while at + LOOK < end {
            let Some((mut distance, mut len)) = self.probe(raw, at) else {
                at += 1 + ((at - run) >> PATIENCE);
                continue;
            };
            if len < GOOD_ENOUGH
                && at + 1 + LOOK < end
                && let Some(next) = self.probe(raw, at + 1).filter(|next| next.1 > len)
            {
                at += 1;
                (distance, len) = next;
            }
            // A stride may have jumped over its beginning.
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
            if at + LOOK < end {
                self.remember(raw, at - 2);
                self.remember(raw, at - 1);
            }
        }
        if run < end {
            out.push(Sequence { literals: (end - run) as u32, len: 0, distance: 0 });
        }
    }

    /// Distance and length of the match at `at`, if there is one.
    #[inline(always)]
    fn probe(&mut self, raw: &[u8], at: usize) -> Option<(usize, usize)> {
        let here = word(raw, at);
        let seen = std::mem::replace(&mut self.seen[hash(here)], at as u16);
        let distance = usize::from((at as u16).wrapping_sub(seen));
        let is_within = distance > 0 && distance <= WINDOW && distance <= at;
        (is_within && word(raw, at - distance) as u32 == here as u32)
            .then(|| (distance, match_len(raw, at - distance, at)))
    }

    #[inline(always)]
    fn remember(&mut self, raw: &[u8], at: usize) {
        self.seen[hash(word(raw, at))] = at as u16;
    }
}

#[inline(always)]
fn word(raw: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        *raw[at..].first_chunk().expect("whoever looks has checked that it is there"),
    )
}

/// Of the first four bytes (Knuth, TAOCP 3, 6.4: multiplicative hashing).
#[inline(always)]
fn hash(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes are the same at both places, of which the first four are known to be.
#[inline(always)]
fn match_len(raw: &[u8], from: usize, at: usize) -> usize {
    let max = (raw.len() - at).min(MATCH_MAX);
    let (a, b) = (&raw[from..from + max], &raw[at..at + max]);
    let mut len = MATCH_MIN;
    while len + LOOK <= max {
        let difference = word(a, len) ^ word(b, len);
        if difference != 0 {
            return len + (difference.trailing_zeros() / 8) as usize;
        }
        len += LOOK;
    }
    while len < max && a[len] == b[len] {
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an inflater would make of the sequences.
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
            assert_eq!(out.len(), end, "a block covers its bytes");
        }
        out
    }

    #[test]
    fn sequences_give_the_bytes_back() {
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
            // Counting bytes by four never repeats within the gap.
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
