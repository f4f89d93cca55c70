//! From an archive's bytes to its members.
//!
//! ```text
//! with an index     segments, decoded in parallel ──┐
//! without           gunzip, on a separate thread  ──┴─ tar stream, in order ─ TarReader ─ Sink
//! ```
//!
//! In both cases the tar stream is read strictly and in order. The index only says where the stream can
//! be cut, and adds information that tar has no fields for. If the index contradicts the stream, the
//! stream is right.

pub(crate) mod damage;
mod damage_log;
pub(crate) mod gaps;
mod gunzip;
mod index;
mod indexed;
pub(crate) mod inflate;
mod input;
mod look;
mod page_table;
mod pages;
mod plan;
mod report;
mod segments;
mod sequential;
pub(crate) mod sink;
mod tar_reader;
#[cfg(test)]
mod tests;
pub(crate) mod worker_pool;

pub(crate) use index::{Index, TAIL, is_damage};
pub(crate) use indexed::by_index;
pub(crate) use input::{Chunks, ReadAt, Source, corrupt};
pub(crate) use look::{Look, ends_as_archive, has_footer};
pub(crate) use page_table::PageTable;
pub(crate) use pages::Pages;
pub(crate) use plan::Wanted;
pub(crate) use report::{Options, ReadReport};
pub(crate) use sequential::in_sequence;
