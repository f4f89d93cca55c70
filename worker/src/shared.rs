//! The resources that all jobs share.

use crate::{limits::Limits, streams::Streams};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    pub(crate) limits: Limits,
}
