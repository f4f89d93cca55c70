//! The store itself, on both servers: what every store promises, and what S3 adds to it.

use futures::executor::block_on;
use wingback::{
    Archive, Backup, Credentials, ErrorKind, Extract, LocalStore, List, S3Store, Store, Transfer,
    Verify, Way,
};

use crate::{
    proxy::Proxy,
    server::Server,
    support::{Tree, noise, snapshot::Snapshot, text},
};

pub fn store(server: &Server, bucket: &str) -> S3Store {
    S3Store::new(bucket, Credentials::new(server.access_key(), server.secret_key()))
        .endpoint(server.endpoint())
}

fn key(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

/// Thirteen parts.
fn tree() -> Tree {
    Tree::with(&[
        ("world/r.0.0.mca", &noise(40 << 20)),
        ("world/r.0.1.mca", &noise(20 << 20)),
        ("logs/latest.log", &text(3 << 20)),
        ("server.properties", b"motd=x"),
    ])
}

#[test]
fn a_backup_goes_up_and_comes_back() {
    for server in [Server::minio(), Server::versitygw()] {
        let bucket = server.bucket();
        let tree = tree();
        let store = store(&server, &bucket).prefix("servers/");
        let id = store.key(&key(1));
        let task = tree.backup().reproducible(true).start(store.clone(), id.clone());
        let handle = task.handle();
        let report = block_on(task).unwrap();
        assert_eq!(handle.progress().uploaded, report.size);
        let object = format!("servers/{id}");
        assert_eq!(server.objects(&bucket), [(object.clone(), report.size)]);
        assert_eq!(server.unfinished(&bucket), []);
        let head = server.head(&bucket, &object).unwrap();
        assert_eq!(head["content-type"], "application/x-gzip");
        assert_eq!(head["x-amz-meta-wingback-uuid"], key(1).to_string());
        // Byte for byte what a local backup of the tree is.
        let local = LocalStore::new(tree.tmp.path().join("local"));
        let local_id = local.key(&key(1));
        block_on(tree.backup().reproducible(true).start(local.clone(), local_id.clone())).unwrap();
        assert!(server.get(&bucket, &object) == std::fs::read(local.path(&local_id)).unwrap());

        let archive = || Archive::in_store(store.clone(), id.clone());
        let listing = block_on(List::new().start(archive())).unwrap();
        assert_eq!((listing.way(), listing.members().count()), (Way::Index, 6));
        let verified = block_on(Verify::new().sha1(report.sha1).start(archive())).unwrap();
        assert!(verified.is_whole() && verified.sha1 == Some(report.sha1));
        let target = Tree::new();
        block_on(Extract::new(&target.root).start(archive())).unwrap();
        Snapshot::of(&target.root).assert_is(&Snapshot::of(&tree.root), "extracted");
    }
}
