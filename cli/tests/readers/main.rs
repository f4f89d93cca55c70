//! Other programs read every archive as an ordinary .tar.gz. Each lists or extracts it without a
//! warning, and finds the tree that was backed up.

#[path = "../common/mod.rs"]
mod common;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use common::{Fixture, Ran, is_there, ok, run};
use tree::{Node, Tree};

/// One tree, and its archives: two profiles and two levels.
struct Archives {
    fixture: Fixture,
    tree: Tree,
    archives: Vec<Archive>,
}

struct Archive {
    path: PathBuf,
    is_full: bool,
}

static ARCHIVES: LazyLock<Archives> = LazyLock::new(|| {
    let fixture = Fixture::new();
    let tree = Tree::make(&fixture.source);
    let mut archives = Vec::new();
    for profile in ["full", "wings"] {
        for level in ["fast", "none"] {
            let name = format!("{profile}-{level}-{{uuid}}.tar.gz");
            let args = ["--json", "--profile", profile, "--level", level, "--name", &name];
            let report = ok(fixture.create().args(args)).json();
            assert_eq!((&report["partial"], &report["skipped"]), (&false.into(), &[(); 0].into()));
            let path = report["location"].as_str().expect("a path").into();
            archives.push(Archive { path, is_full: profile == "full" });
        }
    }
    Archives { fixture, tree, archives }
});

impl Archive {
    /// The entries that a reader must find, in order.
    fn nodes(&self) -> impl Iterator<Item = &'static Node> {
        ARCHIVES.tree.nodes.iter().filter(|node| self.is_full || node.kind == 'f')
    }

    fn check_listing(&self, reader: &str, ran: &Ran) {
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{reader}: {:?}", self.path);
        let mut found = ran.out.lines();
        for node in self.nodes() {
            assert_eq!(found.next(), Some(node.line().as_str()), "{reader}: {node:?}");
        }
        assert_eq!(found.next(), None, "{reader}: more than there is");
    }
}

fn is_reader_there(program: &str) -> bool {
    is_there(program, &format!("archives read by {program}"))
}

fn each_archive(program: &str, check: impl Fn(&Archive)) {
    if is_reader_there(program) {
        ARCHIVES.archives.iter().for_each(check);
    }
}

/// Lists each archive with one of the test readers in other languages.
fn list_with(program: &str, args: &[&str]) {
    each_archive(program, |archive| {
        let ran = run(Command::new(program).args(args).arg(&archive.path));
        archive.check_listing(&format!("{program} {args:?}"), &ran);
    });
}

/// Extracts each archive with a program and compares the result.
fn extract_with(program: &str, args: &[&str], compare: fn(&Node, &Path)) {
    each_archive(program, |archive| {
        let into = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(program);
        // In a locale without UTF-8, names are bytes.
        command.args(args).arg(&archive.path).current_dir(&into).env("LC_ALL", "C");
        let ran = ok(&mut command);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{program}");
        let mut expected: Vec<_> = archive.nodes().map(|node| &node.path).collect();
        for node in archive.nodes() {
            compare(node, into.path());
        }
        let mut found = tree::paths(into.path());
        if !archive.is_full {
            // Parent directories are created implicitly.
            found.retain(|path| {
                !fs::symlink_metadata(into.path().join(tree::os(path))).expect("it exists").is_dir()
            });
        }
        found.sort();
        expected.sort();
        assert!(found.iter().eq(expected), "{program} makes exactly what is in the archive");
    });
}

#[test]
fn gnu_tar_extracts_everything() {
    extract_with("tar", &["-xpzf"], Node::assert_is_in);
}

#[test]
fn gnu_tar_finds_no_difference_from_the_tree() {
    each_archive("tar", |archive| {
        let source = ARCHIVES.fixture.source.as_os_str();
        let mut command = Command::new("tar");
        let ran = ok(command.arg("-dzf").arg(&archive.path).arg("-C").arg(source));
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    });
}

#[test]
fn bsdtar_extracts_everything() {
    extract_with("bsdtar", &["-xpf"], Node::assert_is_in);
}

#[test]
fn busybox_extracts_everything() {
    // It does not restore the times of symlinks, nor of directories that it writes into afterwards.
    extract_with("busybox", &["tar", "-xpzf"], |node, root| match node.kind {
        'f' => node.assert_is_in(root),
        _ => node.assert_is_in_but_for_its_time(root),
    });
}

#[test]
fn python_lists_everything_with_and_without_seeking() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/listing.py");
    for mode in ["r:gz", "r|gz"] {
        list_with("python3", &["-W", "error", script, mode]);
    }
}

#[test]
fn go_lists_everything() {
    if !is_reader_there("go") {
        return;
    }
    let built = tempfile::tempdir().unwrap();
    let binary = built.path().join("readers");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers");
    let mut build = Command::new("go");
    ok(build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(source).env("GOWORK", "off"));
    for archive in &ARCHIVES.archives {
        archive.check_listing("go", &run(Command::new(&binary).arg(&archive.path)));
    }
}

#[test]
fn node_lists_everything() {
    list_with("node", &[concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/listing.js")]);
}

#[test]
fn java_lists_everything() {
    // Java runs a source file only if its compiler is installed.
    if !is_reader_there("javac") {
        return;
    }
    // Options for a fast start, because it runs once for each archive.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/Listing.java");
    list_with("java", &["-XX:TieredStopAtLevel=1", source]);
}

#[test]
fn gzip_pigz_and_igzip_accept_every_archive() {
    for program in ["gzip", "pigz", "igzip"] {
        each_archive(program, |archive| {
            let ran = ok(Command::new(program).arg("-t").arg(&archive.path));
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{program}");
        });
    }
}

#[test]
fn every_decompressor_gives_the_same_bytes() {
    let expected = |archive: &Archive| {
        let output = Command::new("gzip")
            .arg("-dc")
            .arg(&archive.path)
            .output()
            .expect("the program starts");
        assert!(output.status.success());
        output.stdout
    };
    for (program, args) in
        [("pigz", &["-dc"][..]), ("igzip", &["-dc"]), ("busybox", &["gzip", "-dc"])]
    {
        each_archive(program, |archive| {
            let output = Command::new(program)
                .args(args)
                .arg(&archive.path)
                .output()
                .expect("the program starts");
            assert!(output.status.success() && output.stderr.is_empty(), "{program}");
            assert!(output.stdout == expected(archive), "{program}: {:?}", archive.path);
        });
    }
}
