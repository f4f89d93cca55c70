//! The S3 store: the conformance suite, and S3-specific behavior.

use std::{
    ffi::OsString,
    fs,
    time::{Duration, SystemTime},
};

use futures::executor::block_on;
use wingback::{
    Archive, Credentials, ErrorKind, Extract, Key, List, LocalStore, ReadMethod, S3Config, S3Store,
    Store, Transfer, Verify, testing::store_conformance,
};

use crate::{
    fault::Fault,
    proxy::Proxy,
    server::Server,
    support::{Tree, noise, snapshot::Snapshot, swept, text},
};

/// The options of a store in a bucket of the server, or of a proxy for it.
pub fn config(server: &Server, endpoint: &str, bucket: &str) -> S3Config {
    let mut config = S3Config::new(bucket);
    config.credentials = Some(Credentials::new(server.access_key(), server.secret_key()));
    config.endpoint = Some(endpoint.to_owned());
    config
}

pub fn store(server: &Server, endpoint: &str, bucket: &str) -> S3Store {
    with(config(server, endpoint, bucket), |_| ())
}

/// A store with some other options.
pub fn with(mut config: S3Config, change: impl FnOnce(&mut S3Config)) -> S3Store {
    change(&mut config);
    S3Store::new(config).unwrap()
}

/// A tree whose archive has thirteen parts and six members.
pub fn tree() -> Tree {
    Tree::with(&[
        ("world/r.0.0.mca", &noise(40 << 20)),
        ("world/r.0.1.mca", &noise(20 << 20)),
        ("logs/latest.log", &text(3 << 20)),
        ("server.properties", b"motd=x"),
    ])
}

fn key(store: &S3Store, n: u128) -> Key {
    store.key(uuid::Uuid::from_u128(n))
}

#[test]
fn the_s3_store_passes_the_conformance_suite() {
    let server = Server::new();
    let bucket = server.bucket();
    let config = config(&server, &server.endpoint(), &bucket);
    let store = with(config, |config| config.prefix = "a b/é+&".into());
    block_on(store_conformance(&store));
    assert_eq!(server.unfinished(&bucket), []);
}

#[test]
fn an_archive_has_the_time_of_its_upload() {
    let server = Server::new();
    let store = store(&server, &server.endpoint(), &server.bucket());
    let key = key(&store, 1);
    // A service rounds to seconds.
    let began = SystemTime::now() - Duration::from_secs(1);
    block_on(Tree::with(&[("a", b"a")]).backup().start(store.clone(), key.clone())).unwrap();
    let ended = SystemTime::now() + Duration::from_secs(1);
    let head = block_on(store.head(&key)).unwrap().unwrap();
    for object in [head, block_on(store.list()).unwrap().remove(0)] {
        let modified = object.modified.unwrap();
        assert!((began..=ended).contains(&modified), "{object:?} is not of {began:?} to {ended:?}");
    }
}

#[test]
fn a_backup_goes_up_and_comes_back() {
    let tree = tree();
    let server = Server::new();
    let bucket = server.bucket();
    let config = config(&server, &server.endpoint(), &bucket);
    let store = with(config, |config| config.prefix = "servers/".into());
    let id = key(&store, 1);
    let task = tree.backup().reproducible(true).start(store.clone(), id.clone());
    let handle = task.handle();
    let report = block_on(task).unwrap();
    assert_eq!(handle.progress().uploaded, report.size);
    let object = format!("servers/{id}");
    assert_eq!(server.objects(&bucket), [(object.clone(), report.size)]);
    assert_eq!(server.unfinished(&bucket), []);
    let head = server.head(&bucket, &object).unwrap();
    assert_eq!(head["content-type"], "application/x-gzip");
    // Equal to a local backup of the tree.
    let local = LocalStore::new(tree.tmp.path().join("local")).mkdir(true);
    let _ = block_on(tree.backup().reproducible(true).start(local.clone(), id.clone()));
    assert!(server.get(&bucket, &object) == fs::read(local.path(&id)).unwrap());

    let archive = || Archive::in_store(store.clone(), id.clone());
    let verified = block_on(Verify::new().sha1(report.sha1).start(archive())).unwrap();
    assert!(verified.is_whole() && verified.sha1 == Some(report.sha1));
    let target = Tree::new();
    let done = block_on(Extract::new(&target.root).start(archive())).unwrap();
    assert_eq!(done.read_method, ReadMethod::Indexed);
    Snapshot::of(&target.root).assert_is(&Snapshot::of(&tree.root), "extracted");
}

