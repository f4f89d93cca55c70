//! Finds the archive that a backup is made from.

use std::{fs::File, path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    archive::{Level, stock::Stock},
    error::Result,
    input::{LocalFile, Passing},
    name::Key,
    pipe,
    store::Store,
    warning::Warning,
};

/// Which archive a backup is made from: its unchanged parts are copied from there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Previous {
    /// This file.
    File(PathBuf),
    /// This one of the store that the backup goes to, where it is a local one.
    Key(Key),
    /// The newest in that store that can be used.
    Latest,
}

impl Previous {
    /// Opens it. What cannot be used is no failure: then the backup reads everything.
    pub(crate) async fn open(
        &self,
        store: Option<&dyn Store>,
        level: Level,
        any: bool,
    ) -> Result<Stock, Warning> {
        let unused = |why: String| Warning::PreviousUnused(why);
        let files = match (self, store) {
            (Previous::File(path), _) => {
                let path = path.clone();
                let open = move |_: pipe::Outlet| LocalFile::open(&path);
                let file = async { pipe::spawn(open)?.finish().await };
                return stock(file.await.map_err(|e| unused(e.to_string()))?, level, any).await;
            }
            (Previous::Key(key), Some(store)) => {
                store.file(key).await.map(|file| file.into_iter().collect())
            }
            (Previous::Latest, Some(store)) => newest_first(store).await,
            (_, None) => return Err(unused("the destination is no store".into())),
        };
        let mut why = "there is none in this store".to_owned();
        for file in files.map_err(|e| unused(e.to_string()))? {
            match LocalFile::new(file) {
                Err(e) => why = e.to_string(),
                Ok(file) => match stock(file, level, any).await {
                    Ok(stock) => return Ok(stock),
                    Err(Warning::PreviousUnused(reason)) => why = reason,
                    Err(other) => return Err(other),
                },
            }
        }
        Err(unused(why))
    }
}

/// On a thread, since it reads.
async fn stock(file: LocalFile, level: Level, any: bool) -> Result<Stock, Warning> {
    let open = move |_: pipe::Outlet| Stock::open(Arc::new(Passing::new(file)), level, any);
    let opened = async { pipe::spawn(open)?.finish().await };
    match opened.await {
        Ok(Ok(stock)) => Ok(stock),
        Ok(Err(why)) => Err(Warning::PreviousUnused(why)),
        Err(e) => Err(Warning::PreviousUnused(e.to_string())),
    }
}

async fn newest_first(store: &dyn Store) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for object in store.list().await? {
        // One that was deleted meanwhile is not the newest.
        if let Ok(Some(file)) = store.file(&object.key).await {
            let modified = file.metadata().and_then(|meta| meta.modified());
            files.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), file));
        }
    }
    files.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    Ok(files.into_iter().map(|(_, file)| file).collect())
}
