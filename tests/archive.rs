//! Archives conform to docs/format.md for any tree, level and number of threads.

mod support;

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use support::{Tree, archive, bytes, format::Entry, left_out, noise, text};
use wingback::{Level, Profile};

/// Files of every kind: small, larger than a segment, a region; symlinks and empty directories.
fn everything() -> Tree {
    let tree = Tree::with(&[("a/b", b"b"), ("a-b", b"-"), ("a.b", b"."), ("empty", b"")]);
    tree.file("logs/latest.log", text(3_000_000));
    tree.file("world.db", [text(100_000), noise(100_000)].concat());
    tree.file("exact.bin", noise(1 << 20));
    tree.file("world/r.0.0.mca", region());
    for i in 0..300 {
        tree.file(format!("small/{i}.json"), text(i * 37));
    }
    fs::create_dir_all(tree.root.join("void/deeper")).unwrap();
    tree.link("void/link", "../somewhere");
    tree
}

/// A Minecraft region: tables, then chunks padded with zeros or old data, one of them torn.
fn region() -> Vec<u8> {
    let mut region = text(8192);
    for (payload, filling) in [(5000, 0), (9000, 0), (300, 0), (3000, 7), (12_000, 0)] {
        let mut chunk = (payload as u32 + 3).to_be_bytes().to_vec();
        chunk.extend([2, 0x78, 0x9c]);
        chunk.extend(noise(payload));
        chunk.resize(chunk.len().next_multiple_of(4096), filling);
        region.extend(chunk.repeat(5));
    }
    region.truncate(region.len() - 1000);
    region
}

#[test]
fn every_kind_of_entry_is_stored_at_every_level() {
    let tree = everything();
    for level in [Level::None, Level::Fast, Level::Best] {
        let (report, archive) = archive(tree.backup().level(level));
        assert_eq!(report.files, 308);
        assert_eq!(report.directories, 6);
        assert_eq!(report.symlinks, 1);
        assert_eq!(
            report.content,
            archive.entries.iter().map(|e| e.content.len() as u64).sum::<u64>()
        );
        for entry in &archive.entries {
            let path = tree.root.join(String::from_utf8(entry.path.clone()).unwrap());
            match entry.kind {
                0 => assert!(fs::read(path).unwrap() == entry.content),
                1 => assert_eq!(entry.target, b"../somewhere"),
                _ => assert!(path.is_dir()),
            }
        }
    }
}

#[test]
fn the_report_has_the_sha1_of_the_archive() {
    use sha1::Digest;
    let (report, bytes) = bytes(everything().backup()).unwrap();
    assert_eq!(report.sha1.0[..], sha1::Sha1::digest(&bytes)[..]);
    assert_eq!(report.sha1.to_string().len(), 40);
}

#[test]
fn directories_are_sorted_with_a_trailing_slash() {
    let (_, archive) = archive(Tree::with(&[("a/b", b""), ("a-b", b""), ("a.b", b"")]).backup());
    assert_eq!(archive.paths(), ["a-b", "a.b", "a", "a/b"]);
}

#[test]
fn profile_wings_stores_files_in_the_tar_and_the_rest_in_the_index() {
    let tree = everything();
    let (full, wings) =
        (archive(tree.backup()).1, archive(tree.backup().profile(Profile::Wings)).1);
    assert!(wings.entries.iter().all(|e| e.kind == 0));
    assert_eq!(wings.flags >> 16, 1);
    let links = |archive: &support::format::Archive| {
        let rest = archive.entries.iter().filter(|e| e.kind > 0);
        rest.map(|e| (e.path.clone(), e.target.clone())).collect::<Vec<_>>()
    };
    let unlisted: Vec<_> =
        wings.unlisted.iter().map(|u| (u.path.clone(), u.target.clone())).collect();
    assert_eq!(unlisted, links(&full));
}

#[test]
fn the_number_of_threads_does_not_change_the_bytes() {
    let tree = everything();
    let (_, one) = bytes(tree.backup().threads(1)).unwrap();
    for threads in [2, 3, 8] {
        let (_, many) = bytes(tree.backup().threads(threads)).unwrap();
        assert!(one == many, "{threads} threads");
    }
}

#[test]
fn a_reproducible_archive_of_a_copied_tree_is_identical() {
    let tree = everything();
    let copy = tree.tmp.path().join("copy");
    let cp = std::process::Command::new("cp").arg("-a").arg(&tree.root).arg(&copy).status();
    assert!(cp.unwrap().success());
    let copied = || wingback::Backup::new(&copy);
    let bytes = |backup| bytes(backup).unwrap().1;
    assert!(bytes(tree.backup().reproducible(true)) == bytes(copied().reproducible(true)));
    assert!(bytes(tree.backup()) != bytes(copied()), "ctimes and inodes differ");
}

/// Collects the entries below `dir` from the file system, in archive order.
fn on_disk(root: &Path, dir: &Path, found: &mut Vec<Entry>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = if meta.is_dir() { 2 } else { u8::from(meta.is_symlink()) };
        let target = |path: &Path| fs::read_link(path).unwrap().into_os_string().into_vec();
        found.push(Entry {
            path: path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(),
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid().into(),
            gid: meta.gid().into(),
            mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
            ctime_ns: meta.ctime() * 1_000_000_000 + meta.ctime_nsec(),
            inode: meta.ino(),
            is_changed: false,
            is_recent: kind == 0,
            content: if kind == 0 { fs::read(&path).unwrap() } else { Vec::new() },
            target: if kind == 1 { target(&path) } else { Vec::new() },
        });
        if kind == 2 {
            on_disk(root, &path, found);
        }
    }
    let order = |e: &Entry| [&e.path[..], if e.kind == 2 { b"/" } else { b"" }].concat();
    found.sort_by_key(order);
}

