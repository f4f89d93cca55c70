//! Backups with a previous archive: the bytes equal those of a backup from scratch, after any change of
//! the tree or of the previous archive.

#[path = "../support/mod.rs"]
mod support;

mod again;
mod cache;
mod days;

use std::{
    fs::{self, File, FileTimes},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use futures::executor::block_on;
use support::{Tree, bytes, noise, random::random_tree, text};
use wingback::{Backup, Level, LocalStore, Previous, Report, Warning};

/// A time at which no ctime is recent.
fn later() -> SystemTime {
    static LATER: LazyLock<SystemTime> =
        LazyLock::new(|| SystemTime::now() + Duration::from_secs(3600));
    *LATER
}

/// Waits until new changes have a later ctime than all earlier ones.
fn wait_for_later_ctime() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    let changed = || {
        probe.as_file().set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        let meta = probe.as_file().metadata().unwrap();
        (meta.ctime(), meta.ctime_nsec())
    };
    let before = changed();
    support::wait_until("a later ctime", || changed() > before);
}

fn from_scratch(tree: &Tree) -> (Report, Vec<u8>) {
    bytes(tree.backup().now(later())).unwrap()
}

fn from(tree: &Tree, previous: &Path) -> (Report, Vec<u8>) {
    let previous = Previous::File(previous.to_owned());
    bytes(tree.backup().now(later()).previous(previous)).unwrap()
}

/// Writes an archive beside the tree.
fn keep(tree: &Tree, archive: &[u8]) -> PathBuf {
    let path = tree.tmp.path().join("previous.tar.gz");
    fs::write(&path, archive).unwrap();
    path
}

/// Small files in several groups, and one file of each kind that has its own segments.
fn world() -> Tree {
    let tree = Tree::new();
    for n in 0..400 {
        tree.file(format!("plugins/{:02}/{n:03}.yml", n % 20), text(1000 + 37 * n));
    }
    tree.file("world/region/r.0.0.mca", noise(700_000));
    tree.file("world/region/r.0.1.mca", text(300_000));
    tree.file("world/players.db", text(500_000));
    tree.file("server.jar", noise(3_500_001));
    tree.file("z.txt", "the last");
    tree.link("latest", "logs/latest.log");
    wait_for_later_ctime();
    tree
}

#[test]
fn an_unchanged_tree_is_not_read_at_all() {
    let tree = world();
    let (_, full) = from_scratch(&tree);
    let previous = keep(&tree, &full);
    let (report, again) = from(&tree, &previous);
    assert!(again == full);
    assert_eq!((report.read, report.warnings.len()), (0, 0), "{:?}", report.warnings);
    // All but the end of the tar and the parts outside of the segments.
    let index = full.len() as u64 - report.copied;
    assert!(index < 40_000, "{index}");
    assert_eq!(report.files, 405);
}

#[test]
fn only_changed_files_are_read() {
    let tree = world();
    let (_, full) = from_scratch(&tree);
    let previous = keep(&tree, &full);
    let jar = File::options().write(true).open(tree.root.join("server.jar")).unwrap();
    jar.write_all_at(b"patched", 2_000_000).unwrap();
    fs::write(tree.root.join("plugins/07/027.yml"), "new: true\n").unwrap();
    let (report, next) = from(&tree, &previous);
    assert!(next == from_scratch(&tree).1);
    assert_eq!(report.read, 3_500_001 + 10);
    // Equal pieces of the file that was read are copied.
    assert!(report.copied > full.len() as u64 - 1_500_000, "{}", report.copied);
}

#[test]
fn a_new_ctime_causes_reading_but_no_compression() {
    let tree = world();
    let (first, full) = from_scratch(&tree);
    let previous = keep(&tree, &full);
    for file in ["server.jar", "world/players.db", "plugins/07/027.yml"] {
        let path = tree.root.join(file);
        let mode = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, mode).unwrap();
    }
    let (report, next) = from(&tree, &previous);
    assert!(next == from_scratch(&tree).1);
    assert!(report.read > 4_000_000 && report.read < first.read, "{}", report.read);
    assert!(next.len() as u64 - report.copied < 40_000);

    let trusting = tree.backup().now(later()).previous(Previous::File(previous));
    let (report, trusted) = bytes(trusting.trust_mtime(true)).unwrap();
    assert!(trusted == next);
    assert_eq!(report.read, 0);
}

