//! HTTP for stores and links: requests that are tried again, on a thread of their own.
//!
//! tokio lives and dies on that thread; nothing of it is seen outside of this directory and of the
//! stores that are built on it.

pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod range;
pub(crate) mod runtime;
pub(crate) mod url;
pub(crate) mod xml;

use std::{path::PathBuf, time::Duration};

/// How bytes travel: how many requests at once, and how long a service may keep one waiting.
#[derive(Clone, Debug)]
pub struct Transfer {
    pub(crate) parallel: usize,
    pub(crate) retry_for: Duration,
    pub(crate) stall_after: Duration,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Transfer {
    fn default() -> Self {
        Transfer {
            parallel: 4,
            retry_for: Duration::from_secs(180),
            stall_after: Duration::from_secs(60),
            ca_file: None,
        }
    }
}

impl Transfer {
    /// Four parts at once; tries again for three minutes; gives up on a connection that is silent
    /// for one.
    pub fn new() -> Self {
        Transfer::default()
    }

    /// How many parts or ranges are on their way at once, at least one.
    #[must_use]
    pub fn parallel(mut self, requests: usize) -> Self {
        self.parallel = requests.clamp(1, 256);
        self
    }

    /// How long a request is tried again after failures that may pass. Each request has this time
    /// of its own.
    #[must_use]
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// How long a connection may be silent: no byte taken and none sent. The request is then tried
    /// again on another.
    #[must_use]
    pub fn stall_after(mut self, time: Duration) -> Self {
        self.stall_after = time;
        self
    }

    /// Trusts the certificates in this PEM file, too: those of a private authority.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }
}
