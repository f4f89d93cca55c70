//! Tells URLs from paths.

use std::{os::unix::ffi::OsStrExt, path::Path};

/// Returns the scheme of a URL. `None` for a path; `./ftp://x` is one.
pub fn scheme(path: &Path) -> Option<&str> {
    let text = path.as_os_str().as_bytes();
    let end = text.windows(3).position(|part| part == b"://")?;
    let scheme = std::str::from_utf8(&text[..end]).ok()?;
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_scheme && scheme.chars().all(is_letter)).then_some(scheme)
}
