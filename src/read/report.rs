//! What is read of an archive, how, and the result.

use std::{ops::Range, sync::Arc};

use super::{
    damage::{Damage, ReadMethod},
    index::Index,
};
use crate::{checksum::Sha1, listed::Listed};

/// How an archive is read.
pub(crate) struct Options {
    /// Computes the SHA-1 hash of the archive, if all of it is read.
    pub(crate) sha1: bool,
    /// Also compares the keys of the segments.
    pub(crate) keys: bool,
    /// Continues after damage, as far as possible.
    pub(crate) tolerant: bool,
}

/// The result of reading an archive.
#[derive(Debug)]
pub(crate) struct ReadReport {
    pub(crate) read_method: ReadMethod,
    pub(crate) sha1: Option<Sha1>,
    pub(crate) damage: Listed<Damage>,
    /// Ranges of the tar stream with the entries that damage made unreadable, in order.
    pub(crate) lost: Vec<Range<u64>>,
    /// The index, if there is one that matches the tar stream.
    pub(crate) index: Option<Arc<Index>>,
}
