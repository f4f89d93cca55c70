//! Compresses segments. Each can be decoded on its own, and all of them in a row are one deflate stream.
//!
//! A segment is a mix of encoded blocks, stored blocks and runs of zeros. It ends on a byte boundary with
//! an empty stored block, and refers to no byte before its start (RFC 1951).

mod fast;
mod huffman;
mod incompressible;
mod lz;

use flate2::{Compress, Compression, FlushCompress, Status};

use self::{
    fast::Fast,
    huffman::{Bits, Code, length_symbol},
    incompressible::Method,
};
use crate::{
    compression::{Encoder, Level},
    error::Result,
    format::buffer::Buf,
};

/// An empty stored block after its header bits, which ends every segment.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Maximum bytes of one stored block.
const STORED_MAX: usize = 0xffff;

/// Encoder and level in the footer of an archive whose segments have several.
pub(crate) const MIXED: (u8, u8) = (6, 0);

/// Compresses segments, one after another.
pub(crate) struct Deflater {
    state: State,
}

enum State {
    Stored,
    Fast(Fast),
    Best(Compress),
    #[cfg(feature = "isal")]
    IsaL(wingback_isal::Deflater),
}

/// Returns the number of the encoder and its level, as in the footer.
pub(crate) fn encoder_id(encoder: Encoder, level: Level) -> (u8, u8) {
    match (encoder, level) {
        (Encoder::Wingback, Level::None) => (0, 0),
        (Encoder::Wingback, Level::Fast) => (5, 1),
        (Encoder::Wingback, Level::Best) => (2, 9),
        (Encoder::IsaL, _) => (3, 2),
    }
}

impl Deflater {
    /// Fails as [`Encoder::check`] does.
    pub(crate) fn new(encoder: Encoder, level: Level) -> Result<Self> {
        encoder.check(level)?;
        let state = match (encoder, level) {
            (Encoder::Wingback, Level::None) => State::Stored,
            (Encoder::Wingback, Level::Fast) => State::Fast(Fast::new()),
            (Encoder::Wingback, Level::Best) => {
                State::Best(Compress::new(Compression::best(), false))
            }
            #[cfg(feature = "isal")]
            (Encoder::IsaL, _) => State::IsaL(wingback_isal::Deflater::new()),
            #[cfg(not(feature = "isal"))]
            (Encoder::IsaL, _) => {
                unreachable!("the check refuses an encoder that is not available")
            }
        };
        Ok(Deflater { state })
    }

    /// Compresses `raw` into one segment, and appends it to `out`.
    pub(crate) fn segment(&mut self, raw: &[u8], out: &mut Buf) {
        let start = out.len();
        if !matches!(self.state, State::Stored) {
            for (range, method) in incompressible::plan(raw) {
                let piece = &raw[range];
                match method {
                    Method::Encode => self.encode(piece, out),
                    Method::Store => store(piece, out),
                    Method::Zeros => zeros(piece.len(), out),
                }
            }
            if !out[start..].ends_with(&EMPTY_STORED) {
                store(&[], out);
            }
        }
        // If the segment grew, it is stored instead. This also bounds its length.
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
        // One call, into room whose size depends only on the input: the output of some encoders depends
        // on the size of the room.
        let room = out.room(raw.len() + raw.len() / 10 + 256);
        let written = match &mut self.state {
            State::Stored => None,
            State::Fast(encoder) => encoder.deflate(raw, room),
            State::Best(encoder) => full_flush(encoder, raw, room),
            #[cfg(feature = "isal")]
            State::IsaL(encoder) => encoder.deflate(raw, room),
        };
        match written {
            Some(written) => out.advance(written),
            // The room is larger than any encoder needs, so this is a bug in the encoder.
            None => {
                out.truncate(start);
                store(raw, out);
            }
        }
    }
}

/// Compresses with flate2. A full flush clears its window, so a reset is not necessary.
fn full_flush(encoder: &mut Compress, raw: &[u8], room: &mut [u8]) -> Option<usize> {
    let (before_in, before_out) = (encoder.total_in(), encoder.total_out());
    let status = encoder.compress(raw, room, FlushCompress::Full);
    let read = encoder.total_in() - before_in;
    let written = (encoder.total_out() - before_out) as usize;
    if read == raw.len() as u64 && written < room.len() && matches!(status, Ok(Status::Ok)) {
        return Some(written);
    }
    encoder.reset();
    None
}

