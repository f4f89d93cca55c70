//! The index after the tar stream, in empty gzip members that other readers skip.
//!
//! The index is a hint and never an authority. Its hash detects damage but not forgery, so readers still
//! compare it with the tar headers. `docs/format.md` describes every field.

mod build;
mod decode;
mod footer;
mod gzip_member;
mod lists;
mod memory;
mod size;
#[cfg(test)]
mod tests;

pub(crate) use build::{IndexBuilder, List};
pub(crate) use decode::Decoder;
pub use footer::{FOOTER_LEN, Footer};
pub(crate) use gzip_member::begins_index;
pub use lists::{Index, Segment};
pub(crate) use size::{ENTRY_MAX, SEGMENT_MAX, members_max};
