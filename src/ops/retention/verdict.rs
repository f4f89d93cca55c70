//! Verdicts on archives, and the reasons.

use std::fmt;

/// The verdict of a plan about one archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Keep it, for this reason.
    Keep(Reason),
    /// Remove it.
    Remove,
    /// Leave it alone, because it is not whole.
    NotWhole,
    /// Leave it alone, because it has no label.
    Unidentified,
    /// Leave it alone, because its time is not known.
    Undated,
    /// Leave it alone, because it is dated in the future.
    InFuture,
}

impl Verdict {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::Keep(_) => "keep",
            Verdict::Remove => "remove",
            Verdict::NotWhole => "not-whole",
            Verdict::Unidentified => "unidentified",
            Verdict::Undated => "undated",
            Verdict::InFuture => "in-future",
        }
    }
}

/// The reason to keep an archive: the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has a lock.
    Locked,
    /// It is the newest good archive of its group.
    Newest,
    /// It is one of the [last](crate::Retention::last).
    Last,
    /// It is the newest of its hour.
    Hourly,
    /// It is the newest of its day.
    Daily,
    /// It is the newest of its week.
    Weekly,
    /// It is the newest of its month.
    Monthly,
    /// It is the newest of its year.
    Yearly,
    /// It is not much older than the newest: see [`Retention::within`](crate::Retention::within).
    Within,
    /// It has a tag: see [`Retention::keep_tag`](crate::Retention::keep_tag).
    Tag,
    /// There are no rules.
    Any,
}

impl Reason {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Locked => "locked",
            Reason::Newest => "newest",
            Reason::Last => "last",
            Reason::Hourly => "hourly",
            Reason::Daily => "daily",
            Reason::Weekly => "weekly",
            Reason::Monthly => "monthly",
            Reason::Yearly => "yearly",
            Reason::Within => "within",
            Reason::Tag => "tag",
            Reason::Any => "any",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
