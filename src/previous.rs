//! Finds the archive that a backup is made from.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

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
        let (store, keys) = match (self, store) {
            (Previous::File(path), _) => {
                let path = path.clone();
                let open = move |_: pipe::Outlet| LocalFile::open(&path);
                let file = async { pipe::spawn(open)?.finish().await };
                return stock(file.await.map_err(|e| unused(e.to_string()))?, level, any).await;
            }
            (Previous::Key(key), Some(store)) => (store, Ok(vec![key.clone()])),
            (Previous::Latest, Some(store)) => (store, newest_first(store).await),
            (_, None) => return Err(unused("the destination is no store".into())),
        };
        let mut why = "there is none in this store".to_owned();
        for key in keys.map_err(|e| unused(e.to_string()))? {
            let file = match store.file(&key).await {
                Ok(Some(file)) => LocalFile::new(file),
                Ok(None) => continue,
                Err(e) => Err(e),
            };
            match file {
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

async fn newest_first(store: &dyn Store) -> Result<Vec<Key>> {
    let mut aged = Vec::new();
    for object in store.list().await? {
        // One that was deleted meanwhile is not the newest.
        if let Ok(Some(file)) = store.file(&object.key).await {
            let modified = file.metadata().and_then(|meta| meta.modified());
            aged.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), object.key));
        }
    }
    aged.sort_unstable();
    Ok(aged.into_iter().rev().map(|(_, key)| key).collect())
}
