//! Writes deflate blocks (RFC 1951, section 3.2), each with its own Huffman codes.

use super::lz::Sequence;

/// Symbols for literals, the end of the block, and match lengths.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;
/// Longest code of both alphabets, and longest code for writing their lengths.
const CODE_MAX: usize = 15;
const HEADER_CODE_MAX: usize = 7;

/// Writes bits in the order of deflate: the least significant bit first.
pub(crate) struct Bits<'a> {
    room: &'a mut [u8],
    at: usize,
    held: u64,
    len: u32,
}

impl<'a> Bits<'a> {
    /// Writes into `room`. If it turns out to be too small, [`finish`](Bits::finish) returns `None`.
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Bits { room, at: 0, held: 0, len: 0 }
    }

    /// Adds the `len` lowest bits of `bits`. The caller adds at most 56 bits between two flushes.
    #[inline(always)]
    pub(crate) fn add(&mut self, bits: u32, len: u32) {
        self.held |= u64::from(bits) << self.len;
        self.len += len;
    }

    /// Adds a Huffman code.
    #[inline(always)]
    pub(crate) fn code(&mut self, code: Code) {
        self.add(code.bits, code.len);
    }

    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        if let Some(room) = self.room.get_mut(self.at..self.at + 8) {
            room.copy_from_slice(&self.held.to_le_bytes());
        }
        self.at += (self.len / 8) as usize;
        self.held >>= self.len & !7;
        self.len &= 7;
    }

    /// Ends with an empty stored block, and therefore on a byte boundary. Returns the number of bytes
    /// written, or `None` if the room was too small.
    pub(crate) fn finish(mut self) -> Option<usize> {
        self.add(0, 3);
        self.len = self.len.next_multiple_of(8);
        self.add(0xffff_0000, 32);
        self.flush();
        (self.at + 8 <= self.room.len()).then_some(self.at)
    }
}

/// A Huffman code. For a match length, it includes the extra bits after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Code {
    bits: u32,
    len: u32,
}

impl Code {
    /// Deflate writes Huffman codes from the most significant bit.
    pub(crate) fn new(code: u16, len: u8) -> Self {
        let bits = u32::from(code.reverse_bits()).checked_shr(16 - u32::from(len));
        Code { bits: bits.unwrap_or(0), len: len.into() }
    }

    fn with_extra(self, extra: Symbol) -> Self {
        Code { bits: self.bits | extra.value << self.len, len: self.len + extra.bits }
    }
}

/// A match length or a distance: its symbol, and extra bits that select one value of that symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    pub(crate) symbol: usize,
    pub(crate) bits: u32,
    pub(crate) value: u32,
}

/// Returns the symbol of a match length from 3 to 258 (RFC 1951, 3.2.5).
pub(crate) const fn length_symbol(len: u32) -> Symbol {
    let over = len - 3;
    let (symbol, bits) = match over {
        255 => (285, 0),
        0..8 => (257 + over, 0),
        _ => {
            let bits = over.ilog2() - 2;
            (257 + 4 * (bits + 1) + (over >> bits & 3), bits)
        }
    };
    Symbol { symbol: symbol as usize, bits, value: over & ((1 << bits) - 1) }
}

/// Returns the symbol of a distance from 1 to 32768.
#[inline(always)]
const fn distance_symbol(distance: u32) -> Symbol {
    let over = distance - 1;
    let (symbol, bits) = match over {
        0..4 => (over, 0),
        _ => {
            let bits = over.ilog2() - 1;
            (2 * (bits + 1) + (over >> bits & 1), bits)
        }
    };
    Symbol { symbol: symbol as usize, bits, value: over & ((1 << bits) - 1) }
}

