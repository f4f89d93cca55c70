//! Options that decide what is in an archive and how it is compressed.

/// Which entries the tar stream contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Files, symlinks and directories, as every tar reader expects.
    #[default]
    Full,
    /// Regular files only. Symlinks and directories are only in the index, because Wings' own
    /// restore writes every tar entry as a file and fails on anything else.
    Wings,
}

/// Compression level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// No compression.
    None,
    /// Fast, with a good ratio. Data that hardly compresses is stored without compression.
    #[default]
    Fast,
    /// The best ratio that deflate reaches, at several times the cost.
    Best,
}
