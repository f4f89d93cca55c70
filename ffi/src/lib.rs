//! libwingback: the engine for C, and for whatever speaks C.
//!
//! A test generates `include/wingback.h` from this crate. Each file has one object of the header, and
//! the introduction of the header is in `cbindgen.toml`.
//!
//! Two files keep the promises of the others: [`opaque`] ties each type that C knows by name only to
//! the Rust type behind it, and [`guard`] turns errors and panics into a status.
//!
//! # Safety
//!
//! The header demands these promises of every caller, and `SAFETY` comments refer to them by a word:
//!
//! - An object is *alive* after the library has handed out its pointer, and until the object, or the
//!   object that it belongs to, is freed. *Not in use* means that no other thread uses it during the
//!   call, and nothing uses it afterwards.
//! - A pointer is *readable* if the data that its type describes can be read, and *writable* if such data
//!   can be written, until the call returns. No other thread changes the data during the call.
//! - `wingback_bytes` is *readable* if `data` is NULL or has `len` readable bytes. The bytes in a readable
//!   struct or array are readable.
//! - A struct with `struct_size` is readable or writable *for its `struct_size`* if that field is
//!   initialized and says how many bytes can be read or written. To write such a struct, the library
//!   reads that field.
#![allow(non_camel_case_types, reason = "the names are those of the header")]
#![allow(clippy::missing_safety_doc, reason = "the crate's documentation says it once for all")]
#![warn(clippy::undocumented_unsafe_blocks, clippy::unwrap_used)]

// In the order of the header. The blank lines keep rustfmt from sorting them.

mod version;

mod error;

mod bytes;

mod task;

mod notes;

mod limiter;

mod store;

mod s3;

mod objects;

mod archives;

mod retention;

mod backup;

mod backup_previous;

mod source_read;

mod backup_start;

mod estimate;

mod preview;

mod report;

mod part_urls;

mod parts;

mod archive;

mod info;

mod listing;

mod diff;

mod find;

mod verify;

mod verify_all;

mod entries;

mod restore;

mod extract;

mod unpack;

mod worker;

mod log;

mod descriptor;
mod enums;
mod etags;
mod failure;
mod from_c;
mod guard;
mod opaque;
mod options;
mod panics;
mod record;
mod running;
mod signals;