/// Creates a random tree without name collisions.
fn random_tree(rng: &mut fastrand::Rng) -> Tree {
    let tree = Tree::new();
    let times = [0, 1, 999_999_999, 1_500_000_000, 1_700_000_000_123_456_789];
    for i in 0..rng.usize(..40) {
        let depth = rng.usize(..4);
        let parts: Vec<_> = (0..depth).map(|_| "abc-._".repeat(rng.usize(1..20))).collect();
        let dir = tree.root.join(parts.join("/"));
        fs::create_dir_all(&dir).unwrap();
        let extension = ["", ".mca", ".db", ".log"][rng.usize(..4)];
        let path = dir.join(format!("{}{i}{extension}", ["", "a-", "a."][rng.usize(..3)]));
        match rng.u8(..8) {
            0 => symlink("x\u{e9}".repeat(rng.usize(1..200)), &path).unwrap(),
            1 => fs::create_dir(&path).unwrap(),
            _ => {
                let size = [0, 511, 512, 513, 5000, 131_072, 1_200_000][rng.usize(..7)];
                fs::write(&path, if rng.bool() { noise(size) } else { text(size) }).unwrap();
                let since = Duration::from_nanos(times[rng.usize(..5)]);
                let time = if rng.bool() { UNIX_EPOCH + since } else { UNIX_EPOCH - since };
                File::open(&path).unwrap().set_modified(time).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(rng.u32(..0o10000))).unwrap();
            }
        }
    }
    tree
}

#[test]
fn random_trees_are_stored_with_all_their_attributes() {
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..25 {
        let tree = random_tree(&mut rng);
        let mut expected = Vec::new();
        on_disk(&tree.root, &tree.root, &mut expected);
        let backup = tree.backup().threads(rng.usize(1..4)).allow_empty(true);
        let (report, full) = archive(backup.clone());
        assert!(report.skipped.is_empty() && report.changed.is_empty());
        for (entry, expected) in full.entries.iter().zip(&expected) {
            // Compared one by one, because a difference of both lists would print megabytes.
            assert!(entry == expected, "{}", expected.path.escape_ascii());
        }
        assert_eq!(full.entries.len(), expected.len());

        let (_, wings) = archive(backup.profile(Profile::Wings));
        let (files, rest): (Vec<_>, Vec<_>) = expected.into_iter().partition(|e| e.kind == 0);
        assert!(wings.entries == files);
        assert_eq!(wings.unlisted.len(), rest.len());
        for (found, Entry { path, kind, mode, mtime_ns, target, .. }) in
            wings.unlisted.into_iter().zip(rest)
        {
            let found = (found.path, found.kind, found.mode, found.mtime_ns, found.target);
            assert_eq!(found, (path, kind, mode.into(), mtime_ns, target));
        }
    }
}

#[test]
fn a_reproducible_archive_has_no_machine_specific_fields() {
    let (_, archive) = archive(everything().backup().reproducible(true));
    assert!(archive.entries.iter().all(|e| (e.ctime_ns, e.inode) == (0, 0)));
    assert!(archive.entries.iter().all(|e| !e.is_changed && !e.is_recent));
}

#[test]
fn files_whose_ctime_is_old_are_not_marked_as_recent() {
    // A ctime cannot be set, so this needs files that are old.
    let old = Path::new("/etc");
    let backup = wingback::Backup::new(old).one_file_system(true).exclude("*\n!*.conf");
    let border = SystemTime::now() - Duration::from_secs(120);
    let border = border.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let (_, archive) = archive(backup);
    let files = archive.entries.iter().filter(|e| e.kind == 0 && e.ctime_ns < border);
    let flags: Vec<_> = files.map(|e| e.is_changed || e.is_recent).collect();
    if flags.is_empty() {
        left_out("files whose ctime is old: no file in /etc is");
    }
    assert_eq!(flags, vec![false; flags.len()]);
}

#[test]
fn an_empty_directory_gives_a_valid_archive() {
    let (report, archive) = archive(Tree::new().backup().allow_empty(true));
    assert_eq!((report.files, archive.entries.len()), (0, 0));
}

#[test]
fn the_test_reader_notices_every_changed_byte() {
    let tree = Tree::with(&[("a", b"content"), ("dir/b", &text(300))]);
    tree.link("link", "target");
    let (_, mut bytes) = bytes(tree.backup()).unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        let read = std::panic::catch_unwind(|| support::format::read(&bytes));
        assert!(read.is_err(), "byte {at} of {}", bytes.len());
        bytes[at] ^= 1 << (at % 8);
    }
    support::format::read(&bytes);
}

/// The places of the padding follow from the content, so most blocks of the next archive are the same.
#[test]
fn aligned_archives_of_a_changed_tree_share_most_blocks() {
    let tree = Tree::with(&[("a", &noise(9 << 20)), ("z", &noise(7 << 20))]);
    (0..400).for_each(|i| tree.file(format!("m/{i}"), text(20_000)));
    let blocks = |align: bool| {
        let (_, bytes) = bytes(tree.backup().align(align)).unwrap();
        support::format::read(&bytes);
        bytes.chunks_exact(4096).map(<[u8]>::to_vec).collect::<std::collections::HashSet<_>>()
    };
    let before = [false, true].map(blocks);
    tree.file("b", text(50_000));
    tree.file("m/200", noise(30_000));
    let after = [false, true].map(blocks);
    let shared = [0, 1].map(|i| before[i].intersection(&after[i]).count() * 100 / after[i].len());
    assert!(shared[0] < 65 && shared[1] > 80, "shared blocks in percent: {shared:?}");
}
