//! The block `s3`: a bucket that the daemon has credentials for.

use serde::Deserialize;
use uuid::Uuid;
use wingback::{Error, ErrorKind, S3Config, S3Store};

/// The options of the engine. Each server has a prefix of its own below the configured one.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bucket(S3Config);

impl Bucket {
    /// Returns the URL for log messages.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.0.bucket, self.0.prefix.trim_matches('/'))
    }

    /// Creates the store of one server, with the prefix `{prefix}/{server}/`.
    pub(crate) fn store(&self, server: Uuid) -> wingback::Result<S3Store> {
        S3Store::new(self.config(server))
    }

    /// Returns the options for the store of one server.
    pub(crate) fn config(&self, server: Uuid) -> S3Config {
        let mut config = self.0.clone();
        config.prefix = match config.prefix.trim_matches('/') {
            "" => format!("{server}/"),
            prefix => format!("{prefix}/{server}/"),
        };
        config
    }

    pub(super) fn check(&self) -> wingback::Result<()> {
        if !self.0.names.has_only_uuid() {
            let error = Error::new(ErrorKind::InvalidInput, "use the option").at("names");
            return Err(error.caused_by("it must have {uuid}, and no other field"));
        }
        self.config(Uuid::nil()).check()
    }
}
