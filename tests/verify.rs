//! Verifying whole archives, and small ones with every possible damage.

mod support;

use std::collections::BTreeMap;

use futures::{AsyncReadExt, TryStreamExt, executor::block_on, io::Cursor};
use sha1::Digest;
use support::{Tree, archive_bytes, in_memory, left_out::cases};
use wingback::{
    Archive, Entries, ErrorKind, Level, List, MemberKind, NoIndex, Profile, ReadMethod, Sha1,
    Verified, Verify,
};

/// Files in every kind of segment: groups, a region, a large file.
fn tree() -> Tree {
    let tree = Tree::with(&[
        ("a/one.txt", b"one"),
        ("a/two.txt", b"two"),
        ("empty", b""),
        ("region/r.0.0.mca", &support::text(200_000)),
        ("server.jar", &support::text(1_300_000)),
        ("z", &support::text(3000)),
    ]);
    tree.link("link", "a/one.txt");
    tree
}

fn verify(bytes: &[u8]) -> Verified {
    block_on(Verify::new().threads(2).start(in_memory(bytes))).unwrap()
}

/// All files that can be read completely before an error, and whether there was none.
fn contents(archive: Archive<'_>) -> (BTreeMap<Vec<u8>, Vec<u8>>, bool) {
    block_on(async {
        let mut entries = Entries::open(archive);
        let mut files = BTreeMap::new();
        loop {
            match entries.try_next().await {
                Ok(None) => return (files, true),
                Err(_) => return (files, false),
                Ok(Some(member)) => {
                    let mut content = Vec::new();
                    if entries.read_to_end(&mut content).await.is_err() {
                        return (files, false);
                    }
                    if member.kind == MemberKind::File {
                        assert_eq!(content.len() as u64, member.size);
                        files.insert(member.path, content);
                    }
                }
            }
        }
    })
}

fn sources(tree: &Tree) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let paths = ["a/one.txt", "a/two.txt", "empty", "region/r.0.0.mca", "server.jar", "z"];
    let read = |path: &str| std::fs::read(tree.root.join(path)).unwrap();
    paths.map(|path| (path.as_bytes().to_vec(), read(path))).into()
}

#[test]
fn a_whole_archive_is_whole_by_every_read_method() {
    let tree = tree();
    for level in [Level::None, Level::Fast, Level::Best] {
        for profile in [Profile::Full, Profile::Wings] {
            let bytes = archive_bytes(tree.backup().level(level).profile(profile));
            let sha1 = Sha1(sha1::Sha1::digest(&bytes).into());
            let by_index = Verify::new().sha1(sha1).start(in_memory(&bytes));
            let by_index = block_on(by_index).unwrap();
            assert!(
                by_index.is_whole() && by_index.read_method == ReadMethod::Indexed,
                "{:?}",
                by_index.damage
            );
            assert_eq!((by_index.files, by_index.sha1), (6, Some(sha1)));
            assert!(by_index.segments > 4 && by_index.whole_files.is_empty());
            let stream = Verify::new().sha1(sha1).start(Archive::stream(Cursor::new(&bytes)));
            let stream = block_on(stream).unwrap();
            assert!(
                stream.is_whole() && stream.read_method == ReadMethod::Sequential(NoIndex::Stream)
            );
            assert_eq!((stream.files, stream.sha1), (6, Some(sha1)));
            for archive in [in_memory(&bytes), Archive::stream(Cursor::new(&bytes))] {
                assert_eq!(contents(archive), (sources(&tree), true), "{level:?} {profile:?}");
            }
        }
    }
}

#[test]
fn a_wrong_sha1_is_reported() {
    let bytes = archive_bytes(tree().backup());
    for archive in [in_memory(&bytes), Archive::stream(Cursor::new(&bytes))] {
        let verified = block_on(Verify::new().sha1(Sha1([7; 20])).start(archive)).unwrap();
        assert!(!verified.is_whole() && verified.damage.is_empty());
        assert_eq!(verified.sha1_matches, Some(false));
    }
}

/// Every changed byte is found, and the content that is still returned is right.
#[test]
fn every_flipped_byte_is_found_and_affects_at_most_its_segment() {
    let tree =
        Tree::with(&[("a", b"content of a"), ("b.mca", &support::noise(140_000)), ("c", b"x")]);
    let bytes = archive_bytes(tree.backup().exclude("*.tmp"));
    let index = support::forge::locate(&bytes);
    let whole = sources_of(&tree, &["a", "b.mca", "c"]);
    // Every byte of the structure (every third one in `make test`), and a sample of the file content.
    let structure = cases(3, 1);
    let step = |at: usize| if (600..index.data_end - 600).contains(&at) { 97 } else { structure };
    let mut at = 0;
    while at < bytes.len() {
        let mut hurt = bytes.clone();
        hurt[at] ^= 1 << (at % 8);
        let verified = verify(&hurt);
        assert!(!verified.is_whole(), "byte {at} of {}", bytes.len());
        let lost: Vec<_> = verified.damage.iter().flat_map(|d| &d.members).collect();
        if verified.read_method == ReadMethod::Indexed && at < index.data_end {
            let hit = index.entries_of_segment_at(at);
            assert!(lost.iter().all(|path| hit.contains(path)), "byte {at}: {lost:?}");
            for path in whole.keys() {
                assert!(lost.contains(&path) != verified.whole_files.contains(path), "byte {at}");
            }
        } else if at >= index.data_end {
            assert_eq!(lost, Vec::<&Vec<u8>>::new(), "byte {at}: no file is damaged");
        }
        let (read, _) = contents(in_memory(&hurt));
        if verified.read_method == ReadMethod::Indexed {
            assert!(read.iter().all(|(path, content)| whole[path] == *content), "byte {at}");
        }
        at += step(at);
    }
}

