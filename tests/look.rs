//! Reading archives without extracting: lists, single files, entries for programs.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use bytes::Bytes;
use futures::{
    AsyncReadExt, FutureExt, StreamExt, TryStreamExt, executor::block_on, future::BoxFuture,
    io::Cursor,
};
use support::{Tree, in_memory};
use wingback::{
    Archive, Entries, ErrorKind, Key, List, Listing, Member, MemberKind, MemoryStore, NoIndex,
    Object, Profile, ReadMethod, ReadRange, Result, Store, Upload,
};

fn tree() -> Tree {
    let tree = Tree::with(&[
        ("logs/latest.log", &support::text(5000)),
        ("logs.txt", b"beside the directory"),
        ("server.jar", &support::text(2_500_000)),
        ("world/region/r.0.0.mca", &support::noise(300_000)),
    ]);
    std::fs::create_dir(tree.root.join("empty")).unwrap();
    tree.link("world/link", "../logs.txt");
    tree
}

fn made(tree: &Tree, profile: Profile) -> Vec<u8> {
    support::archive_bytes(tree.backup().profile(profile))
}

fn list(archive: Archive<'_>, patterns: &[&str]) -> Listing {
    let list = patterns.iter().fold(List::new(), |list, pattern| list.select(pattern));
    block_on(list.start(archive)).unwrap()
}

fn paths(listing: &Listing) -> Vec<String> {
    listing.members().map(|m| String::from_utf8(m.path).unwrap()).collect()
}

const ALL: [&str; 9] = [
    "empty",
    "logs.txt",
    "logs",
    "logs/latest.log",
    "server.jar",
    "world",
    "world/link",
    "world/region",
    "world/region/r.0.0.mca",
];

#[test]
fn list_gives_the_same_members_by_every_read_method() {
    let tree = tree();
    let full = made(&tree, Profile::Full);
    let by_index = list(in_memory(&full), &[]);
    assert_eq!(
        (by_index.read_method(), paths(&by_index)),
        (ReadMethod::Indexed, ALL.map(String::from).to_vec())
    );
    let wings = made(&tree, Profile::Wings);
    assert_eq!(paths(&list(in_memory(&wings), &[])), ALL);
    let stream = list(Archive::stream(Cursor::new(&full)), &[]);
    assert_eq!(stream.read_method(), ReadMethod::Sequential(NoIndex::Stream));
    assert_eq!(paths(&stream), ALL);
    // With profile `wings` the tar contains files only. Symlinks and directories come from the index at
    // the end.
    let stream = list(Archive::stream(Cursor::new(&wings)), &[]);
    let mut sorted = paths(&stream);
    sorted.sort();
    let mut all = ALL.to_vec();
    all.sort();
    assert_eq!(sorted, all);
    // Fields that tar cannot represent are left out.
    let members = |listing: Listing| {
        let seconds = |m: Member| (m.path, m.kind, m.size, m.mode, m.mtime_ns / 1_000_000_000);
        listing.members().map(seconds).collect::<Vec<_>>()
    };
    assert_eq!(members(by_index), members(list(Archive::stream(Cursor::new(&full)), &[])));
}

#[test]
fn list_reports_selectors_that_match_nothing() {
    let full = made(&tree(), Profile::Full);
    for archive in [in_memory(&full), Archive::stream(Cursor::new(&full))] {
        let listing = list(archive, &["logs", "*.mca", "nothing", "server.jar/"]);
        let want = ["logs", "logs/latest.log", "server.jar", "world/region/r.0.0.mca"];
        assert_eq!(paths(&listing), want);
        assert_eq!(listing.unmatched(), [b"nothing"]);
    }
}

#[test]
fn copy_file_gives_one_file() {
    let tree = tree();
    for profile in [Profile::Full, Profile::Wings] {
        let bytes = made(&tree, profile);
        for path in ["logs/latest.log", "server.jar", "world/region/r.0.0.mca", "./logs.txt"] {
            for archive in [in_memory(&bytes), Archive::stream(Cursor::new(&bytes))] {
                let mut out = Vec::new();
                let member = block_on(archive.copy_file(path, &mut out)).unwrap();
                assert!(out == std::fs::read(tree.root.join(path)).unwrap(), "{path}");
                assert_eq!((member.kind, member.size), (MemberKind::File, out.len() as u64));
            }
        }
        for (path, kind) in [
            ("logs", ErrorKind::InvalidInput),
            ("world/link", ErrorKind::InvalidInput),
            ("nothing", ErrorKind::NotFound),
            ("", ErrorKind::NotFound),
        ] {
            let mut out = Vec::new();
            let error = block_on(in_memory(&bytes).copy_file(path, &mut out)).unwrap_err();
            assert_eq!(error.kind(), kind, "{path}: {error}");
            assert!(out.is_empty());
        }
    }
}

