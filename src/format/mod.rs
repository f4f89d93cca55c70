//! The archive on paper: gzip members, tar headers, segments and the index. Nothing here reads a file.

pub(crate) mod buffer;
pub(crate) mod deflate;
pub(crate) mod index;
pub(crate) mod segment;
pub(crate) mod tar;

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
