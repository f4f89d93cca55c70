//! Times of all years are kept to the nanosecond or reported.
//!
//! `WINGBACK_TIME_CASES` sets the number of random archives whose times are compared with GNU tar.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use futures::executor::block_on;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use support::{
    Tree, bytes, format, gzip,
    hostile::{Header, extension, member, record, tar},
    in_memory, left_out, restore,
};
use wingback::{Backup, Extract, List, Previous, Profile, Warning};

/// Seconds and nanoseconds since 1970, around the limits of clocks, file systems and 64-bit nanoseconds.
const TIMES: [(i64, i64); 22] = [
    (i64::MIN, 0),
    (i64::MIN, 5),
    (-9_223_372_037, 0),
    (-9_223_372_037, 145_224_191),
    (-9_223_372_037, 145_224_193),
    (-9_223_372_036, 0),
    (-2_208_988_800, 0),
    (-2_147_483_649, 1),
    (-2_147_483_648, 0),
    (-1, 500_000_000),
    (-1, 999_999_999),
    (0, 0),
    (0, 1),
    (2_147_483_648, 999_999_999),
    (8_589_934_592, 1),
    (9_223_372_036, 854_775_806),
    (9_223_372_036, 854_775_808),
    (9_223_372_037, 0),
    (15_032_385_535, 3),
    (15_032_385_536, 3),
    (253_402_300_800, 0),
    (i64::MAX, 999_999_999),
];

/// Directories for temporary files and in shared memory, whose file systems have different limits.
fn places() -> Vec<tempfile::TempDir> {
    let mut places = vec![tempfile::tempdir().unwrap()];
    match tempfile::tempdir_in("/dev/shm") {
        Ok(place) => places.push(place),
        Err(_) => left_out("times on a tmpfs: /dev/shm is not writable"),
    }
    places
}

fn set(path: &Path, (tv_sec, tv_nsec): (i64, i64)) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// The modification time on the file system.
fn ns(path: &Path) -> i128 {
    let meta = fs::symlink_metadata(path).unwrap();
    i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
}