#[test]
fn after_any_edits_the_archive_equals_one_from_scratch() {
    for seed in 0..support::left_out::cases(6, 12) {
        let mut rng = Rng::with_seed(seed);
        let tree = world();
        let more = tree.root.join("more");
        fs::create_dir(&more).unwrap();
        random_tree(&more, &mut rng, seed % 3 == 0);
        wait_for_later_ctime();
        let (_, mut archive) = from_scratch(&tree);
        for generation in 0..4 {
            let previous = keep(&tree, &archive);
            for _ in 0..rng.usize(0..12) {
                edit(&tree.root, &mut rng);
            }
            wait_for_later_ctime();
            let (report, next) = from(&tree, &previous);
            let (_, scratch) = from_scratch(&tree);
            assert!(next == scratch, "seed {seed}, generation {generation}");
            assert!(report.copied > 0 && report.warnings.is_empty(), "{:?}", report.warnings);
            support::format::read(&next);
            archive = next;
        }
    }
}

/// All regular files below `dir`, except those whose paths are too long for one call.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let kind = meta.file_type();
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

fn edit(root: &Path, rng: &mut Rng) {
    let mut all = Vec::new();
    files(root, &mut all);
    let one = all[rng.usize(..all.len())].clone();
    let other = all[rng.usize(..all.len())].clone();
    let open = || File::options().write(true).open(&one);
    let mtime = fs::symlink_metadata(&one).unwrap().modified().unwrap();
    let set_mtime = |path: &Path, time| {
        File::open(path).and_then(|file| file.set_times(FileTimes::new().set_modified(time)))
    };
    // Without root rights, edits that permissions forbid fail and are skipped.
    let _ = match rng.u8(..12) {
        0 => open().and_then(|file| file.set_len(fs::metadata(&one)?.len() + rng.u64(..200_000))),
        1 => open().and_then(|file| file.set_len(fs::metadata(&one)?.len() / 2)),
        2 => open().and_then(|file| {
            let len = fs::metadata(&one)?.len();
            file.write_all_at(b"edited in place", rng.u64(..len.max(1)))
        }),
        3 => fs::rename(&one, root.join(format!("renamed-{:04x}", rng.u16(..)))),
        4 => set_mtime(&one, SystemTime::now()),
        // An edit that restores the old mtime.
        5 => open().and_then(|file| {
            file.write_all_at(b"x", 0)?;
            set_mtime(&one, mtime)
        }),
        // Two files exchange their contents and keep their mtimes.
        6 => fs::read(&one).and_then(|a| {
            let b = fs::read(&other)?;
            let other_mtime = fs::metadata(&other)?.modified()?;
            fs::write(&one, b)?;
            fs::write(&other, a)?;
            set_mtime(&one, mtime)?;
            set_mtime(&other, other_mtime)
        }),
        7 => fs::hard_link(&one, root.join(format!("linked-{:04x}", rng.u16(..)))),
        // A hard link becomes a separate file.
        8 => fs::read(&one).and_then(|content| {
            fs::remove_file(&one)?;
            fs::write(&one, content)?;
            set_mtime(&one, mtime)
        }),
        9 => fs::remove_file(&one),
        10 => fs::set_permissions(&one, fs::Permissions::from_mode(0o640)),
        _ => fs::create_dir_all(root.join(format!("new-{:02x}/a", rng.u8(..)))).and_then(|()| {
            let name = format!("new-{:02x}.mca", rng.u8(..));
            fs::write(root.join(name), noise(rng.usize(..400_000)))
        }),
    };
}

#[test]
fn damage_in_the_previous_archive_is_not_copied() {
    let tree = world();
    let (first, full) = from_scratch(&tree);
    let starts = segments(&full);
    assert_eq!(starts.len() as u64, first.segments + 1);
    let mut noticed = 0;
    for pair in starts.windows(2) {
        let mut damaged = full.clone();
        damaged[usize::midpoint(pair[0], pair[1])] ^= 0x10;
        let (report, next) = from(&tree, &keep(&tree, &damaged));
        assert!(next == full, "the segment at {}", pair[0]);
        noticed += usize::from(!report.warnings.is_empty());
    }
    // All but the last segment, which has only zeros and is always written again.
    assert!(noticed >= starts.len() - 2, "{noticed} of {}", starts.len() - 1);
    // A truncated archive, and one with an invalid index, are not used.
    for bad in [&full[..full.len() - 1], &full[..100], b""] {
        let (report, next) = from(&tree, &keep(&tree, bad));
        assert!(next == full);
        assert!(matches!(report.warnings[..], [Warning::PreviousUnused(_)]));
        assert_eq!((report.copied, report.read), (0, first.read));
    }
}

/// Changes bytes from `at` on without changing the CRC-32.
fn forge(bytes: &mut [u8], at: usize) {
    // The generator polynomial of gzip's CRC-32 as a message. Adding it anywhere keeps the CRC.
    const UNSEEN: [u8; 5] = [0x41, 0x06, 0x71, 0xdb, 0x01];
    bytes[at..].iter_mut().zip(UNSEEN).for_each(|(byte, other)| *byte ^= other);
}