/// Writes one block: the bytes `raw`, which `sequences` cover.
pub(crate) fn write_block(raw: &[u8], sequences: &[Sequence], bits: &mut Bits<'_>) {
    let (literal_counts, distance_counts) = count(raw, sequences);
    let literal_lengths = code_lengths(&literal_counts, CODE_MAX);
    let mut distance_lengths = code_lengths(&distance_counts, CODE_MAX);
    if distance_lengths == [0; DISTANCES] {
        // Some readers require at least one code.
        distance_lengths[0] = 1;
    }
    write_header(&literal_lengths, &distance_lengths, bits);

    let literals = codes(&literal_lengths);
    let distances = codes(&distance_lengths);
    let lengths: [Code; 259] = std::array::from_fn(|len| match len {
        ..3 => Code::default(),
        _ => {
            let extra = length_symbol(len as u32);
            literals[extra.symbol].with_extra(extra)
        }
    });
    let mut at = 0;
    for sequence in sequences {
        let (run, _) = raw[at..].split_at(sequence.literals as usize);
        // Three codes of 15 bits and 7 remaining bits are less than 56 bits.
        for bytes in run.chunks(3) {
            bytes.iter().for_each(|&byte| bits.code(literals[usize::from(byte)]));
            bits.flush();
        }
        if sequence.len > 0 {
            let extra = distance_symbol(sequence.distance.into());
            bits.code(lengths[usize::from(sequence.len)]);
            bits.code(distances[extra.symbol]);
            bits.add(extra.value, extra.bits);
            bits.flush();
        }
        at += run.len() + usize::from(sequence.len);
    }
    bits.code(literals[END]);
    bits.flush();
}

/// Counts the occurrences of each symbol.
fn count(raw: &[u8], sequences: &[Sequence]) -> ([u32; LITERALS], [u32; DISTANCES]) {
    let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
    // With four tables, two equal bytes in a row do not update the same counter.
    let mut lanes = [[0u32; 256]; 4];
    let mut at = 0;
    for sequence in sequences {
        let run = &raw[at..at + sequence.literals as usize];
        for bytes in run.chunks(4) {
            for (lane, &byte) in lanes.iter_mut().zip(bytes) {
                lane[usize::from(byte)] += 1;
            }
        }
        if sequence.len > 0 {
            literals[length_symbol(sequence.len.into()).symbol] += 1;
            distances[distance_symbol(sequence.distance.into()).symbol] += 1;
        }
        at += run.len() + usize::from(sequence.len);
    }
    for lane in lanes {
        literals.iter_mut().zip(lane).for_each(|(sum, n)| *sum += n);
    }
    literals[END] = 1;
    (literals, distances)
}

/// Writes the header of a block with dynamic codes (RFC 1951, 3.2.7).
fn write_header(literals: &[u8; LITERALS], distances: &[u8; DISTANCES], bits: &mut Bits<'_>) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let used = |lengths: &[u8]| lengths.iter().rposition(|&len| len > 0).map_or(0, |i| i + 1);
    let (literal_count, distance_count) = (used(literals), used(distances));
    let lengths = [&literals[..literal_count], &distances[..distance_count]].concat();
    let symbols = run_lengths(&lengths);
    let mut counts = [0; 19];
    symbols.iter().for_each(|s| counts[s.symbol] += 1);
    let header_lengths = code_lengths(&counts, HEADER_CODE_MAX);
    let in_order = ORDER.map(|symbol| header_lengths[symbol]);
    let header_count = used(&in_order).max(4);

    bits.add(0b100, 3); // not the last block, dynamic codes
    bits.add(literal_count as u32 - 257, 5);
    bits.add(distance_count as u32 - 1, 5);
    bits.add(header_count as u32 - 4, 4);
    for &len in &in_order[..header_count] {
        bits.flush();
        bits.add(len.into(), 3);
    }
    let codes = codes(&header_lengths);
    for symbol in symbols {
        bits.flush();
        bits.code(codes[symbol.symbol].with_extra(symbol));
    }
    bits.flush();
}

/// Encodes code lengths as the header contains them. 16 repeats the previous length 3 to 6 times, 17 is
/// 3 to 10 zeros, and 18 is 11 to 138 zeros.
fn run_lengths(lengths: &[u8]) -> Vec<Symbol> {
    let mut symbols = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|a, b| a == b) {
        let (len, mut left) = (usize::from(run[0]), run.len() as u32);
        if len > 0 {
            symbols.push(Symbol { symbol: len, bits: 0, value: 0 });
            left -= 1;
        }
        while left > 0 {
            let (symbol, bits, min, max) = match (len, left) {
                (0, 11..) => (18, 7, 11, 138),
                (0, 3..) => (17, 3, 3, 10),
                (1.., 3..) => (16, 2, 3, 6),
                _ => (len, 0, 1, 1),
            };
            let n = left.min(max);
            symbols.push(Symbol { symbol, bits, value: n - min });
            left -= n;
        }
    }
    symbols
}

/// Returns the canonical codes of these lengths (RFC 1951, 3.2.2).
fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut next = [0u16; CODE_MAX + 2];
    lengths.iter().filter(|&&len| len > 0).for_each(|&len| next[usize::from(len) + 1] += 1);
    for len in 1..next.len() {
        next[len] = (next[len] + next[len - 1]) << 1;
    }
    lengths.map(|len| {
        let code = next[usize::from(len)];
        next[usize::from(len)] += u16::from(len > 0);
        Code::new(code, len)
    })
}

