//! Archives in a bucket of an S3 service.
//!
//! An archive is a multipart upload whose parts leave while it is made; nothing is staged on disk.
//! It becomes an object when the upload is completed, and whatever else ends it, the upload is
//! aborted, on a thread that outlives the future for that. What a killed process leaves,
//! [`sweep`](Store::sweep) finds by age.

mod api;
mod credentials;
mod multipart;
mod names;
mod options;
mod service;
mod sign;
mod upload;

use std::{
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
/// Its methods set options; the first request is made by the first operation. Clones share one
/// thread for the network, which ends with the last of them.
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

/// What operations go through, once there was one.
#[derive(Clone)]
struct Connection {
    api: Api,
    runtime: Arc<Runtime>,
    claims: Claims,
}

impl S3Store {
    /// Archives in `bucket`, named `backup-{uuid}.tar.gz`, in Amazon's S3 unless another
    /// [`endpoint`](S3Store::endpoint) is set.
    pub fn new(bucket: impl Into<String>, credentials: Credentials) -> Self {
        S3Store { options: Options::new(bucket.into(), credentials), connection: Arc::default() }
    }

    /// Sets an option, for which another connection is needed.
    fn with(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self.connection = Arc::default();
        self
    }

    /// The service: `https://host`, or `http://host:port` for one nearby.
    #[must_use]
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        self.with(|options| options.endpoint = Some(url.into()))
    }

    /// The region that requests are signed for: `us-east-1` unless told otherwise.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        self.with(|options| options.region = region.into())
    }

    /// Whether the bucket stands in the path of URLs or before their host. Unless told, before the
    /// host with Amazon and Alibaba, in the path with all others.
    #[must_use]
    pub fn path_style(self, in_path: bool) -> Self {
        self.with(|options| options.path_style = Some(in_path))
    }

    /// What stands before the name of each archive, such as `servers/`. Together they follow the rule
    /// of [`Key::new`]: no part is empty or begins with a dot. [`check`](S3Store::check) says whether
    /// they do.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|options| options.prefix = prefix.into())
    }

    /// Names archives by another template, which also tells what in the bucket is one.
    #[must_use]
    pub fn names(self, names: NameTemplate) -> Self {
        self.with(|options| options.names = names)
    }

    /// Bytes of a part, but for the last: 5 MiB unless told otherwise, which is the least that S3
    /// takes; 5 GiB is the most. Where a backup could need more than 10,000 of them they are larger.
    #[must_use]
    pub fn part_size(self, bytes: u64) -> Self {
        self.with(|options| options.part_size = bytes)
    }

    /// The storage class of archives, such as `STANDARD_IA`.
    #[must_use]
    pub fn storage_class(self, class: impl Into<String>) -> Self {
        self.with(|options| options.headers.push(("x-amz-storage-class", class.into())))
    }

    /// Has the service encrypt archives: `AES256`, or `aws:kms`, with the key of this id where
    /// there is one.
    #[must_use]
    pub fn encryption(self, algorithm: impl Into<String>, kms_key_id: Option<String>) -> Self {
        self.with(|options| {
            options.headers.push(("x-amz-server-side-encryption", algorithm.into()));
            let key = kms_key_id.map(|id| ("x-amz-server-side-encryption-aws-kms-key-id", id));
            options.headers.extend(key);
        })
    }

    /// How old an unfinished upload must be for a sweep to abort it: a day unless told otherwise.
    /// With zero all are, whatever the service's clock says: for who knows that nobody uploads there.
    /// A backup that takes longer would be taken for a dead one's.
    #[must_use]
    pub fn dead_after(self, age: Duration) -> Self {
        self.with(|options| options.dead_after = age)
    }

    /// How many parts travel at once, and how failures of the network are met.
    #[must_use]
    pub fn transfer(self, transfer: Transfer) -> Self {
        self.with(|options| options.transfer = transfer)
    }

    /// The key for the backup `uuid`.
    pub fn key(&self, uuid: &uuid::Uuid) -> Key {
        self.options.names.key(uuid)
    }

    /// Refuses what every operation would refuse before it sends anything: the name of a bucket, a
    /// prefix or a part size that cannot be. A prefix and the key behind it follow the rule of
    /// [`Key::new`] together.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) says what is wrong.
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

    /// Runs `work` on the thread of the network, with the name of the object or the prefix. Dropped,
    /// it stops.
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
            // Who may write but not look meets the condition at the end.
            let head = |api: Api, object: String| async move {
                match api.head(&object).await {
                    Err(failure) if failure.is_status(403) => Ok(None),
                    head => head,
                }
            };
            let is_there = self.call(OPERATION, Some(key), head).await?.is_some();
            if is_there {
                return Err(exists("a backup of that name is there already"));
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
            // It runs to its end, since what it may have begun has to be aborted.
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
            // S3 says nothing of what was not there.
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
            // MinIO lists by a prefix only the uploads of the one object of that name.
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

    fn location(&self, key: &Key) -> String {
        self.options.place(Some(key))
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
