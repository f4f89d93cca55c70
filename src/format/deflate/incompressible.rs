//! What of a segment is not worth an encoder's time.
//!
//! The plan depends on the segment's own bytes and on nothing else, so the same bytes always
//! become the same segment, whatever stands around them. A wrong guess costs ratio, never content.

use std::ops::Range;

/// How a stretch of a segment is put into deflate blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Through the encoder.
    Encode,
    /// As stored blocks.
    Store,
    /// As a run of zeros.
    Zeros,
}

/// A stretch of a segment, and what is done with it.
pub(crate) type Stretch = (Range<usize>, Method);

/// A sector of a region file, and the grain of the search.
const SECTOR: usize = 4096;

/// What interrupts an encoder must be worth its flush and its lost window.
const WORTH_AN_INTERRUPTION: usize = 32 << 10;

/// Cuts `raw` into stretches that cover it in order, neighbours of different methods.
pub(crate) fn plan(raw: &[u8]) -> Vec<Stretch> {
    let mut plan = Plan::default();
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let sector = &rest[..rest.len().min(SECTOR)];
        if let Some(chunk) = chunk_len(rest) {
            // The chunk, cut short at the segment's end, and what fills its last sector.
            let end = at + chunk.min(rest.len());
            let next = (at + chunk.next_multiple_of(SECTOR)).min(raw.len());
            match &raw[end..next] {
                filling if is_zero(filling) => {
                    plan.push(at..end, Method::Store, true);
                    plan.push(end..next, Method::Zeros, true);
                }
                filling if filling.len() < SECTOR / 8 || looks_random(filling) => {
                    plan.push(at..next, Method::Store, true);
                }
                // Leftovers of older chunks, which an encoder finds again in their neighbours.
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

/// The length of the compressed chunk of a Minecraft region that begins here: a big-endian length,
/// a compression type and the payload (Minecraft Wiki, "Region file format").
///
/// The table in front of the file would say where chunks begin; the chunks' own first bytes say it
/// too, and spare the plan from depending on another segment.
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
    // At most 255 sectors; and a look at the payload, since five bytes are soon met by chance.
    let payload = rest.get(1..rest.len().min(len).min(SECTOR))?;
    let plausible = compressed && (SECTOR / 8..=255 * SECTOR - 4).contains(&len);
    (plausible && looks_random(payload)).then_some(4 + len)
}

fn is_zero(bytes: &[u8]) -> bool {
    // Whole words first: this is asked of every sector.
    let (words, rest) = bytes.as_chunks::<32>();
    words.iter().all(|w| *w == [0; 32]) && rest.iter().all(|&b| b == 0)
}

/// Whether a sample of the bytes is spread so evenly that no encoder would gain: chi-squared of the
/// byte counts against the uniform distribution, which compressed data comes close to and nothing
/// else does.
fn looks_random(bytes: &[u8]) -> bool {
    const PARTS: usize = 4;
    const PART: usize = 128;
    // Text is seen at a glance.
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
    // With n samples, the squares of the counts add up to n²/256 + n on average, and half of
    // chi-squared's 255 degrees of freedom make the deviation 22.6 n/256: six of those above.
    let squares: u32 = counts.iter().map(|&c| u32::from(c) * u32::from(c)).sum();
    let n = sampled as u32;
    squares <= n * n / 256 + n + 136 * n / 256
}

#[derive(Default)]
struct Plan {
    stretches: Vec<(Stretch, bool)>,
}

impl Plan {
    /// `sure` stretches stand whatever their length.
    fn push(&mut self, range: Range<usize>, method: Method, sure: bool) {
        if range.is_empty() {
            return;
        }
        match self.stretches.last_mut() {
            Some(((last, m), s)) if *m == method => {
                last.end = range.end;
                *s |= sure;
            }
            _ => self.stretches.push(((range, method), sure)),
        }
    }

    /// Gives short guesses between encoded stretches to the encoder.
    fn finish(self) -> Vec<Stretch> {
        let short = |i: usize| {
            self.stretches.get(i).is_some_and(|((range, method), sure)| {
                *method != Method::Encode && !sure && range.len() < WORTH_AN_INTERRUPTION
            })
        };
        let encoded = |i: Option<usize>| {
            i.and_then(|i| self.stretches.get(i)).is_some_and(|((_, m), _)| *m == Method::Encode)
        };
        let mut plan: Vec<Stretch> = Vec::with_capacity(self.stretches.len());
        for (i, ((range, method), _)) in self.stretches.iter().enumerate() {
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
    fn what_is_compressed_is_stored_and_what_is_not_is_encoded() {
        let text = b"[12:00:01] [Server thread/INFO]: Done\n".repeat(2000);
        assert_eq!(plan(&text), [(0..text.len(), Method::Encode)]);
        let noise = random(100_000);
        assert_eq!(plan(&noise), [(0..noise.len(), Method::Store)]);
        assert_eq!(plan(&[0; 100_000]), [(0..100_000, Method::Zeros)]);
        assert_eq!(plan(&[]), []);
    }

    #[test]
    fn a_chunk_is_stored_and_its_padding_is_a_run() {
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
    fn a_chunk_that_is_cut_off_or_lies_about_its_length_stays_within_the_segment() {
        let mut torn = chunk(&random(5000));
        torn[..4].copy_from_slice(&900_000u32.to_be_bytes());
        assert_eq!(plan(&torn), [(0..torn.len(), Method::Store)]);
        torn[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let covered: usize = plan(&torn).iter().map(|(r, _)| r.len()).sum();
        assert_eq!(covered, torn.len());
    }

    #[test]
    fn a_short_guess_does_not_interrupt_the_encoder() {
        let mut mixed = b"text and more text ".repeat(1000);
        mixed.truncate(16384);
        mixed.extend(random(8192));
        mixed.extend(b"text and more text ".repeat(1000));
        assert_eq!(plan(&mixed), [(0..mixed.len(), Method::Encode)]);
    }
}
