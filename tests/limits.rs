//! Limits slow down the reading of archives, and the writing of their contents. The bounds of time are wide, because
//! the speed without a limit depends on the machine.

mod support;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;
use futures::{
    TryStreamExt,
    executor::block_on,
    io::{Cursor, copy, sink},
};
use support::{Tree, archive_bytes, gzip, in_memory, noise, restore, text, wait_until};
use wingback::{
    Archive, Diff, Entries, ErrorKind, Extract, Find, Limiter, List, LocalStore, NameTemplate,
    Store, Task, UnpackOptions, Verify, VerifyAll,
};

/// Bytes per second.
const RATE: u64 = 250_000;

/// Bytes of about a second.
const CONTENT: usize = 250_000;

type Operation = fn(Archive<'static>, &Path);

/// Runs `work`, which must take about as long as `bytes` take at the rate.
fn takes(what: &str, bytes: usize, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let (took, expected) = (start.elapsed().as_secs_f64(), bytes as f64 / RATE as f64);
    assert!(took >= 0.95 * expected && took < 20.0 * expected, "{what}: {took} s");
}

fn limit() -> Limiter {
    Limiter::new(RATE)
}

/// Returns an archive in its places: the file at `path`, a store that has ranges, and a stream.
fn places(archive: &[u8], path: &Path) -> [(&'static str, Archive<'static>); 3] {
    [
        ("file", Archive::file(path)),
        ("store", in_memory(archive)),
        ("stream", Archive::stream(Cursor::new(archive.to_vec()))),
    ]
}

/// Runs the operations at the same time, each with an archive of each place. Each must take as long as `bytes`.
fn each_takes(archive: &[u8], bytes: usize, operations: &[(&str, Operation)]) {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("a.tar.gz");
    fs::write(&path, archive).unwrap();
    thread::scope(|scope| {
        for &(name, operation) in operations {
            for (place, archive) in places(archive, &path) {
                scope.spawn(move || {
                    let dir = tempfile::tempdir().unwrap();
                    let what = format!("{name} from a {place}");
                    takes(&what, bytes, || operation(archive.read_limit(limit()), dir.path()));
                });
            }
        }
    });
}

#[test]
fn an_archive_is_read_at_the_limit_wherever_it_is() {
    let archive = archive_bytes(Tree::with(&[("a", &noise(CONTENT))]).backup());
    let operations: [(&str, Operation); 5] = [
        ("verify", |archive, _| {
            assert!(block_on(Verify::new().start(archive)).unwrap().is_whole());
        }),
        ("extract", |archive, dir| drop(block_on(Extract::new(dir).start(archive)).unwrap())),
        ("restore", |archive, dir| drop(block_on(restore(dir).start(archive)).unwrap())),
        ("copy_file", |archive, _| {
            let mut content = Vec::new();
            block_on(archive.copy_file("a", &mut content)).unwrap();
            assert_eq!(content.len(), CONTENT);
        }),
        ("entries", |archive, _| {
            let mut entries = Entries::open(archive);
            block_on(async {
                while entries.try_next().await.unwrap().is_some() {
                    copy(&mut entries, &mut sink()).await.unwrap();
                }
            });
        }),
    ];
    // A copy need not read the index, whose size depends on the paths of the machine.
    each_takes(&archive, CONTENT, &operations);
}

/// Returns the archive as another program makes it.
fn without_index(archive: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(archive).read_to_end(&mut tar).unwrap();
    gzip(&tar)
}

#[test]
fn an_archive_without_an_index_is_listed_and_compared_at_the_limit() {
    let tree = Tree::with(&[("a", &noise(CONTENT))]);
    let archive = without_index(&archive_bytes(tree.backup()));
    each_takes(
        &archive,
        archive.len(),
        &[("list", |archive, _| {
            assert_eq!(block_on(List::new().start(archive)).unwrap().len(), 1);
        })],
    );
    let compared = |differences| block_on(TryStreamExt::try_collect::<Vec<_>>(differences));
    takes("a diff with a directory", archive.len() + CONTENT, || {
        let limited = in_memory(&archive).read_limit(limit());
        let differences = Diff::new().content(true).with_dir(limited, &tree.root);
        assert_eq!(compared(differences).unwrap(), []);
    });
    takes("a diff of archives with one limit", 2 * archive.len(), || {
        let limit = limit();
        let [a, b] = [(); 2].map(|()| in_memory(&archive).read_limit(limit.clone()));
        assert_eq!(compared(Diff::new().start(a, b)).unwrap(), []);
    });
}

/// A store with two archives, and their size together.
fn two_archives(tmp: &Path) -> (LocalStore, usize) {
    let store = LocalStore::new(tmp.join("to")).mkdir(true);
    let tree = Tree::with(&[("a", &noise(CONTENT / 2))]);
    let make = |n| {
        let key = NameTemplate::default().key(uuid::Uuid::from_u128(n));
        block_on(tree.backup().start(store.clone(), key)).unwrap().size as usize
    };
    let size = make(1) + make(2);
    (store, size)
}

#[test]
fn the_archives_of_a_place_share_one_limit() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, size) = two_archives(tmp.path());
    takes("verify", size, || {
        let mut checks = VerifyAll::new().read_limit(limit()).start(store.clone());
        let all = block_on(async {
            while checks.try_next().await.unwrap().is_some() {}
            checks.verified_all().cloned()
        });
        assert_eq!(all.unwrap().verified, 2);
    });
    // The list and the search read the last 64 KiB of each.
    takes("find", 4 * (64 << 10), || {
        let found = block_on(Find::new().read_limit(limit()).start(store.clone())).unwrap();
        assert_eq!(found.searched, 2);
    });
}

