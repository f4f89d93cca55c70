//! Extracting all or some members, and salvaging a damaged archive.

mod support;

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use futures::{executor::block_on, io::Cursor};
use sha1::Digest;
use support::{Tree, archive_bytes, gzip, in_memory, noise, text};
use wingback::{
    Archive, ErrorKind, Extract, Extracted, NoIndex, Profile, ReadMethod, Result, Sha1,
    UnpackOptions, Unpacked,
};

/// A target directory, removed on drop.
struct Target(tempfile::TempDir);

impl Target {
    fn new() -> Self {
        Target(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("target")
    }

    /// All paths in it, sorted; directories end with `/`.
    fn paths(&self) -> Vec<String> {
        fn walk(dir: &Path, root: &Path, paths: &mut Vec<String>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
                let is_dir = entry.file_type().unwrap().is_dir();
                let slash = if is_dir { "/" } else { "" };
                paths.push(format!("{}{slash}", name.escape_ascii()));
                if is_dir {
                    walk(&path, root, paths);
                }
            }
        }
        let mut paths = Vec::new();
        walk(&self.dir(), &self.dir(), &mut paths);
        paths.sort();
        paths
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir().join(path)).unwrap()
    }
}

fn extract(
    bytes: &[u8],
    target: &Target,
    change: impl FnOnce(Extract) -> Extract,
) -> Result<Extracted> {
    block_on(change(Extract::new(target.dir())).start(in_memory(bytes)))
}

fn tree() -> Tree {
    let tree = Tree::with(&[
        ("logs/latest.log", &text(5000)),
        ("server.jar", &text(2_500_000)),
        ("world/region/r.0.0.mca", &noise(300_000)),
        ("world/level.dat", b"level"),
    ]);
    fs::create_dir(tree.root.join("empty")).unwrap();
    tree.link("world/link", "../nowhere");
    tree
}

const ALL: [&str; 9] = [
    "empty/",
    "logs/",
    "logs/latest.log",
    "server.jar",
    "world/",
    "world/level.dat",
    "world/link",
    "world/region/",
    "world/region/r.0.0.mca",
];

