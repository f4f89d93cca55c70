//! The committed header is the one that the sources give, and every compiler takes it.

use std::{fs, path::Path};

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/wingback.h");

/// Rewrites it where `WINGBACK_BLESS` is set.
#[test]
fn the_header_is_what_the_sources_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::generate_with_config(root, config).unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = String::from_utf8(header).unwrap();
    if std::env::var_os("WINGBACK_BLESS").is_some() {
        fs::write(HEADER, &header).unwrap();
    }
    let committed = fs::read_to_string(HEADER).unwrap_or_default();
    assert!(
        header == committed,
        "include/wingback.h is not what ffi/src gives; \
         `WINGBACK_BLESS=1 cargo test -p wingback-ffi --test header` makes it anew"
    );
}
