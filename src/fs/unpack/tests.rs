use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, Instant},
};

use super::{file::NewFile, options::UnpackerOptions, unpacker::FinishReport, *};
use crate::{
    error::{ErrorKind, Result},
    left_out::left_out,
};

const ATTRIBUTES: Attributes =
    Attributes { mode: 0o640, uid: 0, gid: 0, mtime_ns: 1_234_567_890_123_456_789 };

/// Whether paths are looked up component by component, instead of by one `openat2`.
const LOOKUPS: [bool; 2] = [false, true];

struct Target {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Target {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("made");
        Target { dir, root }
    }

    fn unpacker(&self, policy: OverwritePolicy, step_by_step: bool) -> Unpacker {
        let root = Beneath::open(&self.root).expect("open");
        let root = if step_by_step { root.step_by_step() } else { root };
        Unpacker::new(root, UnpackerOptions { policy, owner: Owner::Keep })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Begins a file with the policy of the unpacker.
fn begin(unpacker: &Unpacker, path: &[u8], size: u64, attributes: &Attributes) -> Result<NewFile> {
    unpacker.file(path, size, attributes, unpacker.options.policy)
}

fn write(unpacker: &Unpacker, path: &[u8], content: &[u8]) -> Result<()> {
    let file = begin(unpacker, path, content.len() as u64, &ATTRIBUTES)?;
    file.write_at(0, content)?;
    file.finish()
}

#[test]
fn an_unsafe_path_is_refused() {
    let long = b"x".repeat(256);
    let very_long = [b"x".repeat(200), b"/".to_vec()].concat().repeat(30);
    let bad: [&[u8]; 12] = [
        b"",
        b"/",
        b"/etc/passwd",
        b"..",
        b"../x",
        b"a/..",
        b"a/../b",
        b"a//b",
        b"a/",
        b"./a",
        &long,
        &very_long,
    ];
    for path in bad {
        let error = check_path(path).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.path().map(|p| p.as_os_str().as_bytes()), Some(path));
    }
    check_path(b"a\0b").expect_err("refused");
    for path in [&b"a"[..], b"a/b", b"..a", b"a..", b"...", b" ", b"\xff\n", &long[..255]] {
        check_path(path).expect("fine");
    }
}

#[test]
fn files_are_created_with_mode_time_and_content() {
    for step_by_step in LOOKUPS {
        for policy in
            [OverwritePolicy::NewTree, OverwritePolicy::Refuse, OverwritePolicy::Overwrite]
        {
            let target = Target::new();
            let unpacker = target.unpacker(policy, step_by_step);
            for (path, mode, mtime_ns) in [
                (&b"a"[..], 0o777, 5_000_000_001),
                (b"d/e/f", 0o4751, -1),
                (b"d/\xff\xfe", 0o000, -1_500_000_000),
            ] {
                let attributes = Attributes { mode, mtime_ns, ..ATTRIBUTES };
                let file = begin(&unpacker, path, 5, &attributes).expect("begun");
                file.write_at(0, b"he").expect("written");
                file.write_at(2, b"llo").expect("written");
                file.finish().expect("finished");
                let found = fs::metadata(target.root.join(std::ffi::OsStr::from_bytes(path)));
                let found = found.expect("there");
                assert_eq!((found.mode() & 0o7777, found.len()), (mode & 0o777, 5));
                assert_eq!(found.mtime() * 1_000_000_000 + found.mtime_nsec(), mtime_ns);
            }
            unpacker.finish().expect("finished");
            assert_eq!(fs::read(target.path("d/e/f")).expect("read"), b"hello");
            assert_eq!(fs::read_dir(target.path("d")).expect("listed").count(), 2, "no leftovers");
        }
    }
}

#[test]
fn an_unfinished_file_does_not_exist() {
    for policy in [OverwritePolicy::NewTree, OverwritePolicy::Refuse, OverwritePolicy::Overwrite] {
        let target = Target::new();
        let unpacker = target.unpacker(policy, false);
        let file = begin(&unpacker, b"a", 5, &ATTRIBUTES).expect("begun");
        file.write_at(0, b"hel").expect("written");
        assert_eq!(target.path("a").exists(), policy == OverwritePolicy::NewTree);
        drop(file);
        assert_eq!(fs::read_dir(&target.root).expect("listed").count(), 0);
    }
}

#[test]
fn an_existing_file_is_refused_or_replaced_and_links_are_never_followed() {
    for step_by_step in LOOKUPS {
        let target = Target::new();
        let outside = target.dir.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("file"), "outside").expect("written");
        fs::write(target.path("old"), "old").expect("written");
        symlink(outside.join("file"), target.path("link")).expect("made");
        symlink(&outside, target.path("dir")).expect("made");
        symlink("..", target.path("up")).expect("made");
        fs::create_dir(target.path("real")).expect("made");
        let refuse = target.unpacker(OverwritePolicy::Refuse, step_by_step);
        for path in [&b"old"[..], b"link", b"real"] {
            let error = write(&refuse, path, b"new").expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        }
        let overwrite = target.unpacker(OverwritePolicy::Overwrite, step_by_step);
        for path in [&b"dir/file"[..], b"dir/new", b"up/x", b"dir/a/b", b"old/x", b"real"] {
            for unpacker in [&refuse, &overwrite] {
                let error = write(unpacker, path, b"new").expect_err("refused");
                let kinds = [ErrorKind::InvalidInput, ErrorKind::AlreadyExists];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
        }
        overwrite.directory(b"dir", &ATTRIBUTES).expect_err("it is a link");
        write(&overwrite, b"old", b"new").expect("replaced");
        write(&overwrite, b"link", b"new").expect("replaced, not followed");
        overwrite.symlink(b"dir", b"there", &ATTRIBUTES, OverwritePolicy::Overwrite).expect("made");
        overwrite.finish().expect("finished");
        assert_eq!(fs::read(target.path("link")).expect("read"), b"new");
        assert!(!fs::symlink_metadata(target.path("link")).expect("there").is_symlink());
        assert_eq!(fs::read_link(target.path("dir")).expect("a link"), Path::new("there"));
        assert_eq!(fs::read(outside.join("file")).expect("read"), b"outside");
        assert_eq!(fs::read_dir(&outside).expect("listed").count(), 1);
        let mut names: Vec<_> = (fs::read_dir(&target.root).expect("listed"))
            .map(|entry| entry.expect("one").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["dir", "link", "old", "real", "up"], "no leftovers");
    }
}

#[test]
fn zeros_become_holes_and_nothing_else_does() {
    let target = Target::new();
    let unpacker = target.unpacker(OverwritePolicy::NewTree, false);
    let mut content = vec![1u8; 1 << 20];
    content[100_000..200_000].fill(0);
    content[400_000..420_000].fill(0);
    content[900_000..].fill(0);
    for pieces in [1 << 20, 128 << 10, 4096, 5000] {
        let name = format!("f{pieces}");
        let file =
            begin(&unpacker, name.as_bytes(), content.len() as u64, &ATTRIBUTES).expect("begun");
        for (i, piece) in content.chunks(pieces).enumerate() {
            file.write_at((i * pieces) as u64, piece).expect("written");
        }
        file.finish().expect("finished");
        assert!(fs::read(target.path(&name)).expect("read") == content, "{pieces}");
        let blocks = fs::metadata(target.path(&name)).expect("there").blocks() * 512;
        assert!(blocks <= (1 << 20) - 90_000 - 120_000, "{pieces}: {blocks} bytes are on disk");
    }
    for len in [0, 1, 4095, 4096, 65_536, 100_000] {
        let zeros = vec![0; len];
        let name = format!("z{len}");
        write(&unpacker, name.as_bytes(), &zeros).expect("written");
        assert!(fs::read(target.path(&name)).expect("read") == zeros);
    }
}

#[test]
fn directories_get_their_attributes_after_files_were_made_in_them() {
    let target = Target::new();
    let unpacker = target.unpacker(OverwritePolicy::NewTree, false);
    for (path, mode) in [(&b"a"[..], 0o555), (b"a/b", 0o000), (b"a/b/c", 0o700)] {
        unpacker.directory(path, &Attributes { mode, ..ATTRIBUTES }).expect("made");
    }
    write(&unpacker, b"a/b/c/file", b"x").expect("written");
    unpacker.symlink(b"a/link", b"/nowhere", &ATTRIBUTES, OverwritePolicy::NewTree).expect("made");
    unpacker.finish().expect("finished");
    for (path, mode) in [("a", 0o555), ("a/b", 0o000), ("a/b/c", 0o700)] {
        let found = fs::metadata(target.path(path)).expect("there");
        assert_eq!(found.mode() & 0o7777, mode, "{path}");
        assert_eq!(
            found.mtime() * 1_000_000_000 + found.mtime_nsec(),
            ATTRIBUTES.mtime_ns,
            "{path}"
        );
    }
}

#[test]
fn links_are_restored() {
    for policy in [OverwritePolicy::NewTree, OverwritePolicy::Refuse, OverwritePolicy::Overwrite] {
        let target = Target::new();
        let unpacker = target.unpacker(policy, false);
        for (path, content) in [(&b"a"[..], &b"same"[..]), (b"d/b", b"same"), (b"c", b"same, no")] {
            write(&unpacker, path, content).expect("written");
        }
        unpacker.link_if_equal(vec![b"a".to_vec(), b"d/b".to_vec(), b"c".to_vec()]);
        unpacker.hard_link(b"e/link", b"c", policy).expect("made");
        let long = b"t".repeat(4095);
        unpacker.symlink(b"s", &long, &ATTRIBUTES, policy).expect("made");
        for bad in [&b""[..], b"a\0b", &b"t".repeat(4096)] {
            check_target(b"bad", bad).expect_err("refused");
        }
        assert_eq!(
            unpacker.finish().expect("finished"),
            FinishReport { linked: 1, ..FinishReport::default() }
        );
        let inode = |path| fs::metadata(target.path(path)).expect("there").ino();
        assert_eq!(inode("a"), inode("d/b"));
        assert_ne!(inode("a"), inode("c"), "other bytes are another file");
        assert_eq!(inode("c"), inode("e/link"));
        assert_eq!(fs::read_link(target.path("s")).expect("a link").as_os_str().len(), 4095);
    }
}

#[test]
fn a_hard_link_names_a_file_or_a_link_and_nothing_else() {
    let target = Target::new();
    let secret = target.dir.path().join("secret");
    fs::write(&secret, "secret").expect("written");
    symlink(&secret, target.path("link")).expect("made");
    fs::create_dir(target.path("dir")).expect("made");
    for to in [&b"dir"[..], b"nothing"] {
        let unpacker = target.unpacker(OverwritePolicy::Refuse, false);
        unpacker.hard_link(b"new", to, OverwritePolicy::Refuse).expect_err("refused");
        assert!(!target.path("new").exists());
    }
    let unpacker = target.unpacker(OverwritePolicy::Refuse, false);
    unpacker.hard_link(b"new", b"link", OverwritePolicy::Refuse).expect("made");
    assert_eq!(fs::read_link(target.path("new")).expect("a link"), secret, "it is not followed");
}

#[test]
fn an_existing_link_leaves_no_temporary_name() {
    let target = Target::new();
    let unpacker = target.unpacker(OverwritePolicy::Refuse, false);
    write(&unpacker, b"a", b"same").expect("written");
    unpacker.hard_link(b"b", b"a", OverwritePolicy::Refuse).expect("made");
    unpacker.hard_link(b"b", b"a", OverwritePolicy::Overwrite).expect("it is one");
    unpacker.link_if_equal(vec![b"a".to_vec(), b"b".to_vec()]);
    assert_eq!(
        unpacker.finish().expect("finished"),
        FinishReport { linked: 1, ..FinishReport::default() }
    );
    assert_eq!(fs::read_dir(&target.root).expect("listed").count(), 2, "no leftovers");
}

#[test]
fn a_directory_is_removed_only_if_it_is_empty_and_ours() {
    let target = Target::new();
    fs::create_dir(target.path("theirs")).expect("made");
    let refuse = target.unpacker(OverwritePolicy::Refuse, false);
    for path in [&b"ours"[..], b"full", b"theirs"] {
        assert!(refuse.directory(path, &ATTRIBUTES).expect("made or taken"));
        assert!(!refuse.directory(path, &ATTRIBUTES).expect("taken"));
    }
    write(&refuse, b"full/file", b"x").expect("written");
    assert!(refuse.remove_directory(b"ours").expect("removed"));
    write(&refuse, b"ours", b"x").expect("its name is free");
    for path in [&b"full"[..], b"theirs"] {
        let error = refuse.remove_directory(path).expect_err("it stays");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    refuse.finish().expect("finished");
}

/// A user who may write to the target replaces its directories by links that lead outside, again and
/// again. Nothing is ever written outside.
#[test]
fn a_racing_thread_cannot_redirect_a_write_outside() {
    for step_by_step in LOOKUPS {
        let target = Target::new();
        let outside = target.dir.path().join("outside");
        fs::create_dir_all(outside.join("e")).expect("made");
        fs::write(outside.join("victim"), "untouched").expect("written");
        let is_over = AtomicBool::new(false);
        let (mut written, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let dir = target.path("d");
                for i in 0.. {
                    let _ = fs::rename(&dir, target.dir.path().join(format!("moved-{i}")));
                    let _ = symlink(&outside, &dir);
                    std::thread::yield_now();
                    let _ = fs::remove_file(&dir);
                    std::thread::yield_now();
                    if is_over.load(SeqCst) {
                        return;
                    }
                }
            });
            let start = Instant::now();
            let mut i = 0;
            while start.elapsed() < Duration::from_millis(1500) {
                // A new one each time, so that no parent is held open.
                let unpacker = target.unpacker(OverwritePolicy::Overwrite, step_by_step);
                for path in [format!("d/{i}"), format!("d/e/{i}"), "d/victim".into()] {
                    match write(&unpacker, path.as_bytes(), b"content") {
                        Ok(()) => written += 1,
                        Err(_) => refused += 1,
                    }
                }
                let link = format!("d/l{i}");
                let _ = unpacker.symlink(
                    link.as_bytes(),
                    b"x",
                    &ATTRIBUTES,
                    OverwritePolicy::Overwrite,
                );
                let _ = unpacker.directory(b"d/e", &ATTRIBUTES);
                let _ = unpacker.finish();
                i += 1;
            }
            is_over.store(true, SeqCst);
        });
        assert!(written > 100 && refused > 100, "{written} written, {refused} refused: no race");
        assert_eq!(fs::read(outside.join("victim")).expect("read"), b"untouched");
        assert_eq!(fs::read_dir(&outside).expect("listed").count(), 2, "{step_by_step}");
        assert_eq!(fs::read_dir(outside.join("e")).expect("listed").count(), 0);
    }
}

