//! Finds the ranges of a segment that an encoder cannot compress.
//!
//! The plan depends only on the bytes of the segment. So equal raw bytes always become the same segment,
//! whatever is before and after them. A wrong guess costs compression ratio, never content.

use std::ops::Range;

/// How a range of a segment is written as deflate blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Compressed by the encoder.
    Encode,
    /// As stored blocks.
    Store,
    /// As a run of zeros.
    Zeros,
}

/// A range of a segment and its method.
pub(crate) type Piece = (Range<usize>, Method);

/// A sector of a region file. The search works in units of this size.
const SECTOR: usize = 4096;

/// Minimum length of an uncertain piece between encoded ones: shorter ones cost more in flushes, and in
/// loss of the encoder's window, than they save.
const PIECE_MIN: usize = 32 << 10;

/// Cuts `raw` into pieces that cover it in order. Adjacent pieces have different methods.
pub(crate) fn plan(raw: &[u8]) -> Vec<Piece> {
    let mut plan = Plan::default();
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let sector = &rest[..rest.len().min(SECTOR)];
        if let Some(chunk) = chunk_len(rest) {
            // The chunk, truncated at the end of the segment, and the padding of its last sector.
            let end = at + chunk.min(rest.len());
            let next = (at + chunk.next_multiple_of(SECTOR)).min(raw.len());
            match &raw[end..next] {
                padding if is_zero(padding) => {
                    plan.push(at..end, Method::Store, true);
                    plan.push(end..next, Method::Zeros, true);
                }
                padding if padding.len() < SECTOR / 8 || looks_random(padding) => {
                    plan.push(at..next, Method::Store, true);
                }
                // Remains of older chunks, which an encoder finds again in the adjacent chunks.
                _ => plan.push(at..next, Method::Encode, true),
            }
            at = next;
        } else {
            let method = if is_zero(sector) {
                Method::Zeros
            } else if looks_random(sector) {
                Method::Store
            } else {
                Method::Encode
            };
            plan.push(at..at + sector.len(), method, false);
            at += sector.len();
        }
    }
    plan.finish()
}

/// Returns the length of the compressed chunk of a Minecraft region at the start of `bytes`: a big-endian
/// length, a compression type and the payload (Minecraft Wiki, "Region file format").
///
/// The table at the start of the file lists the chunks as well, but the plan must not depend on another
/// segment. So chunks are recognized by their first bytes.
fn chunk_len(bytes: &[u8]) -> Option<usize> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*len) as usize;
    let [kind, a, b, ..] = *rest else {
        return None;
    };
    let compressed = match kind {
        1 => [a, b] == [0x1f, 0x8b],
        2 => a & 0x0f == 8 && u16::from_be_bytes([a, b]).is_multiple_of(31),
        _ => false,
    };
    // At most 255 sectors. The payload is checked too, since five bytes often match by chance.
    let payload = rest.get(1..rest.len().min(len).min(SECTOR))?;
    let plausible = compressed && (SECTOR / 8..=255 * SECTOR - 4).contains(&len);
    (plausible && looks_random(payload)).then_some(4 + len)
}

fn is_zero(bytes: &[u8]) -> bool {
    // Whole words first, for speed: this runs for every sector.
    let (words, rest) = bytes.as_chunks::<32>();
    words.iter().all(|w| *w == [0; 32]) && rest.iter().all(|&b| b == 0)
}

/// Returns whether the bytes look random, so that no encoder could compress them.
///
/// It takes a sample, and compares the byte counts with the uniform distribution (chi-squared test). Only
/// compressed and encrypted data comes close to that distribution.
fn looks_random(bytes: &[u8]) -> bool {
    const PARTS: usize = 4;
    const PART: usize = 128;
    // Text is recognized quickly.
    if bytes.len() < 2 * PART || bytes[..PART / 2].is_ascii() {
        return false;
    }
    let mut counts = [0u16; 256];
    let mut sampled = 0;
    for part in bytes.chunks(bytes.len().div_ceil(PARTS)) {
        let part = &part[..part.len().min(PART)];
        sampled += part.len();
        for &byte in part {
            counts[usize::from(byte)] += 1;
        }
    }
    // For n random bytes, the sum of the squared counts is n²/256 + n on average. With 255 degrees of
    // freedom, its standard deviation is 22.6 n/256. The limit is six deviations above the average.
    let squares: u32 = counts.iter().map(|&c| u32::from(c) * u32::from(c)).sum();
    let n = sampled as u32;
    squares <= n * n / 256 + n + 136 * n / 256
}