fn sources_of(tree: &Tree, paths: &[&str]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let read = |path: &&str| std::fs::read(tree.root.join(path)).unwrap();
    paths.iter().map(|path| (path.as_bytes().to_vec(), read(path))).collect()
}

#[test]
fn every_truncation_is_found_and_affects_no_file_before_it() {
    let tree = Tree::with(&[("a", b"content of a"), ("b", &support::text(2000)), ("c", b"x")]);
    let bytes = archive_bytes(tree.backup());
    let data_end = support::forge::locate(&bytes).data_end + 10;
    let whole = sources_of(&tree, &["a", "b", "c"]);
    let mut seen = 0;
    for len in (0..bytes.len()).step_by(cases(3, 1)) {
        let cut = &bytes[..len];
        let verified = verify(cut);
        let (read, is_well) = contents(in_memory(cut));
        assert!(read.iter().all(|(path, content)| whole[path] == *content), "{len}");
        assert!(read.len() >= seen, "{len}: a file less than with a byte less");
        seen = read.len();
        if len < data_end {
            assert!(!verified.is_whole() && !is_well, "{len} of {}", bytes.len());
        } else {
            // Only the index is missing. Without any byte of it the archive is an ordinary one.
            assert!(read == whole, "{len}");
            assert_eq!(verified.is_whole(), len == data_end, "{len}");
        }
    }
    assert_eq!(seen, 3);
}

/// A forged index: its hash is right, its content is not.
#[test]
fn a_forged_index_is_not_trusted() {
    let tree = Tree::with(&[("a", b"content of a"), ("b", b"content of b"), ("c", b"x")]);
    let bytes = archive_bytes(tree.backup());
    let whole = sources_of(&tree, &["a", "b", "c"]);
    type Forge = fn(&mut support::forge::Index);
    let forgeries: [(&str, Forge); 9] = [
        ("paths swapped", |index| {
            let path = std::mem::replace(&mut index.entries[0].path, b"b".to_vec());
            index.entries[1].path = path;
        }),
        ("a path outside", |index| index.entries[0].path = b"../a".to_vec()),
        ("a size", |index| {
            index.entries[0].size -= 1;
        }),
        ("a mode", |index| index.entries[0].mode ^= 0o111),
        ("a time", |index| index.entries[0].mtime_ns += 5_000_000_000),
        ("two entries as one", |index| {
            let second = index.entries.remove(1);
            index.entries[0].size += second.tar_len();
        }),
        ("headers that are longer", |index| {
            index.entries[0].header_len += 512;
            index.entries[0].size = 0;
        }),
        ("nothing", |index| {
            let len = index.entries.iter().map(support::forge::Entry::tar_len).sum::<u64>();
            index.entries.truncate(1);
            index.entries[0].size = len - 512;
        }),
        ("a segment's key", |index| index.segments[0].key[0] ^= 1),
    ];
    for (what, forge) in forgeries {
        let forged = support::forge::with_any_index(&bytes, forge);
        let verified = verify(&forged);
        assert!(!verified.is_whole(), "{what}");
        let (read, is_well) = contents(in_memory(&forged));
        assert!(read == whole && is_well, "{what}: {:?}", read.keys());
        for (path, content) in &whole {
            let mut out = Vec::new();
            let copied = block_on(in_memory(&forged).copy_file(path.clone(), &mut out));
            match copied {
                Ok(_) => assert_eq!(out, *content, "{what}"),
                Err(e) => assert!(out.is_empty(), "{what}: {e}"),
            }
        }
    }
}

/// A wrong index and a damaged segment: everything that can be determined is reported.
#[test]
fn verify_reports_damage_in_an_archive_with_a_forged_index() {
    let files: [(&str, &[u8]); 2] = [("a", b"content of a"), ("b.mca", &support::noise(140_000))];
    let tree = Tree::with(&files);
    let bytes = archive_bytes(tree.backup());
    let mut forged = support::forge::with_index(&bytes, |index| index.entries[0].mode ^= 0o111);
    forged[100_000] ^= 1;
    let verified = verify(&forged);
    assert!(!verified.is_whole());
    assert!(verified.damage.iter().any(|damage| damage.truncates_rest), "{:?}", verified.damage);
}

#[test]
fn verify_rejects_data_that_is_not_an_archive() {
    for bytes in [&b""[..], b"x", b"hello, world, this is no archive", &[0; 1024], &[0x1f, 0x8b]] {
        let verified = verify(bytes);
        assert!(!verified.is_whole() && verified.files == 0, "{bytes:?}");
        let error = block_on(List::new().start(in_memory(bytes))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    let missing = Archive::in_store(wingback::MemoryStore::new(), support::key());
    let error = block_on(List::new().start(missing)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = block_on(List::new().start(Archive::file("/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}
