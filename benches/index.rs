//! Time and memory of what reads or writes an index of ten million files: `make bench-index`.
//!
//! Each row runs in a process of its own. The archive has an index as a backup writes it, over data that are a
//! hole in the file.

#[path = "../tests/support/limited.rs"]
mod limited;

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures::{executor::block_on, future::BoxFuture};
use limited::{Guard, Ran};
use wingback::{
    Archive, Key, LocalStore, Object, ReadRange, Result, Store, Upload,
    testing::{compare_with_previous, sparse_archive, sparse_path},
};

const FILES: u64 = 10_000_000;
/// Bytes of a file. So small ones are in groups, and most of the large ones have a segment of their own.
const SMALL: u64 = 300;
const LARGE: u64 = 1_000_000;
const GUARD: Guard = Guard { mb: 4096, seconds: 600 };

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let files =
        std::env::var("WINGBACK_INDEX_FILES").map_or(FILES, |n| n.parse().expect("a number"));
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", path] => sparse_archive(Path::new(path), files, SMALL).expect("written"),
        ["write-large", path] => sparse_archive(Path::new(path), files, LARGE).expect("written"),
        ["info", path] => {
            let info = block_on(Archive::file(path).info()).expect("read");
            assert_eq!(info.map(|info| info.files), Some(files));
        }
        ["previous", path] => {
            assert_eq!(compare_with_previous(Path::new(path), files, SMALL).expect("read"), files);
        }
        ["previous-large", path] => {
            assert_eq!(compare_with_previous(Path::new(path), files, LARGE).expect("read"), files);
        }
        [command] if !command.starts_with('-') => measure(command, files),
        // The runner of the tests starts benches as well.
        _ => println!("usage: index COMMAND, the path of the command wingback"),
    }
}

fn measure(command: &str, files: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sparse.tar.gz");
    let large = dir.path().join("large.tar.gz");
    let file = sparse_path(files / 2);
    let on = |verb: &str, path: &Path| {
        let mut this = Command::new(std::env::current_exe().expect("this program"));
        this.arg(verb).arg(path);
        limited::run_within(GUARD, &this)
    };
    let this = |verb: &str| on(verb, &path);
    let file = str::from_utf8(&file).expect("UTF-8");
    row("write the index", &this("write"));
    row("`Archive::info`", &this("info"));
    for (name, arguments) in [
        ("`list`", vec!["list"]),
        ("`list` of one file", vec!["list", file]),
        ("`cat` of one file", vec!["cat", file]),
    ] {
        // The list is longer than what this process should hold.
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "command=$1; verb=$2; shift 2; exec \"$command\" \"$verb\" \"$@\" >/dev/null",
            "sh",
        ]);
        shell.args([command, arguments[0]]).arg(&path).args(&arguments[1..]);
        row(name, &limited::run_within(GUARD, &shell));
    }
    row("compare with it as the previous archive", &this("previous"));
    row("write the index of large files", &on("write-large", &large));
    row("compare with that", &on("previous-large", &large));

    let store = Counting {
        store: LocalStore::new(dir.path()),
        reads: Arc::default(),
        bytes: Arc::default(),
    };
    let (reads, bytes) = (store.reads.clone(), store.bytes.clone());
    let key = Key::new("sparse.tar.gz").expect("a name");
    let mut content = Vec::new();
    block_on(Archive::in_store(store, key).copy_file(file, &mut content)).expect("read");
    assert_eq!(content.len() as u64, SMALL);
    println!(
        "\nOne file from a store: {} reads, {} bytes.",
        reads.load(Relaxed),
        bytes.load(Relaxed)
    );
    println!(
        "{files} files; the index has {:.1} MB, and that of large files {:.1} MB.",
        index_mb(&path),
        index_mb(&large)
    );
}

/// Returns the megabytes of the index: of the file without its hole.
fn index_mb(path: &Path) -> f64 {
    let file = std::fs::File::open(path).expect("the archive");
    // Only a synced file has all its blocks.
    file.sync_all().expect("synced");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("the archive"));
    blocks as f64 * 512.0 / 1e6
}

fn row(name: &str, ran: &Ran) {
    ran.succeeded();
    let Ran { wall, cpu, peak_kb, .. } = ran;
    println!("| {name} | {wall:.2} | {cpu:.2} | {:.1} |", *peak_kb as f64 * 1024.0 / 1e6);
}

/// A store that counts reads, and has no files.
struct Counting {
    store: LocalStore,
    reads: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Store for Counting {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        self.store.create(key, at_most)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.store.head(key)
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let read = self.store.read(key, range).await?;
            self.reads.fetch_add(1, Relaxed);
            self.bytes.fetch_add(read.len() as u64, Relaxed);
            Ok(read)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.store.list()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.delete(key)
    }
}
