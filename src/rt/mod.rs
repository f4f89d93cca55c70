//! Threads of the engine, and the pipe from a thread to a future.

pub(crate) mod background;
pub(crate) mod pipe;
pub(crate) mod threads;
