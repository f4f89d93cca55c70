//! A tree is equal after backup and restore: content, modes, times to the nanosecond, symlinks, hard
//! links, holes and names, with both profiles and every read method.

mod support;

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink},
    },
    path::Path,
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use fastrand::Rng;
use futures::{executor::block_on, io::Cursor};
use support::{
    Tree,
    dir::Dir,
    forge, in_memory, is_root, left_out,
    left_out::cases,
    noise,
    random::random_tree,
    restore_bytes,
    snapshot::{HOLE, Snapshot},
};
use wingback::{Archive, Extract, NoIndex, Profile, ReadMethod};

const NOBODY: u32 = 65534;
const PROFILES: [Profile; 2] = [Profile::Full, Profile::Wings];

fn made(tree: &Tree, profile: Profile) -> Vec<u8> {
    let (report, bytes) = support::bytes(tree.backup().profile(profile)).unwrap();
    assert!(report.skipped.is_empty() && report.changed.is_empty());
    bytes
}

/// The attributes that a round trip must preserve.
fn wanted(tree: &Tree) -> Snapshot {
    Snapshot::of(&tree.root).without_special_bits()
}

/// Backs up, and restores by every method.
fn assert_comes_back(source: &Tree, what: &str) {
    let want = wanted(source);
    for profile in PROFILES {
        let what = format!("{what}, {profile:?}");
        let bytes = made(source, profile);

        let target = Tree::with(&[("old", b"old"), ("dir/old", b"old")]);
        let inode = fs::metadata(&target.root).unwrap().ino();
        let restored = restore_bytes(&bytes, &target.root, |r| r.delete(true)).unwrap();
        assert_eq!(restored.read_method, ReadMethod::Indexed);
        Snapshot::of(&target.root).assert_is(&want, format!("{what}, replaced"));
        assert_eq!(fs::metadata(&target.root).unwrap().ino(), inode);

        let target = Tree::new();
        restore_bytes(&bytes, &target.root, |r| r.in_place(true)).unwrap();
        Snapshot::of(&target.root).assert_is(&want, format!("{what}, in place"));

        let target = Tree::new();
        restore_bytes(&bytes, &target.root, |r| r).unwrap();
        Snapshot::of(&target.root).assert_is(&want, format!("{what}, without delete"));

        let target = Tree::new();
        block_on(Extract::new(&target.root).start(in_memory(&bytes))).unwrap();
        Snapshot::of(&target.root).assert_is(&want, format!("{what}, extracted"));

        // The index with the hard links comes at the end, after the files have been written.
        let target = Tree::new();
        let stream = Archive::stream(Cursor::new(bytes.clone()));
        let restored = block_on(support::restore(&target.root).start(stream)).unwrap();
        assert_eq!(restored.read_method, ReadMethod::Sequential(NoIndex::Stream));
        let found = Snapshot::of(&target.root).in_seconds();
        found.assert_is(&want.clone().in_seconds(), format!("{what}, from a stream"));

        assert_tar_comes_back(&bytes, &want, profile, &what);
    }
}

/// Without its index, an archive restores what the tar contains.
fn assert_tar_comes_back(bytes: &[u8], want: &Snapshot, profile: Profile, what: &str) {
    // The last deflate block and the gzip trailer complete the data member.
    let tar = &bytes[..forge::locate(bytes).data_end + 10];
    let seen = |snapshot: Snapshot| {
        let snapshot = snapshot.in_seconds().without_hard_links();
        if profile == Profile::Wings { snapshot.only_files() } else { snapshot }
    };
    let target = Tree::new();
    let restored = restore_bytes(tar, &target.root, |r| r).unwrap();
    assert_eq!(restored.read_method, ReadMethod::Sequential(NoIndex::Absent));
    let found = Snapshot::of(&target.root);
    assert!(!found.has_hard_links(), "{what}: what the tar does not say");
    seen(found).assert_is(&seen(want.clone()), format!("{what}, without its index"));
}

#[test]
fn random_trees_come_back() {
    let mut rng = Rng::with_seed(7);
    for round in 0..cases(8, 16) {
        let source = Tree::new();
        random_tree(&source.root, &mut rng, round % 8 == 7);
        assert_comes_back(&source, &format!("round {round}"));
    }
}

#[test]
fn every_edge_case_comes_back() {
    let source = Tree::new();
    let root = &source.root;
    sizes(&source);
    names(root);
    holes(root);
    symlinks(root);
    hard_links(&source);
    times(&source);
    modes(&source);
    let seen = wanted(&source);
    assert!(seen.has_hard_links());
    if seen.get("holes/64K").holes.first() != Some(&(HOLE..2 * HOLE)) {
        left_out("holes that come back: this file system has none");
    }
    assert_comes_back(&source, "corners");
}