#[test]
fn many_threads_make_the_same_directories() {
    for step_by_step in LOOKUPS {
        let target = Target::new();
        let unpacker = target.unpacker(OverwritePolicy::NewTree, step_by_step);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let unpacker = &unpacker;
                scope.spawn(move || {
                    for i in 0..100 {
                        let path = format!("a/{}/b/{thread}-{i}", i % 30);
                        write(unpacker, path.as_bytes(), b"x").expect("written");
                    }
                });
            }
        });
        unpacker.finish().expect("finished");
        assert_eq!(fs::read_dir(target.path("a")).expect("listed").count(), 30);
    }
}

#[test]
fn the_owner_is_the_one_of_the_option() {
    if !rustix::process::geteuid().is_root() {
        left_out("owners of extracted files: only root can change owners");
        return;
    }
    for (owner, want) in [
        (Owner::Fixed { uid: 7, gid: 8 }, (7, 8)),
        (Owner::FromArchive, (12, 34)),
        (Owner::Keep, (0, 0)),
    ] {
        let target = Target::new();
        let root = Beneath::open(&target.root).expect("open");
        let unpacker =
            Unpacker::new(root, UnpackerOptions { policy: OverwritePolicy::NewTree, owner });
        let attributes = Attributes { uid: 12, gid: 34, ..ATTRIBUTES };
        unpacker.directory(b"d", &attributes).expect("made");
        begin(&unpacker, b"d/f", 0, &attributes).expect("begun").finish().expect("finished");
        unpacker.symlink(b"d/l", b"x", &attributes, OverwritePolicy::NewTree).expect("made");
        unpacker.finish().expect("finished");
        for path in ["d", "d/f", "d/l"] {
            let found = fs::symlink_metadata(target.path(path)).expect("there");
            assert_eq!((found.uid(), found.gid()), want, "{path}");
        }
    }
    let target = Target::new();
    let root = Beneath::open(&target.root).expect("open");
    let options = UnpackerOptions { policy: OverwritePolicy::NewTree, owner: Owner::FromArchive };
    let unpacker = Unpacker::new(root, options);
    // Numbers that this system does not have.
    for (path, uid) in [(b"f", u64::from(u32::MAX)), (b"g", 1 << 40)] {
        let file = begin(&unpacker, path, 0, &Attributes { uid, ..ATTRIBUTES }).expect("begun");
        file.finish().expect("finished");
    }
    let report = unpacker.finish().expect("finished");
    assert_eq!(*report.unowned, [b"f".to_vec(), b"g".to_vec()]);
}
