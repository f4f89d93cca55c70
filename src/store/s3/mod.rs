//! Archives in a bucket of an S3 service.
//!
//! An archive is a multipart upload. Its parts are sent while the archive is made, and nothing is staged on
//! disk. The archive becomes an object when the upload is completed. In every other case a thread that
//! outlives the future aborts the upload. [`sweep`](Store::sweep) finds the uploads of killed processes by
//! their age.

mod api;
mod credentials;
mod multipart;
mod names;
mod options;
mod service;
mod sign;
mod upload;

use std::{
    ffi::OsString,
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};

pub use credentials::Credentials;

use crate::{
    error::{Error, ErrorKind, Result},
    name::{Key, NameTemplate},
    net::{Transfer, failure::Failure, range::RangeSpec, runtime::Runtime},
    store::{Object, Opened, ReadRange, Store, Upload},
};
use api::Api;
use options::Options;
use upload::{Claim, Claims, S3Upload, UploadGuard};

/// Archives in a bucket of an S3 service.
///
/// The methods set options. The first operation makes the first request. Clones share one thread for the
/// network, which ends with the last clone.
///
/// An archive is a multipart upload. It becomes an object when it is complete. Until then, an error, a cancel
/// or a drop aborts the upload, and [`wait_for_cleanup`](Store::wait_for_cleanup) waits for that.
///
/// The operations of the store fail as [`Store`] says, and with
/// [`InvalidInput`](ErrorKind::InvalidInput) as [`check`](S3Store::check) does.
///
/// ```no_run
/// use wingback::{Backup, Credentials, S3Store};
///
/// let store = S3Store::new("backups", Credentials::find()?)
///     .endpoint("https://s3.example.com")
///     .region("eu-central-1")
///     .prefix("servers/");
/// let key = store.key(&uuid::Uuid::new_v4());
/// futures::executor::block_on(Backup::new("/srv/minecraft").start(store, key))?;
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone)]
pub struct S3Store {
    options: Options,
    connection: Arc<OnceLock<Connection>>,
}

/// The connection of a store, made by the first operation.
#[derive(Clone)]
struct Connection {
    api: Api,
    runtime: Arc<Runtime>,
    claims: Claims,
}

impl S3Store {
    /// Returns the store in `bucket` of Amazon S3, or of another [`endpoint`](S3Store::endpoint). It names
    /// archives `backup-{uuid}.tar.gz`.
    pub fn new(bucket: impl Into<String>, credentials: Credentials) -> Self {
        S3Store { options: Options::new(bucket.into(), credentials), connection: Arc::default() }
    }

    /// Sets an option. The next operation makes a new connection.
    fn with(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self.connection = Arc::default();
        self
    }