/// Runs as an owner without root rights, so that read-only directories are closed to it as well.
#[test]
fn every_tree_comes_back_to_an_unprivileged_user() {
    if !is_root() {
        // Then this test program already runs as such a user.
        left_out("round trips by root: the tests run as another user");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // Copied by another process: a file that this process writes would stay open in children that it
    // starts at the same time.
    let me = place.path().join("tests");
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&me).status();
    assert!(copied.unwrap().success());
    let mut run = Command::new("setpriv");
    run.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(me)
        .env("TMPDIR", place.path())
        // The run as root has already recorded its left-out cases, in a file that belongs to root.
        .env_remove("WINGBACK_LEFT_OUT");
    let output =
        run.args(["--exact", "random_trees_come_back", "every_edge_case_comes_back"]).output();
    let out = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
    assert!(out.contains("2 passed"), "{out}");
}

/// Around the block size of tar and both segment lengths.
fn sizes(tree: &Tree) {
    for unit in [512, 128 << 10, 1 << 20] {
        for size in (1..=2).flat_map(|n| n * unit - 1..=n * unit + 1) {
            for end in ["dat", "mca", "db"] {
                tree.file(format!("sizes/{size}.{end}"), noise(size));
            }
        }
    }
    tree.file("sizes/0", "");
}

fn names(root: &Path) {
    let dir = root.join("names");
    fs::create_dir(&dir).unwrap();
    for name in
        [&b"\xff\xfe"[..], b"line\nbreak", b" ", b"\\", b"\x1b[31m", b"-", b"*", &[b'n'; 255]]
    {
        fs::write(dir.join(OsStr::from_bytes(name)), name).unwrap();
    }
}

/// Shorter holes may or may not be restored.
fn holes(root: &Path) {
    let dir = root.join("holes");
    fs::create_dir(&dir).unwrap();
    // Offsets of the data in KiB, and the total length.
    let files: [(&str, &[u64], u64); 8] = [
        ("all", &[], 3 << 10),
        ("64K", &[0, 128], 192),
        ("64K-each", &[0, 128, 256, 384], 448),
        ("start", &[64], 128),
        ("end", &[0], 128),
        ("segments.db", &[0, 100, 200, 700, 1100], 1300),
        ("region.mca", &[0, 72, 136, 500], 700),
        ("large.dat", &[1000, 1088, 2000, 2112], 5 << 10),
    ];
    for (name, data, len) in files {
        let file = File::create(dir.join(name)).unwrap();
        file.set_len(len << 10).unwrap();
        for at in data {
            let len = if name.starts_with("64K") { 64 } else { 4 };
            file.write_all_at(&noise(len << 10), at << 10).unwrap();
        }
    }
}

fn symlinks(root: &Path) {
    let dir = root.join("symlinks");
    fs::create_dir(&dir).unwrap();
    let long = [b't'; 4095];
    let targets: [&[u8]; 7] =
        [b"nowhere", b"/etc/passwd", b"../../..", b"\xff\n", b"./a//b/../", b"..", &long];
    for (i, target) in targets.into_iter().enumerate() {
        symlink(OsStr::from_bytes(target), dir.join(i.to_string())).unwrap();
    }
    symlink("self", dir.join("self")).unwrap();
}

fn hard_links(tree: &Tree) {
    for (group, size) in [("empty", 0), ("small", 10), ("large", 1_500_000)] {
        tree.file(format!("links/z/{group}"), noise(size));
        // An equal file that is not a hard link.
        tree.file(format!("links/z/{group}-copy"), noise(size));
        for dir in ["links", "links/a", "links/z"] {
            fs::create_dir_all(tree.root.join(dir)).unwrap();
            let link = tree.root.join(dir).join(format!("{group}-link"));
            fs::hard_link(tree.root.join("links/z").join(group), link).unwrap();
        }
    }
}

/// Also around 2242, the largest time in an octal field.
fn times(tree: &Tree) {
    let second = Duration::from_secs(1).as_nanos() as i128;
    for at in [0, 1, second - 1, second, (1 << 31) * second, ((1 << 33) + 1) * second + 5] {
        for at in [at, -at.min(1 << 60)] {
            let path = tree.root.join(format!("times/{at}"));
            tree.file(&path, "x");
            let away = Duration::from_nanos(at.unsigned_abs() as u64);
            let time = if at < 0 { UNIX_EPOCH - away } else { UNIX_EPOCH + away };
            File::open(path).unwrap().set_modified(time).unwrap();
        }
    }
}

