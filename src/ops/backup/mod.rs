//! Makes a backup.

mod options;
mod run;
mod source;

pub use options::Backup;
