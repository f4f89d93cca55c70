//! Makes a backup.

mod options;
mod preview;
mod run;
mod source;

pub use options::Backup;
