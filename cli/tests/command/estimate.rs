//! `estimate` counts files and bytes, and its upper bound holds.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use fastrand::Rng;
use serde_json::json;

use crate::common::{self, Fixture, Ran, ok};

fn estimate(dir: &Path, args: &[&str]) -> Ran {
    ok(common::wingback().arg("estimate").arg(dir).args(args))
}

#[test]
fn estimate_counts_files_and_bytes_of_a_backup() {
    let fixture = Fixture::with(&[("a", b"123"), ("d/b.log", b"4567"), ("e/c", b"")]);
    std::os::unix::fs::symlink("a", fixture.source.join("l")).unwrap();
    let mut counted = estimate(&fixture.source, &["--json", "--exclude", "*.log"]).json();
    let archive_max = counted.as_object_mut().unwrap().remove("archive_max").unwrap();
    assert!(archive_max.as_u64().unwrap() > 0);
    assert_eq!(
        counted,
        json!({ "type": "estimate", "files": 2, "directories": 2, "symlinks": 1, "content": 3 })
    );
    let text = estimate(&fixture.source, &["--exclude", "*.log"]).out;
    assert!(
        text.starts_with("content   2 files, 2 directories, 1 symlink, 3 B\narchive   at most ")
    );
    assert!(!fixture.to.exists());
}

/// Makes a tree of one kind: the size of an archive depends on the sizes and names of its files.
fn tree(rng: &mut Rng, kind: usize) -> Fixture {
    let fixture = Fixture::new();
    let (files, size, name) = match kind {
        0 => (0, 1, 10),
        1 => (400, 1, 250),
        2 => (60, 20_000, 20),
        3 => (5, 1_500_000, 5),
        4 => (4, 300_000, 100),
        _ => (30, 150_000, 40),
    };
    for i in 0..files {
        let dir = fixture.source.join(format!("{}", i % 7));
        fs::create_dir_all(&dir).expect("created");
        let end = if kind == 4 { ".mca" } else { "" };
        let mut path = format!("{i}").into_bytes();
        path.extend((0..rng.usize(..name)).map(|_| b'\x80' + rng.u8(..100)));
        path.extend(end.as_bytes());
        let path = dir.join(OsStr::from_bytes(&path));
        let len = rng.usize(..size);
        let content = match rng.u8(..3) {
            0 => vec![0; len],
            1 => b"all work and no play ".iter().copied().cycle().take(len).collect(),
            _ => common::noise(rng.u64(..), len),
        };
        match kind {
            1 if i % 3 == 0 => std::os::unix::fs::symlink("t".repeat(rng.usize(1..300)), path),
            1 if i % 3 == 1 => fs::create_dir(path),
            _ => fs::write(path, content),
        }
        .expect("created");
    }
    fixture
}

#[test]
fn no_archive_is_larger_than_its_estimate() {
    let mut rng = Rng::with_seed(5);
    for kind in 0..6 {
        let fixture = tree(&mut rng, kind);
        for profile in ["full", "wings"] {
            let counted = estimate(&fixture.source, &["--json", "--profile", profile]).json();
            let max = counted["archive_max"].as_u64().unwrap();
            for level in ["none", "fast", "best"] {
                let report = ok(fixture.create().arg("--allow-empty").args([
                    "--json",
                    "--profile",
                    profile,
                    "--level",
                    level,
                ]))
                .json();
                let size = report["size"].as_u64().unwrap();
                assert!(size <= max, "kind {kind}, {profile}, {level}: {size} > {max}");
                for field in ["files", "directories", "symlinks", "content"] {
                    assert_eq!(report[field], counted[field], "{field}");
                }
                // The bound must be tight as well: a huge one would always hold.
                if level == "none" && profile == "full" {
                    assert!(max < size + size / 4 + 1500, "kind {kind}: {max} for {size}");
                }
            }
        }
    }
}