#[derive(Default)]
struct Plan {
    /// Pieces, and whether each is certain.
    pieces: Vec<(Piece, bool)>,
}

impl Plan {
    /// Adds a piece. A certain piece is kept, whatever its length is.
    fn push(&mut self, range: Range<usize>, method: Method, is_certain: bool) {
        if range.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(((last, m), certain)) if *m == method => {
                last.end = range.end;
                *certain |= is_certain;
            }
            _ => self.pieces.push(((range, method), is_certain)),
        }
    }

    /// Returns the plan. Short uncertain pieces next to encoded ones are encoded with them.
    fn finish(self) -> Vec<Piece> {
        let short = |i: usize| {
            self.pieces.get(i).is_some_and(|((range, method), is_certain)| {
                *method != Method::Encode && !is_certain && range.len() < PIECE_MIN
            })
        };
        let encoded = |i: Option<usize>| {
            i.and_then(|i| self.pieces.get(i)).is_some_and(|((_, m), _)| *m == Method::Encode)
        };
        let mut plan: Vec<Piece> = Vec::with_capacity(self.pieces.len());
        for (i, ((range, method), _)) in self.pieces.iter().enumerate() {
            let beside = encoded(i.checked_sub(1)) || encoded(Some(i + 1));
            let method = if short(i) && beside { Method::Encode } else { *method };
            match plan.last_mut() {
                Some((last, m)) if *m == method => last.end = range.end,
                _ => plan.push((range.clone(), method)),
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
    }

    fn chunk(payload: &[u8]) -> Vec<u8> {
        let mut chunk = (payload.len() as u32 + 3).to_be_bytes().to_vec();
        chunk.extend([2, 0x78, 0x9c]);
        chunk.extend(payload);
        chunk
    }

    #[test]
    fn compressed_data_is_stored_and_other_data_is_encoded() {
        let text = b"[12:00:01] [Server thread/INFO]: Done\n".repeat(2000);
        assert_eq!(plan(&text), [(0..text.len(), Method::Encode)]);
        let noise = random(100_000);
        assert_eq!(plan(&noise), [(0..noise.len(), Method::Store)]);
        assert_eq!(plan(&[0; 100_000]), [(0..100_000, Method::Zeros)]);
        assert_eq!(plan(&[]), []);
    }

    #[test]
    fn a_chunk_is_stored_and_its_padding_is_a_run_of_zeros() {
        let mut region = chunk(&random(5000));
        let end = region.len();
        region.resize(8192, 0);
        region.extend(chunk(&random(6000)));
        assert_eq!(
            plan(&region),
            [
                (0..end, Method::Store),
                (end..8192, Method::Zeros),
                (8192..region.len(), Method::Store),
            ]
        );
    }

    #[test]
    fn a_truncated_chunk_or_one_with_a_wrong_length_stays_within_the_segment() {
        let mut torn = chunk(&random(5000));
        torn[..4].copy_from_slice(&900_000u32.to_be_bytes());
        assert_eq!(plan(&torn), [(0..torn.len(), Method::Store)]);
        torn[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let covered: usize = plan(&torn).iter().map(|(r, _)| r.len()).sum();
        assert_eq!(covered, torn.len());
    }

    #[test]
    fn a_short_uncertain_piece_does_not_interrupt_the_encoder() {
        let mut mixed = b"text and more text ".repeat(1000);
        mixed.truncate(16384);
        mixed.extend(random(8192));
        mixed.extend(b"text and more text ".repeat(1000));
        assert_eq!(plan(&mixed), [(0..mixed.len(), Method::Encode)]);
    }
}
