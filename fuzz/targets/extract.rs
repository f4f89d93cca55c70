//! Any bytes as an archive, and as the tar stream of an archive, extracted into a sandbox.
#![no_main]

mod sandbox;

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sandbox::extract(bytes.to_vec());
    let mut tar = bytes.to_vec();
    for block in tar.chunks_exact_mut(512) {
        // A block that starts with a letter is treated as a header.
        if block[0].is_ascii_lowercase() {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&tar).expect("a vector accepts all bytes");
    sandbox::extract(gzip.finish().expect("a vector accepts all bytes"));
});