#[test]
fn a_bad_archive_does_not_end_the_limited_check_of_the_others() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, _) = two_archives(tmp.path());
    let keys: Vec<_> = block_on(store.list()).unwrap().into_iter().map(|o| o.key).collect();
    let bad = store.path(&keys[0]);
    let mut bytes = fs::read(&bad).unwrap();
    bytes[20..CONTENT / 3].fill(0);
    fs::write(bad, bytes).unwrap();
    let checks = VerifyAll::new().read_limit(Limiter::new(100 * RATE)).start(store);
    let checks: Vec<_> = block_on(checks.try_collect()).unwrap();
    assert_eq!(checks.iter().filter(|check| check.is_whole()).count(), 1, "{checks:?}");
}

#[test]
fn contents_are_written_at_the_limit() {
    let archive = archive_bytes(Tree::with(&[("a", &text(CONTENT))]).backup());
    assert!(archive.len() < CONTENT / 2, "it takes less time to read");
    let operations: [(&str, Operation); 4] = [
        ("extract", |archive, dir| drop(block_on(Extract::new(dir).start(archive)).unwrap())),
        ("restore", |archive, dir| drop(block_on(restore(dir).start(archive)).unwrap())),
        ("restore in place", |archive, dir| {
            block_on(restore(dir).in_place(true).start(archive)).unwrap();
        }),
        ("copy_file", |archive, _| {
            block_on(archive.copy_file("a", sink())).unwrap();
        }),
    ];
    thread::scope(|scope| {
        for (name, operation) in operations {
            let archive = in_memory(&archive).write_limit(limit());
            scope.spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                takes(name, CONTENT, || operation(archive, dir.path()));
            });
        }
    });
}

#[test]
fn holes_and_equal_files_do_not_count_against_the_write_limit() {
    let tree = Tree::with(&[("a", b"x")]);
    File::create(tree.root.join("hole")).unwrap().set_len(64 << 20).unwrap();
    let archive = archive_bytes(tree.backup());
    let dir = tempfile::tempdir().unwrap();
    block_on(restore(dir.path()).start(in_memory(&archive))).unwrap();
    let slow = || in_memory(&archive).write_limit(Limiter::new(1));
    let restored = block_on(restore(dir.path()).start(slow())).unwrap();
    assert_eq!(restored.unchanged, 2, "{restored:?}");
    // One byte takes a second.
    let copy = tempfile::tempdir().unwrap();
    block_on(Extract::new(copy.path()).start(slow())).unwrap();
    assert_eq!(fs::metadata(copy.path().join("hole")).unwrap().len(), 64 << 20);
}

#[test]
fn many_threads_read_a_limited_archive_in_order() {
    // Otherwise all threads would end their first reads at the same time, at the end.
    let archive = archive_bytes(Tree::with(&[("a", &noise(8 << 20))]).backup());
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("a.tar.gz");
    fs::write(&path, &archive).unwrap();
    // A request to the store has 2 MiB.
    let verify_in_order = |at: Archive<'static>| {
        let verify = Verify::new().threads(8).start(at.read_limit(Limiter::new(2 << 20)));
        let handle = verify.handle();
        thread::scope(|scope| {
            let start = Instant::now();
            let verified = scope.spawn(move || block_on(verify).unwrap());
            wait_until("the first bytes", || handle.progress().bytes > 0);
            let first = start.elapsed();
            assert!(verified.join().unwrap().is_whole());
            assert!(2 * first < start.elapsed(), "{first:?} of {:?}", start.elapsed());
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| verify_in_order(in_memory(&archive)));
        scope.spawn(|| verify_in_order(Archive::file(path)));
    });
}

/// Cancels a task that waits for the limit. Otherwise it would take days.
fn cancel_ends<T: Send>(what: &str, limit: &Limiter, task: Task<'static, T>) {
    let handle = task.handle();
    thread::scope(|scope| {
        let ended = scope.spawn(|| block_on(task).err().map(|e| e.kind()));
        wait_until("the first bytes", || handle.progress().bytes > 0);
        limit.set_rate(1);
        let start = Instant::now();
        handle.cancel();
        assert_eq!(ended.join().unwrap(), Some(ErrorKind::Cancelled), "{what}");
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
    });
}

#[test]
fn a_cancel_ends_the_wait_for_a_limit() {
    let archive = archive_bytes(Tree::with(&[("a", &noise(8 << 20))]).backup());
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("a.tar.gz");
    fs::write(&path, &archive).unwrap();
    let fast = || Limiter::new(2 << 20);
    for (place, archive) in places(&archive, &path) {
        let limit = fast();
        let verify = Verify::new().threads(2).start(archive.read_limit(limit.clone()));
        cancel_ends(&format!("verify from a {place}"), &limit, verify);
    }
    let limit = fast();
    let one_thread = UnpackOptions::new().threads(1);
    let extract = Extract::new(tmp.path().join("copy")).options(one_thread);
    let extract = extract.start(in_memory(&archive).write_limit(limit.clone()));
    cancel_ends("extract", &limit, extract);
    let limit = fast();
    let copy = in_memory(&archive).write_limit(limit.clone()).copy_file("a", sink());
    cancel_ends("copy_file", &limit, copy);
}
