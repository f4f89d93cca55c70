//! The archive format: the gzip frame, tar headers, segments and the index. Nothing here reads a file.

pub(crate) mod align;
pub(crate) mod buffer;
pub(crate) mod deflate;
pub(crate) mod gzip;
pub(crate) mod index;
pub(crate) mod info;
mod options;
pub(crate) mod segment;
pub(crate) mod tar;

pub(crate) use gzip::GZIP_HEADER;
pub use options::Profile;
