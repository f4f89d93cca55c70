//! Stock Wings restores archives of profile `wings`. Its restore is emulated with the two libraries
//! that its releases use: each entry is written as a file.

#[path = "../common/mod.rs"]
mod common;
#[path = "../readers/tree.rs"]
mod tree;

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use common::{Fixture, Ran, is_there, ok, run, wingback};
use tempfile::TempDir;
use tree::Tree;

/// The emulation, built with one of the libraries.
struct Wings {
    library: &'static str,
    built: TempDir,
}

impl Wings {
    /// Builds it with both libraries, or with neither if Go is not installed.
    fn of_each_library() -> Vec<Wings> {
        let libraries = ["archiver", "archives"];
        if !is_there("go", "Wings' restore") {
            return Vec::new();
        }
        libraries.map(Wings::build).into()
    }

    fn build(library: &'static str) -> Wings {
        let built = tempfile::tempdir().expect("a temporary directory");
        let mut build = Command::new("go");
        build.args(["build", "-mod=readonly", "-o"]).arg(built.path());
        build.arg(format!("./{library}")).env("GOWORK", "off");
        ok(build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wings/restore")));
        Wings { library, built }
    }

    fn restore(&self, archive: &Path, to: &Path) -> Ran {
        run(Command::new(self.built.path().join(self.library)).arg(archive).arg(to))
    }
}

fn archive(fixture: &Fixture, profile: &str) -> PathBuf {
    ok(fixture.create().args(["--profile", profile, "--name", &format!("{profile}-{{uuid}}")]));
    let is_it = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with(profile);
    fixture.to.join(fixture.left().iter().find(is_it).expect("created"))
}

#[test]
fn wings_restores_every_file_of_an_archive_of_its_profile() {
    let wings = Wings::of_each_library();
    let fixture = Fixture::new();
    let tree = Tree::make(&fixture.source);
    let archive = archive(&fixture, "wings");
    let ours = fixture.tmp.path().join("ours");
    ok(wingback().args(["restore", "-q"]).arg(&archive).arg(&ours));
    for node in &tree.nodes {
        node.without_special_bits().assert_is_in(&ours);
    }
    assert_eq!(tree::paths(&ours).len(), tree.nodes.len());
    let files = || tree.nodes.iter().filter(|node| node.kind == 'f');
    for wings in wings {
        let theirs = fixture.tmp.path().join(wings.library);
        let ran = wings.restore(&archive, &theirs);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", wings.library);
        for node in files() {
            node.without_special_bits().assert_is_in(&theirs);
        }
        let found = tree::paths(&theirs);
        let found = found.iter().filter(|path| !theirs.join(tree::os(path)).is_dir());
        assert_eq!(found.count(), files().count(), "{}: no more than files", wings.library);
    }
}

#[test]
fn wings_fails_at_the_first_directory_of_a_full_archive() {
    for wings in Wings::of_each_library() {
        let fixture = Fixture::with(&[("a", b"a"), ("dir/b", b"b"), ("z", b"z")]);
        let theirs = fixture.tmp.path().join("theirs");
        let ran = wings.restore(&archive(&fixture, "full"), &theirs);
        assert_eq!(ran.status, 1, "{}", wings.library);
        assert!(ran.err.contains("dir/: "), "{ran:?}");
        assert_eq!(tree::paths(&theirs), [b"a"], "{}: it ends there", wings.library);
    }
}

#[test]
fn wings_restores_a_symlink_of_a_full_archive_as_an_empty_file() {
    for wings in Wings::of_each_library() {
        let fixture = Fixture::with(&[("file", b"content")]);
        symlink("file", fixture.source.join("link")).unwrap();
        let theirs = fixture.tmp.path().join("theirs");
        let ran = wings.restore(&archive(&fixture, "full"), &theirs);
        assert_eq!(ran.status, 0, "{}: {ran:?}", wings.library);
        let link = fs::symlink_metadata(theirs.join("link")).unwrap();
        assert!(link.is_file() && link.len() == 0, "{}", wings.library);
        assert_eq!(link.mode() & 0o777, 0o777, "{}", wings.library);
    }
}