fn modes(tree: &Tree) {
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    if !is_root() {
        left_out("modes that keep the owner out: only root reads such files");
    }
    let must = if is_root() { 0 } else { 0o400 };
    for mode in (0..=0o777).chain([0o1777, 0o2755, 0o4755, 0o7777]) {
        let path = tree.root.join(format!("modes/{mode:04o}"));
        tree.file(&path, "x");
        set(&path, mode | must);
    }
    let must = if is_root() { 0 } else { 0o500 };
    for mode in [0, 0o111, 0o555, 0o700, 0o777, 0o1777, 0o2755, 0o7777] {
        for name in ["empty", "filled", "filled/within"] {
            fs::create_dir_all(tree.root.join(format!("dirs/{mode:04o}/{name}"))).unwrap();
        }
        tree.file(format!("dirs/{mode:04o}/filled/file"), "x");
        for name in ["filled/within", "filled", "empty", ""] {
            set(&tree.root.join(format!("dirs/{mode:04o}/{name}")), mode | must);
        }
    }
}

#[test]
fn delete_leaves_only_the_archive_and_otherwise_other_files_stay() {
    let mut rng = Rng::with_seed(8);
    let (mut overlaid, mut refused) = (0, 0);
    for round in 0..16 {
        let source = Tree::new();
        random_tree(&source.root, &mut rng, round % 8 == 7);
        let want = wanted(&source);
        let bytes = made(&source, PROFILES[round % 2]);
        let seed = rng.u64(..);
        // Equal each time, except for the times of new files.
        let other = || {
            let other = Tree::new();
            block_on(Extract::new(&other.root).start(in_memory(&bytes))).unwrap();
            alter(&other.root, &mut Rng::with_seed(seed), round % 3 == 0);
            other
        };

        let target = other();
        restore_bytes(&bytes, &target.root, |r| r.delete(true)).unwrap();
        Snapshot::of(&target.root).assert_is(&want, format!("round {round}, with delete"));

        let target = other();
        let before = Snapshot::of(&target.root);
        let result = restore_bytes(&bytes, &target.root, |r| r);
        let found = Snapshot::of(&target.root);
        if before.contradicts(&want) {
            refused += 1;
            assert!(result.is_err());
            found.assert_is(&before, format!("round {round}, refused"));
            continue;
        }
        overlaid += 1;
        result.unwrap();
        found.assert_is(&before.overlaid_with(&want), format!("round {round}, merged"));

        let target = other();
        let want = Snapshot::of(&target.root).overlaid_with(&want);
        block_on(Extract::new(&target.root).overwrite(true).start(in_memory(&bytes))).unwrap();
        Snapshot::of(&target.root).assert_is(&want, format!("round {round}, overwritten"));
    }
    assert!(overlaid > 5 && refused > 2, "{overlaid} and {refused}");
}

/// Removes, changes and adds files and, with `change_kinds`, replaces some by files of another kind.
fn alter(root: &Path, rng: &mut Rng, change_kinds: bool) {
    let before = Snapshot::of(root);
    for (path, _) in before.iter().filter(|(_, found)| found.kind == 'd' && !is_root()) {
        let (dir, name) = Dir::holding(root, path);
        fs::set_permissions(dir.at(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    // Deepest first.
    for (path, found) in before.iter().rev() {
        let (dir, name) = Dir::holding(root, path);
        let at = dir.at(name);
        let is_dir = found.kind == 'd';
        match rng.u8(..8) {
            0 if is_dir => fs::remove_dir_all(&at).unwrap(),
            0 => fs::remove_file(&at).unwrap(),
            1 if is_dir => fs::write(at.join("new"), "new").unwrap(),
            2 if is_dir && change_kinds => {
                fs::remove_dir_all(&at).unwrap();
                symlink("/nowhere", &at).unwrap();
            }
            2 if change_kinds => {
                fs::remove_file(&at).unwrap();
                fs::create_dir(&at).unwrap();
            }
            // Its other names still refer to the old file.
            3 if !is_dir => {
                fs::remove_file(&at).unwrap();
                fs::write(&at, "changed").unwrap();
            }
            4 if found.kind == 'f' => {
                fs::remove_file(&at).unwrap();
                symlink("/etc/passwd", &at).unwrap();
            }
            5 if found.kind != 'l' => {
                let mode = if is_dir { 0o711 } else { 0o640 };
                fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
            }
            _ => {}
        }
    }
}
