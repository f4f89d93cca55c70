//! Files that change while they are read: the archive is whole all the same, and the report says
//! which they were.

mod support;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use support::{Tree, bytes, format, key, noise, wait_until};
use wingback::{Change, Limiter, MemoryStore, Report};

/// Backs up three files slowly, the second of `len` bytes, and calls `change` with the paths of the
/// second and the third once a part of the second has been read.
fn change_midway(
    len: usize,
    change: impl FnOnce(&Path, &Path) + Send,
) -> (Report, format::Archive) {
    let tree = Tree::with(&[("0", &noise(100)), ("1", &noise(len)), ("2", &noise(2000))]);
    let is_large = len > 4 << 20;
    let limit = Limiter::new(if is_large { 4_000_000 } else { 1000 });
    let store = MemoryStore::new();
    let task = tree.backup().read_limit(limit.clone()).start(store.clone(), key());
    let handle = task.handle();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A large file's pieces are counted one by one, a small file only at its end.
            let before = if is_large { 100 + (2 << 20) } else { 100 };
            wait_until("reading", || handle.progress().bytes >= before);
            std::thread::sleep(std::time::Duration::from_millis(if is_large { 0 } else { 150 }));
            change(&tree.root.join("1"), &tree.root.join("2"));
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
fn a_small_file_that_shrinks_has_the_length_that_was_read() {
    for (len, left) in [(513, 512), (512, 511), (513, 0), (5000, 600)] {
        let (report, archive) = change_midway(len, |first, _| {
            OpenOptions::new().write(true).open(first).unwrap().set_len(left).unwrap();
        });
        assert_eq!(changes(&report), [(&b"1"[..], Change::Shrank)]);
        let entry = archive.get("1");
        assert!(
            entry.content.len() < len && noise(len).starts_with(&entry.content[..left as usize])
        );
        assert_eq!(entry.flags & 1, 1);
        assert_eq!(archive.get("2").content, noise(2000), "what follows is not shifted");
    }
}

#[test]
fn a_file_that_grows_has_the_length_it_was_opened_with() {
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
fn a_large_file_that_shrinks_ends_in_zeros() {
    let len = 5 << 20;
    let (report, archive) = change_midway(len, |first, _| {
        OpenOptions::new().write(true).open(first).unwrap().set_len(3 << 20).unwrap();
    });
    assert_eq!(changes(&report), [(&b"1"[..], Change::Shrank)]);
    let content = &archive.get("1").content;
    assert_eq!(content.len(), len);
    assert!(content[..2 << 20] == noise(len)[..2 << 20]);
    assert!(content[4 << 20..].iter().all(|&b| b == 0));
}

#[test]
fn a_file_that_is_written_to_is_named() {
    let (report, archive) = change_midway(600, |first, _| {
        use std::os::unix::fs::FileExt;
        OpenOptions::new().write(true).open(first).unwrap().write_all_at(b"new", 0).unwrap();
    });
    assert_eq!(changes(&report), [(&b"1"[..], Change::Modified)]);
    assert_eq!(archive.get("1").content.len(), 600);
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_the_old_one() {
    let (report, archive) = change_midway(600, |first, _| {
        let new = first.with_extension("new");
        fs::write(&new, "new").unwrap();
        fs::rename(new, first).unwrap();
    });
    assert_eq!(changes(&report), [(&b"1"[..], Change::Modified)]);
    assert_eq!(archive.get("1").content, noise(600));
}

#[test]
fn a_file_that_is_gone_or_another_kind_when_its_turn_comes_is_skipped() {
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
fn the_phase_says_when_the_source_is_not_needed_any_more() {
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
fn what_was_counted_first_is_what_was_expected() {
    let tree = Tree::with(&[("a", &noise(3000)), ("b/c", &noise(70_000))]);
    let limit = Limiter::new(200_000);
    let task =
        tree.backup().count_first(true).read_limit(limit.clone()).start(MemoryStore::new(), key());
    let handle = task.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("counting", || handle.progress().expected.is_some());
            limit.set_rate(0);
        });
        futures::executor::block_on(task).unwrap();
    });
    let expected = handle.progress().expected.unwrap();
    assert_eq!((expected.files, expected.bytes), (2, 73_000));
    assert_eq!(handle.progress().bytes, 73_000);
    let _ = bytes(tree.backup()).unwrap();
}
