//! The archive: synchronous, on threads of its own, and unaware of where the bytes go.
//!
//! [`tree`] turns a walk into tar bytes, cut into segments; [`pipeline`] compresses them on several
//! threads, hashes them in order and closes the archive with its index.

pub(crate) mod ahead;
pub(crate) mod buf;
pub(crate) mod deflate;
#[cfg_attr(feature = "isal", allow(dead_code))]
pub(crate) mod fast;
pub(crate) mod header;
#[cfg_attr(feature = "isal", allow(dead_code))]
pub(crate) mod huffman;
pub(crate) mod incompressible;
pub(crate) mod index;
#[cfg_attr(feature = "isal", allow(dead_code))]
pub(crate) mod lz;
pub(crate) mod pipeline;
pub(crate) mod read;
pub(crate) mod segment;
pub(crate) mod stock;
pub(crate) mod tree;

/// The header of the one data member: deflate, no name, mtime 0, system unknown (RFC 1952).
pub(crate) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The empty last block of a deflate stream.
pub(crate) const FINAL_BLOCK: [u8; 2] = [3, 0];

/// Which entries get a place in the tar stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Files, symlinks and directories, as any reader of tar expects.
    #[default]
    Full,
    /// Regular files only; symlinks and directories are in the index alone. Wings' own restore
    /// writes every tar entry as a file, so it fails on anything else.
    Wings,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    None,
    /// Fast, and small enough: what compresses little is stored as it is.
    #[default]
    Fast,
    /// As small as deflate gets, several times slower.
    Best,
}
