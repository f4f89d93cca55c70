//! A store of another crate, on the public API alone, does all that the stores of this crate do.

mod support;

use std::{
    fs::{self, File},
    io::{self, ErrorKind as IoErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{
    FutureExt,
    executor::block_on,
    future::{BoxFuture, ready},
};
use support::Tree;
use wingback::{
    Archive, Cache, Error, ErrorKind, Extract, Key, NameTemplate, Object, OwnFiles, ReadRange,
    Result, SkipReason, Store, Upload,
    durable::{make_dirs, sync},
    testing::store_conformance,
};

const PART: &str = ".part";

/// Archives in a directory. An archive is a file with the suffix `.part` until it is complete.
#[derive(Clone)]
struct DirStore(PathBuf);

struct DirUpload {
    file: File,
    part: PathBuf,
    path: PathBuf,
}

fn object(key: &Key, path: &Path) -> Result<Option<Object>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(Object::new(key.clone(), meta.len(), meta.modified().ok()))),
        Err(e) if e.kind() == IoErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("look at", e).at(path)),
    }
}

impl DirStore {
    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(key)
    }

    fn upload(&self, key: &Key) -> Result<DirUpload> {
        let path = self.path(key);
        if path.exists() {
            return Err(Error::new(ErrorKind::AlreadyExists, "create").at(path));
        }
        let part = PathBuf::from(format!("{}{PART}", path.display()));
        let create = || {
            make_dirs(&self.0, 0o700)?;
            File::create_new(&part)
        };
        let file = create().map_err(|e| Error::io("create", e).at(&part))?;
        Ok(DirUpload { file, part, path })
    }

    fn objects(&self) -> Result<Vec<Object>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == IoErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("list", e).at(&self.0)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut objects = Vec::new();
        for key in names.filter(|name| !name.ends_with(PART)).flat_map(Key::new) {
            objects.extend(object(&key, &self.path(&key))?);
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }
}

impl Store for DirStore {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        async { Ok(Box::new(self.upload(key)?) as Box<dyn Upload>) }.boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        ready(object(key, &self.path(key))).boxed()
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        let read = || -> io::Result<Bytes> {
            let file = File::open(self.path(key))?;
            let range = range.within(file.metadata()?.len());
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.into())
        };
        ready(read().map_err(|e| Error::io("read", e).at(key))).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        ready(self.objects()).boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let deleted = fs::remove_file(self.path(key));
        ready(deleted.map_err(|e| Error::io("delete", e).at(key))).boxed()
    }
}

impl Upload for DirUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let written = self.file.write_all(&bytes);
        ready(written.map_err(|e| Error::io("write", e).at(&self.part))).boxed()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let completed = sync(&self.file).and_then(|()| fs::hard_link(&self.part, &self.path));
        ready(completed.map_err(|e| Error::io("complete", e).at(&self.path))).boxed()
    }

    fn own_files(&self) -> Option<OwnFiles> {
        let dir = fs::metadata(self.path.parent()?).ok()?;
        Some(OwnFiles::new(&dir, |name| {
            let name = std::str::from_utf8(name).unwrap_or_default();
            name.strip_suffix(PART).unwrap_or(name).ends_with(".tar.gz")
        }))
    }
}

impl Drop for DirUpload {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part);
    }
}

fn key(n: u128) -> Key {
    NameTemplate::default().key(uuid::Uuid::from_u128(n))
}

#[test]
fn the_five_required_methods_are_enough_for_the_contract() {
    let tmp = tempfile::tempdir().unwrap();
    block_on(store_conformance(&DirStore(tmp.path().join("backups"))));
    assert_eq!(fs::read_dir(tmp.path().join("backups")).unwrap().count(), 0);
}

#[test]
fn a_backup_leaves_out_the_archives_of_a_store_inside_its_source() {
    let tree = Tree::with(&[("level.dat", b"level"), ("backups/notes.txt", b"notes")]);
    let store = DirStore(tree.root.join("backups"));
    let left = format!("{}{PART}", key(9));
    tree.file(format!("backups/{left}"), "of a killed process");
    // The same name elsewhere belongs to somebody else.
    tree.file(format!("world/{left}"), "not of the store");
    block_on(tree.backup().start(store.clone(), key(1))).unwrap();

    let cache = Cache::new(tree.tmp.path().join("cache"), 1 << 20);
    for backup in [tree.backup(), tree.backup().cache(cache)] {
        let report = block_on(backup.start(store.clone(), key(2))).unwrap();
        let own = report.skipped.iter().filter(|s| matches!(s.reason, SkipReason::OwnBackup));
        let own: Vec<_> = own.map(|s| String::from_utf8_lossy(&s.path).into_owned()).collect();
        let names = [key(1).to_string(), format!("{}{PART}", key(2)), left.clone()];
        assert_eq!(own, names.map(|name| format!("backups/{name}")));

        let target = Tree::new();
        let archive = Archive::in_store(store.clone(), key(2));
        block_on(Extract::new(&target.root).start(archive)).unwrap();
        let there = |path: &str| target.root.join(path).exists();
        assert!(there("level.dat") && there("backups/notes.txt"));
        assert!(there(&format!("world/{left}")));
        assert_eq!(fs::read_dir(target.root.join("backups")).unwrap().count(), 1);
        block_on(store.delete(&key(2))).unwrap();
    }
}