#[test]
fn the_s3_store_works_with_any_executor() {
    let (server, tree) = (Server::shared(), Tree::with(&[("a", &noise(6 << 20))]));
    let bucket = server.bucket();
    let store = store(server, &server.endpoint(), &bucket);
    let there_and_back = |n| {
        let (store, tree) = (store.clone(), &tree);
        async move {
            let id = key(&store, n);
            let report = tree.backup().start(store.clone(), id.clone()).await.unwrap();
            let archive = Archive::in_store(store, id);
            assert!(Verify::new().sha1(report.sha1).start(archive).await.unwrap().is_whole());
        }
    };
    block_on(there_and_back(1));
    smol::block_on(there_and_back(2));
    tokio::runtime::Runtime::new().unwrap().block_on(there_and_back(3));
}

/// Measured in requests, which services charge for.
#[test]
fn a_list_is_one_request_and_one_file_is_another() {
    let (server, tree) = (Server::shared(), tree());
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let store = store(server, &proxy.endpoint(), &bucket);
    let id = key(&store, 1);
    block_on(tree.backup().start(store.clone(), id.clone())).unwrap();
    let asked = |what: &dyn Fn(Archive<'_>)| {
        let before = proxy.log().len();
        what(Archive::in_store(store.clone(), id.clone()));
        proxy.log()[before..].iter().map(|seen| seen.range.clone().unwrap()).collect::<Vec<_>>()
    };
    let listed = asked(&|archive| {
        assert_eq!(block_on(List::new().start(archive)).unwrap().members().count(), 6);
    });
    assert_eq!(listed, ["bytes=-65536"]);
    let file = std::sync::Mutex::new(Vec::new());
    let copied = asked(&|archive| {
        block_on(archive.copy_file("logs/latest.log", &mut *file.lock().unwrap())).unwrap();
    });
    assert!(copied.len() == 2, "{copied:?}");
    assert!(*file.lock().unwrap() == fs::read(tree.root.join("logs/latest.log")).unwrap());
    let whole = asked(&|archive| {
        assert!(block_on(Verify::new().start(archive)).unwrap().is_whole());
    });
    // 64 MB in ranges of at most 4 MiB, after the index.
    assert!((14..=24).contains(&whole.len()), "{whole:?}");
}

#[test]
fn a_long_index_is_a_second_request() {
    let tree = Tree::new();
    (0..10_000).for_each(|i| tree.file(format!("plugins/{i}/config-{:08x}.yml", i * 7919), b"x"));
    let server = Server::shared();
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let store = store(server, &proxy.endpoint(), &bucket);
    let id = key(&store, 1);
    block_on(tree.backup().start(store.clone(), id.clone())).unwrap();
    let before = proxy.log().len();
    let listing = block_on(List::new().start(Archive::in_store(store, id))).unwrap();
    assert_eq!((listing.read_method(), listing.members().count()), (ReadMethod::Indexed, 20_001));
    assert_eq!(proxy.log().len() - before, 2);
}

#[test]
fn requests_have_a_length_and_no_checksum_header() {
    let (server, tree) = (Server::shared(), Tree::with(&[("a", &noise(11 << 20))]));
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let store = with(config(server, &proxy.endpoint(), &bucket), |config| {
        config.storage_class = Some("REDUCED_REDUNDANCY".into());
    });
    let report = block_on(tree.backup().start(store.clone(), key(&store, 1))).unwrap();
    let log = proxy.log();
    let parts: Vec<_> = log.iter().filter(|seen| seen.is_part()).collect();
    let lengths = parts.iter().map(|seen| seen.content_length.unwrap());
    assert_eq!((parts.len(), lengths.sum::<u64>()), (3, report.size));
    assert_eq!(parts.iter().filter(|seen| seen.content_length == Some(5 << 20)).count(), 2);
    for seen in &log {
        let is_unwanted = |name: &str| name.contains("checksum") || name == "transfer-encoding";
        assert!(!seen.headers.iter().any(|(name, _)| is_unwanted(name)), "{seen:?}");
    }
    let create = log.iter().find(|seen| seen.is_create()).unwrap();
    assert_eq!(create.header("x-amz-storage-class"), Some("REDUCED_REDUNDANCY"));
}

