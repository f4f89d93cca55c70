//! The option that decides what is in an archive.

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

impl Profile {
    /// Returns a word for programs: `full` or `wings`.
    pub fn code(self) -> &'static str {
        match self {
            Profile::Full => "full",
            Profile::Wings => "wings",
        }
    }
}
