//! Speed of an upload alone: a store, compared with the same number of concurrent `upload_part` calls of
//! the crate minio, with the same bytes and service, in turns.
//!
//!     s3_upload ENDPOINT ACCESS-KEY SECRET-KEY BUCKET MEBIBYTES PAIRS
//!
//! `benches/s3.py --plain` runs it with a MinIO server.

use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, executor::block_on, stream};
use minio::s3::{
    MinioClient, MinioClientBuilder,
    creds::StaticProvider,
    response_traits::HasEtagFromHeaders,
    segmented_bytes::SegmentedBytes,
    types::{PartInfo, S3Api},
};
use wingback::{Credentials, S3Config, S3Store, Store};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PART: usize = 5 << 20;
const PARALLEL: usize = 4;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [endpoint, access_key, secret_key, bucket, mebibytes, pairs] = &args[..] else {
        println!("s3_upload: not run, it needs a service (benches/s3.py --plain)");
        return Ok(());
    };
    let mut rng = fastrand::Rng::with_seed(1);
    let bytes: Bytes =
        (0..mebibytes.parse::<usize>()? << 17).flat_map(|_| rng.u64(..).to_le_bytes()).collect();
    let mut config = S3Config::new(bucket);
    config.credentials = Some(Credentials::new(access_key, secret_key));
    config.endpoint = Some(endpoint.clone());
    let store = S3Store::new(config)?;
    let keys = StaticProvider::new(access_key, secret_key, None);
    let client = MinioClientBuilder::new(endpoint.parse()?).provider(Some(keys)).build()?;
    let tokio = tokio::runtime::Runtime::new()?;
    let mut ratios = Vec::new();
    for pair in 0..=pairs.parse::<usize>()? {
        let start = Instant::now();
        tokio.block_on(plain(&client, bucket, &bytes))?;
        let plain = start.elapsed().as_secs_f64();
        let start = Instant::now();
        block_on(ours(&store, pair, &bytes))?;
        let ours = start.elapsed().as_secs_f64();
        eprintln!("  upload alone: plain {plain:.3} s, ours {ours:.3} s");
        // The first pair is a warm-up.
        if pair > 0 {
            ratios.push(plain / ours);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "upload of {mebibytes} MiB alone, {PARALLEL} parts at once: plain upload_part ÷ ours \
         **{:.2}** ({:.2}–{:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
    );
    Ok(())
}

async fn ours(store: &S3Store, pair: usize, bytes: &Bytes) -> Result<()> {
    let key = store.key(uuid::Uuid::from_u128(pair as u128));
    let mut upload = store.create(&key, None).await?;
    for at in (0..bytes.len()).step_by(1 << 20) {
        upload.write(bytes.slice(at..bytes.len().min(at + (1 << 20)))).await?;
    }
    upload.complete().await?;
    Ok(store.delete(&key).await?)
}

async fn plain(client: &MinioClient, bucket: &str, bytes: &Bytes) -> Result<()> {
    let begun = client.create_multipart_upload(bucket, "plain")?.build().send().await?;
    let id = begun.upload_id().await?;
    let parts = stream::iter((0..bytes.len()).step_by(PART).zip(1..))
        .map(|(at, number)| {
            let part = SegmentedBytes::from(bytes.slice(at..bytes.len().min(at + PART)));
            let (client, id) = (client.clone(), id.clone());
            async move {
                let len = part.len() as u64;
                let sent = client.upload_part(bucket, "plain", id, number, part)?.build().send();
                let etag = sent.await?.etag()?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(PartInfo::new(
                    number, etag, len, None,
                ))
            }
        })
        .buffered(PARALLEL)
        .try_collect::<Vec<_>>()
        .await?;
    client.complete_multipart_upload(bucket, "plain", id, parts)?.build().send().await?;
    client.delete_object(bucket, "plain")?.build().send().await?;
    Ok(())
}
