//! Archives of other programs: GNU tar in all its formats, bsdtar, Python; compressed by gzip and pigz,
//! in several gzip members; and hostile ones.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::Command,
};

use futures::executor::block_on;
use support::{
    Tree, gzip,
    hostile::{self, Want},
    in_memory,
    snapshot::Snapshot,
    text,
};
use wingback::{ErrorKind, Extract, Extracted, List, Result, Verify};

fn extract(bytes: &[u8], dir: &Path) -> Result<Extracted> {
    block_on(Extract::new(dir).start(in_memory(bytes)))
}

/// A tree that every tar format can represent.
fn tree() -> Tree {
    let tree = Tree::with(&[
        ("a.txt", b"a"),
        ("dir/b.txt", &text(20_000)),
        ("empty.txt", b""),
        ("server.jar", &text(1_200_000)),
    ]);
    fs::create_dir(tree.root.join("empty")).unwrap();
    tree.link("link", "dir/b.txt");
    fs::hard_link(tree.root.join("a.txt"), tree.root.join("same.txt")).unwrap();
    let sparse = fs::File::create(tree.root.join("sparse.db")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"more", 2_500_000).unwrap();
    for path in ["a.txt", "dir/b.txt", "empty.txt", "server.jar", "sparse.db", "empty", "dir"] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        fs::File::open(tree.root.join(path)).unwrap().set_modified(time).unwrap();
    }
    symlink("x", tree.root.join("link-2")).unwrap();
    tree
}

/// Adds names that need extensions of the format.
fn add_long_names(tree: &Tree) {
    let long = format!("{}/{}", "d".repeat(180), "f".repeat(200));
    tree.file(&long, "long");
    symlink("t".repeat(300), tree.root.join("long-link")).unwrap();
}

#[test]
fn archives_of_other_programs_are_extracted_unchanged() {
    let run = |program: &str, args: &[&str], tree: &Tree| {
        let archive = tree.tmp.path().join("archive.tar");
        let mut command = Command::new(program);
        let status = command.args(args).arg(&archive).arg("-C").arg(&tree.root).arg(".").status();
        assert!(status.unwrap().success(), "{program} {args:?}");
        let tar = fs::read(&archive).unwrap();
        fs::remove_file(archive).unwrap();
        tar
    };
    let plain = tree();
    let long = tree();
    add_long_names(&long);
    let sparse = |version| format!("--sparse-version={version}");
    let (s00, s01, s10) = (sparse("0.0"), sparse("0.1"), sparse("1.0"));
    let cases: [(&str, &[&str], &Tree); 12] = [
        ("tar", &["--format=v7", "-cf"], &plain),
        ("tar", &["--format=ustar", "-cf"], &plain),
        ("tar", &["--format=oldgnu", "-cf"], &long),
        ("tar", &["--format=gnu", "-cf"], &long),
        ("tar", &["--format=posix", "-cf"], &long),
        ("tar", &["--format=oldgnu", "--sparse", "-cf"], &long),
        ("tar", &["--format=gnu", "--sparse", "-cf"], &long),
        ("tar", &["--format=posix", "--sparse", &s00, "-cf"], &long),
        ("tar", &["--format=posix", "--sparse", &s01, "-cf"], &long),
        ("tar", &["--format=posix", "--sparse", &s10, "-cf"], &long),
        ("bsdtar", &["--format=pax", "-cf"], &long),
        ("bsdtar", &["--format=gnutar", "-cf"], &long),
    ];
    for (program, args, tree) in cases {
        let tar = run(program, args, tree);
        let want = Snapshot::of(&tree.root).in_seconds();
        let target = Tree::new();
        let dir = target.root.join("out");
        extract(&gzip(&tar), &dir).unwrap_or_else(|e| panic!("{program} {args:?}: {e}"));
        let found = Snapshot::of(&dir).in_seconds();
        found
            .without_link_times()
            .assert_is(&want.without_link_times(), format!("{program} {args:?}"));
        assert!(block_on(Verify::new().start(in_memory(&gzip(&tar)))).unwrap().is_whole());
    }
}

/// PAX times have nanoseconds, ustar times do not.
#[test]
fn pax_times_keep_their_nanoseconds() {
    let tree = Tree::with(&[("a", b"a")]);
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 123_456_789);
    fs::File::open(tree.root.join("a")).unwrap().set_modified(time).unwrap();
    let tar = Command::new("tar").args(["--format=posix", "-cC"]).arg(&tree.root).arg("a").output();
    let target = Tree::new();
    extract(&gzip(&tar.unwrap().stdout), &target.root).unwrap();
    let found = fs::metadata(target.root.join("a")).unwrap();
    assert_eq!((found.mtime(), found.mtime_nsec()), (1_600_000_000, 123_456_789));
}

