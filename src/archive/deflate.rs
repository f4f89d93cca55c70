//! Makes deflate segments: each can be decoded on its own, and all in a row are one stream.
//!
//! A segment is a mix of encoded, stored and zero-run blocks, ends on a byte boundary with an empty
//! stored block, and refers to nothing before its first byte (RFC 1951).

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::archive::{
    Level,
    buf::Buf,
    incompressible::{self, Method},
};

/// What an empty stored block looks like behind its header bits: the end of every segment.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Most bytes of one stored block.
const STORED_MAX: usize = 0xffff;

/// Compresses segments, one after the other.
pub(crate) struct Deflater {
    encoder: Encoder,
}

enum Encoder {
    Stored,
    Flate2(Compress, u8),
    #[cfg(feature = "isal")]
    Isal(wingback_isal::Deflater),
}

impl Deflater {
    pub(crate) fn new(level: Level) -> Self {
        let flate2 = |level: u8| {
            Encoder::Flate2(Compress::new(Compression::new(level.into()), false), level)
        };
        Deflater {
            encoder: match level {
                Level::None => Encoder::Stored,
                #[cfg(feature = "isal")]
                Level::Fast => Encoder::Isal(wingback_isal::Deflater::new()),
                #[cfg(not(feature = "isal"))]
                Level::Fast => flate2(2),
                // ISA-L's levels end below this.
                Level::Best => flate2(9),
            },
        }
    }

    /// The encoder's number and level, as the footer records them.
    pub(crate) fn id(&self) -> (u8, u8) {
        match self.encoder {
            Encoder::Stored => (0, 0),
            Encoder::Flate2(_, level) => (2, level),
            #[cfg(feature = "isal")]
            Encoder::Isal(_) => (3, 2),
        }
    }

    /// Appends the segment of `raw` to `out`.
    pub(crate) fn segment(&mut self, raw: &[u8], out: &mut Buf) {
        let start = out.len();
        if !matches!(self.encoder, Encoder::Stored) {
            for (range, method) in incompressible::plan(raw) {
                let stretch = &raw[range];
                match method {
                    Method::Encode => self.encode(stretch, out),
                    Method::Store => store(stretch, out),
                    Method::Zeros => zeros(stretch.len(), out),
                }
            }
            if !out[start..].ends_with(&EMPTY_STORED) {
                store(&[], out);
            }
        }
        // What grew is stored instead, which also bounds every segment.
        if out.len() == start || out.len() - start > stored_len(raw.len()) {
            out.truncate(start);
            if !raw.is_empty() {
                store(raw, out);
            }
            store(&[], out);
        }
    }

    fn encode(&mut self, raw: &[u8], out: &mut Buf) {
        let start = out.len();
        // One call, into room of a size that depends on the input alone: the bytes that
        // some encoders make depend on how much room they have.
        let room = out.room(raw.len() + raw.len() / 10 + 256);
        let written = match &mut self.encoder {
            Encoder::Stored => None,
            // The full flush before has made it forget everything, so it need not be reset.
            Encoder::Flate2(encoder, _) => {
                let (before_in, before_out) = (encoder.total_in(), encoder.total_out());
                let status = encoder.compress(raw, room, FlushCompress::Full);
                let read = encoder.total_in() - before_in;
                let written = (encoder.total_out() - before_out) as usize;
                let whole = read == raw.len() as u64 && written < room.len();
                (whole && matches!(status, Ok(Status::Ok))).then_some(written)
            }
            #[cfg(feature = "isal")]
            Encoder::Isal(encoder) => encoder.deflate(raw, room),
        };
        match written {
            Some(written) => out.advance(written),
            // The room is above every encoder's bound, so this is an encoder at fault.
            None => {
                if let Encoder::Flate2(encoder, _) = &mut self.encoder {
                    encoder.reset();
                }
                out.truncate(start);
                store(raw, out);
            }
        }
    }
}

/// Bytes that a segment of `raw` bytes takes at most.
pub(crate) fn stored_len(raw: usize) -> usize {
    raw + 5 * raw.div_ceil(STORED_MAX) + 5
}

