//! The network thread ends with its store. A program of its own, because it counts the threads of its
//! process.
#![allow(dead_code, reason = "it uses a part of what the tests of S3 share")]

#[path = "s3/client.rs"]
mod client;
#[path = "s3/http.rs"]
mod http;
#[path = "s3/server.rs"]
mod server;
mod support;

use std::time::Duration;

use server::Server;
use support::{Tree, engine_threads, noise, wait_until};
use wingback::{Archive, Credentials, Limiter, S3Config, S3Store, Store, Verify};

#[test]
fn the_network_thread_ends_with_its_store() {
    let server = Server::new();
    let bucket = server.bucket();
    let tree = Tree::with(&[("a", &noise(12 << 20))]);
    let new = || {
        let mut config = S3Config::new(&bucket);
        config.credentials = Some(Credentials::new(server.access_key(), server.secret_key()));
        config.endpoint = Some(server.endpoint());
        S3Store::new(config).unwrap()
    };
    let store = new();
    let id = store.key(uuid::Uuid::from_u128(1));
    smol::block_on(tree.backup().start(store.clone(), id.clone())).unwrap();
    let verified = smol::block_on(Verify::new().start(Archive::in_store(store.clone(), id)));
    assert!(verified.unwrap().is_whole() && engine_threads() > 0);
    drop(store);
    wait_until("the end of an idle thread", || engine_threads() == 0);

    for round in 0..20u64 {
        let store = new();
        let id = store.key(uuid::Uuid::from_u128(2));
        let task = tree.backup().read_limit(Limiter::new(16 << 20)).start(store, id);
        let handle = task.handle();
        let pause = async {
            smol::Timer::after(Duration::from_millis(3 + 20 * round)).await;
        };
        // The task owns the last reference to the store.
        match smol::block_on(futures::future::select(task, Box::pin(pause))) {
            futures::future::Either::Right(((), task)) if round % 2 == 0 => {
                handle.cancel();
                drop(smol::block_on(task));
            }
            ended => drop(ended),
        }
    }
    wait_until("the end of all threads", || engine_threads() == 0);
    assert_eq!(server.unfinished(&bucket), []);
    assert_eq!(smol::block_on(new().list()).unwrap().len(), 1);
}
