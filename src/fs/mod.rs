//! Directories: read in order, written beneath one root, and exchanged as a whole.

pub(crate) mod beneath;
pub(crate) mod durable;
pub(crate) mod file;
pub(crate) mod ignore;
pub(crate) mod page_cache;
pub(crate) mod replace;
pub(crate) mod root;
pub(crate) mod sys;
pub(crate) mod unpack;
pub(crate) mod walk;
