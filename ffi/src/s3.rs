//! `wingback_s3_config` and `wingback_transfer`: options for the network.

use crate::{
    bytes::wingback_bytes,
    enums::wingback_status,
    error::wingback_error,
    failure::{Failure, Result},
    guard::guard,
    opaque::{self, Out},
    panics::infallible,
    record::{self, Record},
    store::{AnyStore, wingback_store},
};

/// How bytes are sent over a network. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_transfer {
    /// sizeof(wingback_transfer).
    pub struct_size: usize,
    /// Number of parts or ranges that are sent or received at once, from 1 to 256; 0 means
    /// 4.
    pub parallel: u32,
    /// How long a request is retried after temporary failures, in milliseconds; 0 means three
    /// minutes.
    pub retry_for_ms: u64,
    /// How long a connection may be silent before it counts as failed, in milliseconds; 0 means one
    /// minute.
    pub stall_after_ms: u64,
    /// A PEM file with certificates to trust in addition to the system's.
    pub ca_file: wingback_bytes,
    /// Whether only public addresses are connected to, also after redirects and DNS, for URLs that
    /// somebody else chose.
    pub public_only: bool,
    /// Hosts, addresses and networks that `public_only` allows as well, separated by commas.
    pub public_except: wingback_bytes,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer, a bool or a pointer with its length.
unsafe impl Record for wingback_transfer {}

#[cfg(feature = "s3")]
impl wingback_transfer {
    /// Reads the options. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `transfer` is NULL, or readable for its `struct_size`, and its texts are readable.
    pub(crate) unsafe fn read(transfer: *const Self) -> Result<wingback::Transfer> {
        use std::time::Duration;
        // SAFETY: the caller promises that `transfer` is NULL or readable for its `struct_size`.
        let given = unsafe { record::read(transfer, "transfer") }?;
        let mut transfer = wingback::Transfer::new();
        if given.parallel > 0 {
            transfer = transfer.parallel(given.parallel as usize);
        }
        if given.retry_for_ms > 0 {
            transfer = transfer.retry_for(Duration::from_millis(given.retry_for_ms));
        }
        if given.stall_after_ms > 0 {
            transfer = transfer.stall_after(Duration::from_millis(given.stall_after_ms));
        }
        if given.ca_file.len > 0 {
            // SAFETY: the caller promises that the texts of the struct are readable.
            transfer = transfer.ca_file(unsafe { given.ca_file.path("transfer->ca_file") }?);
        }
        if given.public_only {
            // SAFETY: the caller promises that the texts of the struct are readable.
            let except = unsafe { given.public_except.text("transfer->public_except") }?;
            let except = except.split(',').filter(|entry| !entry.is_empty());
            transfer = transfer.public_only(except);
        }
        Ok(transfer)
    }
}

/// Sets to `bytes` the memory that the parts of all uploads of this process may take together; the
/// default is 256 MiB. An upload without room for a part keeps it in a file without a name, in the
/// directory `staging` of part URLs, or in `$TMPDIR` or `/var/tmp`. Parts that have begun stay where
/// they are.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_set_memory_limit(bytes: u64) {
    infallible((), || wingback::set_memory_limit(bytes));
}

/// A bucket in an S3 service, and how archives are stored there. Texts are UTF-8. Only the bucket
/// is required; zero or empty in any other field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_s3_config {
    /// sizeof(wingback_s3_config).
    pub struct_size: usize,
    /// The bucket.
    pub bucket: wingback_bytes,
    /// URL of the service, such as "https://s3.example.com"; empty for Amazon's.
    pub endpoint: wingback_bytes,
    /// The region; empty for the one in an endpoint of Amazon, otherwise "us-east-1".
    pub region: wingback_bytes,
    /// Text before the name of each archive, such as "servers/".
    pub prefix: wingback_bytes,
    /// Template for the names of archives; empty for "backup-{uuid}.tar.gz".
    pub names: wingback_bytes,
    /// The access key. If both keys are empty, they are taken from where AWS' own tools find them:
    /// the environment, then the credentials file.
    pub access_key: wingback_bytes,
    /// The secret key. Set both keys or neither.
    pub secret_key: wingback_bytes,
    /// The token of a temporary session. It needs both keys.
    pub session_token: wingback_bytes,
    /// Size of a part in bytes; 0 means 5 MiB.
    pub part_size: u64,
    /// Storage class of archives, such as "STANDARD_IA".
    pub storage_class: wingback_bytes,
    /// Encryption of archives by the service: "AES256" or "aws:kms".
    pub encryption: wingback_bytes,
    /// Id of the key for "aws:kms".
    pub kms_key_id: wingback_bytes,
    /// How old an unfinished upload must be before a sweep aborts it, in seconds; 0 means one day.
    pub dead_after_s: u64,
    /// Where URLs have the bucket: 1 for the path, 2 for the host name, 0 for the place that the
    /// service is known to need.
    pub path_style: u32,
    /// How bytes are sent; NULL for the defaults.
    pub transfer: *const wingback_transfer,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a pointer with its length, an integer or a nullable pointer.