/// Its checksum is right, so the damage is found only when the group is decoded, after its files have
/// been processed.
#[test]
fn a_forged_group_is_read_from_the_source_again() {
    for n in 0..4 {
        let tree = Tree::new();
        for name in ["a", "b/c", "b/d", "e"] {
            tree.file(name, noise(3000 + n + name.len()));
        }
        tree.link("b/latest", "c");
        tree.file("z", "the last");
        wait_for_later_ctime();
        let (_, mut full) = from_scratch(&tree);
        let starts = segments(&full);
        assert_eq!(starts.len(), 3, "one group, and the end");
        let middle = usize::midpoint(starts[0], starts[1]);
        let before = crc32fast::hash(&full[starts[0]..starts[1]]);
        forge(&mut full, middle);
        assert_eq!(crc32fast::hash(&full[starts[0]..starts[1]]), before);
        let previous = keep(&tree, &full);
        tree.file("z", "has changed");
        let (report, next) = from(&tree, &previous);
        assert!(next == from_scratch(&tree).1);
        assert!(
            matches!(report.warnings[..], [Warning::PreviousDamaged(1), ..]),
            "{:?}",
            report.warnings
        );
    }
}

/// Reading the group again must not replace the header of the symlink that ended it.
#[test]
fn a_changed_link_after_a_forged_group_has_its_own_header() {
    for n in 0..4 {
        let tree = Tree::new();
        tree.file("a", noise(3000 + n));
        tree.file("b", noise(4000 + n));
        tree.link("z", "old");
        wait_for_later_ctime();
        let (_, mut full) = from_scratch(&tree);
        let starts = segments(&full);
        forge(&mut full, usize::midpoint(starts[0], starts[1]));
        let previous = keep(&tree, &full);
        fs::remove_file(tree.root.join("z")).unwrap();
        tree.link("z", "new");
        let (report, next) = from(&tree, &previous);
        assert!(next == from_scratch(&tree).1);
        let warnings = report.warnings;
        assert!(matches!(warnings[..], [Warning::PreviousDamaged(1), ..]), "{warnings:?}");
    }
}

/// Start offsets of the segments, and the end of the last one.
fn segments(archive: &[u8]) -> Vec<usize> {
    let mut starts = vec![10];
    for segment in support::forge::read(archive).1.segments {
        starts.push(starts[starts.len() - 1] + segment.compressed_len as usize);
    }
    starts
}

#[test]
fn an_unusable_previous_archive_is_a_warning() {
    let tree = world();
    let (_, full) = from_scratch(&tree);
    let foreign = support::gzip(&text(10_000));
    let (_, best) = bytes(tree.backup().now(later()).level(Level::Best)).unwrap();
    let gone = tree.tmp.path().join("gone.tar.gz");
    let unused = |previous: Previous| {
        let (report, next) = bytes(tree.backup().now(later()).previous(previous)).unwrap();
        assert!(next == full && report.copied == 0);
        match &report.warnings[..] {
            [Warning::PreviousUnused(why)] => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(unused(Previous::File(gone)).contains("gone.tar.gz"));
    assert!(unused(Previous::File(keep(&tree, &foreign))).contains("index"));
    assert!(unused(Previous::File(keep(&tree, &best))).contains("level"));
    // An archive of another tree with the same options.
    let other = Tree::with(&[("a", b"other_archive")]);
    let (_, other_archive) = bytes(other.backup().now(later())).unwrap();
    let previous = Previous::File(keep(&tree, &other_archive));
    let (report, next) = bytes(tree.backup().now(later()).previous(previous)).unwrap();
    assert!(next == full);
    let why = report.warnings[0].to_string();
    assert!(why.contains("nothing of this source"), "{:?}", report.warnings);
    // The memory store has no files.
    assert!(unused(Previous::Latest).contains("none"));
}

#[test]
fn segments_of_another_level_are_copied_only_with_reuse_any() {
    let tree = world();
    let (_, best) = bytes(tree.backup().now(later()).level(Level::Best)).unwrap();
    let previous = |archive: &[u8]| Previous::File(keep(&tree, archive));
    let any = tree.backup().now(later()).previous(previous(&best)).reuse_any(true);
    let (report, mixed) = bytes(any).unwrap();
    assert_eq!((report.read, report.warnings.len()), (0, 0));
    assert!(report.copied > best.len() as u64 - 40_000 && mixed.len() < best.len() + 1000);
    let (_, full) = from_scratch(&tree);
    let (ours, theirs) = (support::format::read(&mixed), support::format::read(&full));
    assert!(ours.entries == theirs.entries && mixed != full);
    // The mixed archive has no known encoder, so the next backup does not use it by default.
    let (report, next) = bytes(tree.backup().now(later()).previous(previous(&mixed))).unwrap();
    assert!(matches!(report.warnings[..], [Warning::PreviousUnused(_)]) && next == full);
    // `reuse_any` changes nothing if the encoder is the same.
    let any = tree.backup().now(later()).previous(previous(&full)).reuse_any(true);
    assert!(bytes(any).unwrap().1 == full);
}

#[test]
fn the_latest_archive_of_a_store_is_found() {
    let tree = world();
    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    let make = |n: u128, backup: Backup| {
        let key = store.key(uuid::Uuid::from_u128(n));
        (block_on(backup.now(later()).start(store.clone(), key.clone())).unwrap(), key)
    };
    let (first, _) = make(1, tree.backup().previous(Previous::Latest));
    assert!(matches!(first.warnings[..], [Warning::PreviousUnused(_)]));
    wait_for_later_ctime();
    tree.file("z.txt", "changed");
    let (second, key) = make(9, tree.backup().previous(Previous::Latest));
    assert!(second.copied > 0 && second.warnings.is_empty());
    wait_for_later_ctime();
    // The newest archive is damaged, and the one before is used.
    let broken = store.key(uuid::Uuid::from_u128(5));
    fs::write(store.path(&broken), "no archive").unwrap();
    tree.file("z.txt", "changed again");
    let (third, _) = make(2, tree.backup().previous(Previous::Latest));
    assert!(third.copied > 0 && third.read < 20, "{third:?}");
    let (fourth, _) = make(3, tree.backup().previous(Previous::Key(key)));
    assert!(fourth.copied > 0 && fourth.warnings.is_empty());
}

#[test]
fn a_previous_archive_may_be_deleted_during_use_and_shared_by_two_backups() {
    let tree = world();
    let (_, full) = from_scratch(&tree);
    let previous = keep(&tree, &full);
    let again = thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| from(&tree, &previous)));
        both.map(|one| one.join().unwrap())
    });
    assert!(again.iter().all(|(report, bytes)| *bytes == full && report.read == 0));
    let mut task = tree.backup().now(later()).previous(Previous::File(previous.clone()));
    task = task.write_limit(wingback::Limiter::new(20_000_000));
    let store = wingback::MemoryStore::new();
    let task = task.start(store.clone(), support::key());
    let handle = task.handle();
    let deleting = thread::spawn(move || {
        support::wait_until("the first bytes", || handle.progress().written > 0);
        fs::remove_file(previous).unwrap();
    });
    let report = block_on(task).unwrap();
    deleting.join().unwrap();
    assert!(store.get(&support::key()).unwrap() == full && report.read == 0);
}

