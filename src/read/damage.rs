//! How an archive was read, and its damage.

use std::{fmt, ops::Range};

/// How an archive was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMethod {
    /// With its index: in parallel, and only the parts that were needed.
    Indexed,
    /// From start to end, since there is no index to use.
    Sequential(NoIndex),
}

impl ReadMethod {
    /// Returns a word for programs. The words are stable across versions. [`NoIndex::code`] has the reason of
    /// `sequential`.
    pub fn code(self) -> &'static str {
        match self {
            ReadMethod::Indexed => "indexed",
            ReadMethod::Sequential(_) => "sequential",
        }
    }
}

/// Why an archive is not read with its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoIndex {
    /// It has no index: another program made it, or its end is missing.
    Absent,
    /// Its index is damaged.
    Damaged,
    /// Its index does not match its content.
    Mismatch,
    /// It is read from a stream.
    Stream,
}

impl NoIndex {
    /// Returns a word for programs, which is stable across versions.
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
                "in sequence: its index does not match its content"
            }
            ReadMethod::Sequential(NoIndex::Stream) => "in sequence: it came as a stream",
        })
    }
}

/// A damaged part of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Range of the damaged bytes; `None` if only the offset in the tar stream is known.
    pub range: Option<Range<u64>>,
    /// Number of the damaged segment, if the archive has an index.
    pub segment: Option<u64>,
    /// The problem.
    pub problem: String,
    /// Members that are lost because of it.
    pub members: Vec<Vec<u8>>,
    /// Whether everything after it is lost as well. It is not known which members those were.
    pub truncates_rest: bool,
}

impl Damage {
    /// Returns a word for programs, for the damaged part. The words are stable across versions.
    ///
    /// `segment` is one segment, `gzip` the header or trailer of the file, `index` the index, and `rest`
    /// everything from a place on.
    pub fn code(&self) -> &'static str {
        match (self.truncates_rest, self.segment, &self.range) {
            (true, ..) => "rest",
            (false, Some(_), _) => "segment",
            (false, None, Some(_)) => "gzip",
            (false, None, None) => "index",
        }
    }

    pub(crate) fn of_segment(segment: u64, range: Range<u64>, why: &str) -> Self {
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

    /// Only the index is damaged, so no member is lost.
    pub(crate) fn of_index(why: &str) -> Self {
        Damage {
            range: None,
            segment: None,
            problem: format!("the index: {why}"),
            members: Vec::new(),
            truncates_rest: false,
        }
    }

    /// Nothing can be read from this offset of the tar stream on.
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
            [one] => write!(f, "; it contains {}", String::from_utf8_lossy(one)),
            [first, rest @ ..] => {
                write!(
                    f,
                    "; it contains {} and {} more",
                    String::from_utf8_lossy(first),
                    rest.len()
                )
            }
        }
    }
}
