//! Compresses the given files in segments of 1 MiB with each encoder in turn, and prints size and
//! speed: `cargo run --release --features zlib-rs -- FILE…`, once for each backend of flate2.

use std::time::Instant;

use flate2::{Compress, Compression, FlushCompress};

#[path = "../../../src/format/deflate/fast.rs"]
mod fast;
#[path = "../../../src/format/deflate/huffman.rs"]
mod huffman;
#[path = "../../../src/format/deflate/lz.rs"]
mod lz;

use fast::Fast;

const SEGMENT: usize = 1 << 20;
const ROUNDS: usize = 5;

fn main() {
    let backend = match () {
        _ if cfg!(feature = "miniz_oxide") => "miniz_oxide",
        _ if cfg!(feature = "zlib-ng") => "zlib-ng",
        _ => "zlib-rs",
    };
    for path in std::env::args().skip(1) {
        let raw = std::fs::read(&path).expect("a file to compress");
        println!("\n{path}, {:.1} MB\n\n| encoder | speed, ÷ ours | size, ÷ raw |\n|---|---|---|", raw.len() as f64 / 1e6);
        let mut fast = Fast::new();
        let mut ours =
            |raw: &[u8], room: &mut [u8]| fast.deflate(raw, room).expect("enough room");
        let mut isal = wingback_isal::Deflater::new();
        print("wingback fast", &raw, &mut ours, |_, _| 0);
        print("ISA-L 2", &raw, &mut |raw, room| isal.deflate(raw, room).expect("enough room"), &mut ours);
        for level in [1, 2, 3, 6, 9] {
            let mut encoder = Compress::new(Compression::new(level), false);
            let mut flate2 = |raw: &[u8], room: &mut [u8]| {
                encoder.reset();
                encoder.compress(raw, room, FlushCompress::Full).expect("compresses");
                encoder.total_out() as usize
            };
            print(&format!("{backend} {level}"), &raw, &mut flate2, &mut ours);
        }
    }
}

/// Lets both take turns, and prints the best of their rounds.
fn print(
    name: &str,
    raw: &[u8],
    encoder: &mut impl FnMut(&[u8], &mut [u8]) -> usize,
    mut ours: impl FnMut(&[u8], &mut [u8]) -> usize,
) {
    let (mut best, mut best_ours, mut size) = (f64::MAX, f64::MAX, 0);
    for _ in 0..ROUNDS {
        let (seconds, n) = run(raw, &mut *encoder);
        (best, size) = (best.min(seconds), n);
        best_ours = best_ours.min(run(raw, &mut ours).0);
    }
    let ratio = match name {
        "wingback fast" => format!("1 ({:.0} MB/s)", raw.len() as f64 / 1e6 / best),
        _ => format!("{:.2}", best_ours / best),
    };
    println!("| {name} | {ratio} | {:.4} |", size as f64 / raw.len() as f64);
}

fn run(raw: &[u8], mut encoder: impl FnMut(&[u8], &mut [u8]) -> usize) -> (f64, usize) {
    let mut room = vec![0; SEGMENT + SEGMENT / 10 + 256];
    let start = Instant::now();
    let size = raw.chunks(SEGMENT).map(|segment| encoder(segment, &mut room)).sum();
    (start.elapsed().as_secs_f64(), size)
}