fn nearest(ns: i128) -> i64 {
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// Creates a file, a symlink and a directory with each time. Returns their paths.
fn make(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for (i, time) in TIMES.into_iter().enumerate() {
        let (file, link, dir) = (format!("f{i:02}"), format!("l{i:02}"), format!("d{i:02}"));
        fs::write(root.join(&file), &file).unwrap();
        symlink(&file, root.join(&link)).unwrap();
        fs::create_dir(root.join(&dir)).unwrap();
        for path in [file, link, dir] {
            set(&root.join(&path), time);
            paths.push(path);
        }
    }
    paths
}

fn named(warnings: &[Warning]) -> BTreeSet<String> {
    let of_times = warnings.iter().filter_map(|warning| match warning {
        Warning::RestoredTime(path) => Some(String::from_utf8(path.clone()).unwrap()),
        _ => None,
    });
    of_times.collect()
}

#[test]
fn a_time_is_kept_by_archive_index_and_restore_or_is_reported() {
    for place in places() {
        let root = place.path().join("tree");
        fs::create_dir(&root).unwrap();
        let paths = make(&root);
        let truth = |path: &str| ns(&root.join(path));
        let is_beyond = |path: &&String| i64::try_from(truth(path)).is_err();
        let beyond: BTreeSet<_> = paths.iter().filter(is_beyond).cloned().collect();
        for profile in [Profile::Full, Profile::Wings] {
            let backup = || Backup::new(&root).threads(2).profile(profile);
            let (report, archive) = bytes(backup()).unwrap();
            let reported = report.warnings.iter().map(|warning| match warning {
                Warning::Time(path) => String::from_utf8(path.clone()).unwrap(),
                other => panic!("{other}"),
            });
            assert_eq!(reported.collect::<BTreeSet<_>>(), beyond, "{}", root.display());
            if profile == Profile::Full {
                let index = format::read(&archive);
                for path in &paths {
                    assert_eq!(index.get(path).mtime_ns, nearest(truth(path)), "{path}");
                }
            }
            let listing = block_on(List::new().start(in_memory(&archive))).unwrap();
            for member in listing.members() {
                let path = String::from_utf8(member.path).unwrap();
                assert_eq!(member.mtime_ns, nearest(truth(&path)), "{path}");
            }
            let out = place.path().join("out");
            let extracted = block_on(Extract::new(&out).start(in_memory(&archive))).unwrap();
            let check = |warnings: &[Warning], what: &str| {
                let named = named(warnings);
                for path in &paths {
                    let found = ns(&out.join(path));
                    if !named.contains(path) {
                        assert_eq!(found, truth(path), "{what}: {path}");
                    }
                    // The tree comes from this file system, so only times beyond the index are reported.
                    assert_eq!(named.contains(path), beyond.contains(path), "{what}: {path}");
                }
            };
            check(&extracted.warnings, "extract");
            for in_place in [false, true] {
                let restore = restore(&out).in_place(in_place);
                let restored = block_on(restore.start(in_memory(&archive))).unwrap();
                check(&restored.warnings, "restore");
            }
            fs::remove_dir_all(out).unwrap();
        }
    }
}

#[test]
fn an_unchanged_file_of_any_time_is_not_read_again() {
    let later = SystemTime::now() + Duration::from_secs(3600);
    for place in places() {
        let root = place.path().join("tree");
        fs::create_dir(&root).unwrap();
        make(&root);
        let backup = || Backup::new(&root).threads(2).now(later);
        let (_, first) = bytes(backup()).unwrap();
        let previous = place.path().join("previous.tar.gz");
        fs::write(&previous, &first).unwrap();
        let from =
            |backup: Backup| bytes(backup.previous(Previous::File(previous.clone()))).unwrap();
        for trust in [false, true] {
            let (report, second) = from(backup().trust_mtime(trust));
            assert_eq!(report.read, 0, "{}", root.display());
            assert!(second == first);
        }
        // Of two times that the index cannot distinguish, the contents may differ.
        let mut changed = 0;
        for i in 0..TIMES.len() {
            let file = root.join(format!("f{i:02}"));
            let before = ns(&file);
            if i64::try_from(before).is_err() {
                fs::write(&file, "new").unwrap();
                set(&file, (if before < 0 { -10_000_000_000 } else { 10_000_000_000 }, 0));
                changed += 1;
            }
        }
        assert!(changed > 3, "{changed} times are beyond what the index can say");
        let (_, next) = from(backup().trust_mtime(true));
        assert!(next == bytes(backup()).unwrap().1, "{}", root.display());
    }
}

/// The time that GNU tar sets, or `None` if it rejects the archive.
fn by_tar(tar: &[u8], dir: &Path) -> Option<i128> {
    let mut command = Command::new("tar");
    command.args(["-xf", "-", "-C"]).arg(dir).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(tar).unwrap();
    let is_fine = child.wait().unwrap().success();
    is_fine.then(|| ns(&dir.join("a")))
}

const NO_TIME: &str = ", which is not a time";

/// A header field or PAX record with any number, or with a text that GNU tar may read as a number.
fn random_archive(rng: &mut Rng) -> (Vec<u8>, String) {
    let plain = || Header::new(b'0', b"a", 0);
    let magnitude = |rng: &mut Rng| rng.u128(..) >> rng.u32(0..128);
    match rng.u8(..3) {
        0 => {
            let digits = format!("{:011o}", rng.u64(..) >> rng.u32(31..64));
            (tar(&[member(plain().set(136, digits.as_bytes()), b"")]), format!("octal {digits}"))
        }
        1 => {
            let number = magnitude(rng) as i128 >> 33;
            let number = if rng.bool() { -number } else { number };
            let mut field = number.to_be_bytes()[4..].to_vec();
            field[0] = if number < 0 { 0xff } else { 0x80 };
            (tar(&[member(plain().set(136, &field), b"")]), format!("base 256 {number}"))
        }
        _ => {
            let mut text = if rng.bool() { "-".to_owned() } else { String::new() };
            text += &magnitude(rng).to_string();
            if rng.bool() {
                text += ".";
                (0..rng.usize(..14)).for_each(|_| text.push(char::from(b'0' + rng.u8(..10))));
            }
            let is_time = rng.u8(..8) > 0;
            if !is_time {
                text.insert(rng.usize(..=text.len()), char::from(b"-.xe+ "[rng.usize(..6)]));
            }
            let header = extension(b'x', &record(&format!("mtime={text}")));
            (
                tar(&[header, member(plain(), b"")]),
                format!("PAX {text}{}", if is_time { "" } else { NO_TIME }),
            )
        }
    }
}

#[test]
fn tar_times_are_read_as_by_gnu_tar() {
    let cases = std::env::var("WINGBACK_TIME_CASES").ok().and_then(|text| text.parse().ok());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let rng = &mut Rng::with_seed(seed);
    let (mut same, mut beyond, mut refused) = (0, 0, 0);
    for _ in 0..cases.unwrap_or(300) {
        let (tar, what) = random_archive(rng);
        let (theirs, ours) = (Tree::new(), Tree::new());
        let wanted = by_tar(&tar, &theirs.root);
        let done = block_on(Extract::new(&ours.root).start(in_memory(&gzip(&tar))));
        let Ok(done) = done else {
            assert!(what.ends_with(NO_TIME), "{what}");
            refused += 1;
            continue;
        };
        let is_named = named(&done.warnings).contains("a");
        match wanted {
            Some(wanted) if !is_named => {
                assert_eq!(ns(&ours.root.join("a")), wanted, "{what}");
                same += 1;
            }
            _ => {
                assert!(is_named, "{what}: GNU tar refuses it");
                beyond += 1;
            }
        }
    }
    println!("{same} as GNU tar has them, {beyond} beyond and named, {refused} refused");
    assert!(same > beyond && beyond > refused && refused > 0, "each result must occur");
}
