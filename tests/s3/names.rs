//! Names of objects and buckets: all operations check the same rule before they send a request.
//!
//! `WINGBACK_NAME_CASES` sets the number of names, `WINGBACK_NAME_SEED` the seed. A failure can be
//! repeated with the seed that was printed.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::executor::block_on;
use wingback::{
    Archive, Credentials, Error, ErrorKind, Key, List, NameTemplate, ReadRange, S3Config, S3Store,
    Store, Transfer,
};

use crate::{
    hostile::{begin, serve},
    server::Server,
    store,
    support::{Tree, swept},
};

const CASES: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn cases() -> u64 {
    number("WINGBACK_NAME_CASES").unwrap_or(CASES)
}

fn rng() -> fastrand::Rng {
    let seed = number("WINGBACK_NAME_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

/// Parts of names, combined at random.
const PARTS: [&str; 16] = [
    "", ".", "..", "...", ".backups", "a", "pre", "a.b", "a..b", "a b", "é", "%2e%2e", "a+b&c",
    "a?b#c", "x\\y", "a\nb",
];

/// A prefix of up to three parts. It ends with a slash or in the middle of a part.
fn prefix(rng: &mut fastrand::Rng) -> String {
    let parts: Vec<_> = (0..rng.usize(0..4)).map(|_| PARTS[rng.usize(..PARTS.len())]).collect();
    let end = if parts.is_empty() || rng.u8(..4) == 0 { "" } else { "/" };
    parts.join("/") + end
}

/// Every operation of a store, with its name.
fn operations(store: &S3Store, key: &Key) -> Vec<(&'static str, Result<(), Error>)> {
    let tree = Tree::with(&[("a", b"a")]);
    vec![
        ("create", block_on(tree.backup().start(store.clone(), key.clone())).map(drop)),
        ("head", block_on(store.head(key)).map(drop)),
        ("open", block_on(store.open(key, 100)).map(drop)),
        ("read", block_on(store.read(key, ReadRange::Bytes(0..10))).map(drop)),
        ("list", block_on(store.list()).map(drop)),
        ("sweep", swept(store).map(drop)),
        ("delete", block_on(store.delete(key))),
    ]
}

#[test]
fn no_operation_sends_an_invalid_name() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let url = serve(move |_, to| {
        count.fetch_add(1, Ordering::SeqCst);
        begin(to, 403)
    });
    let quick = Transfer::new().retry_for(Duration::from_millis(50));
    let with = |bucket: &str, prefix: &str| {
        let mut config = S3Config::new(bucket);
        config.credentials = Some(Credentials::new("access", "secret"));
        config.endpoint = Some(url.clone());
        config.transfer = quick.clone();
        config.prefix = prefix.to_owned();
        S3Store::new(config)
    };
    let key = NameTemplate::default().key(uuid::Uuid::from_u128(1));
    let mut rng = rng();
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..cases() {
        let prefix = prefix(&mut rng);
        let is_name = Key::new(format!("{prefix}{key}")).is_ok();
        let before = asked.load(Ordering::SeqCst);
        let is_refused = |e: &Error| e.kind() == ErrorKind::InvalidInput;
        match with("bucket", &prefix) {
            Ok(store) => {
                assert!(is_name, "{prefix:?} is accepted");
                for (what, result) in operations(&store, &key) {
                    let is_refused = result.as_ref().is_err_and(is_refused);
                    assert!(!is_refused, "{what} with {prefix:?}: {result:?}");
                }
            }
            Err(error) => assert!(is_refused(&error) && !is_name, "{prefix:?}: {error}"),
        }
        let sent = asked.load(Ordering::SeqCst) - before;
        assert_eq!(sent > 0, is_name, "{sent} requests with {prefix:?}");
        *(if is_name { &mut accepted } else { &mut refused }) += 1;
    }
    println!("{refused} were refused and {accepted} accepted");
    assert!(refused.min(accepted) > cases() / 10, "both results must be frequent");

    let before = asked.load(Ordering::SeqCst);
    for bucket in
        ["", "..", "../other", "bucket/..", "bucket/x", "a..b", "buck et", "buck?et", "-ab"]
    {
        let error = with(bucket, "pre/").expect_err(bucket);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bucket:?}: {error}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), before, "nothing is sent");
}

#[test]
fn a_valid_name_can_be_written_listed_read_and_swept() {
    let server = Server::shared();
    let bucket = server.bucket();
    let mut rng = rng();
    let tree = Tree::with(&[("a", b"a")]);
    let (mut tried, cases) = (0, cases().div_ceil(4));
    while tried < cases {
        let prefix = format!("{tried}{}", prefix(&mut rng));
        let mut config = store::config(server, &server.endpoint(), &bucket);
        config.prefix.clone_from(&prefix);
        let Ok(store) = S3Store::new(config.clone()) else { continue };
        tried += 1;
        let key = store.key(uuid::Uuid::from_u128(1));
        let name = format!("{prefix}{key}");
        let named = |e: Error| panic!("{name:?}: {e}");
        let report =
            block_on(tree.backup().start(store.clone(), key.clone())).unwrap_or_else(named);
        let there = server.objects(&bucket);
        assert!(there.contains(&(name.clone(), report.size)), "{name:?} is not in {there:?}");
        let listed = block_on(store.list()).unwrap_or_else(|e| panic!("{name:?}: {e}"));
        assert_eq!(listed.iter().map(|object| &object.key).collect::<Vec<_>>(), [&key], "{name:?}");
        // The prefix and the name together are a key of the bucket.
        let whole = store::store(server, &server.endpoint(), &bucket);
        let whole = Archive::in_store(whole, Key::new(&*name).unwrap());
        let listing = block_on(List::new().start(whole));
        assert_eq!(listing.unwrap_or_else(|e| panic!("{name:?}: {e}")).members().count(), 1);
        block_on(store.delete(&key)).unwrap_or_else(|e| panic!("{name:?}: {e}"));
        server.create_upload(&bucket, &name);
        let old = store::with(config, |config| config.dead_after = Duration::ZERO);
        let swept = swept(&old);
        let swept = swept.unwrap_or_else(|e| panic!("{name:?}: {e}"));
        assert_eq!(swept, [OsString::from(format!("s3://{bucket}/{name}"))]);
    }
    assert_eq!(server.objects(&bucket), []);
}