#[test]
fn extract_gives_the_same_tree_by_every_read_method() {
    let tree = tree();
    for profile in [Profile::Full, Profile::Wings] {
        let bytes = archive_bytes(tree.backup().profile(profile));
        let stream = || Archive::stream(Cursor::new(bytes.clone()));
        let ways = [
            (in_memory(&bytes), ReadMethod::Indexed),
            (stream(), ReadMethod::Sequential(NoIndex::Stream)),
        ];
        for (archive, way) in ways {
            let target = Target::new();
            let done = block_on(Extract::new(target.dir()).start(archive)).unwrap();
            assert_eq!((done.read_method, target.paths()), (way, ALL.map(String::from).to_vec()));
            let counts = &done.unpacked;
            assert_eq!((counts.files, counts.directories, counts.symlinks), (4, 4, 1));
            for path in ["logs/latest.log", "server.jar", "world/region/r.0.0.mca"] {
                assert!(target.read(path) == fs::read(tree.root.join(path)).unwrap(), "{path}");
            }
            let link = fs::read_link(target.dir().join("world/link")).unwrap();
            assert_eq!(link, Path::new("../nowhere"));
        }
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_an_error_before_anything_is_written() {
    let bytes = archive_bytes(tree().backup());
    for (select, named) in [
        (&["logs", "serve.jar"][..], &["serve.jar"][..]),
        (&["*.mcb", "world", "wrold/level.dat"], &["*.mcb", "wrold/level.dat"]),
        (&["/"], &["/"]),
    ] {
        for (overwrite, salvage) in [(false, false), (true, false), (true, true)] {
            let target = Target::new();
            let change = |e: Extract| {
                let e = e.overwrite(overwrite).salvage(salvage);
                select.iter().fold(e, |e, pattern| e.select(pattern))
            };
            let error = extract(&bytes, &target, change).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            let named: Vec<_> = named.iter().map(|pattern| format!("{pattern:?}")).collect();
            let why = format!("nothing in the archive matches {}", named.join(", "));
            assert!(error.to_string().ends_with(&why), "{error}");
            assert!(!target.dir().exists(), "the target is not created");
            // Without an index, missing members are known only at the end of the archive.
            let stream = Archive::stream(Cursor::new(&bytes));
            let done = block_on(change(Extract::new(target.dir())).start(stream));
            match done {
                Ok(done) => {
                    assert!(salvage, "{select:?}");
                    assert_eq!(done.unmatched.len(), named.len());
                }
                Err(error) => {
                    assert!(!salvage && error.to_string().ends_with(&why), "{error}");
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                }
            }
            assert_eq!(target.dir().join("logs/latest.log").exists(), select.contains(&"logs"));
        }
    }
}

#[test]
fn extract_takes_selected_members_only() {
    let bytes = archive_bytes(tree().backup());
    let target = Target::new();
    let done = extract(&bytes, &target, |e| e.select("*.mca").select("logs/")).unwrap();
    assert_eq!(
        target.paths(),
        ["logs/", "logs/latest.log", "world/", "world/region/", "world/region/r.0.0.mca"]
    );
    assert_eq!(done.unpacked.files, 2);
    let mode = fs::metadata(target.dir().join("world")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o755, "an implicit directory has the default mode");
}

#[test]
fn another_archive_than_the_expected_one_is_not_extracted() {
    let (tree, other) = (tree(), Tree::with(&[("a", b"a")]));
    let (bytes, other) = (archive_bytes(tree.backup()), archive_bytes(other.backup()));
    let sha1 = Sha1(sha1::Sha1::digest(&bytes).into());
    for pattern in [&b"*"[..], b"world/level.dat"] {
        let (target, from_stream) = (Target::new(), Target::new());
        let extract = |target: &Target| Extract::new(target.dir()).sha1(sha1);
        let refused = block_on(extract(&target).select(pattern).start(in_memory(&other)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Mismatch);
        assert!(!target.dir().exists(), "nothing is written");
        block_on(extract(&target).select(pattern).start(in_memory(&bytes))).unwrap();

        let stream = |bytes: &[u8]| Archive::stream(Cursor::new(bytes.to_vec()));
        let late = block_on(extract(&from_stream).start(stream(&other)));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Mismatch);
        assert!(from_stream.dir().join("a").exists(), "the whole stream was written before");
        block_on(extract(&from_stream).select(pattern).start(stream(&bytes))).unwrap();
    }
    let both = Extract::new(Target::new().dir()).sha1(sha1).salvage(true);
    let refused = block_on(both.start(in_memory(&bytes))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn extract_overwrites_existing_files_only_if_allowed() {
    let bytes = archive_bytes(Tree::with(&[("a", b"new"), ("b", b"new")]).backup());
    let target = Target::new();
    fs::create_dir(target.dir()).unwrap();
    fs::write(target.dir().join("b"), "old").unwrap();
    let error = extract(&bytes, &target, |e| e).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert!(error.to_string().contains('b'), "{error}");
    assert_eq!(target.read("b"), b"old");
    extract(&bytes, &target, |e| e.overwrite(true)).unwrap();
    assert_eq!((target.read("a"), target.read("b")), (b"new".to_vec(), b"new".to_vec()));
    assert_eq!(target.paths(), ["a", "b"], "no temporary file is left");
}

#[test]
fn a_damaged_segment_affects_only_its_own_files() {
    let files: Vec<(String, Vec<u8>)> =
        (0..4).map(|i| (format!("r.{i}.mca"), noise(200_000 + i))).collect();
    let tree = Tree::new();
    files.iter().for_each(|(path, content)| tree.file(path, content));
    let mut bytes = archive_bytes(tree.backup());
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    let hit = support::forge::locate(&bytes).entries_of_segment_at(at);
    assert_eq!(hit.len(), 1);

    let target = Target::new();
    let error = extract(&bytes, &target, |e| e).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(std::str::from_utf8(&hit[0]).unwrap()), "{error}");

    let target = Target::new();
    let done = extract(&bytes, &target, |e| e.salvage(true)).unwrap();
    assert_eq!(done.damage.len(), 1);
    assert_eq!(done.damage[0].members, hit);
    assert_eq!(done.unpacked.files, 3);
    for (path, content) in &files {
        let is_lost = path.as_bytes() == hit[0];
        assert_eq!(target.dir().join(path).exists(), !is_lost, "{path}");
        assert!(is_lost || target.read(path) == *content);
    }
}

#[test]
fn salvage_extracts_the_files_before_a_truncation() {
    let tree = Tree::with(&[("a", b"first"), ("b.mca", &noise(400_000)), ("c", b"last")]);
    let bytes = archive_bytes(tree.backup());
    let cut = &bytes[..300_000];
    let target = Target::new();
    let done = extract(cut, &target, |e| e.salvage(true)).unwrap();
    assert_eq!(done.read_method, ReadMethod::Sequential(NoIndex::Absent));
    assert_eq!(target.paths(), ["a"]);
    assert_eq!(done.damage[0].members, [b"b.mca"]);
    assert!(done.damage[0].truncates_rest && done.unpacked.files == 1);
    let error = extract(cut, &Target::new(), |e| e).unwrap_err();
    assert!(error.to_string().contains("it is truncated"), "{error}");
}

#[test]
fn limits_stop_a_decompression_bomb() {
    let tree = Tree::with(&[("a", &vec![b'a'; 3_000_000]), ("b", b"b"), ("c", b"c")]);
    let bytes = archive_bytes(tree.backup());
    let foreign = {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        tar.append_dir_all(".", &tree.root).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    };
    for bytes in [bytes, foreign] {
        for (options, is_too_much) in [
            (UnpackOptions::new().max_bytes(3_000_001), true),
            (UnpackOptions::new().max_bytes(3_000_002), false),
            (UnpackOptions::new().max_members(2), true),
            (UnpackOptions::new().max_members(3), false),
            (UnpackOptions::new().max_ratio(20), true),
            (UnpackOptions::new().max_ratio(1100), false),
            (UnpackOptions::new().reserve(u64::MAX), true),
        ] {
            let result = extract(&bytes, &Target::new(), |e| e.options(options.clone()));
            match result {
                Err(e) => assert!(is_too_much && e.kind() == ErrorKind::NoSpace, "{e} {options:?}"),
                Ok(_) => assert!(!is_too_much, "{options:?}"),
            }
        }
    }
}

/// A few bytes can describe a file of 1 TiB of holes. It takes no space, but programs that read it
/// read 1 TiB.
#[test]
fn holes_count_toward_the_content_limit() {
    let tree = Tree::new();
    fs::File::create(tree.root.join("hole")).unwrap().set_len(1 << 40).unwrap();
    let tar = Command::new("tar").args(["-cSC"]).arg(&tree.root).arg("hole").output().unwrap();
    let bytes = gzip(&tar.stdout);
    let with = |max| UnpackOptions::new().max_bytes(max);
    let error = extract(&bytes, &Target::new(), |e| e.options(with((1 << 40) - 1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let done = extract(&bytes, &Target::new(), |e| e.options(with(1 << 40))).unwrap();
    assert_eq!(done.unpacked.content, 1 << 40);
}

/// A later member of the same name replaces the earlier one, as in every tar reader.
#[test]
fn the_last_of_two_members_with_one_name_wins() {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for content in [&b"first"[..], b"second, and longer", b"3rd"] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "twice", content).unwrap();
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let target = Target::new();
    let done = extract(&bytes, &target, |e| e).unwrap();
    assert_eq!(target.read("twice"), b"3rd");
    assert_eq!(done.unpacked.files, 1);
}

#[test]
fn a_cancelled_extraction_leaves_no_partial_file() {
    let bytes = archive_bytes(Tree::with(&[("a", &noise(40 << 20))]).backup());
    let target = Target::new();
    let task = Extract::new(target.dir()).start(in_memory(&bytes));
    let handle = task.handle();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            support::wait_until("the first bytes", || handle.progress().bytes > 1 << 20);
            handle.cancel();
        });
        block_on(task)
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(target.paths(), Vec::<String>::new());
}

/// A wrong index is detected only during use. Everything extracted until then is removed and not
/// counted.
#[test]
fn a_second_pass_restarts_all_counts() {
    let tree = Tree::with(&[("a", &text(300_000)), ("d/b", b"b"), ("z", b"z"), ("zz", b"more")]);
    let forged = support::forge::with_index(&archive_bytes(tree.backup()), |index| {
        let last = index.entries.iter_mut().find(|e| e.path == b"z").unwrap();
        last.mode ^= 0o100;
    });
    for (overwrite, there) in [(false, false), (true, false), (true, true)] {
        let target = Target::new();
        if there {
            fs::create_dir(target.dir()).unwrap();
            fs::write(target.dir().join("a"), "old").unwrap();
        }
        let options = UnpackOptions::new().max_bytes(300_002).max_members(4);
        let extract = Extract::new(target.dir()).overwrite(overwrite).options(options);
        let task = extract.select("a").select("d").select("z").start(in_memory(&forged));
        let handle = task.handle();
        let done = block_on(task).unwrap();
        assert_eq!(done.read_method, ReadMethod::Sequential(NoIndex::Mismatch));
        let Unpacked { files, directories, content, .. } = done.unpacked;
        assert_eq!((files, directories, content), (3, 1, 300_002));
        assert_eq!(target.paths(), ["a", "d/", "d/b", "z"]);
        let progress = handle.progress();
        assert_eq!((progress.files, progress.bytes, progress.expected), (3, 300_002, None));
        assert!(done.unmatched.is_empty());
    }
}

#[test]
fn unusable_members_are_skipped_if_allowed() {
    use support::hostile::{Header, directory, file, link, member, tar};
    let tar = tar(&[
        file(b"/absolute", b"x"),
        directory(b"d/"),
        file(b"d/kept", b"x"),
        link(b'2', b"l", b".."),
        file(b"l/through", b"x"),
        link(b'1', b"h", b"nothing"),
        file(b"", b"nameless"),
        member(Header::new(b'M', b"volume", 3), b"end"),
        file(b"d", b"in the way"),
        file(b"last", b"x"),
    ]);
    let lost =
        ["/absolute", "l/through", "h", "", "volume", "d"].map(|path| path.as_bytes().to_vec());
    let bytes = gzip(&tar);
    let options = UnpackOptions::new().skip_refused(true);
    let (extracted, salvaged, restored) = (Target::new(), Target::new(), Target::new());
    let extract = Extract::new(extracted.dir()).options(options.clone());
    let restore = wingback::Restore::new(restored.dir()).options(options);
    let salvage = Extract::new(salvaged.dir()).salvage(true);
    let salvage = block_on(salvage.start(in_memory(&bytes))).unwrap();
    assert!(salvage.damage.is_empty());
    for (target, unpacked) in [
        (extracted, block_on(extract.start(in_memory(&bytes))).unwrap().unpacked),
        (restored, block_on(restore.start(in_memory(&bytes))).unwrap().unpacked),
        (salvaged, salvage.unpacked),
    ] {
        assert_eq!(target.paths(), ["d/", "d/kept", "l", "last"]);
        assert!(unpacked.refused > 0);
        let skipped: Vec<_> = unpacked.skipped.into_iter().map(|s| s.path).collect();
        assert_eq!(skipped, lost);
    }
    let error = block_on(Extract::new(Target::new().dir()).start(in_memory(&bytes))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
