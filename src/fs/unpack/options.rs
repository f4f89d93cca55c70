//! Options of an unpacking.

/// Decides how the names of unpacked files and links are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverwritePolicy {
    /// The directory is new and ours, so no name is taken. Files are made under their own names.
    NewTree,
    /// A name that is taken is an error.
    Refuse,
    /// The existing file is replaced, by one rename.
    Overwrite,
}

/// Owner of the extracted files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// The user that runs this process.
    Keep,
    /// This user and group, by number.
    Fixed {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// The user and group that the archive names, by number.
    FromArchive,
}

impl Default for Owner {
    /// Returns [`FromArchive`](Owner::FromArchive) for root, who can set any owner, and otherwise
    /// [`Keep`](Owner::Keep).
    fn default() -> Self {
        if rustix::process::geteuid().is_root() { Owner::FromArchive } else { Owner::Keep }
    }
}

/// Options of an [`Unpacker`](crate::fs::unpack::Unpacker).
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnpackerOptions {
    pub(crate) policy: OverwritePolicy,
    pub(crate) owner: Owner,
}
