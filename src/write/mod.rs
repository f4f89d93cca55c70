//! From a directory to an archive, on separate threads. Nothing here knows where the bytes go.
//!
//! [`tree`] turns a walk into tar bytes, which are cut into segments. [`pipeline`] compresses them on
//! several threads, hashes them in order and ends the archive with its index. [`previous`] copies
//! unchanged segments from an older archive.

pub(crate) mod pipeline;
pub(crate) mod previous;
pub(crate) mod tree;
