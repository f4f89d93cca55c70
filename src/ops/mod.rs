//! The operations that callers start. Only they know every layer.

pub(crate) mod archives;
pub(crate) mod backup;
mod batches;
pub(crate) mod cache;
pub(crate) mod copy_file;
pub(crate) mod diff;
pub(crate) mod entries;
pub(crate) mod estimate;
mod events;
pub(crate) mod extract;
mod extractor;
pub(crate) mod find;
mod hook;
mod index_entries;
pub(crate) mod info;
mod last_members;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod member_stream;
pub(crate) mod previous;
pub(crate) mod restore;
pub(crate) mod retention;
mod select;
mod stamp;
pub(crate) mod unpacked;
pub(crate) mod verify;
pub(crate) mod verify_all;
