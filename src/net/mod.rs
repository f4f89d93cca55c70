//! HTTP for stores and links: requests with retries, on a thread of their own.
//!
//! tokio runs on that thread only. No other module uses it, except the stores on top of this one.

pub(crate) mod failure;
pub(crate) mod http;
mod public;
pub(crate) mod range;
pub(crate) mod runtime;
pub(crate) mod url;
pub(crate) mod xml;

use std::{path::PathBuf, time::Duration};

use self::{public::PublicOnly, url::SecretUrl};
use crate::error::{Error, ErrorKind, Result};

/// Most parts or ranges that are transferred at once.
const PARALLEL_MAX: usize = 256;

/// Settings of transfers over the network: parallel requests, retries, timeouts and certificates.
///
/// With the feature `serde` they can be deserialized. The keys are `parallel`, `retry_for_ms` and
/// `stall_after_ms` in milliseconds, `ca_file`, and `public_only` with the list of exceptions. A missing key means its default, and an unknown key is an
/// error.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Transfer {
    pub(crate) parallel: usize,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "retry_for_ms", deserialize_with = "from_millis")
    )]
    pub(crate) retry_for: Duration,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "stall_after_ms", deserialize_with = "from_millis")
    )]
    pub(crate) stall_after: Duration,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) public_only: Option<Vec<String>>,
}

impl Default for Transfer {
    fn default() -> Self {
        Transfer {
            parallel: 4,
            retry_for: Duration::from_secs(180),
            stall_after: Duration::from_secs(60),
            ca_file: None,
            public_only: None,
        }
    }
}

impl Transfer {
    /// Returns the default settings: four parallel requests, retries for three minutes, and a timeout of one
    /// minute without activity.
    pub fn new() -> Self {
        Transfer::default()
    }

    /// Sets how many parts or ranges are transferred at once, from 1 to 256. The default is 4.
    ///
    /// An operation fails with [`InvalidInput`](ErrorKind::InvalidInput) for another number.
    #[must_use]
    pub fn parallel(mut self, requests: usize) -> Self {
        self.parallel = requests;
        self
    }

    /// Sets how long a request is retried after temporary failures. Each request has this time. The default is
    /// three minutes.
    #[must_use]
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// Sets how long a connection may be silent, without a byte sent or received. The request is then retried
    /// on another connection. The default is one minute.
    #[must_use]
    pub fn stall_after(mut self, time: Duration) -> Self {
        self.stall_after = time;
        self
    }

    /// Also trusts the certificates in this PEM file, such as those of a private authority.
    ///
    /// An operation fails with [`InvalidInput`](ErrorKind::InvalidInput) if the file has no usable certificate.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Connects only to public addresses, for URLs that somebody else chose. The exceptions are names of hosts,
    /// addresses, or networks such as `10.1.0.0/16`. By default all addresses are allowed.
    ///
    /// Addresses of this machine, of private networks and of special purposes (RFC 6890) are not public. This
    /// applies to the URL, to what its host resolves to, and to redirects. No proxy is used, because a proxy would
    /// resolve the host. An operation fails with [`InvalidInput`](ErrorKind::InvalidInput) before it connects to
    /// another address, or if an exception has none of these forms.
    #[must_use]
    pub fn public_only(mut self, except: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.public_only = Some(except.into_iter().map(Into::into).collect());
        self
    }

    /// Checks the settings, but not the certificates.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a setting cannot be used. The error names it.
    pub fn check(&self) -> Result<()> {
        self.policy()?;
        if (1..=PARALLEL_MAX).contains(&self.parallel) {
            return Ok(());
        }
        let why = format!("it must be from 1 to {PARALLEL_MAX}, not {}", self.parallel);
        Err(invalid("parallel", why))
    }

    /// Refuses a URL whose host is an address that is not allowed.
    pub(crate) fn check_url(&self, url: &SecretUrl) -> Result<()> {
        self.policy()?.map_or(Ok(()), |policy| policy.check_url(url))
    }

    /// Returns the addresses that are allowed. `None` if all are.
    fn policy(&self) -> Result<Option<PublicOnly>> {
        let policy = self.public_only.as_deref().map(PublicOnly::parse).transpose();
        policy.map_err(|why| invalid("public_only", why))
    }
}

fn invalid(option: &str, why: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "use the option").at(option).caused_by(why)
}

#[cfg(feature = "serde")]
fn from_millis<'de, D: serde::Deserializer<'de>>(number: D) -> Result<Duration, D::Error> {
    serde::Deserialize::deserialize(number).map(Duration::from_millis)
}

#[cfg(feature = "serde")]
pub(crate) fn from_secs<'de, D: serde::Deserializer<'de>>(number: D) -> Result<Duration, D::Error> {
    serde::Deserialize::deserialize(number).map(Duration::from_secs)
}
