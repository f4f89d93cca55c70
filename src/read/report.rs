//! What is read of an archive, how, and the result.

use std::sync::Arc;

use super::{
    damage::{Damage, ReadMethod},
    layout::Layout,
};
use crate::listed::Listed;

/// How an archive is read.
pub(crate) struct Options {
    /// Computes the SHA-1 hash of the archive, if all of it is read.
    pub(crate) sha1: bool,
    /// Also compares the keys of the segments.
    pub(crate) keys: bool,
    /// Continues after damage, as far as possible.
    pub(crate) tolerant: bool,
}

/// The members to read.
pub(crate) enum Wanted {
    All,
    /// These entries of the index.
    Some(Vec<usize>),
}

/// The result of reading an archive.
#[derive(Debug)]
pub(crate) struct ReadReport {
    pub(crate) read_method: ReadMethod,
    pub(crate) sha1: Option<[u8; 20]>,
    pub(crate) damage: Listed<Damage>,
    /// For each entry of the index, whether damage made it unreadable. Empty if no entry is lost.
    pub(crate) lost: Vec<bool>,
    /// The index, if there is one that matches the tar stream.
    pub(crate) layout: Option<Arc<Layout>>,
}