#[test]
fn a_clock_that_was_set_back_only_causes_reading() {
    let tree = world();
    let early = |backup: Backup| backup.now(later() - Duration::from_secs(90_000));
    let (_, full) = from_scratch(&tree);
    let (_, before) = bytes(early(tree.backup())).unwrap();
    let previous = |archive: &[u8]| Previous::File(keep(&tree, archive));
    // Every ctime is in the future, so all files are read and found to be equal.
    let (report, again) = bytes(early(tree.backup().previous(previous(&full)))).unwrap();
    assert!(again == before && report.read == report.content);
    assert!(report.copied > full.len() as u64 - 40_000, "{}", report.copied);
    // Entries from that time are not trusted after the clock is right again.
    let (report, right) = from(&tree, &keep(&tree, &before));
    assert!(right == full && report.read == report.content);
}

#[test]
fn a_file_replaced_during_a_backup_has_either_the_old_or_the_new_content() {
    let tree = world();
    let (mut previous, jar) = (keep(&tree, &from_scratch(&tree).1), tree.root.join("server.jar"));
    let old = fs::read(&jar).unwrap();
    let new = text(old.len());
    for round in 0..6u64 {
        let (put, expected) = if round % 2 == 0 { (&new, &old) } else { (&old, &new) };
        let aside = tree.tmp.path().join("aside");
        fs::write(&aside, put).unwrap();
        wait_for_later_ctime();
        let slow = wingback::Limiter::new(40_000_000);
        let backup = tree.backup().now(later()).previous(Previous::File(previous));
        let store = wingback::MemoryStore::new();
        let task = backup.write_limit(slow).start(store.clone(), support::key());
        let handle = task.handle();
        let replacing = thread::spawn({
            let jar = jar.clone();
            move || {
                let begun = || handle.progress().bytes > round * 700_000;
                support::wait_until("the backup has reached the file", begun);
                fs::rename(aside, jar).unwrap();
            }
        });
        let report = block_on(task).unwrap();
        replacing.join().unwrap();
        let archive = store.get(&support::key()).unwrap();
        let found = support::format::read(&archive);
        let content = &found.get("server.jar").content;
        assert!(content == put || content == expected, "{report:?}");
        wait_for_later_ctime();
        let scratch = from_scratch(&tree).1;
        assert!(from(&tree, &keep(&tree, &archive)).1 == scratch);
        previous = keep(&tree, &scratch);
    }
}
