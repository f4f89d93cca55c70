//! Files that change while they are read: the archive is valid all the same, and the report names them.

mod support;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use support::{Tree, archive, bytes, format, key, noise, wait_until, wait_until_open};
use wingback::{Change, ErrorKind, Limiter, MemoryStore, Report, Warning};

/// Backs up three files slowly, the second one with `len` bytes. Calls `change` with the paths of the
/// second and third when the second is open or, if it is large, when 2 MiB of it have been read.
fn change_midway(
    len: usize,
    change: impl FnOnce(&Path, &Path) + Send,
) -> (Report, format::Archive) {
    change_midway_of(len, u64::MAX, change)
}

/// Like [`change_midway`], with `max_len` set for the second file.
fn change_midway_of(
    len: usize,
    max_len: u64,
    change: impl FnOnce(&Path, &Path) + Send,
) -> (Report, format::Archive) {
    let tree = Tree::with(&[("0", b"0"), ("1", &noise(len)), ("2", &noise(2000))]);
    let is_large = len > 4 << 20;
    let limit = Limiter::new(if is_large { 4_000_000 } else { 100 });
    let store = MemoryStore::new();
    let mut backup = tree.backup().read_limit(limit.clone());
    if max_len < u64::MAX {
        backup = backup.max_len("1", max_len);
    }
    let task = backup.start(store.clone(), key());
    let handle = task.handle();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (second, third) = (tree.root.join("1"), tree.root.join("2"));
            if is_large {
                wait_until("reading", || handle.progress().bytes > 2 << 20);
            } else {
                wait_until_open(&second);
            }
            change(&second, &third);
            limit.set_rate(0);
        });
        futures::executor::block_on(task)
    })
    .unwrap();
    (report, format::read(&store.get(&key()).unwrap()))
}

fn changes(report: &Report) -> Vec<(&[u8], Change)> {
    report.changed.iter().map(|c| (&c.path[..], c.change)).collect()
}

#[test]
fn a_small_file_that_shrinks_is_stored_with_the_length_that_was_read() {
    for (len, left) in [(513, 512), (512, 511), (513, 0), (5000, 600)] {
        let (report, archive) = change_midway(len, |first, _| {
            OpenOptions::new().write(true).open(first).unwrap().set_len(left).unwrap();
        });
        assert_eq!(changes(&report), [(&b"1"[..], Change::Shrank)]);
        let entry = archive.get("1");
        match left {
            // A part of it may have been read before the change.
            0 => assert!(entry.content.len() < len && noise(len).starts_with(&entry.content)),
            left => assert_eq!(entry.content, noise(len)[..left as usize]),
        }
        assert!(entry.is_changed);
        assert_eq!(archive.get("2").content, noise(2000), "the next entry is not shifted");
    }
}

#[test]
fn a_file_that_grows_is_stored_with_its_length_at_opening() {
    for len in [511, 512, 513, 5 << 20] {
        let (report, archive) = change_midway(len, |first, _| {
            OpenOptions::new().append(true).open(first).unwrap().write_all(b"more").unwrap();
        });
        assert_eq!(changes(&report), [(&b"1"[..], Change::Grew)]);
        assert!(archive.get("1").content == noise(len));
        assert_eq!(archive.get("2").content, noise(2000));
    }
}

#[test]
fn a_large_file_that_shrinks_is_padded_with_zeros() {
    let len = 8 << 20;
    // Within a piece, around the end of a piece, and around the end of a block.
    for left in [0, 511, 512, 513, 1 << 19, 1 << 20].map(|over| (6 << 20) + over - 1) {
        let (report, archive) = change_midway(len, |first, _| {
            OpenOptions::new().write(true).open(first).unwrap().set_len(left as u64).unwrap();
        });
        assert_eq!(changes(&report), [(&b"1"[..], Change::Shrank)]);
        let entry = archive.get("1");
        assert_eq!((entry.content.len(), entry.is_changed), (len, true));
        assert!(entry.content[..left] == noise(len)[..left]);
        assert!(entry.content[left..].iter().all(|&b| b == 0));
        assert_eq!(archive.get("2").content, noise(2000), "the next entry is not shifted");
    }
}