unsafe impl Record for wingback_s3_config {}

/// Creates a store in a bucket of an S3 service. It makes no request; the first operation does.
/// INVALID_INPUT if an option cannot be used; the error names the option. UNSUPPORTED if the library
/// has no network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_store_s3(
    config: *const wingback_s3_config,
    store: *mut *mut wingback_store,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `config` is NULL or readable for its `struct_size`, and
    // `store` and `error` are NULL or writable.
    unsafe {
        guard(error, || {
            let out = Out::new(store, "store")?;
            if config.is_null() {
                return Err(opaque::null("config"));
            }
            out.give(connect(&record::read(config, "config")?)?);
            Ok(())
        })
    }
}

#[cfg(not(feature = "s3"))]
unsafe fn connect(_: &wingback_s3_config) -> Result<AnyStore> {
    Err(Failure::without_s3())
}

/// Makes the store.
///
/// # Safety
///
/// The texts of `config` are readable, and its `transfer` is NULL or readable for its `struct_size`.
#[cfg(feature = "s3")]
unsafe fn connect(config: &wingback_s3_config) -> Result<AnyStore> {
    use std::time::Duration;
    use wingback::{S3Config, S3Store};
    let text = |bytes: wingback_bytes, name| {
        // SAFETY: the caller promises that the texts of `config` are readable.
        let text = unsafe { bytes.some_text(name) };
        text.map(|text| text.map(str::to_owned))
    };
    let mut options = S3Config::new(text(config.bucket, "config->bucket")?.unwrap_or_default());
    options.credentials = credentials(
        text(config.access_key, "config->access_key")?,
        text(config.secret_key, "config->secret_key")?,
        text(config.session_token, "config->session_token")?,
    )?;
    options.endpoint = text(config.endpoint, "config->endpoint")?;
    options.region = text(config.region, "config->region")?;
    options.path_style = match config.path_style {
        0 => None,
        1 => Some(true),
        2 => Some(false),
        other => return Err(Failure::invalid(format!("config->path_style has no value {other}"))),
    };
    options.prefix = text(config.prefix, "config->prefix")?.unwrap_or_default();
    options.storage_class = text(config.storage_class, "config->storage_class")?;
    options.encryption = text(config.encryption, "config->encryption")?;
    options.kms_key_id = text(config.kms_key_id, "config->kms_key_id")?;
    if config.part_size > 0 {
        options.part_size = config.part_size;
    }
    if config.dead_after_s > 0 {
        options.dead_after = Duration::from_secs(config.dead_after_s);
    }
    // SAFETY: the caller promises that `names` is readable, and that `transfer` is NULL or readable for
    // its `struct_size`.
    unsafe {
        options.names = crate::store::template(config.names)?;
        options.transfer = wingback_transfer::read(config.transfer)?;
    }
    Ok(AnyStore::S3(Box::new(S3Store::new(options)?)))
}

/// Returns the keys. Without them, the store finds some.
#[cfg(feature = "s3")]
fn credentials(
    access_key: Option<String>,
    secret_key: Option<String>,
    session_token: Option<String>,
) -> Result<Option<wingback::Credentials>> {
    use wingback::Credentials;
    match (access_key, secret_key, session_token) {
        (Some(access_key), Some(secret_key), token) => {
            let keys = Credentials::new(access_key, secret_key);
            Ok(Some(match token {
                Some(token) => keys.session_token(token),
                None => keys,
            }))
        }
        (None, None, None) => Ok(None),
        _ => Err(Failure::invalid(
            "config needs both access_key and secret_key, or neither of them and no session_token",
        )),
    }
}
