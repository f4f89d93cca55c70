//! How an archive was read, and what is wrong with it.

use std::{fmt, ops::Range};

/// How an archive was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMethod {
    /// By the index inside: side by side, and only what was needed.
    Indexed,
    /// From its start to its end, since there is no index to use.
    Sequential(NoIndex),
}

/// Why an archive is not read by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoIndex {
    /// It has none: another program made it, or its end is missing.
    Absent,
    /// Its index is damaged.
    Damaged,
    /// Its index says something else than the archive itself.
    Mismatch,
    /// It comes as a stream.
    Stream,
}

impl NoIndex {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            NoIndex::Absent => "absent",
            NoIndex::Damaged => "damaged",
            NoIndex::Mismatch => "mismatch",
            NoIndex::Stream => "stream",
        }
    }
}

impl fmt::Display for ReadMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadMethod::Indexed => "by its index",
            ReadMethod::Sequential(NoIndex::Absent) => "in sequence: it has no index",
            ReadMethod::Sequential(NoIndex::Damaged) => "in sequence: its index is damaged",
            ReadMethod::Sequential(NoIndex::Mismatch) => {
                "in sequence: its index says something else than the archive itself"
            }
            ReadMethod::Sequential(NoIndex::Stream) => "in sequence: it came as a stream",
        })
    }
}

/// A part of an archive that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Which bytes of the file it is about; `None` where only the place in the tar stream is known.
    pub range: Option<Range<u64>>,
    /// Which segment, where there is an index.
    pub segment: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// Members that cannot be had because of it.
    pub members: Vec<Vec<u8>>,
    /// Whether everything behind it is lost as well, and nobody knows what that was.
    pub truncates_rest: bool,
}

impl Damage {
    pub(crate) fn of_segment(segment: usize, range: Range<u64>, why: &str) -> Self {
        Damage { segment: Some(segment), ..Damage::of_file(range, why) }
    }

    pub(crate) fn of_file(range: Range<u64>, why: impl Into<String>) -> Self {
        Damage {
            range: Some(range),
            segment: None,
            problem: why.into(),
            members: Vec::new(),
            truncates_rest: false,
        }
    }

    /// Only the index is hit, and so no member.
    pub(crate) fn of_index(why: &str) -> Self {
        Damage {
            range: None,
            segment: None,
            problem: format!("the index: {why}"),
            members: Vec::new(),
            truncates_rest: false,
        }
    }

    /// From here on, counted in bytes of tar, nothing can be read.
    pub(crate) fn of_rest(tar_at: u64, why: impl fmt::Display) -> Self {
        Damage {
            range: None,
            segment: None,
            problem: format!("{why} ({tar_at} bytes of tar were read before)"),
            members: Vec::new(),
            truncates_rest: true,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(segment) = self.segment {
            write!(f, "segment {segment}, ")?;
        }
        if let Some(range) = &self.range {
            write!(f, "bytes {} to {}: ", range.start, range.end)?;
        }
        f.write_str(&self.problem)?;
        match &self.members[..] {
            [] => Ok(()),
            [one] => write!(f, "; it has {}", String::from_utf8_lossy(one)),
            [first, rest @ ..] => {
                write!(f, "; it has {} and {} more", String::from_utf8_lossy(first), rest.len())
            }
        }
    }
}