/// Returns the maximum length of a segment of `raw` bytes: all of it stored.
pub(crate) fn stored_len(raw: usize) -> usize {
    raw + 5 * raw.div_ceil(STORED_MAX) + 5
}

/// Appends `raw` as stored blocks. If it is empty, appends one empty block.
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

/// Appends `n` zeros as one block with fixed codes (RFC 1951, 3.2.6), and an empty stored block, so that
/// it ends on a byte boundary. The block is a literal and matches at distance 1: 13 bits for every 258
/// bytes.
fn zeros(n: usize, out: &mut Buf) {
    const MATCH: usize = 258;
    let mut bits = Bits::new(out.room(32 + n / 128));
    bits.add(0b010, 3); // not the last block, fixed codes
    let mut rest = n;
    // A match refers to an earlier byte, and has at least three bytes.
    while rest > 0 && (rest == n || rest < 3) {
        bits.code(Code::new(0b0011_0000, 8));
        rest -= 1;
    }
    bits.flush();
    while rest > 0 {
        // Never leaves one or two bytes, which would be too few for a match.
        let len = if matches!(rest.checked_sub(MATCH), Some(1 | 2)) { 3 } else { rest.min(MATCH) };
        let length = length_symbol(len as u32);
        bits.code(match length.symbol {
            ..280 => Code::new(length.symbol as u16 - 256, 7),
            _ => Code::new(0b1100_0000 + length.symbol as u16 - 280, 8),
        });
        bits.add(length.value, length.bits);
        bits.code(Code::new(0, 5));
        bits.flush();
        rest -= len;
    }
    bits.code(Code::new(0, 7)); // end of block
    let written = bits.finish().expect("the room is larger than the block");
    out.advance(written);
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    /// Decodes one segment on its own, and checks its end.
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

    fn deflater(encoder: Encoder, level: Level) -> Deflater {
        Deflater::new(encoder, level).expect("the build has the encoder")
    }

    /// Returns every pair that this build serves.
    fn pairs() -> impl Iterator<Item = (Encoder, Level)> {
        let levels = [Level::None, Level::Fast, Level::Best];
        let all = Encoder::AVAILABLE.iter().flat_map(move |&e| levels.map(|level| (e, level)));
        all.filter(|(encoder, level)| encoder.check(*level).is_ok())
    }

    fn round_trip((encoder, level): (Encoder, Level), raw: &[u8]) -> usize {
        let mut out = Buf::default();
        out.extend(b"before");
        deflater(encoder, level).segment(raw, &mut out);
        assert_eq!(&out[..6], b"before");
        assert!(out.len() - 6 <= stored_len(raw.len()));
        assert!(inflate(&out[6..], raw.len()) == raw);
        out.len() - 6
    }

    #[test]
    fn zero_runs_of_every_length_decode_and_are_small() {
        for n in (1..2000).chain([4095, 4096, 65535, 65536, 1 << 20]) {
            let mut out = Buf::default();
            zeros(n, &mut out);
            assert_eq!(inflate(&out, n), vec![0; n]);
            assert!(out.len() <= 12 + n * 13 / 8 / 250, "{n} zeros took {}", out.len());
        }
    }

    #[test]
    fn every_mix_decodes_at_every_level() {
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
            for pair in pairs() {
                round_trip(pair, &raw);
            }
        }
    }

    #[test]
    fn segments_around_the_length_of_a_stored_block_decode() {
        let mut rng = fastrand::Rng::with_seed(2);
        for len in [0, 1, 65534, 65535, 65536, 131_070, 131_071] {
            let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
            let none = (Encoder::Wingback, Level::None);
            assert_eq!(round_trip(none, &noise), stored_len(len).max(5));
            for pair in pairs() {
                round_trip(pair, &noise);
            }
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_earlier_segments() {
        let mut rng = fastrand::Rng::with_seed(3);
        let words: Vec<Vec<u8>> = (0..200).map(|i| format!("word{i} ").into_bytes()).collect();
        for level in [Level::Fast, Level::Best] {
            let mut used = deflater(Encoder::Wingback, level);
            for _ in 0..60 {
                let mut text = Vec::new();
                for _ in 0..rng.usize(..60_000) {
                    text.extend_from_slice(&words[rng.usize(..words.len())]);
                }
                let (mut first, mut second) = (Buf::default(), Buf::default());
                used.segment(&text, &mut first);
                second.room(rng.usize(..1 << 22)).fill(1);
                deflater(Encoder::Wingback, level).segment(&text, &mut second);
                assert!(*first == *second, "{level:?}, {} bytes", text.len());
            }
        }
    }
}
