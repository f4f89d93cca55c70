//! Sets the soname of the shared library, which has the number of its ABI.

/// The same as `WINGBACK_ABI_VERSION` in src/version.rs; a test compares them.
const ABI: u32 = 1;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libwingback.so.{ABI}");
}
