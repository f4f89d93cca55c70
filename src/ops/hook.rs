//! A function of the caller that an operation calls once.

use std::{fmt, sync::Arc};

/// A function of the caller.
#[derive(Clone)]
pub(crate) struct Hook<T>(pub(crate) Arc<dyn Fn() -> T + Send + Sync>);

impl<T> Hook<T> {
    pub(crate) fn call(&self) -> T {
        (self.0)()
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
