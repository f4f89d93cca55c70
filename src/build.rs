//! What this build of the crate is.

include!(concat!(env!("OUT_DIR"), "/build_facts.rs"));

/// Facts about this build, for `--version` and bug reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Build {
    /// Version of the crate.
    pub version: &'static str,
    /// Commit that it was built from; empty where that is not known.
    pub commit: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// Encoder of the level `fast`.
    pub encoder: &'static str,
}

/// This build.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: COMMIT,
    target: TARGET,
    encoder: if cfg!(feature = "isal") { "isa-l" } else { "wingback" },
};
