//! Stock Wings restores our archives of profile `wings`: emulated with the two libraries that its
//! releases use, each entry written as a file.

#[path = "../common/mod.rs"]
mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use common::{Place, is_there, noise, ok, run};

const LIBRARIES: [&str; 2] = ["archiver", "archives"];

fn place() -> Place {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(150));
    let place = Place::with(&[
        ("server.properties", b"motd=hi\n"),
        ("empty.txt", b""),
        ("server.jar", &noise(1, 1_300_000)),
        ("world/region/r.0.0.mca", &noise(2, 300_000)),
        ("logs/latest.log", &b"[12:00:00] Done\n".repeat(5000)),
        (&long, b"long"),
        ("plugins/é ☃/config.yml", b"a: 1\n"),
    ]);
    let path = |path: &str| place.source.join(path);
    fs::create_dir(path("empty-dir")).unwrap();
    symlink("server.jar", path("link.jar")).unwrap();
    fs::set_permissions(path("logs/latest.log"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(path("server.jar"), fs::Permissions::from_mode(0o755)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    fs::File::open(path("server.jar")).unwrap().set_modified(time).unwrap();
    place
}

/// All regular files beneath: path, mode, seconds, content.
fn files(root: &Path) -> Vec<(String, u32, i64, Vec<u8>)> {
    let mut find = Command::new("find");
    find.args([".", "-type", "f"]).current_dir(root);
    let mut files: Vec<_> = ok(&mut find)
        .out
        .lines()
        .map(|line| {
            let path = root.join(line);
            let meta = fs::metadata(&path).unwrap();
            (line.to_owned(), meta.mode() & 0o777, meta.mtime(), common::read(&path))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn wings_restores_our_archives_of_its_profile() {
    if !is_there("go", "the emulation of Wings' restore") {
        return;
    }
    let built = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wings/restore");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(built.path()).args(["./archiver", "./archives"]);
    ok(build.current_dir(source).env("GOWORK", "off"));
    let place = place();
    for profile in ["wings", "full"] {
        ok(place.create().args([
            "--profile",
            profile,
            "--name",
            &format!("{profile}-{{uuid}}.tar.gz"),
        ]));
    }
    let archive = |profile: &str| {
        let mut names = place.left().into_iter();
        let name = names.find(|name| name.to_str().unwrap().starts_with(profile)).unwrap();
        place.to.join(name)
    };
    for library in LIBRARIES {
        let target = place.tmp.path().join(library);
        let restore = |profile: &str| {
            run(Command::new(built.path().join(library)).arg(archive(profile)).arg(&target))
        };
        let ran = restore("wings");
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{library}");
        let (found, want) = (files(&target), files(&place.source));
        for (found, want) in found.iter().zip(&want) {
            assert_eq!((&found.0, found.1, found.2), (&want.0, want.1, want.2), "{library}");
            assert!(found.3 == want.3, "{library}: {}", want.0);
        }
        assert_eq!(found.len(), want.len(), "{library}");
        // A directory is an error to it: that is why there is a profile.
        let ran = restore("full");
        assert_eq!(ran.status, 1, "{library}");
        assert!(ran.err.contains("directory"), "{library}: {ran:?}");
        // Ours gives everything back, from either.
        let ours = place.tmp.path().join(format!("{library}-ours"));
        ok(common::wingback().arg("restore").arg(archive("wings")).arg(&ours).arg("-q"));
        ok(Command::new("diff").args(["-r", "--no-dereference"]).arg(&place.source).arg(&ours));
        assert!(ours.join("empty-dir").is_dir() && ours.join("link.jar").is_symlink());
    }
}