/// Appends stored blocks; for no bytes, one empty block.
fn store(raw: &[u8], out: &mut Buf) {
    let mut rest = raw;
    loop {
        let (block, more) = rest.split_at(rest.len().min(STORED_MAX));
        let len = block.len() as u16;
        out.extend(&[0]);
        out.extend(&len.to_le_bytes());
        out.extend(&(!len).to_le_bytes());
        out.extend(block);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

/// Appends `n` zeros as one block with the fixed codes, and an empty stored block so that it ends on
/// a byte boundary: a literal zero, then matches at distance 1, 13 bits for each 258 bytes.
fn zeros(n: usize, out: &mut Buf) {
    const MATCH: usize = 258;
    let mut bits = Bits { out, held: 0, len: 0 };
    bits.push(0b010, 3); // not the last block, fixed codes
    let mut rest = n;
    // A match needs a byte to refer to, and three bytes to be one.
    while rest > 0 && (rest == n || rest < 3) {
        bits.push_code(0b0011_0000, 8);
        rest -= 1;
    }
    while rest >= MATCH + 3 {
        bits.push_zero_match(MATCH as u32);
        rest -= MATCH;
    }
    // What is left is one match, or two of which neither is too short.
    if rest > MATCH {
        bits.push_zero_match(3);
        rest -= 3;
    }
    if rest > 0 {
        bits.push_zero_match(rest as u32);
    }
    bits.push(0, 7); // end of block
    bits.push(0, 3); // header of the empty stored block
    bits.finish();
    out.extend(&EMPTY_STORED);
}

/// Writes bits as deflate packs them: from the least significant up.
struct Bits<'a> {
    out: &'a mut Buf,
    held: u64,
    len: u32,
}

impl Bits<'_> {
    /// Appends the `len` lowest bits of `value`, at most 32.
    fn push(&mut self, value: u32, len: u32) {
        self.held |= u64::from(value) << self.len;
        self.len += len;
        if self.len >= 32 {
            self.out.extend(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.len -= 32;
        }
    }

    /// Huffman codes are packed from the most significant bit.
    fn push_code(&mut self, code: u32, len: u32) {
        self.push(code.reverse_bits() >> (32 - len), len);
    }

    /// A match of `len` bytes, 3 to 258, at distance 1 (RFC 1951, 3.2.5 and 3.2.6).
    fn push_zero_match(&mut self, len: u32) {
        let over = len - 3;
        let extra = if len == 258 || over < 8 { 0 } else { over.ilog2() - 2 };
        let symbol = match len {
            258 => 285,
            _ if over < 8 => 257 + over,
            _ => 257 + 4 * (extra + 1) + (over >> extra & 3),
        };
        match symbol {
            ..280 => self.push_code(symbol - 256, 7),
            _ => self.push_code(0b1100_0000 + symbol - 280, 8),
        }
        self.push(over & ((1 << extra) - 1), extra);
        self.push_code(0, 5);
    }

    /// Fills the last byte with zeros.
    fn finish(self) {
        let bytes = self.len.div_ceil(8) as usize;
        self.out.extend(&self.held.to_le_bytes()[..bytes]);
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    /// Decodes one segment by itself, and checks that it ends as a segment must.
    fn inflate(segment: &[u8], len: usize) -> Vec<u8> {
        assert!(segment.ends_with(&EMPTY_STORED));
        let mut raw = vec![0; len + 1];
        let mut decoder = Decompress::new(false);
        let status = decoder.decompress(segment, &mut raw, FlushDecompress::None);
        assert!(matches!(status, Ok(Status::Ok)), "{status:?}");
        assert_eq!(decoder.total_in(), segment.len() as u64);
        raw.truncate(decoder.total_out() as usize);
        raw
    }

    fn round_trip(level: Level, raw: &[u8]) -> usize {
        let mut out = Buf::default();
        out.extend(b"before");
        Deflater::new(level).segment(raw, &mut out);
        assert_eq!(&out[..6], b"before");
        assert!(out.len() - 6 <= stored_len(raw.len()));
        assert!(inflate(&out[6..], raw.len()) == raw);
        out.len() - 6
    }

    #[test]
    fn zero_runs_of_every_length_come_back_small() {
        for n in (1..2000).chain([4095, 4096, 65535, 65536, 1 << 20]) {
            let mut out = Buf::default();
            zeros(n, &mut out);
            assert_eq!(inflate(&out, n), vec![0; n]);
            assert!(out.len() <= 12 + n * 13 / 8 / 250, "{n} zeros took {}", out.len());
        }
    }

    #[test]
    fn every_mix_comes_back_at_every_level() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..60 {
            let mut raw = Vec::new();
            for _ in 0..rng.usize(..6) {
                let len = rng.usize(..70_000);
                match rng.u8(..4) {
                    0 => raw.extend(std::iter::repeat_n(0, len)),
                    1 => raw.extend(std::iter::repeat_with(|| rng.u8(..)).take(len)),
                    2 => raw.extend(b"all work and no play ".iter().cycle().take(len)),
                    _ => raw.resize((raw.len() + len).next_multiple_of(4096), 7),
                }
            }
            for level in [Level::None, Level::Fast, Level::Best] {
                round_trip(level, &raw);
            }
        }
    }

    #[test]
    fn borders_of_stored_blocks_come_back() {
        let mut rng = fastrand::Rng::with_seed(2);
        for len in [0, 1, 65534, 65535, 65536, 131_070, 131_071] {
            let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
            assert_eq!(round_trip(Level::None, &noise), stored_len(len).max(5));
            round_trip(Level::Fast, &noise);
        }
    }

    #[test]
    #[cfg(not(feature = "isal"))]
    fn the_bytes_do_not_depend_on_what_came_before() {
        let mut rng = fastrand::Rng::with_seed(3);
        let words: Vec<Vec<u8>> = (0..200).map(|i| format!("word{i} ").into_bytes()).collect();
        for level in [Level::Fast, Level::Best] {
            let mut used = Deflater::new(level);
            for _ in 0..60 {
                let mut text = Vec::new();
                for _ in 0..rng.usize(..60_000) {
                    text.extend_from_slice(&words[rng.usize(..words.len())]);
                }
                let (mut first, mut second) = (Buf::default(), Buf::default());
                used.segment(&text, &mut first);
                second.room(rng.usize(..1 << 22)).fill(1);
                Deflater::new(level).segment(&text, &mut second);
                assert!(*first == *second, "{level:?}, {} bytes", text.len());
            }
        }
    }
}