/// Returns the lengths of a Huffman code for symbols with these counts. No length is above `max`.
fn code_lengths<const N: usize>(counts: &[u32; N], max: usize) -> [u8; N] {
    let mut used: Vec<(u32, usize)> =
        counts.iter().copied().zip(0..).filter(|&(count, _)| count > 0).collect();
    used.sort_unstable();
    let mut lengths = [0; N];
    // From the rarest symbol, which has the longest code, to the most frequent.
    let mut left = lengths_needed(&used, max);
    let mut len = max;
    for (_, symbol) in used {
        while left[len] == 0 {
            len -= 1;
        }
        left[len] -= 1;
        lengths[symbol] = len as u8;
    }
    lengths
}

/// Returns the number of codes of each length, for symbols in the order of their counts.
fn lengths_needed(used: &[(u32, usize)], max: usize) -> [usize; 64] {
    let mut needed = [0; 64];
    if used.len() < 2 {
        needed[1] = used.len();
        return needed;
    }
    // The tree: leaves first, then inner nodes, both in the order of their weights. So the two lightest
    // nodes are always at the front of one of these two queues.
    let leaves = used.len();
    let mut weights: Vec<u64> = used.iter().map(|&(count, _)| count.into()).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf = leaf < leaves && (inner >= node || weights[leaf] <= weights[inner]);
            let lightest = if is_leaf { &mut leaf } else { &mut inner };
            weight += weights[*lightest];
            parents[*lightest] = node;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; parents.len()];
    for node in (0..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths[..leaves].iter().for_each(|&depth: &usize| needed[depth.min(63)] += 1);
    // Shortens codes that are too long, and lengthens others to make room for them, until the code is
    // complete (Kraft's inequality, in units of the shortest interval).
    let too_long = needed[max + 1..].iter().sum::<usize>();
    needed[max + 1..].fill(0);
    needed[max] += too_long;
    let mut taken: usize = (1..=max).map(|len| needed[len] << (max - len)).sum();
    while taken > 1 << max {
        if let Some(len) = (1..max).rev().find(|&len| needed[len] > 0) {
            needed[len] -= 1;
            needed[len + 1] += 2;
            needed[max] -= 1;
        }
        taken -= 1;
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_lengths_are_complete_and_bounded() {
        let mut rng = fastrand::Rng::with_seed(4);
        for round in 0..2000 {
            // Fibonacci-like counts make the deepest trees.
            let n = rng.usize(2..=LITERALS);
            let growth = [1.0, 1.1, 1.62, 2.0][round % 4];
            let mut counts = [0u32; LITERALS];
            for (i, count) in counts.iter_mut().take(n).enumerate() {
                *count = (f64::powi(growth, (i % 30) as i32) * rng.f64() * 3.0) as u32 + 1;
            }
            for max in [CODE_MAX, 9] {
                let lengths = code_lengths(&counts, max);
                let kraft: usize = lengths
                    .iter()
                    .filter(|&&len| len > 0)
                    .map(|&len| 1 << (max - usize::from(len)))
                    .sum();
                assert_eq!(kraft, 1 << max, "complete, with {n} symbols");
                for (i, j) in (0..n).zip(1..n) {
                    assert!(counts[i] <= counts[j] || lengths[i] <= lengths[j], "rarer is longer");
                }
            }
        }
    }

    #[test]
    fn symbols_match_the_standard() {
        for (len, symbol, bits, value) in [
            (3, 257, 0, 0),
            (10, 264, 0, 0),
            (11, 265, 1, 0),
            (12, 265, 1, 1),
            (257, 284, 5, 30),
            (258, 285, 0, 0),
        ] {
            let s = length_symbol(len);
            assert_eq!((s.symbol, s.bits, s.value), (symbol, bits, value), "length {len}");
        }
        for (distance, symbol, bits, value) in [
            (1, 0, 0, 0),
            (4, 3, 0, 0),
            (5, 4, 1, 0),
            (6, 4, 1, 1),
            (24577, 29, 13, 0),
            (32768, 29, 13, 8191),
        ] {
            let s = distance_symbol(distance);
            assert_eq!((s.symbol, s.bits, s.value), (symbol, bits, value), "distance {distance}");
        }
    }
}
