//! Serves the engine over two pipes and a socket, for programs that are not written in Rust and link no
//! library. [`serve`] reads requests and writes events. Each one is a JSON object on its own line.
//!
//! ```text
//! requests ─ request ─┬─ job ─ job ─ job …   each on a thread of its own
//! streams ─ streams ──┘   └─ events
//! ```
//!
//! `docs/worker.md` documents the protocol. Several jobs run at once, and can share speed limits. Bytes
//! that a job reads or writes, such as an archive or the content of a file, go through a descriptor of
//! the job. The other side sends the descriptor over the socket.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod job;
mod limits;
mod lines;
mod lock;
mod operations;
mod request;
mod serve;
mod shared;
mod store;
mod streamed;
mod streams;
mod values;

pub use serve::{PROTOCOL, serve};
