//! Points in time, as records and responses contain them.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as u64)
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0 / 1000
    }

    pub(crate) fn seconds_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// Formats it in UTC by RFC 3339.
    pub(crate) fn text(self) -> String {
        rfc3339(i128::from(self.0) * 1_000_000)
    }
}

/// Formats nanoseconds since 1970 by RFC 3339, in whole seconds.
pub(crate) fn rfc3339(ns: i128) -> String {
    let seconds = ns.div_euclid(1_000_000_000);
    let time = i64::try_from(seconds).ok().and_then(|s| DateTime::from_timestamp(s, 0));
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}
