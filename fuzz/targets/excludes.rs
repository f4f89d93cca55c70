//! Any bytes as patterns, and a path after the first NUL.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let patterns = parts.next().unwrap_or_default();
    let path = parts.next().unwrap_or(b"world/region/r.0.0.mca");
    wingback::fuzzing::excludes(patterns, path);
});
