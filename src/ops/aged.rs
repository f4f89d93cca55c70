//! Finds the ages of the archives in a local store, for a retention plan.

use std::{path::Path, sync::Arc, time::SystemTime};

use blocking::unblock;

use crate::{
    error::Result,
    ops::retention::{Aged, is_in_future},
    read::Source,
    source::LocalFile,
    store::{Object, Store, local::LocalStore},
};

impl LocalStore {
    /// Returns all archives with their ages, for [`Retention::plan`](crate::Retention::plan).
    ///
    /// It reads the last 128 bytes of each archive. It also reads the index of the newest complete archive that
    /// is not dated in the future at `now`, because [`Retention`](crate::Retention) always keeps that one.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) or [`Io`](crate::ErrorKind::Io) if the
    /// directory cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. After a drop a thread of the `blocking` pool may still finish its reads.
    pub async fn aged(&self, now: SystemTime) -> Result<Vec<Aged>> {
        let (store, mut aged) = (self.clone(), self.aged_by_footers().await?);
        let check = move || {
            aged.sort_unstable_by(|a, b| (b.made, &b.key).cmp(&(a.made, &a.key)));
            let counts = |archive: &&mut Aged| archive.is_whole && !is_in_future(archive.made, now);
            for archive in aged.iter_mut().filter(counts) {
                archive.is_whole = has_index(&store.path(&archive.key));
                if archive.is_whole {
                    break;
                }
            }
            aged.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            aged
        };
        Ok(unblock(check).await)
    }

    /// Returns all archives with their ages. Reads no index.
    pub(crate) async fn aged_by_footers(&self) -> Result<Vec<Aged>> {
        let (store, objects) = (self.clone(), self.list().await?);
        let look = move |object: Object| {
            // An archive that was deleted after the list was made has no age.
            let is_whole = LocalFile::open(&store.path(&object.key)).ok()?.has_footer();
            Some(Aged { key: object.key, size: object.size, made: object.modified?, is_whole })
        };
        Ok(unblock(move || objects.into_iter().filter_map(look).collect()).await)
    }
}

fn has_index(path: &Path) -> bool {
    let file = LocalFile::open(path);
    file.is_ok_and(|file| matches!(Source::At(Arc::new(file)).checked_index(), Ok(Ok(_))))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{
        name::Key,
        ops::retention::{Retention, Verdict},
    };

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn only_the_newest_index_is_read() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("source")).unwrap();
        std::fs::write(tmp.path().join("source/level.dat"), "level").unwrap();
        let store = LocalStore::new(tmp.path().join("to")).mkdir(true);
        let keys: Vec<_> = (1..=4).map(|i| store.key(&uuid::Uuid::from_u128(i))).collect();
        for (key, day) in keys.iter().zip(0..) {
            let backup = crate::Backup::new(tmp.path().join("source"));
            futures::executor::block_on(backup.start(store.clone(), key.clone())).unwrap();
            let file = std::fs::File::options().write(true).open(store.path(key)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(day * DAY)).unwrap();
        }
        // The first and the last have a damaged index. The second has lost its end.
        let damage = |key: &Key, change: &dyn Fn(&mut Vec<u8>)| {
            let path = store.path(key);
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        };
        let in_index = |bytes: &mut Vec<u8>| {
            let at = bytes.len() - crate::format::index::FOOTER_LEN - 20;
            bytes[at] ^= 1;
        };
        damage(&keys[0], &in_index);
        damage(&keys[1], &|bytes| bytes.truncate(bytes.len() - 1));
        damage(&keys[3], &in_index);
        let aged = futures::executor::block_on(store.aged(SystemTime::now())).unwrap();
        let whole: Vec<_> = aged.iter().map(|archive| archive.is_whole).collect();
        // Only the newest archive needs its index; for those before it the footer is enough.
        assert_eq!(whole, [true, false, true, false]);
        let plan = Retention::new().last(1).plan(aged, SystemTime::now());
        let kept: Vec<_> = plan.iter().filter(|(_, v)| matches!(v, Verdict::Keep(_))).collect();
        assert_eq!((kept.len(), &kept[0].0.key), (1, &keys[2]));
    }
}
