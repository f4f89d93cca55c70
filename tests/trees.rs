//! Backups of all kinds of trees: no entry fails the backup, and the report lists what is left out.

mod support;

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use futures::executor::block_on;
use support::{Tree, archive, bytes, format, key, left_out, noise, unmount, wait_until_open};
use wingback::{
    Error, ErrorKind, IgnoreFile, Limiter, LocalStore, MemoryStore, Report, SkipReason, Warning,
    testing::{Fault, FaultyStore},
};

fn skipped(report: &Report) -> Vec<(String, &str)> {
    let skipped = report.skipped.iter();
    skipped.map(|s| (String::from_utf8_lossy(&s.path).into_owned(), s.reason.code())).collect()
}

/// Adds more entries after the file `0` of a directory than the engine looks at ahead of the writer.
fn keep_the_walk_in(tree: &Tree, dir: &str) {
    for i in 0..400 {
        tree.file(format!("{dir}1-{i:03}"), "");
    }
}

/// Backs up, and calls `change` while the file `first` is being read. Its parent directories have been
/// listed by then, and up to 300 entries after it have been looked at.
fn change_meanwhile(
    tree: &Tree,
    first: &str,
    change: impl FnOnce() + Send,
) -> Result<(Report, format::Archive), Error> {
    // Ten seconds for 1 kB, until the limit is raised.
    let limit = Limiter::new(100);
    let store = MemoryStore::new();
    let task = tree.backup().read_limit(limit.clone()).start(store.clone(), key());
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until_open(&tree.root.join(first));
            change();
            limit.set_rate(0);
        });
        block_on(task)
    });
    assert_eq!(store.get(&key()).is_some(), result.is_ok());
    result.map(|report| (report, format::read(&store.get(&key()).unwrap())))
}