#[test]
fn parts_grow_only_to_stay_below_the_part_limit() {
    let server = Server::shared();
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let store = store(server, &proxy.endpoint(), &bucket);
    let largest = |at_most: u64| {
        let before = proxy.log().len();
        let id = Key::new(format!("{at_most}")).unwrap();
        let mut upload = block_on(store.create(&id, Some(at_most))).unwrap();
        block_on(async {
            for _ in 0..30 {
                upload.write(noise(1 << 20).into()).await.unwrap();
            }
            upload.complete().await.unwrap();
        });
        let log = proxy.log().split_off(before);
        log.iter().filter(|seen| seen.is_part()).filter_map(|seen| seen.content_length).max()
    };
    assert_eq!(largest(40 << 30), Some(5 << 20));
    // With a reserve of a tenth for growth: 100 GiB in 9,000 parts.
    assert_eq!(largest(100 << 30), Some(12 << 20));
    assert_eq!(server.listed_uploads(&bucket, ""), []);
}

#[test]
fn sweep_aborts_only_old_uploads_of_the_store() {
    let server = Server::new();
    let bucket = server.bucket();
    let mut config = config(&server, &server.endpoint(), &bucket);
    config.prefix = "srv/".into();
    let store = with(config.clone(), |_| ());
    let dead = format!("srv/{}", key(&store, 7));
    server.create_upload(&bucket, &dead);
    for other in ["srv/other", &format!("else/{}", key(&store, 8))] {
        server.create_upload(&bucket, other);
    }
    assert_eq!(swept(&store).unwrap(), [""; 0], "it may still be running");
    let old = with(config, |config| config.dead_after = Duration::ZERO);
    assert_eq!(swept(&old).unwrap(), [OsString::from(format!("s3://{bucket}/{dead}"))]);
    let left: Vec<_> = server.unfinished(&bucket).into_iter().map(|left| left.0).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&dead));
}

#[test]
fn a_private_certificate_authority_is_trusted_if_configured() {
    let mut server = Server::new();
    let bucket = server.bucket();
    let key = key(&store(&server, &server.endpoint(), &bucket), 1);
    server.put(&bucket, key.as_str(), b"x");
    let certificate = server.restart_with_tls();
    let endpoint = server.endpoint().replace("http://", "https://");
    let list = |transfer| {
        let config = config(&server, &endpoint, &bucket);
        block_on(with(config, |config| config.transfer = transfer).list())
    };
    assert_eq!(list(Transfer::new().ca_file(&certificate)).unwrap().len(), 1);
    let error = list(Transfer::new()).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let error = list(Transfer::new().ca_file("/dev/null")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn an_invalid_option_is_an_error_that_names_it() {
    type Change<'a> = &'a dyn Fn(&mut S3Config);
    let cases: [(Change<'_>, &str); 5] = [
        (&|config| config.bucket = "x".into(), "fewer than 3 characters"),
        (&|config| config.endpoint = Some("ftp://host".into()), "endpoint: its scheme"),
        (&|config| config.endpoint = Some("http://host/path".into()), "path"),
        (&|config| config.region = Some(String::new()), "region"),
        (&|config| config.part_size = 5_000_000, "part_size: S3 takes parts of"),
    ];
    for (change, about) in cases {
        let mut config = S3Config::new("bucket");
        config.credentials = Some(Credentials::new("a", "b"));
        change(&mut config);
        let error = S3Store::new(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(about), "{error}");
    }
}