    /// Sets the URL of the service: `https://host`, or `http://host:port` in a private network.
    #[must_use]
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        self.with(|options| options.endpoint = Some(url.into()))
    }

    /// Sets the region that requests are signed for. The default is `us-east-1`.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        self.with(|options| options.region = region.into())
    }

    /// Sets whether the bucket is in the path of URLs, or in front of their host. By default it is in front of
    /// the host for Amazon and Alibaba, and in the path for all others.
    #[must_use]
    pub fn path_style(self, in_path: bool) -> Self {
        self.with(|options| options.path_style = Some(in_path))
    }

    /// Sets the prefix of the names of all objects, such as `servers/`.
    ///
    /// Prefix and key together follow the rule of [`Key::new`]: no part is empty or begins with a dot.
    /// [`check`](S3Store::check) tests it.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|options| options.prefix = prefix.into())
    }

    /// Sets the template for names. Only objects with such names count as archives.
    #[must_use]
    pub fn names(self, names: NameTemplate) -> Self {
        self.with(|options| options.names = names)
    }

    /// Sets the size of a part in bytes, from 5 MiB (the default) to 5 GiB. The last part may be smaller.
    ///
    /// If a backup could need more than 10,000 parts, the store uses larger ones.
    #[must_use]
    pub fn part_size(self, bytes: u64) -> Self {
        self.with(|options| options.part_size = bytes)
    }

    /// Sets the storage class of archives, such as `STANDARD_IA`.
    #[must_use]
    pub fn storage_class(self, class: impl Into<String>) -> Self {
        self.with(|options| options.headers.push(("x-amz-storage-class", class.into())))
    }

    /// Lets the service encrypt archives with this algorithm: `AES256`, or `aws:kms` with an optional key ID.
    #[must_use]
    pub fn encryption(self, algorithm: impl Into<String>, kms_key_id: Option<String>) -> Self {
        self.with(|options| {
            options.headers.push(("x-amz-server-side-encryption", algorithm.into()));
            let key = kms_key_id.map(|id| ("x-amz-server-side-encryption-aws-kms-key-id", id));
            options.headers.extend(key);
        })
    }

    /// Sets the age after which [`sweep`](Store::sweep) aborts an unfinished upload. The default is one day.
    ///
    /// Zero aborts every unfinished upload. Use it only if no other process uploads to this prefix. A backup
    /// that takes longer than this age may be aborted by a sweep of another process.
    #[must_use]
    pub fn dead_after(self, age: Duration) -> Self {
        self.with(|options| options.dead_after = age)
    }

    /// Sets how many parts are sent at once, and how the store handles failures of the network.
    #[must_use]
    pub fn transfer(self, transfer: Transfer) -> Self {
        self.with(|options| options.transfer = transfer)
    }

    /// Returns the key for the backup `uuid`.
    pub fn key(&self, uuid: &uuid::Uuid) -> Key {
        self.options.names.key(uuid)
    }

    /// Checks the options without any request. Every operation makes the same checks before it sends
    /// anything.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name of the bucket, the prefix or the part size cannot
    /// be used.
    pub fn check(&self) -> Result<()> {
        self.options.check()
    }

    fn connect(&self) -> Result<Connection> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        self.check()?;
        let connection = Connection {
            api: Api::new(&self.options)?,
            runtime: Arc::new(Runtime::start()?),
            claims: Claims::default(),
        };
        Ok(self.connection.get_or_init(|| connection).clone())
    }

    /// Runs `work` on the network thread, with the name of the object or the prefix. Dropping the future stops
    /// the work.
    fn call<'a, T, F>(
        &self,
        operation: &'static str,
        key: Option<&Key>,
        work: impl FnOnce(Api, String) -> F,
    ) -> BoxFuture<'a, Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let place = self.options.place(key);
        match self.options.object(key).and_then(|object| Ok((object, self.connect()?))) {
            Ok((object, Connection { api, runtime, .. })) => {
                let work =
                    work(api, object).map_err(move |failure| failure.into_error(operation, place));
                runtime.call(work).boxed()
            }
            Err(e) => futures::future::ready(Err(e)).boxed(),
        }
    }
}

