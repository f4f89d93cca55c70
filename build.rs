//! Writes facts about this build to `OUT_DIR/build_facts.rs`. It never fails and never writes the
//! tree: what it cannot find out is left empty.

use std::{env, fs, path::Path, process::Command};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let commit = commit(Path::new(&root)).unwrap_or_default();
    let target = env::var("TARGET").unwrap_or_default();
    let facts = format!(
        "pub(crate) const COMMIT: &str = {commit:?};\npub(crate) const TARGET: &str = {target:?};\n"
    );
    let out = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("build_facts.rs");
    if let Err(e) = fs::write(&out, facts) {
        println!("cargo::warning=cannot write {}: {e}", out.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=.git/HEAD");
}

/// The commit, only if this is the project's own checkout and not a copy inside another one.
fn commit(root: &Path) -> Option<String> {
    if !root.join(".git").exists() {
        return None;
    }
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(root).args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| commit.trim().to_owned())
}
