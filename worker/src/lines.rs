//! What jobs write: lines of JSON on a stream, and their results.

use futures::{AsyncWriteExt, TryStreamExt};
use serde::Serialize;
use serde_json::Value;
use wingback::{Error, ErrorKind, Handle, Result};

use crate::{job::Job, streams::Stream};

/// Bytes of lines that are written to a stream at once.
const BATCH: usize = 64 << 10;

/// Writes a line for each item of an operation to a stream, and closes it.
pub(crate) async fn write_all<T: Serialize>(
    job: &Job,
    handle: Handle,
    items: impl futures::Stream<Item = Result<T>>,
    to: &mut Stream,
) -> Result<()> {
    let mut items = std::pin::pin!(items);
    let all = async {
        let mut lines = Vec::new();
        while let Some(item) = items.try_next().await? {
            line(&mut lines, &item)?;
            if lines.len() >= BATCH {
                write(to, &lines).await?;
                lines.clear();
            }
        }
        write(to, &lines).await?;
        close(to).await
    };
    // The engine cannot cancel a write that waits for its reader, so `plain` drops it.
    job.plain(job.follow(handle, all)).await
}

pub(crate) fn line(lines: &mut Vec<u8>, item: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *lines, item).map_err(not_written)?;
    lines.push(b'\n');
    Ok(())
}

/// Returns the result of a job.
pub(crate) fn written(result: &impl Serialize) -> Result<Value> {
    serde_json::to_value(result).map_err(not_written)
}

fn not_written(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "write the result").caused_by(error)
}

pub(crate) async fn write(to: &mut Stream, bytes: &[u8]) -> Result<()> {
    to.write_all(bytes).await.map_err(write_error)
}

/// Closes a stream. Its end tells the reader that no more bytes follow.
pub(crate) async fn close(to: &mut Stream) -> Result<()> {
    to.close().await.map_err(write_error)
}

pub(crate) fn write_error(error: std::io::Error) -> Error {
    // `copy` also returns errors of the engine, which arrive through its reader.
    match error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        true => match error.into_inner().map(|inner| inner.downcast::<Error>()) {
            Some(Ok(error)) => *error,
            _ => Error::new(ErrorKind::Internal, "read the archive"),
        },
        false => Error::io("write to the stream", error),
    }
}
