//! The options of a store in S3, and their checks.

use std::{fmt, time::Duration};

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
    net::Transfer,
    size::Size,
    store::s3::{credentials::Credentials, endpoint::Endpoint, names},
    template::NameTemplate,
};

/// Smallest and largest part that S3 accepts. The last part may be smaller.
const PART_MIN: u64 = 5 << 20;
const PART_MAX: u64 = 5 << 30;

/// Most parts that an upload can have.
pub(super) const PARTS_MAX: u64 = 10_000;

/// The endpoint of Amazon, which gets the region, and the region if none is set.
const AMAZON: &str = "https://s3.amazonaws.com";
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket of an S3 service, and how archives are stored in it.
///
/// Only the bucket is required. [`S3Store::new`](crate::S3Store::new) checks the options and returns the store.
/// `Debug` shows no secret.
///
/// With the feature `serde` the options can be deserialized. The keys are the names of the fields; the key of
/// `dead_after` is `dead_after_s`, in seconds. A missing key means its default, and an unknown key is an error.
///
/// ```
/// let mut config = wingback::S3Config::new("backups");
/// config.endpoint = Some("https://s3.example.com".into());
/// config.prefix = "servers/".into();
/// config.check()?;
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct S3Config {
    /// Name of the bucket.
    pub bucket: String,
    /// The access keys. Without them, [`Credentials::find`] finds them.
    pub credentials: Option<Credentials>,
    /// URL of the service: `https://host`, or `http://host:port` in a private network. The default is Amazon S3.
    pub endpoint: Option<String>,
    /// Region that requests are signed for. The default is the one in the host of an endpoint of Amazon, and
    /// otherwise `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket is in the path of URLs, or in front of their host. By default it is in front of the
    /// host for Amazon and Alibaba, and in the path for all others.
    pub path_style: Option<bool>,
    /// Prefix of the names of all objects, such as `servers/`.
    ///
    /// Prefix and key together follow the rule of [`Key::new`]: no part is empty or begins with a dot.
    pub prefix: String,
    /// Template for the names of new archives. [`sweep`](crate::Store::sweep) aborts only uploads with such
    /// names. The default is `backup-{uuid}.tar.gz`.
    pub names: NameTemplate,
    /// Size of a part in bytes, from 5 MiB (the default) to 5 GiB. The last part may be smaller.
    ///
    /// If a backup could need more than 10,000 parts, the store uses larger ones.
    pub part_size: u64,
    /// Storage class of archives, such as `STANDARD_IA`. The default is that of the service.
    pub storage_class: Option<String>,
    /// Algorithm that the service encrypts archives with: `AES256` or `aws:kms`. The default is that of the
    /// bucket.
    pub encryption: Option<String>,
    /// ID of the key for the encryption `aws:kms`. The default is the key of the bucket.
    pub kms_key_id: Option<String>,
    /// Age after which [`sweep`](crate::Store::sweep) aborts an unfinished upload. The default is one day.
    ///
    /// Zero aborts every unfinished upload. Use it only if no other process uploads to this prefix. A backup
    /// that takes longer than this age may be aborted by a sweep of another process.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "dead_after_s", deserialize_with = "crate::net::from_secs")
    )]
    pub dead_after: Duration,
    /// How many parts are sent at once, and how the store handles failures of the network.
    pub transfer: Transfer,
}

impl S3Config {
    /// Returns the default options for `bucket`.
    pub fn new(bucket: impl Into<String>) -> Self {
        S3Config { bucket: bucket.into(), ..S3Config::default() }
    }

    /// Checks the options without any request.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if an option cannot be used. The error names the option.
    pub fn check(&self) -> Result<()> {
        self.checked_endpoint()?;
        self.object(None)?;
        if !(PART_MIN..=PART_MAX).contains(&self.part_size) {
            let why = format!(
                "S3 takes parts of {} to {}, not of {}",
                Size(PART_MIN),
                Size(PART_MAX),
                Size(self.part_size)
            );
            return Err(wrong("part_size", why));
        }
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        for (option, value) in [
            ("storage_class", &self.storage_class),
            ("encryption", &self.encryption),
            ("kms_key_id", &self.kms_key_id),
        ] {
            if value.as_deref().is_some_and(|text| !is_word(text)) {
                return Err(wrong(option, "it must be ASCII characters without spaces"));
            }
        }
        if self.kms_key_id.is_some() && self.encryption.is_none() {
            return Err(wrong("kms_key_id", "it needs the option encryption"));
        }
        self.transfer.check()
    }

