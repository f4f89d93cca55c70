//! Archives conform to docs/format.md, by a checker that was written from that document alone:
//! `tests/check_format.py`.

mod support;

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Output},
};

use futures::executor::block_on;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use support::{
    Tree, archive_bytes,
    forge::{self, Index},
    key, noise, text,
};
use wingback::{Backup, Level, LocalStore, Previous, Profile};

const CHECKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_format.py");

fn check(archives: &[&Path]) -> Output {
    Command::new("python3").arg(CHECKER).args(archives).output().expect("python3 is installed")
}

/// Checks an archive of `tree` for each of several sets of options. Returns the number of its pages.
fn conforms(tree: &Tree) -> u64 {
    type Options = fn(Backup) -> Backup;
    let options: [Options; 7] = [
        |backup| backup.exclude("*.tmp\nlogs/**").label("a label").tag("key", "value=more"),
        |backup| backup.profile(Profile::Wings),
        |backup| backup.level(Level::None),
        |backup| backup.align(true),
        |backup| backup.level(Level::Best),
        |backup| backup.reproducible(true),
        |backup| backup.reproducible(true).profile(Profile::Wings).threads(1),
    ];
    let dir = tempfile::tempdir().unwrap();
    let paths = options.iter().enumerate().map(|(i, set)| {
        let path = dir.path().join(i.to_string());
        fs::write(&path, archive_bytes(set(tree.backup().allow_empty(true)))).unwrap();
        path
    });
    let paths: Vec<_> = paths.collect();
    let Output { status, stdout, stderr } =
        check(&paths.iter().map(|path| &**path).collect::<Vec<_>>());
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(stdout.lines().count(), options.len());
    let (_, pages) = stdout.split_once("\"pages\": ").unwrap();
    pages.split_once(',').unwrap().0.parse().unwrap()
}

/// A few entries of every kind.
fn small() -> Tree {
    let tree = Tree::with(&[("a/b", b"b"), ("a-b", b"-"), ("a.b", b"."), ("empty", b"")]);
    tree.file("large.bin", text((2 << 20) + 1000));
    tree.file("exact.bin", text(1 << 20));
    tree.file("world/r.0.0.mca", text(300_000));
    tree.file("world/r.0.1.mca", text(128 << 10));
    tree.file("players.db", text(200_000));
    tree.file(OsStr::from_bytes(b"not-\xff\xfe-utf-8"), b"x");
    tree.file(OsStr::from_bytes(b"d\xc0/\xe9"), b"y");
    fs::create_dir_all(tree.root.join("void/deeper")).unwrap();
    fs::hard_link(tree.root.join("a/b"), tree.root.join("z")).unwrap();
    fs::hard_link(tree.root.join("a/b"), tree.root.join("void/again")).unwrap();
    tree.link("void/link", "../somewhere");
    tree.link("long", &"t".repeat(1000));
    for len in [99, 100, 101, 155, 156, 200] {
        tree.file(format!("{}/{}", "p".repeat(len), "n".repeat(99)), b"in two parts or not");
        tree.file("n".repeat(len), b"");
    }
    tree
}

#[test]
fn a_small_tree_and_an_empty_one_conform() {
    assert_eq!(conforms(&small()), 1);
    assert_eq!(conforms(&Tree::new()), 1);
}

#[test]
fn the_pages_of_five_thousand_small_files_conform() {
    let tree = Tree::new();
    for i in 0..5_000 {
        tree.file(format!("{}/{}/player-{i}.json", i / 1000, i / 50 % 20), text(i % 700));
    }
    assert!(conforms(&tree) >= 2);
}

/// Each path fills a sixteenth of a page, so files with several segments begin and end everywhere in a page.
#[test]
fn large_files_over_page_borders_and_long_paths_conform() {
    let tree = Tree::new();
    for i in 0..80 {
        let root = openat(CWD, &tree.root, OFlags::PATH, Mode::empty()).unwrap();
        let dir = (0..16).fold(root, |dir, depth| {
            let name = format!("{i:03}-{depth:02}-{}", "x".repeat(240));
            mkdirat(&dir, &name, Mode::RWXU).unwrap();
            openat(&dir, &name, OFlags::RDONLY, Mode::empty()).unwrap()
        });
        // Its descriptor stands for a path that is too long for one call.
        let name = if i % 3 == 0 { "small.txt" } else { "region.mca" };
        let file = Path::new("/proc/self/fd").join(fd_of(&dir)).join(name);
        fs::write(file, text(if i % 3 == 0 { 1000 } else { 150_000 + i * 1000 })).unwrap();
    }
    assert!(conforms(&tree) > 4);
}

fn fd_of(dir: &impl std::os::fd::AsRawFd) -> String {
    dir.as_raw_fd().to_string()
}

#[test]
fn an_archive_with_segments_of_the_one_before_conforms() {
    let tree = small();
    let store = LocalStore::new(tree.tmp.path());
    let first = tree.tmp.path().join("first.tar.gz");
    fs::write(&first, archive_bytes(tree.backup())).unwrap();
    tree.file("a-b", b"another length");
    tree.file("new.bin", noise(70_000));
    let backup = tree.backup().previous(Previous::File(first));
    let report = block_on(backup.start(store.clone(), key())).unwrap();
    assert!(report.copied > 0, "{report:?}");
    let output = check(&[&store.path(&key())]);
    assert!(output.status.success(), "{output:?}");
}

