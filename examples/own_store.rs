//! Backs up a directory to a store of this program: a directory with a log of its uploads.
//!
//! ```text
//! cargo run --example own_store -- DIR TO
//! ```

use std::{env, ffi::OsString, process::exit};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture, stream::BoxStream};
use wingback::{Backup, Key, LocalStore, Object, ReadRange, Result, Store, Upload};

struct LoggedStore(LocalStore);

impl Store for LoggedStore {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        max: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        println!("{key}: begin");
        let logged = |upload| Box::new(LoggedUpload(key.clone(), upload)) as Box<dyn Upload>;
        self.0.create(key, max).map_ok(logged).boxed()
    }

    // The other methods pass the call on.
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.0.head(key)
    }
    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        self.0.read(key, range)
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.0.list()
    }
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.0.delete(key)
    }
    fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
        self.0.sweep()
    }
    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        self.0.wait_for_cleanup()
    }
    fn location(&self, key: &Key) -> OsString {
        self.0.location(key)
    }
}

struct LoggedUpload(Key, Box<dyn Upload>);

impl Upload for LoggedUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.1.write(bytes)
    }
    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        self.1.flush()
    }
    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>> {
        let Self(key, upload) = *self;
        upload.complete().inspect(move |result| println!("{key}: complete, {result:?}")).boxed()
    }
    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>> {
        let Self(key, upload) = *self;
        upload.abort().inspect(move |result| println!("{key}: abort, {result:?}")).boxed()
    }
}

fn main() -> Result<()> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let [dir, to] = &*args else {
        eprintln!("usage: own_store DIR TO");
        exit(2);
    };
    let store = LocalStore::new(to).mkdir(true);
    let key = store.key(uuid::Uuid::new_v4());
    smol::block_on(Backup::new(dir).start(LoggedStore(store), key))?;
    Ok(())
}