    /// Returns the region that requests are signed for.
    pub(super) fn signing_region(&self) -> Result<String> {
        let Some(region) = &self.region else {
            return Ok(self.parsed_endpoint()?.region().unwrap_or(DEFAULT_REGION).to_owned());
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        match !region.is_empty() && region.bytes().all(is_plain) {
            true => Ok(region.clone()),
            false => Err(wrong("region", "it must be letters, digits, hyphens and underscores")),
        }
    }

    /// Returns the endpoint, if it has URLs for the bucket.
    pub(super) fn checked_endpoint(&self) -> Result<Endpoint> {
        names::bucket(&self.bucket)?;
        let endpoint = self.parsed_endpoint()?;
        let url = endpoint.url_of(&self.signing_region()?, &self.bucket, None, &[]);
        url.map_err(|why| wrong("endpoint", why))?;
        Ok(endpoint)
    }

    fn parsed_endpoint(&self) -> Result<Endpoint> {
        let endpoint = self.endpoint.as_deref().unwrap_or(AMAZON);
        let has_scheme = endpoint.starts_with("http://") || endpoint.starts_with("https://");
        if !has_scheme {
            return Err(wrong("endpoint", "its scheme must be http:// or https://"));
        }
        // The text is not shown, because a password is a secret.
        if endpoint.contains('@') {
            return Err(wrong("endpoint", "it must not have a user or a password"));
        }
        Endpoint::parse(endpoint, self.path_style)
            .map_err(|why| wrong("endpoint", format!("{endpoint:?}: {why}")))
    }

    /// Returns the name of the object for `key`. Without a key, returns the prefix of all objects.
    pub(super) fn object(&self, key: Option<&Key>) -> Result<String> {
        match key {
            Some(key) => names::object(&self.bucket, &self.prefix, key),
            None => {
                let some = self.names.key(uuid::Uuid::nil());
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

    /// Returns the headers that an upload begins with.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let headers = [
            ("x-amz-storage-class", &self.storage_class),
            ("x-amz-server-side-encryption", &self.encryption),
            ("x-amz-server-side-encryption-aws-kms-key-id", &self.kms_key_id),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

impl Default for S3Config {
    /// Returns the default options. The bucket is empty, and has to be set.
    fn default() -> Self {
        S3Config {
            bucket: String::new(),
            credentials: None,
            endpoint: None,
            region: None,
            path_style: None,
            prefix: String::new(),
            names: NameTemplate::default(),
            part_size: PART_MIN,
            storage_class: None,
            encryption: None,
            kms_key_id: None,
            dead_after: Duration::from_secs(24 * 3600),
            transfer: Transfer::default(),
        }
    }
}

fn wrong(option: &str, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, "use the S3 option").at(option).caused_by(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut S3Config)) -> String {
        let mut config = S3Config::new("bucket");
        change(&mut config);
        let error = config.check().expect_err("one option is wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn an_error_names_the_option() {
        S3Config::new("bucket").check().expect("the defaults can be used");
        let some = |text: &str| Some(text.to_owned());
        for (option, error) in [
            ("the bucket's name is missing", refused(|c| c.bucket.clear())),
            ("s3://bucket/../", refused(|c| c.prefix = "../".into())),
            ("option region:", refused(|c| c.region = some(""))),
            ("option region:", refused(|c| c.region = some("eu west"))),
            ("option endpoint: its scheme", refused(|c| c.endpoint = some("s3.example.com"))),
            ("option endpoint: its scheme", refused(|c| c.endpoint = some("ftp://host"))),
            ("option endpoint: \"http://host/p\"", refused(|c| c.endpoint = some("http://host/p"))),
            (
                "option endpoint: ",
                refused(|c| {
                    (c.endpoint, c.path_style) = (some("http://127.0.0.1:9000"), Some(false));
                }),
            ),
            ("option part_size: ", refused(|c| c.part_size = PART_MIN - 1)),
            ("option part_size: ", refused(|c| c.part_size = PART_MAX + 1)),
            ("option storage_class: ", refused(|c| c.storage_class = some("a\nb"))),
            ("option encryption: ", refused(|c| c.encryption = some(""))),
            ("option kms_key_id: ", refused(|c| c.kms_key_id = some("id"))),
            ("option parallel: ", refused(|c| c.transfer = Transfer::new().parallel(0))),
            ("option parallel: ", refused(|c| c.transfer = Transfer::new().parallel(257))),
        ] {
            assert!(error.contains(option), "{error:?} does not say {option:?}");
        }
    }

    #[test]
    fn an_endpoint_of_amazon_has_the_region() {
        let mut config = S3Config::new("bucket");
        let region = |config: &S3Config| config.signing_region().expect("a region");
        assert_eq!(region(&config), "us-east-1");
        config.endpoint = Some("https://s3.eu-west-3.amazonaws.com".into());
        assert_eq!(region(&config), "eu-west-3");
        config.region = Some("auto".into());
        assert_eq!(region(&config), "auto");
    }

    #[test]
    fn storage_class_and_encryption_are_headers() {
        let mut config = S3Config::new("bucket");
        assert_eq!(config.headers(), []);
        config.storage_class = Some("STANDARD_IA".into());
        config.encryption = Some("aws:kms".into());
        config.kms_key_id = Some("arn:aws:kms:eu-west-3:1:key/2".into());
        config.check().expect("all can be used");
        let header = |name, value: &str| (name, value.to_owned());
        let headers = [
            header("x-amz-storage-class", "STANDARD_IA"),
            header("x-amz-server-side-encryption", "aws:kms"),
            header("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-3:1:key/2"),
        ];
        assert_eq!(config.headers(), headers);
    }

    #[test]
    fn secrets_are_in_no_text() {
        let mut config = S3Config::new("bucket");
        config.credentials = Some(Credentials::new("access", "hidden").session_token("hidden"));
        assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
        let error = refused(|c| c.endpoint = Some("https://user:hidden@host".into()));
        assert!(error.contains("option endpoint: ") && !error.contains("hidden"), "{error}");
    }
}
