//! Writes a tree beneath one directory: files, links and directories, from any number of threads.
//!
//! Parent directories are opened without following links, and files are made with `O_EXCL`. Owners,
//! modes and times are set through the open file. So nothing is written through a symlink, no matter
//! which process made it. Attributes of directories are set at the end, deepest first.

mod attributes;
mod file;
mod links;
mod member_file;
mod old_tree;
mod open_dirs;
mod options;
mod owners;
mod parents;
mod same_file;
#[cfg(test)]
mod tests;
mod times;
mod unpacker;

pub use crate::fs::unpack::options::Owner;
pub(crate) use crate::fs::{
    beneath::{Beneath, check_path},
    unpack::{
        attributes::Attributes,
        links::check_target,
        member_file::MemberFile,
        old_tree::{OldFile, OldTree},
        options::{OverwritePolicy, UnpackerOptions},
        times::times,
        unpacker::Unpacker,
    },
};