#[test]
fn a_file_removed_while_it_is_read_is_stored_whole() {
    for len in [600, 5 << 20] {
        let (report, archive) = change_midway(len, |first, _| fs::remove_file(first).unwrap());
        assert_eq!(changes(&report), [(&b"1"[..], Change::Modified)]);
        assert!(archive.get("1").content == noise(len));
        assert!(report.skipped.is_empty());
    }
}

#[test]
fn a_file_with_max_len_may_change_after_that_length() {
    for (len, part) in [(1000, 700), (8 << 20, 7 << 20)] {
        let (report, archive) = change_midway_of(len, part as u64, |first, _| {
            OpenOptions::new().append(true).open(first).unwrap().write_all(b"more").unwrap();
        });
        assert_eq!(changes(&report), []);
        let entry = archive.get("1");
        assert!(entry.content == noise(len)[..part]);
        assert!(entry.is_changed, "the next backup must read it again");
    }
}

#[test]
fn a_file_that_shrinks_below_its_max_len_is_reported() {
    for (len, part, left) in [(1000, 700, 600), (8 << 20, 7 << 20, 6 << 20)] {
        let (report, archive) = change_midway_of(len, part as u64, |first, _| {
            OpenOptions::new().write(true).open(first).unwrap().set_len(left as u64).unwrap();
        });
        assert_eq!(changes(&report), [(&b"1"[..], Change::Shrank)]);
        assert!(archive.get("1").content[..left] == noise(len)[..left]);
    }
}

#[test]
fn a_tree_that_keeps_changing_gives_whole_archives() {
    let tree = Tree::new();
    (0..40).for_each(|i| tree.file(format!("{}/{i}", i % 5), noise(i * 3000)));
    tree.file("2/large", noise(2 << 20));
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| {
            for _ in 0..20 {
                // The reader panics unless the archive is valid.
                archive(tree.backup());
            }
        });
        let mut rng = fastrand::Rng::with_seed(5);
        while !backups.is_finished() {
            let path = tree.root.join(format!("{}/{}", rng.u8(..5), rng.u8(..45)));
            let open = || OpenOptions::new().append(true).open(&path);
            // A change fails if an earlier one removed its file.
            let _ = match rng.u8(..6) {
                0 => fs::remove_file(&path),
                1 => fs::rename(&path, path.with_extension("moved")),
                2 => open().and_then(|file| file.set_len(rng.u64(..200_000))),
                3 => open().and_then(|mut file| file.write_all(&[7; 5000])),
                4 => fs::remove_file(&path).and_then(|()| fs::create_dir(&path)),
                _ => fs::write(&path, noise(rng.usize(..300_000))),
            };
        }
    });
}

#[test]
fn a_file_that_is_modified_is_reported() {
    let (report, archive) = change_midway(600, |first, _| {
        use std::os::unix::fs::FileExt;
        OpenOptions::new().write(true).open(first).unwrap().write_all_at(b"new", 0).unwrap();
    });
    assert_eq!(changes(&report), [(&b"1"[..], Change::Modified)]);
    assert_eq!(archive.get("1").content.len(), 600);
}

#[test]
fn a_file_replaced_while_it_is_read_is_stored_with_its_old_content() {
    let (report, archive) = change_midway(600, |first, _| {
        let new = first.with_extension("new");
        fs::write(&new, "new").unwrap();
        fs::rename(new, first).unwrap();
    });
    assert_eq!(changes(&report), [(&b"1"[..], Change::Modified)]);
    assert_eq!(archive.get("1").content, noise(600));
}

#[test]
fn a_file_that_is_removed_or_becomes_a_directory_before_it_is_read_is_skipped() {
    let (report, archive) = change_midway(600, |_, second| fs::remove_file(second).unwrap());
    assert_eq!(report.skipped[0].reason.code(), "vanished");
    assert!(!report.is_partial());
    assert_eq!(archive.paths(), ["0", "1"]);
    let (report, _) = change_midway(600, |_, second| {
        fs::remove_file(second).unwrap();
        fs::create_dir(second).unwrap();
    });
    assert_eq!(report.skipped[0].reason.code(), "replaced");
    assert!(report.is_partial());
}