impl Store for S3Store {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        const OPERATION: &str = "begin to upload";
        let (place, headers) = (self.options.place(Some(key)), self.options.headers.clone());
        let uuid = self.options.names.uuid(key.as_str());
        let part_size = self.options.part_size_for(at_most);
        let parallel = self.options.transfer.parallel;
        async move {
            let object = self.options.object(Some(key))?;
            let connection = self.connect()?;
            let exists =
                |why| Error::new(ErrorKind::AlreadyExists, OPERATION).at(&place).caused_by(why);
            let claim = Claim::new(&connection.claims, &object)
                .ok_or_else(|| exists("a backup of that name is being made"))?;
            let Connection { api, runtime, .. } = connection;
            // A user who may write but not read has the condition of `complete` instead.
            let head = |api: Api, object: String| async move {
                match api.head(&object).await {
                    Err(failure) if failure.is_status(403) => Ok(None),
                    head => head,
                }
            };
            let is_there = self.call(OPERATION, Some(key), head).await?.is_some();
            if is_there {
                return Err(exists("a backup of that name exists already"));
            }
            let wanted = Arc::new(());
            let begin = {
                let (api, runtime, wanted) =
                    (api.clone(), runtime.clone(), Arc::downgrade(&wanted));
                async move {
                    let multipart = api.create(&object, uuid, &headers, wanted).await?;
                    Ok::<_, Failure>(UploadGuard {
                        api,
                        runtime,
                        multipart: Some(multipart),
                        claim,
                    })
                }
            };
            // It runs to its end even if nobody waits, because an upload that it begins must be aborted.
            let begun = runtime.finish(begin).await?;
            drop(wanted);
            let begun = begun.map_err(|failure| failure.into_error(OPERATION, &place))?;
            Ok(Box::new(S3Upload::new(begun, place, part_size, parallel)) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn wants_bound(&self) -> bool {
        true
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        let owned = key.clone();
        self.call("look at", Some(key), |api, object| async move {
            let head = api.head(&object).await?;
            Ok(head.map(|head| Object { key: owned, size: head.size, modified: None }))
        })
    }

    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        self.call("open", Some(key), move |api, object| async move {
            let (tail, size) = api.get(&object, RangeSpec::Last(tail)).await?;
            Ok(Opened { size, tail })
        })
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        self.call("read", Some(key), move |api, object| async move {
            let wanted = match range {
                ReadRange::Bytes(range) if range.is_empty() => return Ok(Bytes::new()),
                ReadRange::Last(0) => return Ok(Bytes::new()),
                ReadRange::Bytes(range) => RangeSpec::Bytes(range),
                ReadRange::Last(n) => RangeSpec::Last(n),
            };
            Ok(api.get(&object, wanted).await?.0)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        let names = self.options.names.clone();
        self.call("list", None, |api, prefix| async move {
            let objects = api.objects(&prefix).await?.into_iter();
            let mut objects: Vec<_> = objects
                .filter_map(|(name, size)| {
                    let uuid = names.uuid(name.strip_prefix(&*prefix)?)?;
                    Some(Object { key: names.key(&uuid), size, modified: None })
                })
                .collect();
            objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(objects)
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.call("delete", Some(key), |api, object| async move {
            // S3 reports success also if there was no object.
            if api.head(&object).await?.is_none() {
                return Err(Error::new(ErrorKind::NotFound, "delete").into());
            }
            api.delete(&object).await
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        let (names, dead_after) = (self.options.names.clone(), self.options.dead_after);
        let bucket = self.options.bucket.clone();
        self.call("sweep", None, |api, prefix| async move {
            let mut unfinished = api.unfinished(&prefix).await?;
            // MinIO treats the prefix as the name of one object and lists only its uploads.
            if unfinished.is_empty() && !prefix.is_empty() {
                unfinished = api.unfinished("").await.unwrap_or_default();
            }
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let dead = now.as_secs().saturating_sub(dead_after.as_secs());
            let mut swept = Vec::new();
            for left in unfinished {
                let name = left.object.strip_prefix(&*prefix);
                let is_ours = name.is_some_and(|name| names.uuid(name).is_some());
                let is_dead = dead_after.is_zero() || left.begun <= dead.cast_signed();
                if is_ours && is_dead {
                    api.abort_id(&left.object, &left.id).await?;
                    swept.push(format!("s3://{bucket}/{}", left.object));
                }
            }
            Ok(swept)
        })
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        match self.connection.get() {
            Some(connection) => connection.runtime.wait_for_cleanup().boxed(),
            None => futures::future::ready(()).boxed(),
        }
    }

    fn location(&self, key: &Key) -> OsString {
        self.options.place(Some(key)).into()
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("endpoint", &self.options.endpoint)
            .field("bucket", &self.options.bucket)
            .field("prefix", &self.options.prefix)
            .finish_non_exhaustive()
    }
}
