//! From a directory to an archive, on threads of its own, without a word about where the bytes go.
//!
//! [`tree`] turns a walk into tar bytes, cut into segments; [`pipeline`] compresses them on several
//! threads, hashes them in order and closes the archive with its index.

pub(crate) mod pipeline;
pub(crate) mod previous;
pub(crate) mod read_ahead;
pub(crate) mod tree;
