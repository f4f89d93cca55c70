//! The conformance suite that every store must pass.

use std::ops::Range;

use bytes::Bytes;
use wingback::{ErrorKind, Key, ReadRange, Store};

pub async fn conformance(store: &dyn Store) {
    let names: [Key; 2] =
        [1, 2].map(|n| wingback::NameTemplate::default().key(&uuid::Uuid::from_u128(n)));
    let (a, b) = (&names[0], &names[1]);
    assert_eq!(store.head(a).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap(), []);

    let mut upload = store.create(a, None).await.unwrap();
    assert_eq!(store.create(a, None).await.err().unwrap().kind(), ErrorKind::AlreadyExists);
    upload.write(Bytes::from_static(b"hello ")).await.unwrap();
    assert_eq!(store.head(a).await.unwrap(), None, "an unfinished upload is not visible");
    assert_eq!(store.list().await.unwrap(), []);
    assert_eq!(store.sweep().await.unwrap(), [""; 0], "a live upload is not swept");
    upload.write(Bytes::from_static(b"world")).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.head(a).await.unwrap().unwrap().size, 11);
    assert_eq!(store.create(a, None).await.err().unwrap().kind(), ErrorKind::AlreadyExists);

    for (range, bytes) in [
        (ReadRange::Bytes(0..5), "hello"),
        (ReadRange::Bytes(6..100), "world"),
        (ReadRange::Bytes(50..60), ""),
        (ReadRange::Last(3), "rld"),
        (ReadRange::Last(100), "hello world"),
        (ReadRange::Last(0), ""),
        (ReadRange::Bytes(Range { start: 5, end: 2 }), ""),
    ] {
        assert_eq!(store.read(a, range).await.unwrap(), bytes);
    }
    assert_eq!(store.read(b, ReadRange::Last(1)).await.err().unwrap().kind(), ErrorKind::NotFound);

    let mut upload = store.create(b, None).await.unwrap();
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    upload.abort().await.unwrap();
    drop(store.create(b, None).await.unwrap());
    store.wait_for_cleanup().await;
    assert_eq!(store.list().await.unwrap().len(), 1);
    store.create(b, None).await.unwrap().complete().await.unwrap();
    let keys: Vec<_> = store.list().await.unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(keys, names);

    store.delete(a).await.unwrap();
    assert_eq!(store.delete(a).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(store.list().await.unwrap().len(), 1);
}
