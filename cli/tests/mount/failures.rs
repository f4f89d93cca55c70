//! Archives that are damaged or removed while they are mounted.

use std::{fs, io, os::unix::fs::FileExt};

use crate::{
    Mounted,
    common::{Fixture, names, noise, ok},
};

/// Returns the number of an error.
fn number(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().and_then(|e| e.raw_os_error())
}

#[test]
fn a_damaged_segment_is_an_error_of_its_file_only() {
    let content = noise(1, 3 << 20);
    let fixture = Fixture::with(&[("a-lost", &content), ("whole", b"whole"), ("z", &content)]);
    ok(&mut fixture.create());
    let archive = fs::OpenOptions::new().write(true).open(fixture.archive()).unwrap();
    archive.write_all_at(b"damaged", 1 << 20).unwrap();
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    assert_eq!(number(fs::read(mounted.path("a-lost"))), Some(libc::EIO));
    let errors = mounted.errors();
    assert!(errors.starts_with("wingback: a-lost: read the archive /"), "{errors}");
    assert!(errors.trim_end().ends_with(" is damaged"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(fs::read(mounted.path("whole")).unwrap(), b"whole");
    assert!(fs::read(mounted.path("z")).unwrap() == content);
}

#[test]
fn a_damaged_page_of_the_index_is_an_error_of_its_paths_only() {
    let fixture = Fixture::new();
    // Names that cannot be compressed, so the index is much longer than its root.
    let mut random = fastrand::Rng::with_seed(1);
    let names: Vec<_> = (0..6000).map(|_| format!("{:064x}", random.u128(..))).collect();
    for name in &names {
        fs::write(fixture.source.join(name), name).unwrap();
    }
    ok(&mut fixture.create());
    let archive = fs::OpenOptions::new().write(true).open(fixture.archive()).unwrap();
    archive.write_all_at(b"damaged", archive.metadata().unwrap().len() - (60 << 10)).unwrap();
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    let (mut good, mut bad) = (0, 0);
    for name in &names {
        match fs::read(mounted.path(name)) {
            Ok(content) => {
                assert_eq!(content, name.as_bytes());
                good += 1;
            }
            Err(e) => {
                assert_eq!(e.raw_os_error(), Some(libc::EIO), "{e}");
                bad += 1;
            }
        }
    }
    assert!(good > 1000 && bad > 100, "{good} {bad}");
    assert!(mounted.errors().contains("index"), "{}", mounted.errors());
}

#[test]
fn a_removed_archive_is_stale_and_the_others_stay() {
    let fixture = Fixture::with(&[("a", b"a"), ("b", b"b")]);
    for label in ["gone", "open", "other"] {
        ok(fixture.create().args(["--label", label, "--name", "{label}-{uuid}.tar.gz"]));
    }
    let Some(mounted) = Mounted::new(&fixture.to) else { return };
    let dir = |label: &str| {
        let dir = mounted.path(label);
        dir.join(&names(&dir)[0])
    };
    let [gone, open, other] = ["gone", "open", "other"].map(dir);
    assert_eq!(fs::read(open.join("a")).unwrap(), b"a");
    for name in names(&fixture.to) {
        if !name.to_string_lossy().starts_with("other") {
            fs::remove_file(fixture.to.join(name)).unwrap();
        }
    }
    assert_eq!(number(fs::read(gone.join("a"))), Some(libc::ESTALE));
    assert_eq!(
        number(fs::read_dir(&gone).and_then(|mut dir| dir.next().unwrap())),
        Some(libc::ESTALE)
    );
    // The command has opened this file before it was removed.
    assert_eq!(fs::read(open.join("b")).unwrap(), b"b");
    assert_eq!(fs::read(other.join("b")).unwrap(), b"b");
    let errors = mounted.errors();
    assert!(errors.contains("gone-") && errors.contains("No such file"), "{errors}");
}

#[test]
fn nothing_can_be_written() {
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    let read_only = Some(libc::EROFS);
    assert_eq!(number(fs::write(mounted.path("new"), "x")), read_only);
    assert_eq!(number(fs::write(mounted.path("a"), "x")), read_only);
    assert_eq!(number(fs::remove_file(mounted.path("a"))), read_only);
    assert_eq!(number(fs::create_dir(mounted.path("dir"))), read_only);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.contains(mounted.dir.to_str().unwrap())).unwrap();
    let options: Vec<_> = line.split(' ').nth(3).unwrap().split(',').collect();
    for option in ["ro", "nosuid", "nodev", "default_permissions"] {
        assert!(options.contains(&option), "{option}: {line}");
    }
    assert!(!options.contains(&"allow_other"), "{line}");
}
