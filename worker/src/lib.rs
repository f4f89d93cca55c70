//! The engine behind two pipes and a socket, for programs that neither are written in Rust nor link
//! a library: [`serve`] reads requests and writes events, each a JSON object on a line of its own.
//!
//! ```text
//! requests ─ request ─┬─ job ─ job ─ job …   each on a thread of its own
//! streams ─ streams ──┘   └─ events
//! ```
//!
//! `docs/worker.md` has the protocol. Several jobs run at once; limits of speed are objects that they
//! share. What a job reads or writes in bytes (an archive that is a download, a file's content) goes
//! through a descriptor of its own, which comes over the socket.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

pub mod hex;
mod job;
pub mod json;
mod operations;
mod place;
mod request;
mod serve;
mod streams;

pub use serve::{PROTOCOL, serve};
