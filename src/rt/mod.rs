//! Threads of the engine, and what leads from them to futures.

pub(crate) mod background;
pub(crate) mod pipe;
pub(crate) mod threads;
