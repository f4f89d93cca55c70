//! The bytes of a file as a stream.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use blocking::unblock;
use bytes::Bytes;
use futures::{Stream, stream::try_unfold};
use wingback::Limiter;

/// Largest number of bytes of one read.
const READ: u64 = 256 << 10;

/// Reads a range of a file, not faster than `limit` allows.
pub(crate) fn stream(
    file: Arc<File>,
    range: Range<u64>,
    limit: Limiter,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    try_unfold(range, move |rest| {
        let (file, limit) = (file.clone(), limit.clone());
        unblock(move || {
            if rest.is_empty() {
                return Ok(None);
            }
            let granted = limit.wait((rest.end - rest.start).min(READ) as usize);
            let mut bytes = vec![0; granted];
            file.read_exact_at(&mut bytes, rest.start)?;
            Ok(Some((Bytes::from(bytes), rest.start + granted as u64..rest.end)))
        })
    })
}