#[test]
fn the_phase_shows_when_the_source_has_been_read() {
    let tree = Tree::with(&[("a", &noise(1 << 20))]);
    let limit = Limiter::new(500_000);
    let store = MemoryStore::new();
    let task = tree.backup().write_limit(limit.clone()).start(store, key());
    let handle = task.handle();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the end of the source", || {
                handle.progress().phase == wingback::Phase::SourceRead
            });
            assert!(handle.progress().written < 1 << 20, "the rest is still being written");
            fs::remove_dir_all(tree.root.join("a")).ok();
            limit.set_rate(0);
        });
        futures::executor::block_on(task)
    });
    assert_eq!(report.unwrap().files, 1);
}

#[test]
fn a_function_is_called_after_the_source_is_read_and_before_the_archive_is_visible() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = MemoryStore::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, at) = (seen.clone(), store.clone());
    let backup = tree.backup().on_source_read(move || {
        log.lock().unwrap().push(at.get(&key()).is_some());
        Err("the server does not answer")
    });
    let report = backup.start(store.clone(), key()).wait().unwrap();
    assert_eq!(*seen.lock().unwrap(), [false], "one call, without an archive");
    assert!(store.get(&key()).is_some());
    assert_eq!(report.warnings, [Warning::Hook("the server does not answer".into())]);

    let failed = tree.backup().on_source_read(|| -> Result<(), String> { panic!("it was called") });
    fs::remove_dir_all(&tree.root).unwrap();
    assert!(failed.start(MemoryStore::new(), key()).wait().is_err());
}

#[test]
fn a_cancelled_backup_waits_for_a_function_that_was_called() {
    let tree = Tree::with(&[("a", b"a")]);
    let (called, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flags = (called.clone(), ended.clone());
    let backup = tree.backup().on_source_read(move || {
        flags.0.store(true, SeqCst);
        // Acts as a slow service.
        std::thread::sleep(Duration::from_millis(200));
        flags.1.store(true, SeqCst);
        Ok::<(), String>(())
    });
    let task = backup.start(MemoryStore::new(), key());
    let handle = task.handle();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the call", || called.load(SeqCst));
            handle.cancel();
        });
        task.wait()
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(ended.load(SeqCst));
}

#[test]
fn the_source_is_counted_and_the_time_left_follows() {
    let tree = Tree::with(&[("a", &noise(3000)), ("b/c", &noise(70_000))]);
    let limit = Limiter::new(20_000);
    let task = tree.backup().read_limit(limit.clone()).start(MemoryStore::new(), key());
    let handle = task.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("a time left", || handle.progress().time_left.is_some());
            let now = handle.progress();
            let left = (73_000 - now.bytes) as f64 / now.rate as f64;
            assert!((now.time_left.unwrap().as_secs_f64() - left).abs() < 0.001, "{now:?}");
            limit.set_rate(0);
        });
        futures::executor::block_on(task).unwrap();
    });
    let expected = handle.progress().expected.unwrap();
    assert_eq!((expected.files, expected.bytes), (2, 73_000));
    let now = handle.progress();
    assert_eq!((now.bytes, now.percent(), now.rate, now.time_left), (73_000, Some(100.0), 0, None));
    let task = tree.backup().count_first(false).start(MemoryStore::new(), key());
    let handle = task.handle();
    futures::executor::block_on(task).unwrap();
    assert_eq!(handle.progress().expected, None);
    let _ = bytes(tree.backup()).unwrap();
}

/// A hole is not read, so it does not count toward the limit. At 100 kB per second it would take eleven
/// minutes.
#[test]
fn a_hole_does_not_count_against_the_read_limit() {
    let tree = Tree::new();
    let file = fs::File::create(tree.root.join("sparse.db")).unwrap();
    file.set_len(64 << 20).unwrap();
    let started = std::time::Instant::now();
    let (report, _) = archive(tree.backup().read_limit(Limiter::new(100_000)));
    assert_eq!((report.content, report.read), (64 << 20, 0));
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
}
