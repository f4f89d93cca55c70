//! The memory that the parts of uploads take, limited for the whole process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static LIMIT: AtomicU64 = AtomicU64::new(256 << 20);

/// Sets how many bytes of memory the parts of all uploads of this process may take together. The default is 256 MiB.
/// Only uploads to services, with the feature `s3`, have parts.
///
/// A part in memory takes its full size from its first byte until the service has it. If there is no room for the
/// next part, the upload waits for its own parts. If none of them is in memory, the next part is written to a file
/// without a name, and sent from there. So no upload waits for another one. The file is in `$TMPDIR` or `/var/tmp`, or
/// in the directory that `PartUrls::staging` sets.
///
/// Parts that have begun stay where they are.
pub fn set_memory_limit(bytes: u64) {
    LIMIT.store(bytes, Relaxed);
}

/// Memory that a part takes, until this is dropped.
#[cfg(feature = "s3")]
#[derive(Debug)]
pub(crate) struct Reserved(u64);

/// Bytes of all [`Reserved`].
#[cfg(feature = "s3")]
static RESERVED: AtomicU64 = AtomicU64::new(0);

#[cfg(feature = "s3")]
impl Reserved {
    /// Returns `None` if there is no room.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let limit = LIMIT.load(Relaxed);
        let add = |reserved: u64| reserved.checked_add(bytes).filter(|sum| *sum <= limit);
        RESERVED.fetch_update(Relaxed, Relaxed, add).ok().map(|_| Reserved(bytes))
    }
}

#[cfg(feature = "s3")]
impl Drop for Reserved {
    fn drop(&mut self) {
        RESERVED.fetch_sub(self.0, Relaxed);
    }
}
