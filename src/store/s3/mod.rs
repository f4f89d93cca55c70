//! Archives in a bucket of an S3 service.
//!
//! An archive is a multipart upload. Its parts are sent while the archive is made, and nothing is staged on
//! disk. The archive becomes an object when the upload is completed. In every other case a thread that
//! outlives the future aborts the upload. [`sweep`](Store::sweep) finds the uploads of killed processes by
//! their age.

mod api;
mod config;
mod copy;
mod credentials;
mod endpoint;
mod multipart;
mod names;
mod service;
mod sign;
mod upload;

use std::{
    ffi::OsString,
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

pub use config::S3Config;
pub use credentials::Credentials;

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
    net::{failure::Failure, range::RangeSpec, runtime::Runtime},
    store::{Object, Opened, ReadRange, Store, Upload},
    template::NameFields,
};
use api::Api;
use multipart::Unfinished;
use upload::{Claim, Claims, S3Upload, UploadGuard};

/// Archives in a bucket of an S3 service.
///
/// The first operation makes the first request. Clones share one thread for the network, which ends with the
/// last clone.
///
/// An archive is a multipart upload. It becomes an object when it is complete. Until then, an error, a cancel
/// or a drop aborts the upload, and [`wait_for_cleanup`](Store::wait_for_cleanup) waits for that.
///
/// The operations of the store fail as [`Store`] says.
///
/// ```no_run
/// use wingback::{Backup, S3Config, S3Store};
///
/// let mut config = S3Config::new("backups");
/// config.endpoint = Some("https://s3.example.com".into());
/// config.prefix = "servers/".into();
/// let store = S3Store::new(config)?;
/// let key = store.key(uuid::Uuid::new_v4());
/// futures::executor::block_on(Backup::new("/srv/minecraft").start(store, key))?;
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone)]
pub struct S3Store {
    config: Arc<S3Config>,
    credentials: Credentials,
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
    /// Returns the store that `config` describes. It makes no request.
    ///
    /// If `config` has no credentials, it finds them in the environment or in a file. A small file is read, on
    /// the thread of the caller.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as [`S3Config::check`] says, and those of
    /// [`Credentials::find`].
    pub fn new(mut config: S3Config) -> Result<Self> {
        config.check()?;
        let credentials = config.credentials.take().map_or_else(Credentials::find, Ok)?;
        Ok(S3Store { config: Arc::new(config), credentials, connection: Arc::default() })
    }

    /// Returns the key of a new backup: of [`NameFields`], or of a UUID.
    pub fn key(&self, fields: impl Into<NameFields>) -> Key {
        self.config.names.key(fields)
    }

    fn connect(&self) -> Result<Connection> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let connection = Connection {
            api: Api::new(&self.config, self.credentials.clone())?,
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
        let place = self.config.place(key);
        match self.config.object(key).and_then(|object| Ok((object, self.connect()?))) {
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
        let (place, headers) = (self.config.place(Some(key)), self.config.headers());
        let part_size = self.config.part_size_for(at_most);
        async move {
            let object = self.config.object(Some(key))?;
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
                    let multipart = api.create(&object, &headers, wanted).await?;
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
            let config = self.config.clone();
            let upload = S3Upload::new(begun, config, place, part_size);
            Ok(Box::new(upload) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        let owned = key.clone();
        self.call("look at", Some(key), |api, object| async move {
            let head = api.head(&object).await?;
            Ok(head.map(|head| Object::new(owned, head.size, head.modified)))
        })
    }

    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        self.call("open", Some(key), move |api, object| async move {
            let (tail, size) = api.get(&object, RangeSpec::Last(tail)).await?;
            Ok(Opened::new(size, tail))
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
        self.call("list", None, |api, prefix| async move {
            let objects = api.objects(&prefix).await?.into_iter();
            let mut objects: Vec<_> = objects
                .filter_map(|listed| {
                    let key = Key::new(listed.object.strip_prefix(&*prefix)?).ok()?;
                    Some(Object::new(key, listed.size, listed.modified))
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

    fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
        let (names, dead_after) = (self.config.names.clone(), self.config.dead_after);
        let find_dead = self.call("sweep", None, move |api, prefix| async move {
            let mut unfinished = api.unfinished(&prefix).await?;
            // MinIO treats the prefix as the name of one object and lists only its uploads.
            if unfinished.is_empty() && !prefix.is_empty() {
                unfinished = api.unfinished("").await.unwrap_or_default();
            }
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let dead = now.as_secs().saturating_sub(dead_after.as_secs());
            unfinished.retain(|left| {
                let name = left.object.strip_prefix(&*prefix);
                let archive = name.map(|name| name.strip_suffix(".lock").unwrap_or(name));
                let is_ours = archive.is_some_and(|archive| names.matches(archive));
                is_ours && (dead_after.is_zero() || left.begun <= dead.cast_signed())
            });
            Ok(stream::iter(unfinished.into_iter().map(Ok)))
        });
        let abort = move |left: Unfinished| {
            let location = format!("s3://{}/{}", self.config.bucket, left.object);
            let aborted = self.call("sweep", None, |api, _| async move {
                api.abort_id(&left.object, &left.id).await
            });
            aborted.map_ok(|()| OsString::from(location))
        };
        let parallel = self.config.transfer.parallel;
        find_dead.try_flatten_stream().map_ok(abort).try_buffer_unordered(parallel).boxed()
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        match self.connection.get() {
            Some(connection) => connection.runtime.wait_for_cleanup().boxed(),
            None => futures::future::ready(()).boxed(),
        }
    }

    fn location(&self, key: &Key) -> OsString {
        self.config.place(Some(key)).into()
    }

    fn needs_bound(&self) -> bool {
        true
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("endpoint", &self.config.endpoint)
            .field("bucket", &self.config.bucket)
            .field("prefix", &self.config.prefix)
            .finish_non_exhaustive()
    }
}