#[test]
fn gzip_members_and_trailing_zeros_are_one_stream() {
    let tar = Command::new("tar").args(["-cC"]).arg(&tree().root).arg(".").output().unwrap().stdout;
    let mut bytes: Vec<u8> = tar.chunks(70_001).flat_map(gzip).collect();
    let names = |bytes: &[u8]| {
        let listing = block_on(List::new().start(in_memory(bytes)));
        listing.map(|l| l.members().map(|m| m.path).collect::<Vec<_>>())
    };
    let want = names(&gzip(&tar)).unwrap();
    assert!(want.len() > 8);
    assert_eq!(names(&bytes).unwrap(), want);
    bytes.extend([0; 10_000]);
    assert_eq!(names(&bytes).unwrap(), want);
    bytes.extend(b"something else");
    let error = names(&bytes).unwrap_err();
    assert!(error.to_string().contains("other bytes after its end"), "{error}");
}

/// Each hostile archive has the documented result, and none changes anything outside of its target.
#[test]
fn hostile_archives_write_nothing_outside_the_target() {
    for case in hostile::cases() {
        let tree = Tree::new();
        let outside = tree.tmp.path().join("victim");
        fs::write(&outside, "untouched").unwrap();
        let (dir, name) = (tree.root.join("in/target"), case.name);
        let result = extract(&gzip(&case.tar), &dir);
        match (&case.want, &result) {
            (Want::Refused(about), Err(e)) => {
                let kinds = [ErrorKind::InvalidInput, ErrorKind::Corrupt, ErrorKind::AlreadyExists];
                assert!(kinds.contains(&e.kind()), "{name}: {e:?}");
                assert!(e.to_string().contains(about), "{name}: {e} does not say {about:?}");
            }
            (Want::Skipped, Ok(done)) => assert_eq!(done.unpacked.skipped.len(), 1, "{name}"),
            (Want::Fine(files), Ok(_)) => {
                assert_eq!(Snapshot::of(&dir).files(), *files, "{name}");
            }
            (want, result) => panic!("{name}: {want:?}, and it was {result:?}"),
        }
        assert_eq!(fs::read(&outside).unwrap(), b"untouched", "{name}");
        let mut around: Vec<_> =
            fs::read_dir(tree.tmp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        around.sort();
        assert_eq!(around, ["source", "victim"], "{name}");
        // Listing and verifying are harmless as well.
        let _ = block_on(List::new().start(in_memory(&gzip(&case.tar))));
        let _ = block_on(Verify::new().start(in_memory(&gzip(&case.tar)))).unwrap();
        // Salvage stays inside the target as well.
        let salvaged = tree.root.join("salvaged");
        let _ = block_on(Extract::new(&salvaged).salvage(true).start(in_memory(&gzip(&case.tar))));
        assert_eq!(fs::read(&outside).unwrap(), b"untouched", "{name}");
    }
}

/// Fixtures of other projects that are hard to read or hostile. Every tree that GNU tar and wingback
/// both extract is the same, and nothing outside changes.
#[test]
fn fixtures_of_other_projects_are_extracted_as_by_gnu_tar_or_rejected() {
    let (mut same, mut refused) = (Vec::new(), Vec::new());
    for (name, tar) in support::corpora::archives() {
        let tree = Tree::new();
        fs::write(tree.tmp.path().join("victim"), "untouched").unwrap();
        let ours = tree.root.join("in/ours");
        let bytes = gzip(&tar);
        let result = extract(&bytes, &ours);
        let _ = block_on(List::new().start(in_memory(&bytes)));
        let verified = block_on(Verify::new().start(in_memory(&bytes))).unwrap();
        let salvaged = tree.root.join("in/salvaged");
        let _ = block_on(Extract::new(&salvaged).salvage(true).start(in_memory(&bytes)));
        assert_eq!(fs::read(tree.tmp.path().join("victim")).unwrap(), b"untouched", "{name}");
        let mut around: Vec<_> =
            fs::read_dir(&tree.root).unwrap().map(|e| e.unwrap().file_name()).collect();
        around.sort();
        assert_eq!(around, ["in"], "{name}");
        match result {
            Err(e) => refused.push(format!("{name}: {e}")),
            Ok(done) => {
                assert!(verified.is_whole(), "{name}: {:?}", verified.damage);
                // Some are sparse files of many gigabytes.
                if done.unpacked.content > 64 << 20 {
                    continue;
                }
                let theirs = tree.root.join("in/theirs");
                fs::create_dir(&theirs).unwrap();
                let archive = tree.tmp.path().join("archive.tar");
                fs::write(&archive, &tar).unwrap();
                let mut command = Command::new("tar");
                command.args(["--no-same-owner", "--exclude=*device*", "-xf"]).arg(&archive);
                let output = command.arg("-C").arg(&theirs).output().unwrap();
                if output.status.success() {
                    let (ours, theirs) = (Snapshot::of(&ours), Snapshot::of(&theirs));
                    assert_eq!(ours.contents(), theirs.contents(), "{name}");
                    same.push(name);
                }
            }
        }
    }
    println!("{} as GNU tar has them, {} refused:", same.len(), refused.len());
    refused.iter().for_each(|name| println!("  {}", name.escape_debug()));
}