#[test]
fn names_of_any_bytes_and_lengths_are_stored() {
    let tree = Tree::new();
    let mut names: Vec<Vec<u8>> = (1..=255).step_by(13).map(|n| vec![b'n'; n]).collect();
    names.extend(
        [&b"not \xff\xfe utf-8"[..], b"line\nbreak", b" ", b"-", b"\\", b"\x1b[31m"].map(Vec::from),
    );
    for name in &names {
        fs::write(tree.root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let (_, archive) = archive(tree.backup());
    for name in names {
        assert_eq!(archive.get(&name).content, name);
    }
}

#[test]
fn paths_up_to_4096_bytes_are_stored_and_longer_ones_are_reported() {
    let tree = Tree::new();
    // One directory at a time, because a single call does not accept such a long path.
    let make = r#"cd "$1"; d=$(printf 'd%.0s' $(seq 200))
        for i in $(seq 20); do mkdir $d; cd $d; done
        touch $(printf 'e%.0s' $(seq 76)) $(printf 'f%.0s' $(seq 77))"#;
    assert!(
        Command::new("bash")
            .arg("-c")
            .arg(make)
            .arg("-")
            .arg(&tree.root)
            .status()
            .unwrap()
            .success()
    );
    let (report, archive) = archive(tree.backup());
    let longest = archive.entries.iter().map(|e| e.path.len()).max();
    assert_eq!(longest, Some(4096));
    assert!(matches!(report.skipped[..], [ref s] if s.path.len() == 4097));
    assert_eq!(report.skipped[0].reason.code(), "path-too-long");
    assert!(report.is_partial());
}

#[test]
fn directories_below_the_open_file_limit_are_stored() {
    let tree = Tree::new();
    let deep = vec!["d"; 1500].join("/");
    fs::create_dir_all(tree.root.join(&deep)).unwrap();
    for depth in [0, 10, 63, 64, 65, 200, 1499] {
        tree.file(format!("{}/z", vec!["d"; depth + 1].join("/")), "z");
    }
    let (report, archive) = archive(tree.backup());
    assert_eq!((report.directories, report.files), (1500, 7));
    assert_eq!(archive.get(format!("{deep}/z")).content, b"z");
}

#[test]
fn links_are_stored_and_never_followed() {
    let tree = Tree::with(&[("dir/inside", b"x")]);
    let long = "t".repeat(300);
    for (name, target) in [
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("to-dir", "dir"),
        ("out", "/etc"),
        ("long", &long),
    ] {
        tree.link(name, target);
    }
    let unusual = [&b"\xff\n"[..], &[b'o'; 4093]].concat();
    symlink(OsStr::from_bytes(&unusual), tree.root.join("unusual")).unwrap();
    let (report, archive) = archive(tree.backup());
    assert_eq!((report.symlinks, report.files), (6, 1));
    assert_eq!(archive.get("out").target, b"/etc");
    assert_eq!(archive.get("long").target, long.as_bytes());
    assert!(archive.get("unusual").target == unusual);
}

#[test]
fn hard_links_are_stored_as_copies_and_listed_in_the_index() {
    let tree = Tree::with(&[("a", b"same"), ("c", b"alone")]);
    fs::hard_link(tree.root.join("a"), tree.root.join("b")).unwrap();
    fs::hard_link(tree.root.join("a"), tree.root.join("d")).unwrap();
    let (report, archive) = archive(tree.backup());
    assert_eq!(report.hard_links, 1);
    assert_eq!(archive.hard_links, [[0, 1, 3]]);
    assert_eq!(archive.get("d").content, b"same");
}

#[test]
fn holes_are_not_read_from_disk() {
    let tree = Tree::new();
    let sparse = File::create(tree.root.join("sparse")).unwrap();
    sparse.set_len(40 << 20).unwrap();
    sparse.write_all_at(b"data", 20 << 20).unwrap();
    let (report, archive) = archive(tree.backup());
    assert_eq!(report.content, 40 << 20);
    assert!(report.read < 1 << 20, "{} bytes were read", report.read);
    assert!(report.size < 1 << 20);
    assert_eq!(&archive.get("sparse").content[20 << 20..][..4], b"data");
}

#[test]
fn a_file_of_more_than_8_gib_is_stored() {
    let tree = Tree::with(&[("after", b"after")]);
    let len = (8 << 30) + 1;
    File::create(tree.root.join("a-huge")).unwrap().set_len(len).unwrap();
    let store = LocalStore::new(tree.tmp.path());
    let report = block_on(tree.backup().start(store.clone(), key())).unwrap();
    assert_eq!((report.content, report.read), (len + 5, 5));
    // The header is enough: reading the whole file takes other programs a minute.
    let list = "gzip -dc \"$1\" | head -c 512 | tar tvf - 2>&1";
    let list = Command::new("sh").args(["-c", list, "-"]).arg(store.path(&key())).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("8589934593"), "{list}");
}

#[test]
fn sockets_pipes_and_devices_are_reported_and_never_opened() {
    let tree = Tree::with(&[("file", b"x")]);
    let _socket = UnixListener::bind(tree.root.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(tree.root.join("fifo")).status().unwrap().success());
    let mut expected = vec![("fifo".to_owned(), "fifo"), ("socket".to_owned(), "socket")];
    let mknod = Command::new("mknod").arg(tree.root.join("device")).args(["c", "1", "3"]).status();
    if mknod.unwrap().success() {
        expected.insert(0, ("device".to_owned(), "device"));
    } else {
        left_out("a device in the source: no permission to create one");
    }
    let (report, _) = archive(tree.backup());
    assert_eq!(skipped(&report), expected);
    assert!(!report.is_partial(), "special files do not make a backup partial");
}

#[test]
fn modes_and_times_are_kept() {
    let tree = Tree::with(&[("dir/file", b"x")]);
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_234_567, 89);
    File::open(tree.root.join("dir/file")).unwrap().set_modified(old).unwrap();
    let mode = |path: &str, mode| {
        fs::set_permissions(tree.root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("dir/file", 0o4751);
    mode("dir", 0o1710);
    let (_, archive) = archive(tree.backup());
    assert_eq!((archive.get("dir").mode, archive.get("dir/file").mode), (0o1710, 0o4751));
    assert_eq!(archive.get("dir/file").mtime_ns, 1_234_567_000_000_089);
    assert!(archive.get("dir/file").is_recent);
}

#[test]
fn backups_within_the_source_are_left_out() {
    let tree = Tree::with(&[("keep.tar.gz", b"not one of ours"), ("backups/keep", b"x")]);
    for dir in [tree.root.clone(), tree.root.join("backups")] {
        let store = LocalStore::new(&dir).mkdir(true);
        for round in 0..3 {
            let key = store.key(uuid::Uuid::new_v4());
            let report = block_on(tree.backup().start(store.clone(), key)).unwrap();
            let own = report.skipped.iter().filter(|s| matches!(s.reason, SkipReason::OwnBackup));
            // The earlier archives, and the one that is being written.
            assert_eq!(own.count(), round + 1);
            assert!(!report.is_partial());
        }
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("backup-") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn other_file_systems_are_left_out_with_one_file_system() {
    let tree = Tree::with(&[("file", b"x"), ("mount/below", b"x")]);
    let mount = tree.root.join("mount");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).output().unwrap();
    if !mounted.status.success() {
        left_out("another file system in the source: no permission to mount");
        return;
    }
    fs::write(mount.join("inside"), "x").unwrap();
    let (stay, cross) = (bytes(tree.backup().one_file_system(true)), bytes(tree.backup()));
    unmount(&mount);
    let stay = stay.unwrap().0;
    assert_eq!((stay.files, stay.directories), (1, 1));
    assert_eq!(skipped(&stay), [("mount".to_owned(), "other-file-system")]);
    assert_eq!(cross.unwrap().0.files, 2);
}

#[test]
fn max_len_stores_the_first_bytes_of_a_file() {
    let tree = Tree::with(&[("db/log", &noise(5000)), ("db/big", &noise(3 << 20))]);
    let backup = tree.backup().max_len("db/log", 777).max_len("db/big", 1_500_000).max_len("no", 1);
    let (report, archive) = archive(backup);
    assert_eq!(archive.get("db/log").content, noise(5000)[..777]);
    assert!(archive.get("db/big").content == noise(3 << 20)[..1_500_000]);
    assert!(report.changed.is_empty());
    assert_eq!(report.warnings, [Warning::MaxLenUnused(b"no".to_vec())]);
}

#[test]
fn the_ignore_file_precedes_other_patterns_and_can_be_replaced_or_ignored() {
    let tree = Tree::with(&[
        (".pteroignore", b"*.log\r\n!keep.log\r\n"),
        ("a.log", b""),
        ("keep.log", b""),
        ("b", b""),
    ]);
    let paths = |backup| archive(backup).1.paths();
    assert_eq!(paths(tree.backup()), [".pteroignore", "b", "keep.log"]);
    assert_eq!(paths(tree.backup().exclude("keep.log")), [".pteroignore", "b"]);
    let replace = tree.backup().ignore_file(IgnoreFile::Replace);
    assert_eq!(paths(replace.clone()), [".pteroignore", "b", "keep.log"]);
    assert_eq!(paths(replace.exclude("b")), [".pteroignore", "a.log", "keep.log"]);
    let none = tree.backup().ignore_file(IgnoreFile::None);
    assert_eq!(paths(none), [".pteroignore", "a.log", "b", "keep.log"]);
    assert_eq!(paths(tree.backup().ignore_file_name(".pelicanignore")).len(), 4);
}

#[test]
fn an_ignore_file_that_is_a_link_or_too_large_is_a_warning() {
    let tree = Tree::with(&[("a.log", b"")]);
    tree.link(".pteroignore", "/etc/hostname");
    let (report, _) = archive(tree.backup());
    assert!(matches!(&report.warnings[..], [Warning::IgnoreFile(why)] if why.contains("link")));
    fs::remove_file(tree.root.join(".pteroignore")).unwrap();
    tree.file(".pteroignore", b"*.log\n".repeat(32 * 1024 / 6 + 1));
    let (report, _) = archive(tree.backup());
    assert!(matches!(&report.warnings[..], [Warning::IgnoreFile(why)] if why.contains("32 KiB")));
    assert_eq!(report.files, 2);
}

#[test]
fn a_suspicious_pattern_is_a_warning_or_an_error_if_strict() {
    let tree = Tree::with(&[("a", b"")]);
    let suspicious = tree.backup().exclude("fine\n[oops");
    let (report, _) = archive(suspicious.clone());
    assert!(matches!(&report.warnings[..], [Warning::Pattern(w)] if w.line == 2));
    let error = bytes(suspicious.strict_patterns(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_source_that_is_not_a_directory_fails_before_anything_is_written() {
    let tree = Tree::with(&[("file", b"")]);
    for (source, kind) in [("nothing", ErrorKind::NotFound), ("file", ErrorKind::InvalidInput)] {
        let store = FaultyStore::new(MemoryStore::new(), Fault::Create);
        let backup = wingback::Backup::new(tree.root.join(source));
        let error = block_on(backup.start(store, key())).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn a_source_that_is_moved_removed_or_replaced_during_a_backup_is_an_error() {
    let changes: [fn(&Path); 3] = [
        |root| fs::rename(root, root.with_extension("moved")).unwrap(),
        |root| fs::remove_dir_all(root).unwrap(),
        |root| {
            fs::rename(root, root.with_extension("moved")).unwrap();
            fs::create_dir(root).unwrap();
        },
    ];
    for change in changes {
        let tree = Tree::with(&[("0", &noise(1000)), ("1", &noise(1000))]);
        let error = change_meanwhile(&tree, "0", || change(&tree.root)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceGone, "{error}");
    }
}

#[test]
fn entries_that_become_symlinks_or_pipes_are_neither_followed_nor_opened() {
    let tree = Tree::with(&[
        ("0", &noise(1000)),
        ("dir/secret", b"inside"),
        ("file", b"inside"),
        ("pipe", b"inside"),
    ]);
    keep_the_walk_in(&tree, "");
    let outside = tree.tmp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "outside").unwrap();
    let (report, archive) = change_meanwhile(&tree, "0", || {
        fs::remove_dir_all(tree.root.join("dir")).unwrap();
        symlink(&outside, tree.root.join("dir")).unwrap();
        fs::remove_file(tree.root.join("file")).unwrap();
        symlink(outside.join("secret"), tree.root.join("file")).unwrap();
        fs::remove_file(tree.root.join("pipe")).unwrap();
        let mkfifo = Command::new("mkfifo").arg(tree.root.join("pipe")).status();
        assert!(mkfifo.unwrap().success());
    })
    .unwrap();
    let paths = archive.paths();
    assert!(paths.iter().all(|path| path.starts_with(['0', '1'])), "{paths:?}");
    let replaced = ["dir", "file", "pipe"].map(|path| (path.to_owned(), "replaced"));
    assert_eq!(skipped(&report), replaced);
}

#[test]
fn a_directory_replaced_during_the_walk_below_it_is_not_entered_again() {
    let tree = Tree::new();
    let deep = format!("{}/", vec!["d"; 100].join("/"));
    let first = format!("{deep}0");
    tree.file(&first, noise(1000));
    keep_the_walk_in(&tree, &deep);
    tree.file("d/d/other", "old");
    tree.file("other", "of the root");
    let (report, archive) = change_meanwhile(&tree, &first, || {
        fs::rename(tree.root.join("d"), tree.tmp.path().join("moved")).unwrap();
        tree.file("d/d/other", "new");
    })
    .unwrap();
    assert_eq!(skipped(&report), [("d/d".to_owned(), "replaced")]);
    assert!(!archive.paths().contains(&"d/d/other".to_owned()));
    assert_eq!(archive.get("other").content, b"of the root");
}

#[test]
fn the_source_may_be_a_symlink() {
    let tree = Tree::with(&[("a", b"a")]);
    let link = tree.tmp.path().join("link");
    symlink(&tree.root, &link).unwrap();
    assert_eq!(archive(wingback::Backup::new(link)).1.paths(), ["a"]);
}

#[test]
fn an_ignore_file_that_is_not_a_regular_file_is_a_warning() {
    let tree = Tree::with(&[("a", b"")]);
    let path = tree.root.join(".pteroignore");
    let is_unusable = |what: &str| {
        let (report, _) = archive(tree.backup());
        let is_warning = |w: &Warning| matches!(w, Warning::IgnoreFile(_));
        assert!(matches!(&report.warnings[..], [w] if is_warning(w)), "{what}");
    };
    fs::create_dir(&path).unwrap();
    is_unusable("a directory");
    fs::remove_dir(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    is_unusable("a pipe");
    fs::remove_file(&path).unwrap();
    let _socket = UnixListener::bind(&path).unwrap();
    is_unusable("a socket");
}

#[test]
fn max_len_may_be_zero_or_larger_than_the_file() {
    let tree = Tree::with(&[("big", &noise(3 << 20)), ("none", b"something"), ("short", b"x")]);
    let backup = tree.backup().max_len("big", 512).max_len("none", 0).max_len("short", u64::MAX);
    let (report, archive) = archive(backup);
    assert_eq!(archive.get("big").content, noise(3 << 20)[..512]);
    assert_eq!(archive.get("none").content, b"");
    assert_eq!(archive.get("short").content, b"x");
    assert_eq!((report.content, report.read), (513, 513));
}

#[test]
fn data_and_holes_may_alternate_at_any_offset() {
    let tree = Tree::new();
    let mut rng = fastrand::Rng::with_seed(3);
    for (i, len) in [1, 4096, 131_073, 1 << 20, 5_000_001].into_iter().enumerate() {
        let path = tree.root.join(format!("{i}.db"));
        let file = File::create(&path).unwrap();
        file.set_len(len).unwrap();
        for _ in 0..rng.usize(..8) {
            let at = rng.u64(..len);
            let data = noise(rng.usize(1..20_000));
            let data = &data[..data.len().min((len - at) as usize)];
            file.write_all_at(data, at).unwrap();
        }
    }
    let (report, archive) = archive(tree.backup());
    assert!(report.read < report.content);
    for entry in &archive.entries {
        let path = tree.root.join(OsStr::from_bytes(&entry.path));
        assert!(fs::read(&path).unwrap() == entry.content, "{}", path.display());
    }
}

#[test]
fn numbers_too_large_for_octal_fields_are_stored() {
    let tree = Tree::with(&[("file", b"x")]);
    let path = tree.root.join("file");
    if chown(&path, Some(3_000_000_000), Some(2_097_152)).is_err() {
        left_out("owners beyond octal digits: only root can change owners");
        return;
    }
    // The test reader compares the index with the headers.
    let (_, archive) = archive(tree.backup());
    assert_eq!((archive.get("file").uid, archive.get("file").gid), (3_000_000_000, 2_097_152));
}

#[test]
fn times_before_1970_are_kept_in_the_index_and_zero_in_the_tar() {
    let tree = Tree::with(&[("file", b"x")]);
    let before = SystemTime::UNIX_EPOCH - Duration::new(3, 5);
    File::open(tree.root.join("file")).unwrap().set_modified(before).unwrap();
    let (_, bytes) = bytes(tree.backup()).unwrap();
    assert_eq!(format::read(&bytes).get("file").mtime_ns, -3_000_000_005);
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(&bytes[..]));
    let entry = tar.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.header().mtime().unwrap(), 0);
}
