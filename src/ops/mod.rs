//! The operations that callers start. Only they know every layer.

mod aged;
pub(crate) mod backup;
pub(crate) mod cache;
pub(crate) mod copy_file;
pub(crate) mod entries;
pub(crate) mod estimate;
mod events;
pub(crate) mod extract;
mod extractor;
mod hook;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod member_stream;
pub(crate) mod previous;
pub(crate) mod restore;
pub(crate) mod retention;
mod select;
pub(crate) mod unpacked;
pub(crate) mod verify;
