//! Data that is read again because the previous archive is damaged, while a server writes.

use std::{
    fs::File,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use wingback::{MemoryStore, Task};

use super::*;

/// Modification time of files with their old content.
fn old_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000)
}

/// Length of truncated files.
const CUT: usize = 100;

fn set_time(file: &File) {
    file.set_times(FileTimes::new().set_modified(old_time())).unwrap();
}

/// A backup that trusts mtimes, so a file can be changed and changed back unnoticed.
fn task(tree: &Tree, previous: &Path, store: &MemoryStore) -> Task<'static, Report> {
    let backup = tree.backup().now(later()).trust_mtime(true);
    let backup = backup.previous(Previous::File(previous.to_owned()));
    backup.start(store.clone(), support::key())
}

/// Repeatedly changes a file and changes it back while backups use a previous archive that is damaged in
/// that file. A stored file with the old time has the old content, or is reported as changed.
fn change_meanwhile(tree: &Tree, path: &str, previous: &Path, change: impl Fn(&File) + Sync) {
    let full = tree.root.join(path);
    let old = fs::read(&full).unwrap();
    let is_over = AtomicBool::new(false);
    let mut changed = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&full).unwrap();
            while !is_over.load(SeqCst) {
                // Two changes within one tick of the kernel's clock have the same ctime and cannot be distinguished.
                wait_for_later_ctime();
                change(&file);
                wait_for_later_ctime();
                file.write_all_at(&old, 0).unwrap();
                set_time(&file);
            }
        });
        for round in 0..150 {
            let store = MemoryStore::new();
            let report = block_on(task(tree, previous, &store)).unwrap();
            let found = support::format::read(&store.get(&support::key()).unwrap());
            let found = found.get(path);
            let is_reported = report.changed.iter().any(|changed| changed.path == path.as_bytes());
            assert_eq!(is_reported, found.is_changed, "{round}");
            let is_old = found.mtime_ns == 1_500_000_000_000_000_000;
            // On ext4, the new size of a truncated file is visible before its new times. During that interval it
            // looks like a file that has always been that short.
            let is_cut = found.content == old[..CUT];
            if is_old && !is_reported && found.content != old && !is_cut {
                is_over.store(true, SeqCst);
                panic!("round {round}: other content with the old time, and not in the report");
            }
            changed += u32::from(is_reported);
        }
        is_over.store(true, SeqCst);
    });
    println!("{path}: reported {changed} times");
}

#[test]
fn a_change_before_a_forged_group_is_reread_is_reported() {
    for change in [truncate as fn(&File), overwrite] {
        let tree = Tree::new();
        for n in 0..40 {
            tree.file(format!("a{n:02}"), noise(1500));
        }
        tree.file("b", noise(5000));
        set_time(&File::open(tree.root.join("b")).unwrap());
        tree.file("z", "the last");
        wait_for_later_ctime();
        let mut full = from_scratch(&tree).1;
        let middle = usize::midpoint(segments(&full)[0], segments(&full)[1]);
        forge(&mut full, middle);
        tree.file("z", "has changed");
        let previous = keep(&tree, &full);
        let store = MemoryStore::new();
        let still = task(&tree, &previous, &store);
        let handle = still.handle();
        let report = block_on(still).unwrap();
        assert!(matches!(report.warnings[..], [Warning::PreviousDamaged(1), ..]));
        assert_eq!(handle.progress().bytes, report.content, "each byte counts once");
        change_meanwhile(&tree, "b", &previous, change);
    }
}

#[test]
fn a_change_while_damaged_pieces_are_reread_is_reported() {
    for change in [truncate as fn(&File), overwrite] {
        let tree = Tree::with(&[("a", b"a"), ("world.db", &noise(600_000))]);
        set_time(&File::open(tree.root.join("world.db")).unwrap());
        wait_for_later_ctime();
        let mut full = from_scratch(&tree).1;
        let starts = segments(&full);
        // Its first and last pieces stay intact.
        for pair in starts[3..starts.len() - 2].windows(2) {
            full[usize::midpoint(pair[0], pair[1])] ^= 1;
        }
        let previous = keep(&tree, &full);
        let store = MemoryStore::new();
        let still = task(&tree, &previous, &store);
        let handle = still.handle();
        let report = block_on(still).unwrap();
        assert!(!report.warnings.is_empty() && report.copied > 0, "{report:?}");
        assert_eq!(handle.progress().bytes, report.content, "each byte counts once");
        change_meanwhile(&tree, "world.db", &previous, change);
    }
}

#[test]
fn a_file_that_vanishes_before_a_forged_group_is_reread_is_skipped() {
    // The first changed file opens the group, after the files before it have been processed.
    let mut is_met = false;
    for round in 0..200 {
        let tree = Tree::new();
        tree.file("a", noise(2000));
        fs::hard_link(tree.root.join("a"), tree.root.join("b")).unwrap();
        fs::hard_link(tree.root.join("a"), tree.root.join("c")).unwrap();
        tree.file("z", "the last");
        wait_for_later_ctime();
        let mut full = from_scratch(&tree).1;
        let middle = usize::midpoint(segments(&full)[0], segments(&full)[1]);
        forge(&mut full, middle);
        tree.file("z", "has changed");
        let previous = keep(&tree, &full);
        let gone = tree.root.join("b");
        let remover = thread::spawn(move || {
            thread::sleep(Duration::from_micros(700 + 15 * (round % 100)));
            fs::remove_file(gone).unwrap();
        });
        let store = MemoryStore::new();
        let report = block_on(task(&tree, &previous, &store)).unwrap();
        remover.join().unwrap();
        let found = support::format::read(&store.get(&support::key()).unwrap());
        assert_eq!(found.entries.len() as u64, report.files, "{report:?}");
        is_met |= !report.skipped.is_empty();
    }
    println!("{}", if is_met { "it vanished in time" } else { "it never vanished in time" });
}

fn truncate(file: &File) {
    file.set_len(CUT as u64).unwrap();
}

fn overwrite(file: &File) {
    let len = file.metadata().unwrap().len() as usize;
    file.write_all_at(&vec![b'n'; len], 0).unwrap();
}
