//! The contract of a store, as a test.

use std::{
    fs::File,
    io::{Read, Write},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use rustix::fs::MemfdFlags;
use uuid::Uuid;

use crate::{
    error::{ErrorKind, Result},
    name::Key,
    store::{Object, Opened, ReadRange, Store, Upload},
    template::NameTemplate,
};

const CONTENT: &str = "hello world";

/// Checks that `store` fulfills the contract of [`Store`] and [`Upload`].
///
/// The store must be empty, and is empty afterwards. The archives have the names of [`NameTemplate::default`].
///
/// ```
/// use wingback::{MemoryStore, testing::store_conformance};
///
/// futures::executor::block_on(store_conformance(&MemoryStore::new()));
/// ```
///
/// # Panics
///
/// If the store does not fulfill the contract. The message says what is wrong.
pub async fn store_conformance(store: &dyn Store) {
    let [a, b] = [1, 2].map(|n| NameTemplate::default().key(Uuid::from_u128(n)));
    assert!(keys(store).await.is_empty(), "the store must be empty before the test");
    a_missing_archive_is_not_found(store, &a).await;
    an_archive_is_visible_only_after_complete(store, &a).await;
    a_name_is_taken_only_once(store, &a).await;
    a_read_returns_its_range(store, &a).await;
    an_unfinished_upload_leaves_nothing(store, &b).await;

    let empty = begin(store, &b).await.expect("a name without an archive is free");
    empty.complete().await.expect("an empty archive completes");
    assert_eq!(size(store, &b).await, Some(0), "an empty archive has no bytes");
    assert_eq!(keys(store).await, [a.clone(), b.clone()], "`list` is in the order of the keys");

    for key in [&a, &b] {
        store.delete(key).await.expect("an archive can be deleted");
        a_missing_archive_is_not_found(store, key).await;
    }
    assert!(keys(store).await.is_empty(), "a deleted archive is not in `list`");
}

async fn a_missing_archive_is_not_found(store: &dyn Store, key: &Key) {
    let head = store.head(key).await.expect("`head` of a missing archive succeeds");
    assert_eq!(head, None, "`head` of a missing archive returns None");
    let read = store.read(key, ReadRange::Last(1)).await;
    assert_eq!(kind(&read), Some(ErrorKind::NotFound), "`read` of a missing archive");
    let open = store.open(key, 10).await;
    assert_eq!(kind(&open), Some(ErrorKind::NotFound), "`open` of a missing archive");
    let delete = store.delete(key).await;
    assert_eq!(kind(&delete), Some(ErrorKind::NotFound), "`delete` of a missing archive");
    match store.file(key).await {
        Ok(file) => assert!(file.is_none(), "a missing archive has no file"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::NotFound, "`file` of a missing archive"),
    }
    assert!(!store.location(key).is_empty(), "an archive that does not exist has a location");
}

async fn an_archive_is_visible_only_after_complete(store: &dyn Store, key: &Key) {
    let mut upload = begin(store, key).await.expect("an upload begins");
    let file = file_with(CONTENT.as_bytes());
    for (piece, copied_from) in [("hello ", None), ("", None), ("wor", Some(6)), ("ld", Some(9))] {
        let piece = Bytes::from_static(piece.as_bytes());
        match copied_from {
            Some(at) => upload.copy_from(file.clone(), at, piece).await,
            None => upload.write(piece).await,
        }
        .expect("an upload takes bytes");
        assert_eq!(size(store, key).await, None, "`head` does not see an unfinished archive");
        assert!(keys(store).await.is_empty(), "`list` does not show an unfinished archive");
    }
    let swept: Vec<_> = store.sweep().try_collect().await.expect("a sweep succeeds");
    assert!(swept.is_empty(), "a sweep leaves an upload of a running process: {swept:?}");
    upload.flush().await.expect("an upload flushes");
    assert_eq!(size(store, key).await, None, "`flush` does not complete an archive");
    upload.complete().await.expect("an upload completes");

    let head = store.head(key).await.expect("`head` succeeds").expect("the archive is complete");
    assert_eq!((&head.key, head.size), (key, CONTENT.len() as u64), "`head` after `complete`");
    let listed = store.list().await.expect("`list` succeeds");
    let [listed] = &listed[..] else { panic!("`list` shows one archive, not {listed:?}") };
    assert_eq!((&listed.key, listed.size), (key, head.size), "`list` and `head` agree");
    assert!(is_of_same_second(&head, listed), "the times of {head:?} and {listed:?} agree");
}

async fn a_name_is_taken_only_once(store: &dyn Store, key: &Key) {
    let taken = begin(store, key).await;
    assert_eq!(kind(&taken), Some(ErrorKind::AlreadyExists), "`create` of a complete archive");
    store.delete(key).await.expect("an archive can be deleted");

    let mut first = begin(store, key).await.expect("the name of a deleted archive is free");
    let second = begin(store, key).await;
    first.write(Bytes::from_static(CONTENT.as_bytes())).await.expect("an upload takes bytes");
    first.complete().await.expect("the first of two uploads completes");
    let second = match second {
        Ok(second) => second.complete().await,
        Err(e) => Err(e),
    };
    let taken = Some(ErrorKind::AlreadyExists);
    assert_eq!(kind(&second), taken, "the second of two uploads fails in `create` or `complete`");
    store.wait_for_cleanup().await;
    assert_eq!(size(store, key).await, Some(CONTENT.len() as u64), "the first archive stays");
}

async fn a_read_returns_its_range(store: &dyn Store, key: &Key) {
    let none = Range { start: 5, end: 2 };
    for (range, bytes) in [
        (ReadRange::Bytes(0..5), "hello"),
        (ReadRange::Bytes(6..100), "world"),
        (ReadRange::Bytes(50..60), ""),
        (ReadRange::Bytes(none), ""),
        (ReadRange::Last(3), "rld"),
        (ReadRange::Last(100), CONTENT),
        (ReadRange::Last(0), ""),
    ] {
        let read = store.read(key, range.clone()).await.expect("a range can be read");
        assert_eq!(read, bytes, "{range:?} of {CONTENT:?}");
    }
    for (tail, bytes) in [(3, "rld"), (100, CONTENT)] {
        let opened = store.open(key, tail).await.expect("an archive opens");
        let expected = Opened::new(CONTENT.len() as u64, Bytes::from_static(bytes.as_bytes()));
        assert_eq!(opened, expected, "`open` with a tail of {tail} bytes");
    }
    if let Some(mut file) = store.file(key).await.expect("`file` succeeds") {
        let mut content = String::new();
        file.read_to_string(&mut content).expect("the file can be read");
        assert_eq!(content, CONTENT, "the file of an archive has its bytes");
    }
}

async fn an_unfinished_upload_leaves_nothing(store: &dyn Store, key: &Key) {
    let before = keys(store).await;
    for flushed in [false, true] {
        let mut upload = begin(store, key).await.expect("an upload begins");
        upload.write(Bytes::from_static(b"x")).await.expect("an upload takes bytes");
        if flushed {
            upload.flush().await.expect("an upload flushes");
        }
        upload.abort().await.expect("an upload can be aborted");
        assert_eq!(keys(store).await, before, "an aborted upload leaves no archive");
    }
    drop(begin(store, key).await.expect("the name of an aborted upload is free"));
    store.wait_for_cleanup().await;
    drop(begin(store, key).now_or_never());
    store.wait_for_cleanup().await;
    assert_eq!(keys(store).await, before, "a dropped upload leaves no archive");
}

async fn begin(store: &dyn Store, key: &Key) -> Result<Box<dyn Upload>> {
    let at_most = store.needs_bound().then_some(CONTENT.len() as u64);
    store.create(key, at_most).await
}

async fn keys(store: &dyn Store) -> Vec<Key> {
    let objects = store.list().await.expect("`list` succeeds");
    objects.into_iter().map(|object| object.key).collect()
}

async fn size(store: &dyn Store, key: &Key) -> Option<u64> {
    store.head(key).await.expect("`head` succeeds").map(|object| object.size)
}

/// Returns a file in memory with these bytes.
fn file_with(bytes: &[u8]) -> Arc<File> {
    let file = rustix::fs::memfd_create("content", MemfdFlags::CLOEXEC).map(File::from);
    let mut file = file.expect("a file in memory");
    file.write_all(bytes).expect("a file in memory takes bytes");
    Arc::new(file)
}

fn kind<T>(result: &Result<T>) -> Option<ErrorKind> {
    result.as_ref().err().map(|e| e.kind())
}

fn is_of_same_second(a: &Object, b: &Object) -> bool {
    let (Some(a), Some(b)) = (a.modified, b.modified) else { return a.modified == b.modified };
    a.max(b).duration_since(a.min(b)).is_ok_and(|between| between < Duration::from_secs(1))
}