/// Each byte of an archive belongs to something that the checker checks.
#[test]
fn damage_is_found_everywhere() {
    let tree = Tree::with(&[("a", b"a"), ("b/c", b"c")]);
    let bytes = archive_bytes(tree.backup().exclude("*.tmp"));
    let mut damaged = vec![bytes[..bytes.len() - 1].to_vec(), [&bytes[..], b"x"].concat()];
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        damaged.push(bytes.clone());
        damaged.last_mut().unwrap()[at] ^= 1;
    }
    for (i, bytes) in damaged.iter().enumerate() {
        refused(&tree, bytes, &format!("damage {i}"));
    }
}

fn refused(tree: &Tree, bytes: &[u8], what: &str) -> String {
    let path = tree.tmp.path().join("damaged.tar.gz");
    fs::write(&path, bytes).unwrap();
    let output = check(&[&path]);
    let reason = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{what}");
    assert!(reason.contains("damaged.tar.gz: "), "{what}: {reason}");
    reason
}

/// Indexes with right hashes that do not conform, and a word of the reason.
#[test]
fn an_index_that_does_not_fit_to_its_archive_is_refused() {
    let tree = small();
    let bytes = archive_bytes(tree.backup());
    type Forge = fn(&mut Index);
    let forgeries: [(&str, Forge); 13] = [
        ("order", |index| index.entries.swap(0, 1)),
        ("called", |index| index.entries[0].path = b"a,".to_vec()),
        ("mtime", |index| index.entries[0].mtime_ns += 1_000_000_000),
        ("mode", |index| index.entries[0].mode ^= 1),
        ("uid", |index| index.entries[0].uid += 1),
        ("wrong path", |index| index.entries[0].path = b"../a".to_vec()),
        ("cover", |index| index.entries[0].header_len += 512),
        ("hard link", |index| index.entries[0].target = b"nowhere".to_vec()),
        ("key", |index| index.segments[0].key[0] ^= 1),
        ("CRC in the file", |index| index.segments[0].compressed_crc32 ^= 1),
        ("raw bytes", |index| index.segments[0].raw_crc32 ^= 1),
        ("field 8", |index| field(index, 8)[0] ^= 1),
        ("field 1 has", |index| field(index, 1).resize(256, b'x')),
    ];
    for (word, change) in forgeries {
        let reason = refused(&tree, &forge::with_any_index(&bytes, change), word);
        assert!(reason.contains(word), "{word}: {reason}");
    }
    let whole = forge::with_any_index(&bytes, |_| ());
    let path = tree.tmp.path().join("whole.tar.gz");
    fs::write(&path, whole).unwrap();
    let output = check(&[&path]);
    assert!(output.status.success(), "the forger is at fault: {output:?}");
}

fn field(index: &mut Index, tag: u64) -> &mut Vec<u8> {
    &mut index.fields.iter_mut().find(|(found, _)| *found == tag).expect("the field").1
}

/// The example is an archive that conforms, so its bytes and those that the page shows as raw bytes are right.
#[test]
fn the_annotated_archive_conforms_and_its_raw_bytes_are_those_of_its_blobs() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format-example.md");
    let dumps = dumps(&fs::read_to_string(page).unwrap());
    let (file, shown) = dumps.split_first().expect("the file");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("example.tar.gz");
    fs::write(&path, file).unwrap();
    let output = check(&[&path]);
    assert!(output.status.success(), "{output:?}");
    let archive = support::format::read(file);
    assert_eq!(archive.paths(), ["a.txt", "d", "d/b.txt"]);
    assert_eq!(archive.get("a.txt").content, b"hello\n");

    // Each blob has one member: its page, its patterns, and its root.
    let data_end = u64::from_le_bytes(file[file.len() - 96..][..8].try_into().unwrap());
    let mut at = data_end as usize + 10;
    for shown in shown {
        let len = usize::from(u16::from_le_bytes([file[at + 14], file[at + 15]]));
        let mut raw = Vec::new();
        flate2::read::DeflateDecoder::new(&file[at + 16..][..len]).read_to_end(&mut raw).unwrap();
        assert_eq!(raw, *shown, "the blob at {at}");
        at += len + 26;
    }
    assert_eq!(at, file.len() - 128, "the page shows all blobs");
}

/// Returns the bytes of each listing: lines with the offset, at most 16 bytes, and their meaning.
fn dumps(page: &str) -> Vec<Vec<u8>> {
    let listings = page.split("```").skip(1).step_by(2).map(|listing| {
        listing.lines().skip(1).fold(Vec::new(), |mut bytes, line| {
            let (at, hex) = (&line[..4], line[6..].get(..47).unwrap_or(&line[6..]));
            assert_eq!(usize::from_str_radix(at, 16), Ok(bytes.len()), "{line}");
            bytes.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
            bytes
        })
    });
    listings.collect()
}
