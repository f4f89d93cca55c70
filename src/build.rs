//! The version, commit and target of this build.

include!(concat!(env!("OUT_DIR"), "/build_facts.rs"));

/// The version, commit and target of a build, for `--version` and bug reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Build {
    /// Version of the crate.
    pub version: &'static str,
    /// Commit that it was built from. Empty if that is not known.
    pub commit: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// Encoder of the level [`Fast`](crate::Level::Fast).
    pub encoder: &'static str,
}

/// This build of the crate.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: COMMIT,
    target: TARGET,
    encoder: if cfg!(feature = "isal") { "isa-l" } else { "wingback" },
};
