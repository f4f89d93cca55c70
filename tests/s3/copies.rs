//! A backup with a previous archive in the same bucket: the service copies unchanged parts, and everything else is
//! sent. Whatever goes wrong, the object is the same as that of a full upload.

use std::{
    fs,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use futures::executor::block_on;
use wingback::{
    Backup, Cache, ErrorKind, Key, Limiter, LocalStore, Previous, Report, S3Store, Store,
};

use crate::{
    fault::{Fault, Seen, error},
    faults::{at_first, quick_config},
    proxy::Proxy,
    server::Server,
    store::with,
    support::{Tree, noise, wait_until},
};

const PART: u64 = 5 << 20;

/// The tree of the second day, and the archives of both days. The first has nine parts.
struct Days {
    tree: Tree,
    first: Vec<u8>,
    second: Vec<u8>,
}

static DAYS: LazyLock<Days> = LazyLock::new(|| {
    let tree = Tree::with(&[
        ("a.mca", &noise(17 << 20)),
        ("b.mca", &noise(6 << 20)),
        ("c.mca", &noise(19 << 20)),
        ("d", b"d"),
    ]);
    let full = |tree: &Tree| {
        let bytes = crate::support::archive_bytes(tree.backup().reproducible(true));
        fs::write(tree.tmp.path().join("archive"), &bytes).unwrap();
        bytes
    };
    let first = full(&tree);
    fs::copy(tree.tmp.path().join("archive"), tree.tmp.path().join("first.tar.gz")).unwrap();
    // The bytes after it are at other offsets than before.
    tree.file("a first file", "with some text");
    let changed = noise((6 << 20) + 7);
    tree.file("b.mca", &changed[7..]);
    let second = full(&tree);
    Days { tree, first, second }
});

impl Days {
    /// The backup of the second day. The archive of the first day is a local file.
    fn backup(&self) -> Backup {
        let first = self.tree.tmp.path().join("first.tar.gz");
        self.tree.backup().reproducible(true).previous(Previous::File(first))
    }
}

fn first_key() -> Key {
    Key::new("first.tar.gz").unwrap()
}

fn is_copy(seen: &Seen) -> bool {
    seen.is_part() && seen.header("x-amz-copy-source").is_some()
}

fn is_sent(seen: &Seen) -> bool {
    seen.is_part() && seen.header("x-amz-copy-source").is_none()
}

/// A bucket with the archive of the first day, behind a proxy.
struct Bucket {
    server: &'static Server,
    name: String,
    proxy: Proxy,
    store: S3Store,
}

impl Bucket {
    fn new(rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Self {
        let server = Server::shared();
        let name = server.bucket();
        server.put(&name, first_key().as_str(), &DAYS.first);
        let proxy = Proxy::to(server.address(), rule);
        let store = with(quick_config(server, &proxy.endpoint(), &name), |_| ());
        Bucket { server, name, proxy, store }
    }

    /// Makes the backup of the second day, and checks what is in the bucket.
    #[track_caller]
    fn second_day(&self) -> Report {
        let key = Key::new("second.tar.gz").unwrap();
        let report = block_on(DAYS.backup().start(self.store.clone(), key.clone())).unwrap();
        assert!(self.server.get(&self.name, key.as_str()) == DAYS.second, "{report:?}");
        assert_eq!(report.uploaded + report.copied_in_store, report.size);
        assert_eq!(self.server.left_of(&self.name, key.as_str()), [""; 0]);
        report
    }

    fn count(&self, is_it: impl Fn(&Seen) -> bool) -> usize {
        self.proxy.log().iter().filter(|seen| is_it(seen)).count()
    }
}

#[test]
fn unchanged_parts_are_copied_by_the_service() {
    let bucket = Bucket::new(|_| Fault::None);
    let report = bucket.second_day();
    // The new file is in the first part, the changed one in two or three, and the index in the last.
    assert!(report.copied_in_store >= 4 * PART && report.uploaded <= 5 * PART, "{report:?}");
    let copies = report.copied_in_store / PART;
    assert_eq!(bucket.count(is_copy) as u64, copies);
    assert_eq!(bucket.count(|seen| is_copy(seen) && seen.content_length == Some(0)) as u64, copies);
    assert_eq!(bucket.count(is_sent) as u64, report.size.div_ceil(PART) - copies);
    // R2 requires that all parts except the last have the same size.
    let lengths = bucket.proxy.log().into_iter().filter(is_sent).filter_map(|s| s.content_length);
    let small: Vec<_> = lengths.filter(|len| *len != PART).collect();
    assert_eq!(small, [report.size % PART]);
}

#[test]
fn an_unchanged_tree_sends_only_the_last_part() {
    let days = &*DAYS;
    let bucket = Bucket::new(|_| Fault::None);
    let second = days.tree.tmp.path().join("second day.tar.gz");
    fs::write(&second, &days.second).unwrap();
    bucket.server.put(&bucket.name, "second day.tar.gz", &days.second);
    let backup = days.tree.backup().reproducible(true).previous(Previous::File(second));
    let report = block_on(backup.start(bucket.store.clone(), Key::new("third").unwrap())).unwrap();
    assert!(bucket.server.get(&bucket.name, "third") == days.second);
    assert_eq!(report.uploaded, report.size % PART);
}

/// Of a service that copies wrongly or not at all. Each case says whether some parts are copied nevertheless.
#[test]
fn a_part_that_is_not_copied_is_sent() {
    let other =
        "<CopyPartResult><ETag>\"d41d8cd98f00b204e9800998ecf8427e\"</ETag></CopyPartResult>";
    let answers = |body: &str| Fault::Replace { status: 200, body: body.to_owned() };
    let always = usize::MAX;
    for (times, fault, are_some_copied) in [
        (always, Fault::Status(501, "NotImplemented"), false),
        (always, Fault::Status(403, "AccessDenied"), false),
        (always, Fault::Status(404, "NoSuchKey"), false),
        (always, Fault::Status(412, "PreconditionFailed"), false),
        (always, Fault::Status(400, "EntityTooSmall"), false),
        (always, Fault::Refuse, false),
        // Of other bytes, or of a service whose ETags are not hashes.
        (always, answers(other), false),
        (always, answers("<CopyPartResult/>"), false),
        (always, answers(""), false),
        (1, answers(&error("InternalError")), true),
        (1, Fault::Status(503, "SlowDown"), true),
        (1, Fault::LoseResponse, true),
        (1, Fault::CutResponse { after: 20 }, true),
        (1, Fault::StallResponse { after: 20 }, true),
        (1, Fault::Stall, true),
        (1, Fault::ReplaceAfter { status: 200, body: error("InternalError") }, true),
    ] {
        let shown = format!("{times} times {fault:?}");
        let bucket = Bucket::new(at_first(times, is_copy, fault));
        let report = bucket.second_day();
        assert_eq!(report.copied_in_store > 0, are_some_copied, "{shown}: {report:?}");
        // Three failures end the attempts. Two parts may be in transit then.
        assert!(are_some_copied || bucket.count(is_copy) <= 4, "{shown}");
    }
}

/// The previous object when the backup looks at it, and when it copies from there.
#[test]
fn a_missing_or_replaced_object_is_not_copied() {
    let len = DAYS.first.len();
    let others = || noise(len);
    type Change = fn(&Server, &str, &[u8]);
    let replace: Change = |server, bucket, bytes| server.put(bucket, "first.tar.gz", bytes);
    let delete: Change = |server, bucket, _| server.delete(bucket, "first.tar.gz");
    for (change, bytes, is_tried) in [
        (delete, vec![], false),
        (replace, others()[1..].to_vec(), false),
        (replace, others(), true),
    ] {
        let bucket = Bucket::new(|_| Fault::None);
        change(bucket.server, &bucket.name, &bytes);
        assert_eq!(bucket.second_day().copied_in_store, 0);
        assert_eq!(bucket.count(is_copy) > 0, is_tried, "{} bytes", bytes.len());
    }
    for (change, bytes) in [(delete, vec![]), (replace, others())] {
        let bucket = Bucket::new(|_| Fault::None);
        let (server, name, is_done) = (bucket.server, bucket.name.clone(), AtomicBool::new(false));
        bucket.proxy.set_rule(move |seen| {
            if is_copy(seen) && !is_done.swap(true, SeqCst) {
                change(server, &name, &bytes);
            }
            Fault::None
        });
        bucket.second_day();
        assert!(bucket.count(is_copy) > 0);
    }
}

#[test]
fn without_permission_to_look_at_the_object_everything_is_sent() {
    let bucket = Bucket::new(|seen| match seen.path.ends_with("/first.tar.gz") {
        true => Fault::Status(403, "AccessDenied"),
        false => Fault::None,
    });
    assert_eq!(bucket.second_day().copied_in_store, 0);
    assert_eq!(bucket.count(is_copy), 0);
}

#[test]
fn a_cancel_while_the_service_copies_leaves_nothing() {
    for fault in [Fault::None, Fault::LoseResponse, Fault::Stall] {
        let bucket = Bucket::new(at_first(usize::MAX, is_copy, fault));
        let key = Key::new("second.tar.gz").unwrap();
        let backup = DAYS.backup().write_limit(Limiter::new(16 << 20));
        let task = backup.start(bucket.store.clone(), key.clone());
        let handle = task.handle();
        let error = std::thread::scope(|scope| {
            let running = scope.spawn(|| block_on(task));
            wait_until("a copy", || bucket.count(is_copy) > 0);
            handle.cancel();
            running.join().unwrap().unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert_eq!(bucket.server.left_of(&bucket.name, key.as_str()), [""; 0]);
        assert_eq!(bucket.server.objects(&bucket.name).len(), 1);
    }
}

#[test]
fn the_cache_knows_the_name_of_the_object() {
    let server = Server::shared();
    let bucket = server.bucket();
    let store = with(quick_config(server, &server.endpoint(), &bucket), |config| {
        config.prefix = "a b/é+&".into();
    });
    let tree = Tree::with(&[("a", &noise(12 << 20)), ("b", b"b")]);
    let cache = Cache::new(tree.tmp.path().join("cache"), 1 << 30);
    let back_up = |store: Box<dyn Store>, n: u128| {
        tree.file("b", format!("day {n}"));
        let key = Key::new(format!("servers/backup-{n}.tar.gz")).unwrap();
        let backup = tree.backup().reproducible(true);
        let report = block_on(backup.clone().cache(cache.clone()).start(store, key)).unwrap();
        assert_eq!(report.sha1, block_on(backup.write_to(Vec::new())).unwrap().sha1);
        report
    };
    assert_eq!(back_up(Box::new(store.clone()), 1).copied_in_store, 0);
    for n in 2..4 {
        assert_eq!(back_up(Box::new(store.clone()), n).copied_in_store, 2 * PART);
        let object = server.get(&bucket, &format!("a b/é+&servers/backup-{n}.tar.gz"));
        assert!(object == crate::support::archive_bytes(tree.backup().reproducible(true)));
    }
    // The next archive goes elsewhere, and the one after it finds nothing at the name of that one.
    let local = LocalStore::new(tree.tmp.path().join("local")).mkdir(true);
    assert_eq!(back_up(Box::new(local), 4).copied_in_store, 0);
    assert_eq!(back_up(Box::new(store.clone()), 5).copied_in_store, 0);
    assert_eq!(back_up(Box::new(store.clone()), 6).copied_in_store, 2 * PART);
}
