//! The version, commit, target and encoders of this build.

use crate::compression::Encoder;

include!(concat!(env!("OUT_DIR"), "/build_facts.rs"));

/// The version, commit, target and encoders of a build, for `--version` and bug reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Build {
    /// Version of the crate.
    pub version: &'static str,
    /// Commit that it was built from. Empty if that is not known.
    pub commit: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// Encoders that a backup can choose. The first is the default.
    pub encoders: &'static [Encoder],
}

/// This build of the crate.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: COMMIT,
    target: TARGET,
    encoders: Encoder::AVAILABLE,
};
