//! Members, children and ranges of an archive that stays open.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use support::{Tree, archive_bytes, forge, in_memory, noise, text};
use wingback::{Archive, ArchiveReader, ErrorKind, Limiter, List, Member, MemberKind};

/// An archive whose index has several pages, with a file whose segments fill more than one page.
fn archive() -> (Tree, Vec<u8>) {
    let tree = Tree::new();
    for i in 0..5_000 {
        tree.file(format!("players/{}/player-{i}.json", i % 7), text(i % 50));
    }
    for name in ["order-", "order/within", "order.txt", "order0", "orders/a/b"] {
        tree.file(name, name);
    }
    tree.file("empty", "");
    tree.file("world/noise", noise(9 << 20));
    let large = fs::File::create(tree.root.join("world/zeros")).unwrap();
    large.set_len(700 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&large, b"end", (700 << 20) - 3).unwrap();
    tree.link("link", "players/0");
    let bytes = archive_bytes(tree.backup());
    (tree, bytes)
}

fn open(bytes: &[u8]) -> ArchiveReader<'static> {
    block_on(ArchiveReader::open(in_memory(bytes))).unwrap()
}

fn children(reader: &ArchiveReader<'_>, dir: &str) -> Vec<Member> {
    let mut children: Vec<Member> = Vec::new();
    loop {
        let next = block_on(reader.children(dir, children.last())).unwrap();
        if next.is_empty() {
            return children;
        }
        children.extend(next);
    }
}

fn names(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| String::from_utf8_lossy(&member.path).into_owned()).collect()
}

/// Returns all members beneath a directory.
fn all(reader: &ArchiveReader<'_>, dir: &str) -> BTreeMap<Vec<u8>, Member> {
    let mut found = BTreeMap::new();
    for child in children(reader, dir) {
        if child.kind == MemberKind::Directory {
            found.extend(all(reader, std::str::from_utf8(&child.path).unwrap()));
        }
        found.insert(child.path.clone(), child);
    }
    found
}

#[test]
fn children_and_members_are_those_of_the_list() {
    let (tree, bytes) = archive();
    let path = tree.tmp.path().join("a.tar.gz");
    fs::write(&path, &bytes).unwrap();
    let listed = block_on(List::new().start(in_memory(&bytes))).unwrap().into_members();
    assert!(listed.len() > 5_000);
    for reader in [open(&bytes), block_on(ArchiveReader::open(Archive::file(&path))).unwrap()] {
        let found = all(&reader, "");
        assert_eq!(found.len(), listed.len());
        for member in &listed {
            assert_eq!(found.get(&member.path), Some(member));
            let path = [b"/", &member.path[..]].concat();
            assert_eq!(block_on(reader.member(path)).unwrap().as_ref(), Some(member));
        }
        assert_eq!(reader.info().files, 5_008);
        for missing in ["players/8", "a", "zzz", "orde", "empty/x", "players/0/player-0.jsonx"] {
            let found = block_on(reader.member(missing)).unwrap();
            assert_eq!(found, None, "{missing}");
            assert_eq!(children(&reader, missing), [], "{missing}");
        }
    }
    let reader = open(&bytes);
    let root = names(&children(&reader, "/"));
    let order = ["order-", "order.txt", "order", "order0", "orders"];
    assert!(root.windows(5).any(|names| names == order), "{root:?}");
}