/// Counts range reads and their bytes.
#[derive(Clone)]
struct Counting {
    store: MemoryStore,
    reads: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Store for Counting {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        self.store.create(key, None)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.store.head(key)
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        async move {
            let bytes = self.store.read(key, range).await?;
            self.reads.fetch_add(1, SeqCst);
            self.bytes.fetch_add(bytes.len() as u64, SeqCst);
            Ok(bytes)
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.store.list()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.delete(key)
    }
}

#[test]
fn list_takes_one_range_read_and_a_file_one_more() {
    let bytes = made(&tree(), Profile::Full);
    let store = MemoryStore::new();
    store.put(support::key(), bytes);
    let counting = Counting { store, reads: Arc::default(), bytes: Arc::default() };
    let archive = || Archive::in_store(counting.clone(), support::key());
    list(archive(), &[]);
    assert_eq!(counting.reads.swap(0, SeqCst), 1);
    assert!(counting.bytes.swap(0, SeqCst) <= 64 << 10);
    let mut out = Vec::new();
    block_on(archive().copy_file("world/region/r.0.0.mca", &mut out)).unwrap();
    assert_eq!(counting.reads.swap(0, SeqCst), 2);
    assert!(counting.bytes.swap(0, SeqCst) < 300_000 + (70 << 10));
}

#[test]
fn entries_that_are_not_read_are_skipped() {
    let bytes = made(&tree(), Profile::Full);
    for archive in [in_memory(&bytes), Archive::stream(Cursor::new(&bytes))] {
        let seen = block_on(async {
            let mut entries = Entries::open(archive);
            let mut seen = Vec::new();
            while let Some(member) = entries.try_next().await.unwrap() {
                // Some of it, or nothing.
                let mut part = [0; 10];
                if member.size > 10 && seen.len() % 2 == 0 {
                    entries.read_exact(&mut part).await.unwrap();
                }
                seen.push(String::from_utf8(member.path).unwrap());
            }
            seen
        });
        assert_eq!(seen, ALL);
    }
}

#[test]
fn entries_can_be_cancelled_and_dropped() {
    let bytes = made(&tree(), Profile::Full);
    let mut entries = Entries::open(in_memory(&bytes));
    let handle = entries.handle();
    block_on(async {
        entries.try_next().await.unwrap().unwrap();
        handle.cancel();
        let error = loop {
            match entries.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the entries ended without an error"),
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(entries.next().await.is_none(), "an error is the last item");
    });
    drop(entries);
    let mut entries = Entries::open(in_memory(&bytes));
    block_on(entries.try_next()).unwrap().unwrap();
    drop(entries);
    support::wait_until("the end of the threads", || support::engine_threads() == 0);
}

/// A stream can be read once. A member that may still be replaced is buffered up to a limit, above
/// which an error is returned.
#[test]
fn copy_file_from_a_stream_gives_the_last_file_of_a_path_or_none() {
    use support::hostile::{file, link, tar};
    let large = |byte: u8| file(b"a", &vec![byte; 9 << 20]);
    type Want = Result<&'static [u8], &'static str>;
    let cases: [(&str, &[Vec<u8>], Want); 5] = [
        ("small", &[file(b"a", b"old"), file(b"a", b"new")], Ok(b"new")),
        ("large", &[large(1)], Ok(&[1; 9 << 20])),
        ("large, last", &[file(b"a", b"old"), large(2)], Ok(&[2; 9 << 20])),
        ("large, replaced", &[large(1), file(b"a", b"new")], Err("a later member has that path")),
        ("a link", &[file(b"b", b"b"), link(b'1', b"a", b"b")], Err("cannot be read again")),
    ];
    for (what, members, want) in cases {
        let bytes = support::gzip(&tar(members));
        let mut out = Vec::new();
        let stream = Archive::stream(Cursor::new(&bytes));
        let copied = block_on(stream.copy_file("./a", &mut out));
        match (copied, want) {
            (Ok(member), Ok(want)) => {
                assert!(out == want, "{what}");
                assert_eq!(member.size, want.len() as u64, "{what}");
            }
            (Err(e), Err(why)) => assert!(e.to_string().contains(why), "{what}: {e}"),
            (copied, _) => panic!("{what}: {copied:?}"),
        }
        let mut out = Vec::new();
        block_on(in_memory(&bytes).copy_file("a", &mut out)).unwrap();
        assert!(want.is_err() || out == want.unwrap(), "{what}");
        assert!(want.is_ok() || [&b"new"[..], b"b"].contains(&&out[..]), "{what}");
    }
}
