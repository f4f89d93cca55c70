//! Reads the identity of an archive.

use crate::{
    error::Result,
    format::info::Info,
    progress::Phase,
    read::{Source, is_damage},
    source::Archive,
    task::Task,
};

impl<'a> Archive<'a> {
    /// Reads what the archive says about itself. Resolves with `None` if it has no index to use: another program
    /// made it, its end is missing or damaged, or it is a stream.
    ///
    /// This reads the last 64 KiB of the archive, and further parts only for many patterns.
    ///
    /// ```no_run
    /// use wingback::Archive;
    ///
    /// let info = futures::executor::block_on(Archive::file("backup.tar.gz").info())?;
    /// if let Some(info) = info {
    ///     println!("{}: {} files", String::from_utf8_lossy(&info.label), info.files);
    /// }
    /// # Ok::<(), wingback::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if the archive is not a regular file.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied), [`UrlExpired`](crate::ErrorKind::UrlExpired) or
    ///   [`Io`](crate::ErrorKind::Io) if it cannot be read.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn info(self) -> Task<'a, Option<Info>> {
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let read = |source, _| read_info(&source);
            self.read(&tracker, read, |_| futures::future::ready(Ok(()))).await
        })
    }
}

fn read_info(source: &Source) -> Result<Option<Info>> {
    let Ok(index) = source.index()? else { return Ok(None) };
    match index.excludes() {
        Ok(excludes) => Ok(Some(Info { excludes, ..index.info() })),
        Err(e) if is_damage(&e) => Ok(None),
        Err(e) => Err(e),
    }
}