#[test]
fn ranges_have_the_bytes_of_the_file() {
    let (tree, bytes) = archive();
    let path = tree.tmp.path().join("a.tar.gz");
    fs::write(&path, &bytes).unwrap();
    let content = fs::read(tree.root.join("world/noise")).unwrap();
    for reader in [open(&bytes), block_on(ArchiveReader::open(Archive::file(&path))).unwrap()] {
        let file = block_on(reader.file("world/noise")).unwrap();
        assert_eq!(file.member().size, content.len() as u64);
        // In order, as a program reads.
        for at in (0..content.len()).step_by(128 << 10) {
            let read = block_on(file.read_at(at as u64, 128 << 10)).unwrap();
            assert!(read == content[at..content.len().min(at + (128 << 10))], "{at}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let (at, len) = (random.usize(..content.len()), random.usize(..3 << 20));
            let read = block_on(file.read_at(at as u64, len)).unwrap();
            assert!(read == content[at..content.len().min(at + len)], "{at} {len}");
        }
        for at in [content.len() as u64, u64::MAX] {
            assert_eq!(block_on(file.read_at(at, 10)).unwrap(), "");
        }
        let zeros = block_on(reader.file("world/zeros")).unwrap();
        let end = (700 << 20) - 5;
        for at in [end, 5, (600 << 20) + 1, end] {
            let expected = if at == end { b"\0\0end" } else { &[0; 5] };
            assert_eq!(block_on(zeros.read_at(at, 5)).unwrap(), &expected[..], "{at}");
        }
        assert_eq!(block_on(block_on(reader.file("empty")).unwrap().read_at(0, 9)).unwrap(), "");
    }
}

#[test]
fn only_files_are_opened() {
    let tree = Tree::with(&[("dir/a", b"a")]);
    tree.link("link", "dir/a");
    let reader = open(&archive_bytes(tree.backup()));
    for (path, kind) in [
        ("dir", ErrorKind::InvalidInput),
        ("", ErrorKind::InvalidInput),
        ("link", ErrorKind::InvalidInput),
        ("dir/b", ErrorKind::NotFound),
    ] {
        assert_eq!(block_on(reader.file(path)).unwrap_err().kind(), kind, "{path}");
    }
}

#[test]
fn an_archive_without_an_index_is_not_opened() {
    let bytes = archive_bytes(Tree::with(&[("a", b"a")]).backup());
    let cut = in_memory(&bytes[..bytes.len() - 1]);
    let stream = Archive::stream(futures::io::Cursor::new(bytes));
    for archive in [cut, stream] {
        let error = block_on(ArchiveReader::open(archive)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().ends_with("it has no index to use"), "{error}");
    }
    let missing = block_on(ArchiveReader::open(Archive::file("/no/such"))).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn directories_that_the_index_does_not_have_are_there() {
    let tree = Tree::with(&[("a/b/c", b"c"), ("a/d", b"d"), ("e", b"e")]);
    let bytes = archive_bytes(tree.backup());
    // The directories keep their bytes of the tar stream, as files without content.
    let forged = forge::with_index(&bytes, |index| {
        for entry in index.entries.iter_mut().filter(|entry| entry.kind == 2) {
            entry.kind = 0;
            entry.path.extend(b"-");
        }
        index.entries.sort_by(|a, b| a.path.cmp(&b.path));
    });
    let reader = open(&forged);
    assert_eq!(names(&children(&reader, "")), ["a-", "a", "e"]);
    assert_eq!(names(&children(&reader, "a")), ["a/b-", "a/b", "a/d"]);
    assert_eq!(names(&children(&reader, "a/b")), ["a/b/c"]);
    let dir = block_on(reader.member("a/b")).unwrap().unwrap();
    assert_eq!((dir.kind, dir.mode, dir.mtime_ns), (MemberKind::Directory, 0o555, 0));
}

#[test]
fn names_that_no_file_system_has_are_left_out() {
    let long = "n".repeat(256);
    let hostile = ["../up", "./x", "a//b", "a/../b", "/etc/passwd", "n\0ul", &long, "dir//x"];
    let files: Vec<_> = (0..hostile.len()).map(|n| format!("file-{n}")).collect();
    let tree = Tree::new();
    files.iter().for_each(|name| tree.file(name, "x"));
    tree.file("a/good", "good");
    tree.file("dir/!good", "good");
    tree.file("dir/good", "good");
    let forged = forge::with_index(&archive_bytes(tree.backup()), |index| {
        for (name, path) in files.iter().zip(hostile) {
            let entry = index.entries.iter_mut().find(|entry| entry.path == name.as_bytes());
            entry.unwrap().path = path.into();
        }
        let key = |entry: &forge::Entry| {
            let slash = if entry.kind == 2 { &b"/"[..] } else { b"" };
            [&entry.path[..], slash].concat()
        };
        index.entries.sort_by_key(key);
    });
    let reader = open(&forged);
    assert_eq!(names(&children(&reader, "")), ["a", "dir"]);
    assert_eq!(names(&children(&reader, "a")), ["a/good"]);
    assert_eq!(names(&children(&reader, "dir")), ["dir/!good", "dir/good"]);
}

#[test]
fn damage_is_an_error_of_its_bytes_only() {
    let content = noise(6 << 20);
    let tree = Tree::with(&[("a", &content), ("b", b"b")]);
    let mut bytes = archive_bytes(tree.backup());
    bytes[3 << 20] ^= 1;
    let reader = open(&bytes);
    let file = block_on(reader.file("a")).unwrap();
    assert!(block_on(file.read_at(0, 1 << 20)).unwrap() == content[..1 << 20]);
    let error = block_on(file.read_at(0, content.len())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(block_on(file.read_at(5 << 20, 1 << 20)).unwrap() == content[5 << 20..]);
    assert_eq!(block_on(block_on(reader.file("b")).unwrap().read_at(0, 9)).unwrap(), "b");
}

#[test]
fn the_thread_ends_after_the_last_file_was_dropped() {
    let bytes = archive_bytes(Tree::with(&[("a", b"a")]).backup());
    let reader = open(&bytes);
    let file = block_on(reader.file("a")).unwrap();
    // A request that nobody waits for.
    drop(file.read_at(0, 1));
    let mut request = file.read_at(0, 1);
    assert!(futures::FutureExt::now_or_never(&mut request).is_none_or(|read| read.is_ok()));
    drop(request);
    drop(reader);
    assert_eq!(block_on(file.read_at(0, 1)).unwrap(), "a");
    drop(file);
    support::wait_until("the end of the thread", || support::engine_threads() == 0);
}

#[test]
fn reads_wait_for_the_limit_until_the_reader_is_dropped() {
    let (_tree, bytes) = archive();
    let limit = Limiter::new(0);
    let archive = in_memory(&bytes).read_limit(limit.clone());
    let reader = block_on(ArchiveReader::open(archive)).unwrap();
    let file = block_on(reader.file("world/noise")).unwrap();
    limit.set_rate(2 << 20);
    let start = Instant::now();
    assert_eq!(block_on(file.read_at(0, 5000)).unwrap().len(), 5000);
    assert!(start.elapsed() > Duration::from_millis(200), "{:?}", start.elapsed());
    limit.set_rate(1);
    let mut waiting = file.read_at(5 << 20, 1);
    assert!(futures::FutureExt::now_or_never(&mut waiting).is_none());
    drop((waiting, file, reader));
    support::wait_until("the end of the threads", || support::engine_threads() == 0);
}

#[test]
fn requests_of_several_threads_are_answered() {
    let (tree, bytes) = archive();
    let content = fs::read(tree.root.join("world/noise")).unwrap();
    let reader = open(&bytes);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (reader, content) = (reader.clone(), &content);
            scope.spawn(move || {
                let file = block_on(reader.file("world/noise")).unwrap();
                for at in (number * 1000..content.len()).step_by(1 << 20) {
                    let read = block_on(file.read_at(at as u64, 5000)).unwrap();
                    assert!(read == content[at..content.len().min(at + 5000)]);
                    let dir = format!("players/{number}");
                    assert_eq!(block_on(reader.children(dir, None)).unwrap().len(), 512);
                }
            });
        }
    });
}
