//! The options of a store in S3.

use std::time::Duration;

use crate::{
    error::{Error, ErrorKind, Result},
    name::{Key, NameTemplate},
    net::Transfer,
    store::s3::{credentials::Credentials, names},
};

/// Smallest and largest part that S3 accepts. The last part may be smaller.
const PART_MIN: u64 = 5 << 20;
const PART_MAX: u64 = 5 << 30;

/// Most parts that an upload can have.
pub(super) const PARTS_MAX: u64 = 10_000;

/// Age at which a sweep treats an unfinished upload as abandoned.
const DEAD_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The service, the bucket, and how archives are stored in it.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) bucket: String,
    pub(super) credentials: Credentials,
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) path_style: Option<bool>,
    pub(super) prefix: String,
    pub(super) names: NameTemplate,
    pub(super) part_size: u64,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) dead_after: Duration,
    pub(super) transfer: Transfer,
}

impl Options {
    pub(super) fn new(bucket: String, credentials: Credentials) -> Self {
        Options {
            bucket,
            credentials,
            endpoint: None,
            region: "us-east-1".into(),
            path_style: None,
            prefix: String::new(),
            names: NameTemplate::default(),
            part_size: PART_MIN,
            headers: Vec::new(),
            dead_after: DEAD_AFTER,
            transfer: Transfer::default(),
        }
    }

    /// Refuses a bucket, a prefix or a part size that every operation would refuse.
    pub(super) fn check(&self) -> Result<()> {
        names::bucket(&self.bucket)?;
        self.object(None)?;
        if !(PART_MIN..=PART_MAX).contains(&self.part_size) {
            let error = Error::new(ErrorKind::InvalidInput, "use the part size");
            return Err(error.caused_by(format!(
                "S3 takes parts of {PART_MIN} to {PART_MAX} bytes, not of {}",
                self.part_size
            )));
        }
        Ok(())
    }

    /// Returns the name of the object for `key`. Without a key, returns the prefix of all objects.
    pub(super) fn object(&self, key: Option<&Key>) -> Result<String> {
        match key {
            Some(key) => names::object(&self.bucket, &self.prefix, key),
            None => {
                let some = self.names.key(&uuid::Uuid::nil());
                names::object(&self.bucket, &self.prefix, &some).map(|_| self.prefix.clone())
            }
        }
    }

    /// Returns the URL of an archive for messages. Without a key, returns the URL of the prefix.
    pub(super) fn place(&self, key: Option<&Key>) -> String {
        let key = key.map_or("", Key::as_str);
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    /// Returns the part size for an archive of at most `at_most` bytes. It leaves a tenth of the parts
    /// unused, for a source that grows during the backup.
    pub(super) fn part_size_for(&self, at_most: Option<u64>) -> u64 {
        let needed = at_most.unwrap_or(0).div_ceil(PARTS_MAX / 10 * 9);
        self.part_size.max(needed.next_multiple_of(1 << 20))
    }
}
