//! `wingback_unpack_options` and `wingback_unpacked`: shared by extract and restore.

use std::mem::MaybeUninit;

use wingback::{Owner, UnpackOptions, Unpacked};

use crate::{
    enums::wingback_owner,
    failure::Result,
    from_c::FromC,
    record::{self, Record},
};

/// How members are written, and how much of them at most. All zeros are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_unpack_options {
    /// sizeof(wingback_unpack_options).
    pub struct_size: usize,
    /// How many threads decode and write: as many as there are processors with 0.
    pub threads: u32,
    /// Whose the files will be.
    pub owner: MaybeUninit<wingback_owner>,
    /// The user, where that is FIXED.
    pub uid: u32,
    /// The group, likewise.
    pub gid: u32,
    /// Whether it gives way to other work. Anything but 0 is yes.
    pub background: u32,
    /// Bytes of the file system that stay free.
    pub reserve: u64,
    /// The most bytes of content, holes counted; 0 is without limit.
    pub max_bytes: u64,
    /// The most members; 0 is 5,000,000. A member counts once more for each 128 bytes of its path and
    /// target.
    pub max_members: u64,
    /// How many times the bytes of the archive the content may have; 0 is without limit.
    pub max_ratio: u64,
    /// Whether members that cannot be used, such as a path that leads outside, are left out and noted
    /// as skipped. Anything but 0 is yes; otherwise the first one is an error.
    pub skip_refused: u32,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is an integer or a `MaybeUninit`.
unsafe impl Record for wingback_unpack_options {}

impl wingback_unpack_options {
    /// Reads the options. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `options` is NULL, or readable for its `struct_size`.
    pub(crate) unsafe fn read(options: *const Self) -> Result<UnpackOptions> {
        // SAFETY: the caller makes the promise that `read` asks for.
        let given = unsafe { record::read(options, "options") }?;
        let owner = match wingback_owner::read(given.owner, "options->owner")? {
            wingback_owner::Keep => Owner::Keep,
            wingback_owner::Fixed => Owner::Fixed(given.uid, given.gid),
            wingback_owner::FromArchive => Owner::FromArchive,
        };
        let mut options = UnpackOptions::new()
            .owner(owner)
            .background(given.background != 0)
            .reserve(given.reserve)
            .skip_refused(given.skip_refused != 0);
        if given.threads > 0 {
            options = options.threads(given.threads as usize);
        }
        if given.max_bytes > 0 {
            options = options.max_bytes(given.max_bytes);
        }
        if given.max_members > 0 {
            options = options.max_members(given.max_members);
        }
        if given.max_ratio > 0 {
            options = options.max_ratio(given.max_ratio);
        }
        Ok(options)
    }
}

/// What was written. It is the last field of each struct that has it, so that it may grow, too.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_unpacked {
    /// Files written, other names of one file included.
    pub files: u64,
    /// Directories made or found.
    pub directories: u64,
    /// Symlinks made.
    pub symlinks: u64,
    /// Files that became another name of one before.
    pub hard_links: u64,
    /// Bytes of content.
    pub content: u64,
    /// Members that were left out since they could not be used.
    pub refused: u64,
}

impl From<&Unpacked> for wingback_unpacked {
    fn from(unpacked: &Unpacked) -> Self {
        wingback_unpacked {
            files: unpacked.files,
            directories: unpacked.directories,
            symlinks: unpacked.symlinks,
            hard_links: unpacked.hard_links,
            content: unpacked.content,
            refused: unpacked.refused,
        }
    }
}
