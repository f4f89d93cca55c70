//! Backs up a directory to S3, and lists the archive there.
//!
//! ```text
//! export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
//! cargo run --features s3 --example s3 -- DIR BUCKET
//! cargo run --features s3 --example s3 -- DIR BUCKET https://s3.example.com
//! ```
//!
//! The third argument is the URL of a service that is not Amazon's. Parts of the archive are uploaded while
//! it is made, and nothing is staged on disk.

use std::{env, process::exit};

use wingback::{Archive, Backup, List, Result, S3Config, S3Store};

fn main() -> Result<()> {
    let args: Vec<_> = env::args().skip(1).collect();
    let (dir, bucket, endpoint) = match &*args {
        [dir, bucket] => (dir, bucket, None),
        [dir, bucket, endpoint] => (dir, bucket, Some(endpoint)),
        _ => {
            eprintln!("usage: s3 DIR BUCKET [ENDPOINT]");
            exit(2);
        }
    };
    // The store brings its own thread for the network, so any executor will do.
    smol::block_on(back_up(dir, bucket, endpoint))
}

async fn back_up(dir: &str, bucket: &str, endpoint: Option<&String>) -> Result<()> {
    // The keys come from the environment or from ~/.aws/credentials, as for AWS's own tools.
    let mut config = S3Config::new(bucket);
    config.endpoint = endpoint.cloned();
    config.prefix = "servers/".into();
    let store = S3Store::new(config)?;
    let key = store.key(uuid::Uuid::new_v4());
    let report = Backup::new(dir).start(store.clone(), key.clone()).await?;
    println!("{}: {} bytes, SHA-1 {}", key.as_str(), report.size, report.sha1);

    // A list reads only the index.
    let listing = List::new().start(Archive::in_store(store, key)).await?;
    for member in listing.members() {
        println!("{:>12}  {}", member.size, String::from_utf8_lossy(&member.path));
    }
    Ok(())
}
