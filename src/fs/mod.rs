//! Directory trees: walked in order, unpacked beneath one root, and replaced as one transaction.

pub(crate) mod beneath;
pub(crate) mod durable;
pub(crate) mod file;
pub(crate) mod ignore;
pub(crate) mod open_flags;
pub(crate) mod page_cache;
pub(crate) mod replace;
pub(crate) mod root;
pub(crate) mod spill;
pub(crate) mod stat;
pub(crate) mod state_file;
pub(crate) mod sys;
pub(crate) mod unpack;
pub(crate) mod walk;
