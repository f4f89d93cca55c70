//! What a program does around a backup: commands of the operator, and game servers that pause.
//!
//! The command and the daemon share this crate. It runs on `smol`. Nothing that it runs may come from somebody else
//! than the operator, because a command has the rights of the program.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::unwrap_used)]

mod around;
mod quiesce;
mod shell;

pub use around::{Around, Hooks, Host, Paused, has_problem};
pub use quiesce::Target;
