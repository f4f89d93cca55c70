//! `wingback_unpack_options` and `wingback_unpacked`: shared by extract and restore.

use std::mem::MaybeUninit;

use wingback::{Owner, UnpackOptions, Unpacked};

use crate::{
    enums::wingback_owner,
    failure::Result,
    from_c::FromC,
    record::{self, Record},
};

/// How members are written, and the limits for them. Zero in each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wingback_unpack_options {
    /// sizeof(wingback_unpack_options).
    pub struct_size: usize,
    /// Number of threads that decode and write; 0 means one for each processor.
    pub threads: u32,
    /// Owner of the written files. An owner that cannot be set is a warning with the code "owner".
    pub owner: MaybeUninit<wingback_owner>,
    /// The user, if `owner` is FIXED.
    pub uid: u32,
    /// The group, if `owner` is FIXED.
    pub gid: u32,
    /// Not 0: run at the lowest priority.
    pub background: u32,
    /// Bytes of the file system that must stay free.
    pub reserve: u64,
    /// Limit for the bytes of content, holes included; 0 means no limit.
    pub max_bytes: u64,
    /// Limit for the number of members; 0 means 5,000,000. Each 128 bytes of a member's path and
    /// target count as another member.
    pub max_members: u64,
    /// Limit for the bytes of content, as a multiple of the archive's size; 0 means no limit.
    pub max_ratio: u64,
    /// Not 0: members that cannot be used, such as a path that leads out of the directory, are
    /// skipped and reported as skipped. 0: the first one is an error.
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
            wingback_owner::Default => Owner::default(),
            wingback_owner::Keep => Owner::Keep,
            wingback_owner::Fixed => Owner::Fixed { uid: given.uid, gid: given.gid },
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

/// What was written. Each struct that has this struct has it as its last field, so that both can
/// grow.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_unpacked {
    /// Files of the archive, also unchanged ones; a hard link counts as a file.
    pub files: u64,
    /// Directories made or found.
    pub directories: u64,
    /// Symlinks made.
    pub symlinks: u64,
    /// Files that became hard links to an earlier one.
    pub hard_links: u64,
    /// Bytes of content.
    pub content: u64,
    /// Members that were skipped because they cannot be used.
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
