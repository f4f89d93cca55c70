//! Standard output as the destination of an archive.

use std::{
    fs::{File, read_link},
    io::{self, Write, stdout},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    sync::Arc,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use smol::unblock;
use wingback::{Error, OwnFiles, Result, Upload};

/// Writes an archive to standard output. Each write goes to the descriptor at once, so the first error is known.
pub struct Stdout(Arc<File>);

impl Stdout {
    pub fn open() -> Result<Self> {
        let file = stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        Ok(Stdout(Arc::new(file.into())))
    }
}

impl Upload for Stdout {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let file = self.0.clone();
        unblock(move || (&*file).write_all(&bytes).map_err(failed)).boxed()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let sync = move || match self.0.metadata() {
            // A full disk may show only now. Pipes and devices have nothing to sync.
            Ok(meta) if meta.is_file() => self.0.sync_all().map_err(failed),
            _ => Ok(()),
        };
        unblock(sync).boxed()
    }

    fn own_files(&self) -> Option<OwnFiles> {
        let path = read_link("/proc/self/fd/1").ok()?;
        let dir = path.parent()?.metadata().ok()?;
        let name = path.file_name()?.to_owned();
        Some(OwnFiles::new(&dir, move |file| file == name.as_bytes()))
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("write to standard output", error)
}
