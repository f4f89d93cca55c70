//! What the caller should know that is no failure.

use std::fmt;

/// Something the caller should know that is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A pattern that is odd in its rule set.
    Pattern(PatternWarning),
    /// So many more patterns are odd in their rule set.
    MorePatterns(u64),
    /// The ignore file was not used, and why.
    IgnoreFile(String),
    /// `max_len` was given for a path that the backup did not meet as a file.
    MaxLenUnused(Vec<u8>),
    /// This entry's time is before 1677 or after 2262: the archive has the nearest that 64 bits of
    /// nanoseconds hold.
    Time(Vec<u8>),
    /// So many more entries have such a time.
    MoreTimes(u64),
    /// The previous archive could not be used, and why: everything was read and compressed.
    PreviousUnused(String),
    /// No copy of the archive was kept in the cache, and why.
    CacheUnused(String),
    /// So many segments of the previous archive were damaged. What they held was read and compressed.
    PreviousDamaged(u64),
}

/// Where a pattern came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternOrigin {
    /// The ignore file in the root of the tree.
    IgnoreFile,
    /// The list the caller gave.
    Caller,
}

/// A pattern that probably does not do what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternWarning {
    /// Whose list it stands in.
    pub origin: PatternOrigin,
    /// The line within the text that was added, counted from 1.
    pub line: usize,
    /// The line as it was given.
    pub pattern: Vec<u8>,
    /// What is odd about it.
    pub problem: PatternProblem,
}

/// What is odd about a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternProblem {
    /// A `[` without its `]`.
    UnclosedBracket,
    /// A `[:name:]` that is no character class.
    UnknownClass,
    /// A lone backslash at the end.
    TrailingBackslash,
    /// Nothing is left after `!` or `/`.
    Empty,
    /// A backslash before a letter or digit, as in a Windows path.
    BackslashInName,
    /// `**` right after a name, as in `world**/region`.
    StarsAfterName,
    /// Longer than any path, or too large a regular expression.
    TooLarge,
    /// Not a regular expression once translated as Wings does.
    NotARegexp,
    /// A Unicode class such as `\p{L}`, which is not supported.
    UnicodeClass,
    /// `?`, which Wings takes literally.
    LiteralQuestionMark,
    /// `\.` or `\?`, where Wings escapes the backslash.
    EscapedBackslash,
    /// `[!`, which does not negate under Wings.
    LiteralNegation,
    /// An unescaped operator of regular expressions.
    RegexpOperator,
    /// A comment that does not begin in the first column.
    IndentedComment,
    /// A lone `/`, which matches everything under Wings.
    BareSlash,
    /// A byte order mark, which Wings takes for a part of the pattern.
    ByteOrderMark,
}

impl fmt::Display for PatternWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            PatternOrigin::IgnoreFile => "ignore file",
            PatternOrigin::Caller => "given patterns",
        };
        let pattern = self.pattern.escape_ascii();
        write!(f, "{origin}, line {}: '{pattern}': {}", self.line, self.problem)
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
            Self::TooLarge => "too large a pattern, so this matches nothing",
            Self::NotARegexp => "not valid to Wings, which drops it, so this matches nothing",
            Self::UnicodeClass => "Unicode classes are not supported, so this matches nothing",
            Self::LiteralQuestionMark => "'?' stands for itself under the rules of Wings",
            Self::EscapedBackslash => {
                r"'\.' and '\?' stand for a backslash under the rules of Wings; leave it out"
            }
            Self::LiteralNegation => {
                "'[!' does not negate under the rules of Wings; write '[^'"
            }
            Self::RegexpOperator => {
                "has an operator of regular expressions, which Wings obeys; escape it with a backslash"
            }
            Self::IndentedComment => {
                "Wings takes an indented comment for a pattern; put '#' in the first column"
            }
            Self::BareSlash => "matches everything under the rules of Wings",
            Self::ByteOrderMark => "Wings takes the byte order mark for a part of this pattern",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Pattern(w) => w.fmt(f),
            Warning::MorePatterns(count) => write!(f, "{count} more patterns are odd"),
            Warning::IgnoreFile(why) => f.write_str(why),
            Warning::MaxLenUnused(path) => write!(
                f,
                "a length was given for {}, which is no file of this backup",
                String::from_utf8_lossy(path)
            ),
            Warning::Time(path) => write!(
                f,
                "{}: its time is before 1677 or after 2262, and the archive has the nearest that it can",
                String::from_utf8_lossy(path)
            ),
            Warning::MoreTimes(count) => {
                write!(f, "{count} more entries have times before 1677 or after 2262")
            }
            Warning::PreviousUnused(why) => {
                write!(f, "the previous archive is not used: {why}")
            }
            Warning::CacheUnused(why) => write!(f, "the cache has no copy of the archive: {why}"),
            Warning::PreviousDamaged(segments) => {
                write!(f, "{segments} segments of the previous archive are damaged")
            }
        }
    }
}
