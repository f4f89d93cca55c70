//! A deadline for a future.

use std::{io, time::Duration};

use smol::Timer;

/// Returns the result of `work`, or `TimedOut` if it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = async {
        Timer::after(limit).await;
        let late = format!("no answer within {} seconds", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, late))
    };
    smol::future::or(work, late).await
}
