//! Warnings in a report.

use std::{fmt, sync::Arc};

use crate::size::Size;

/// Something that the caller should know and that does not fail the operation. `Display` explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A pattern is suspicious.
    Pattern(PatternWarning),
    /// This many more patterns are suspicious.
    MorePatterns(u64),
    /// The ignore file was not used, for this reason.
    IgnoreFile(String),
    /// [`max_len`](crate::Backup::max_len) was given for this path, and the backup has no such file.
    MaxLenUnused(Vec<u8>),
    /// The time of this entry is before 1677 or after 2262. The archive has the nearest time that 64 bits of
    /// nanoseconds hold.
    Time(Vec<u8>),
    /// This many more entries have such a time.
    MoreTimes(u64),
    /// The archive has no members. Only with [`allow_empty`](crate::Backup::allow_empty).
    Empty,
    /// The archive has less than a tenth of the content of the previous archive.
    Shrank {
        /// Bytes of content in this archive.
        content: u64,
        /// Bytes of content in the previous archive.
        previous: u64,
    },
    /// The previous archive could not be used, for this reason. The backup read and compressed everything.
    PreviousUnused(String),
    /// The cache did not keep a copy of the archive, for this reason.
    CacheUnused(String),
    /// This many segments of the previous archive are damaged. The backup read and compressed their content.
    PreviousDamaged(u64),
    /// A function of the caller failed, such as the one of [`on_source_read`](crate::Backup::on_source_read), for this
    /// reason.
    Hook(String),
    /// The file system or the archive cannot hold the time of this member. The restored file has the nearest
    /// possible time.
    RestoredTime(Vec<u8>),
    /// This many more restored members have such a time.
    MoreRestoredTimes(u64),
    /// The owner of this member could not be set. The restored file belongs to the user that runs this process.
    RestoredOwner(Vec<u8>),
    /// This many more restored members have another owner.
    MoreRestoredOwners(u64),
    /// These quoted patterns of [`keep`](crate::Restore::keep) matched nothing, because the directory was empty.
    KeptNothing(String),
    /// These quoted patterns of [`keep`](crate::Restore::keep) matched nothing. They may match in a directory that
    /// this user cannot list.
    KeepUnmatched(String),
    /// Another process made this path while a restore exchanged the trees. The entry of the archive replaced it.
    Overwritten(Vec<u8>),
    /// The restore could not remove the old files, for this reason.
    OldFilesLeft(String),
}

impl Warning {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Warning::Pattern(_) | Warning::MorePatterns(_) => "pattern",
            Warning::IgnoreFile(_) => "ignore-file",
            Warning::MaxLenUnused(_) => "max-len-unused",
            Warning::Time(_)
            | Warning::MoreTimes(_)
            | Warning::RestoredTime(_)
            | Warning::MoreRestoredTimes(_) => "time",
            Warning::Empty => "empty",
            Warning::Shrank { .. } => "shrank",
            Warning::RestoredOwner(_) | Warning::MoreRestoredOwners(_) => "owner",
            Warning::PreviousUnused(_) => "previous-unused",
            Warning::CacheUnused(_) => "cache-unused",
            Warning::PreviousDamaged(_) => "previous-damaged",
            Warning::Hook(_) => "hook",
            Warning::KeptNothing(_) | Warning::KeepUnmatched(_) => "keep-unmatched",
            Warning::Overwritten(_) => "overwritten",
            Warning::OldFilesLeft(_) => "old-files-left",
        }
    }

    /// Returns the path that the warning is about, relative to the root. `None` if it is about no single path.
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Warning::MaxLenUnused(path)
            | Warning::Time(path)
            | Warning::RestoredTime(path)
            | Warning::RestoredOwner(path)
            | Warning::Overwritten(path) => Some(path),
            _ => None,
        }
    }
}

/// The source of a pattern. `Display` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternOrigin {
    /// The ignore file in the root of the source.
    IgnoreFile,
    /// The option [`exclude`](crate::Backup::exclude).
    Caller,
    /// The option [`exclude_from`](crate::Backup::exclude_from), with the name that the caller gave.
    ExcludeFrom(Arc<str>),
}

impl PatternOrigin {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            PatternOrigin::IgnoreFile => "ignore-file",
            PatternOrigin::Caller => "caller",
            PatternOrigin::ExcludeFrom(_) => "exclude-from",
        }
    }
}

/// A pattern that probably does not do what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatternWarning {
    /// List that has the pattern.
    pub origin: PatternOrigin,
    /// Number of its line, counted from 1.
    pub line: usize,
    /// The line as it was given.
    pub pattern: Vec<u8>,
    /// The problem.
    pub problem: PatternProblem,
}

/// The problem of a suspicious pattern. `Display` explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternProblem {
    /// A `[` without its `]`.
    UnclosedBracket,
    /// A `[:name:]` that is not a character class.
    UnknownClass,
    /// A single backslash at the end.
    TrailingBackslash,
    /// Nothing follows `!` or `/`.
    Empty,
    /// A backslash before a letter or digit, as in a Windows path.
    BackslashInName,
    /// `**` right after a name, as in `world**/region`.
    StarsAfterName,
    /// The pattern is longer than any path, or its regular expression is too large.
    TooLarge,
    /// The translation by the rules of Wings is not a valid regular expression.
    NotARegexp,
    /// A Unicode class such as `\p{L}`, which is not supported.
    UnicodeClass,
    /// `?`, which Wings matches literally.
    LiteralQuestionMark,
    /// `\.` or `\?`, where Wings escapes the backslash.
    EscapedBackslash,
    /// `[!`, which does not negate under Wings.
    LiteralNegation,
    /// An unescaped operator of regular expressions.
    RegexpOperator,
    /// A comment that does not begin in the first column.
    IndentedComment,
    /// A single `/`, which matches everything under Wings.
    BareSlash,
    /// A byte order mark, which Wings treats as a part of the pattern.
    ByteOrderMark,
}

