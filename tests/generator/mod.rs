//! Random patterns and paths for both comparisons.

use fastrand::Rng;

/// Returns one of `pieces`.
pub fn pick<'a>(rng: &mut Rng, pieces: &[&'a [u8]]) -> &'a [u8] {
    pieces[rng.usize(..pieces.len())]
}

/// Paths of a few repeated names, each made of `pieces`.
pub fn paths(rng: &mut Rng, pieces: &[&[u8]], count: usize) -> Vec<Vec<u8>> {
    let names: Vec<_> = (0..6).map(|_| name(rng, pieces)).collect();
    let mut path = || {
        let length = rng.usize(1..=4);
        let names: Vec<_> = (0..length).map(|_| &names[rng.usize(..6)][..]).collect();
        names.join(&b'/')
    };
    (0..count).map(|_| path()).collect()
}

fn name(rng: &mut Rng, pieces: &[&[u8]]) -> Vec<u8> {
    loop {
        let length = rng.usize(1..=3);
        let name = (0..length).flat_map(|_| pick(rng, pieces)).copied();
        let name: Vec<u8> = name.collect();
        if !matches!(name.as_slice(), b"." | b"..") {
            return name;
        }
    }
}

/// `path` with some bytes replaced by patterns, such that it often still matches.
pub fn disguise(rng: &mut Rng, path: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut pattern = Vec::new();
    let from = match rng.u8(..3) {
        0 => 0,
        _ => path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1),
    };
    let keep = rng.u8(1..=10);
    for &byte in &path[from..] {
        match rng.u8(..10) {
            choice if choice < keep => pattern.push(byte),
            0..=6 => pattern.extend(pick(rng, &[b"*", b"?", b"**", b"[^x]", b".", b"*."])),
            7 => pattern.extend([b'[', byte, b']']),
            8 => pattern.extend([b'\\', byte]),
            _ => pattern.extend(pick(rng, pieces)),
        }
    }
    pattern
}
