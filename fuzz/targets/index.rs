//! Any bytes as an index with a matching footer.
#![no_main]

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use wingback::{Footer, Index};

libfuzzer_sys::fuzz_target!(|raw: &[u8]| {
    if let Some(last) = raw.last_chunk() {
        if let Some(footer) = Footer::decode(last, raw.len() as u64) {
            let _ = Index::decode(&footer, raw);
        }
    }
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::none());
    deflate.write_all(raw).expect("a vector accepts all bytes");
    let blob = deflate.finish().expect("a vector accepts all bytes");
    let members: Vec<u8> = blob.chunks(8192).flat_map(|piece| member(b"WX", piece)).collect();
    let mut payload = b"WBKIDX\0\x01".to_vec();
    payload.extend([0; 4]);
    payload.extend(8192u32.to_le_bytes());
    let data_end = 1000u64;
    let fields =
        [data_end, data_end + 10, members.len() as u64, blob.len() as u64, raw.len() as u64, 4096];
    fields.iter().for_each(|field| payload.extend(field.to_le_bytes()));
    payload.extend(1u32.to_le_bytes());
    payload.extend([0, 0]);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&payload).update(&blob);
    payload.extend(hasher.finalize().as_bytes());
    let footer = member(b"WF", &payload);
    let file_len = data_end + 10 + members.len() as u64 + footer.len() as u64;
    let last = footer.last_chunk().expect("a footer");
    let footer = Footer::decode(last, file_len).expect("a footer that is right");
    let _ = Index::decode(&footer, &members);
});

fn member(id: &[u8; 2], payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut member = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
    member.extend((len + 4).to_le_bytes());
    member.extend(id);
    member.extend(len.to_le_bytes());
    member.extend(payload);
    member.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    member
}