impl PatternProblem {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnclosedBracket => "unclosed-bracket",
            Self::UnknownClass => "unknown-class",
            Self::TrailingBackslash => "trailing-backslash",
            Self::Empty => "empty",
            Self::BackslashInName => "backslash-in-name",
            Self::StarsAfterName => "stars-after-name",
            Self::TooLarge => "too-large",
            Self::NotARegexp => "not-a-regexp",
            Self::UnicodeClass => "unicode-class",
            Self::LiteralQuestionMark => "literal-question-mark",
            Self::EscapedBackslash => "escaped-backslash",
            Self::LiteralNegation => "literal-negation",
            Self::RegexpOperator => "regexp-operator",
            Self::IndentedComment => "indented-comment",
            Self::BareSlash => "bare-slash",
            Self::ByteOrderMark => "byte-order-mark",
        }
    }
}

impl fmt::Display for PatternOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternOrigin::IgnoreFile => "ignore file",
            PatternOrigin::Caller => "given patterns",
            PatternOrigin::ExcludeFrom(name) => name,
        })
    }
}

impl fmt::Display for PatternWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PatternWarning { origin, line, problem, .. } = self;
        write!(f, "{origin}, line {line}: '{}': {problem}", self.pattern.escape_ascii())
    }
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedBracket => "'[' is never closed, so this matches nothing",
            Self::UnknownClass => "unknown character class, so this matches nothing",
            Self::TrailingBackslash => "ends in a backslash, so this matches nothing",
            Self::Empty => "no pattern is left, so this matches nothing",
            Self::BackslashInName => {
                "a backslash escapes the next character; paths are written with '/'"
            }
            Self::StarsAfterName => {
                "'**' right after a name: git documents it as '*', yet lets it cross directories"
            }
            Self::TooLarge => "the pattern is too large, so this matches nothing",
            Self::NotARegexp => "not valid to Wings, which ignores it, so this matches nothing",
            Self::UnicodeClass => "Unicode classes are not supported, so this matches nothing",
            Self::LiteralQuestionMark => "'?' stands for itself under the rules of Wings",
            Self::EscapedBackslash => {
                r"'\.' and '\?' stand for a backslash under the rules of Wings; leave it out"
            }
            Self::LiteralNegation => {
                "'[!' does not negate under the rules of Wings; write '[^'"
            }
            Self::RegexpOperator => {
                "has an operator of regular expressions, which Wings applies; escape it with a backslash"
            }
            Self::IndentedComment => {
                "Wings treats an indented comment as a pattern; put '#' in the first column"
            }
            Self::BareSlash => "matches everything under the rules of Wings",
            Self::ByteOrderMark => "Wings treats the byte order mark as a part of this pattern",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Pattern(w) => w.fmt(f),
            Warning::MorePatterns(count) => write!(f, "{count} more patterns are suspicious"),
            Warning::IgnoreFile(why) | Warning::Hook(why) => f.write_str(why),
            Warning::MaxLenUnused(path) => write!(
                f,
                "a length was given for {}, which is not a file of this backup",
                String::from_utf8_lossy(path)
            ),
            Warning::Time(path) => write!(
                f,
                "{}: its time is before 1677 or after 2262, and the archive has the nearest possible time",
                String::from_utf8_lossy(path)
            ),
            Warning::MoreTimes(count) => {
                write!(f, "{count} more entries have times before 1677 or after 2262")
            }
            Warning::Empty => f.write_str("the archive is empty"),
            Warning::Shrank { content, previous } => {
                let (content, previous) = (Size(*content), Size(*previous));
                write!(
                    f,
                    "the archive has {content} of content, and the previous one has {previous}"
                )
            }
            Warning::PreviousUnused(why) => {
                write!(f, "the previous archive is not used: {why}")
            }
            Warning::CacheUnused(why) => write!(f, "the cache has no copy of the archive: {why}"),
            Warning::PreviousDamaged(segments) => {
                write!(f, "{segments} segments of the previous archive are damaged")
            }
            Warning::RestoredTime(path) => write!(
                f,
                "{}: the file system or the archive cannot hold its time, so the nearest possible time is set",
                String::from_utf8_lossy(path)
            ),
            Warning::MoreRestoredTimes(count) => {
                write!(f, "{count} more members have such a time")
            }
            Warning::RestoredOwner(path) => write!(
                f,
                "{}: its owner cannot be set here, so it belongs to the user of this process",
                String::from_utf8_lossy(path)
            ),
            Warning::MoreRestoredOwners(count) => {
                write!(f, "the owners of {count} more members cannot be set")
            }
            Warning::KeptNothing(patterns) => write!(
                f,
                "the directory was empty before the restore, so nothing of {patterns} was kept"
            ),
            Warning::KeepUnmatched(patterns) => write!(
                f,
                "nothing matches {patterns}, except perhaps in directories that are closed to this user"
            ),
            Warning::Overwritten(path) => write!(
                f,
                "{}: another process made it during the exchange; the archive's entry replaced it",
                String::from_utf8_lossy(path)
            ),
            Warning::OldFilesLeft(why) => write!(f, "the old files could not be removed: {why}"),
        }
    }
}
