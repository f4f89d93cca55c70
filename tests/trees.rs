//! Trees as they are: nothing in one fails the backup, and the report says what is not in it.

mod support;

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, net::UnixListener},
    process::Command,
};

use support::{Tree, archive, bytes, key, noise, wait_until};
use wingback::{
    ErrorKind, IgnoreFile, Limiter, LocalStore, MemoryStore, Report, SkipReason, Warning,
};

fn skipped(report: &Report) -> Vec<(String, &str)> {
    let skipped = report.skipped.iter();
    skipped.map(|s| (String::from_utf8_lossy(&s.path).into_owned(), s.reason.code())).collect()
}

#[test]
fn names_of_any_bytes_and_lengths() {
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
    // One directory after the other, since no path may be as long as this in one call.
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
fn directories_deeper_than_are_held_open() {
    let tree = Tree::new();
    let deep = vec!["d"; 500].join("/");
    fs::create_dir_all(tree.root.join(&deep)).unwrap();
    for depth in [0, 10, 63, 64, 65, 200, 499] {
        tree.file(format!("{}/z", vec!["d"; depth + 1].join("/")), "z");
    }
    let (report, archive) = archive(tree.backup());
    assert_eq!((report.directories, report.files), (500, 7));
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
    let (report, archive) = archive(tree.backup());
    assert_eq!((report.symlinks, report.files), (5, 1));
    assert_eq!(archive.get("out").target, b"/etc");
    assert_eq!(archive.get("long").target, long.as_bytes());
}

#[test]
fn hard_links_are_full_copies_and_known_to_the_index() {
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
    use std::os::unix::fs::FileExt;
    sparse.write_all_at(b"data", 20 << 20).unwrap();
    let (report, archive) = archive(tree.backup());
    assert_eq!(report.content, 40 << 20);
    assert!(report.read < 1 << 20, "{} bytes were read", report.read);
    assert!(report.size < 1 << 20);
    assert_eq!(&archive.get("sparse").content[20 << 20..][..4], b"data");
}

#[test]
fn a_file_of_more_than_8_gib_comes_back() {
    let tree = Tree::with(&[("after", b"after")]);
    let len = (8 << 30) + 1;
    File::create(tree.root.join("a-huge")).unwrap().set_len(len).unwrap();
    let store = LocalStore::new(tree.tmp.path());
    let report = futures::executor::block_on(tree.backup().start(store.clone(), key())).unwrap();
    assert_eq!((report.content, report.read), (len + 5, 5));
    // The header is enough: reading all of it takes other tools a minute.
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
        println!("devices: NOT TESTED, mknod is not allowed here");
    }
    let (report, _) = archive(tree.backup());
    assert_eq!(skipped(&report), expected);
    assert!(!report.is_partial(), "a backup leaves these out by its nature");
}

#[test]
fn modes_and_times_are_kept() {
    let tree = Tree::with(&[("dir/file", b"x")]);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_234_567, 89);
    File::open(tree.root.join("dir/file")).unwrap().set_modified(old).unwrap();
    let mode = |path: &str, mode| {
        fs::set_permissions(tree.root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("dir/file", 0o4751);
    mode("dir", 0o1710);
    let (_, archive) = archive(tree.backup());
    assert_eq!((archive.get("dir").mode, archive.get("dir/file").mode), (0o1710, 0o4751));
    assert_eq!(archive.get("dir/file").mtime_ns, 1_234_567_000_000_089);
    assert_eq!(archive.get("dir/file").flags, 2, "its ctime is recent");
}

#[test]
fn backups_within_the_source_are_left_out() {
    let tree = Tree::with(&[("keep.tar.gz", b"not one of ours"), ("backups/keep", b"x")]);
    for dir in [tree.root.clone(), tree.root.join("backups")] {
        let store = LocalStore::new(&dir);
        for round in 0..3 {
            let key = store.key(&uuid::Uuid::new_v4());
            let report =
                futures::executor::block_on(tree.backup().start(store.clone(), key)).unwrap();
            let own = report.skipped.iter().filter(|s| matches!(s.reason, SkipReason::OwnBackup));
            // Those before, and the one that is being written.
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
fn other_file_systems_are_left_out_if_asked() {
    let tree = Tree::with(&[("file", b"x"), ("mount/below", b"x")]);
    let mount = tree.root.join("mount");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).output().unwrap();
    if !mounted.status.success() {
        println!("other file systems: NOT TESTED, mounting is not allowed here");
        return;
    }
    fs::write(mount.join("inside"), "x").unwrap();
    let (stay, cross) = (bytes(tree.backup().one_file_system(true)), bytes(tree.backup()));
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    let stay = stay.unwrap().0;
    assert_eq!((stay.files, stay.directories), (1, 1));
    assert_eq!(skipped(&stay), [("mount".to_owned(), "other-file-system")]);
    assert_eq!(cross.unwrap().0.files, 2);
}

#[test]
fn only_the_first_bytes_of_a_file_if_asked() {
    let tree = Tree::with(&[("db/log", &noise(5000)), ("db/big", &noise(3 << 20))]);
    let backup = tree.backup().max_len("db/log", 777).max_len("db/big", 1_500_000).max_len("no", 1);
    let (report, archive) = archive(backup);
    assert_eq!(archive.get("db/log").content, noise(5000)[..777]);
    assert!(archive.get("db/big").content == noise(3 << 20)[..1_500_000]);
    assert!(report.changed.is_empty());
    assert_eq!(report.warnings, [Warning::MaxLenUnused(b"no".to_vec())]);
}

#[test]
fn the_ignore_file_comes_first_and_can_be_replaced_or_left_alone() {
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
fn an_odd_pattern_is_a_warning_or_if_asked_an_error() {
    let tree = Tree::with(&[("a", b"")]);
    let odd = tree.backup().exclude("fine\n[oops");
    let (report, _) = archive(odd.clone());
    assert!(matches!(&report.warnings[..], [Warning::Pattern(w)] if w.line == 2));
    let error = bytes(odd.strict_patterns(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_source_that_is_no_directory_fails_before_anything_is_written() {
    let tree = Tree::with(&[("file", b"")]);
    for (source, kind) in [("nothing", ErrorKind::NotFound), ("file", ErrorKind::InvalidInput)] {
        let store = MemoryStore::new();
        store.set_fault(Some(wingback::Fault::Create));
        let backup = wingback::Backup::new(tree.root.join(source));
        let error = futures::executor::block_on(backup.start(store, key())).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn a_source_that_is_moved_away_meanwhile_fails() {
    let tree = Tree::new();
    (0..50).for_each(|i| tree.file(format!("{i}"), noise(20_000)));
    let limit = Limiter::new(2_000_000);
    let store = MemoryStore::new();
    let task = tree.backup().read_limit(limit.clone()).start(store.clone(), key());
    let handle = task.handle();
    let moved = tree.tmp.path().join("moved");
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("reading", || handle.progress().bytes > 0);
            fs::rename(&tree.root, &moved).unwrap();
            fs::create_dir(&tree.root).unwrap();
            limit.set_rate(0);
        });
        futures::executor::block_on(task)
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::SourceGone);
    assert!(store.get(&key()).is_none());
}
