//! The previous archive, from which unchanged segments are copied.
//!
//! The compressed bytes of a segment depend only on its raw bytes, the encoder and its level. So the new
//! archive has exactly the bytes that it would have without copying.

mod archive;
mod copies;
mod cursor;
mod keys;
mod read_ahead;

pub(crate) use archive::PreviousArchive;
pub(crate) use copies::{CHUNK, CopiedSegment, Copies};
pub(crate) use cursor::{Cursor, PreviousEntry};
