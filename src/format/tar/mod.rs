//! Tar headers: written in one form, and read strictly in every form.
//!
//! Rules: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
//! "Basic Tar Format" and "Storing Sparse Files". Names are raw bytes.

mod block;
mod header;
mod member;
mod pax;
mod read;
mod sparse;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub(crate) use block::{BLOCK, END_LEN};
pub(crate) use member::{TarMember, plain};
pub(crate) use read::{Reader, Step};
pub(crate) use write::Header;
