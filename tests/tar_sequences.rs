//! Random sequences of members, and archives that GNU tar has appended to, updated and changed. Every
//! read method must give the result of GNU tar.
//!
//! `WINGBACK_TAR_CASES` sets the number of cases, `WINGBACK_TAR_SEED` the first seed. A failure prints
//! its seed.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fastrand::Rng;
use futures::executor::block_on;
use support::{
    gzip,
    hostile::{Header, member, tar},
    in_memory,
    snapshot::Snapshot,
};
use wingback::{
    Backup, Entries, Extract, List, Member, MemberKind, NotExtractedReason, Restore, UnpackOptions,
    Unpacked, Verify,
};

const CASES: u64 = 150;

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = number("WINGBACK_TAR_CASES").unwrap_or(CASES);
    let first = number("WINGBACK_TAR_SEED").unwrap_or(1);
    println!("seeds {first} to {}", first + cases - 1);
    first..first + cases
}

#[test]
fn random_members_are_extracted_as_by_gnu_tar() {
    let (mut same, mut refused) = (0, 0);
    for seed in seeds() {
        let rng = &mut Rng::with_seed(seed);
        let count = rng.usize(1..9);
        let members: Vec<_> = (0..count).map(|i| random_member(rng, i)).collect();
        let bytes: Vec<_> = members.iter().map(|(bytes, _)| bytes.clone()).collect();
        let texts: Vec<_> = members.iter().map(|(_, text)| &text[..]).collect();
        let case = Case { what: format!("seed {seed}: {}", texts.join(", ")), tar: tar(&bytes) };
        match case.check() {
            true => same += 1,
            false => refused += 1,
        }
    }
    println!("{same} as GNU tar has them, {refused} refused");
    assert!(same > refused / 4 && refused > same / 20, "both results must be frequent");
}

#[test]
fn archives_changed_by_gnu_tar_are_extracted_as_by_gnu_tar() {
    let (mut same, mut refused) = (0, 0);
    for seed in seeds() {
        let rng = &mut Rng::with_seed(seed);
        let (tar, commands) = random_commands(rng);
        let case = Case { what: format!("seed {seed}: {}", commands.join("; ")), tar };
        match case.check() {
            true => same += 1,
            false => refused += 1,
        }
    }
    println!("{same} as GNU tar has them, {refused} refused");
    assert!(same > refused, "most must be usable");
}

/// A member of 1 MiB or more is written by several tasks, which only its named pipes notice.
#[test]
fn a_large_file_is_replaced_and_linked_while_it_is_written() {
    let large = |byte: u8| member(Header::new(b'0', b"a", 3 << 20), &vec![byte; 3 << 20]);
    let link = |name: &[u8], to: &[u8]| member(Header::new(b'1', name, 0).target(to), b"");
    let small = || member(Header::new(b'0', b"a", 1), b"x");
    for (what, members) in [
        ("twice", vec![large(1), large(2)]),
        ("linked, replaced", vec![large(1), link(b"b", b"a"), large(2), link(b"c", b"a")]),
        ("replaced by a small one", vec![large(1), link(b"b", b"a"), small(), link(b"c", b"b")]),
        ("in the place of a small one", vec![small(), link(b"b", b"a"), large(2)]),
    ] {
        let case = Case { what: what.into(), tar: tar(&members) };
        assert!(case.check(), "{what}");
    }
}

struct Case {
    what: String,
    tar: Vec<u8>,
}

impl Case {
    /// Compares all our results with those of GNU tar. Returns false if we reject a member.
    fn check(&self) -> bool {
        let tmp = tempfile::tempdir().unwrap();
        let dir = |name: &str| tmp.path().join(name);
        let what = &self.what;
        let theirs = self.gnu_tar(&dir("theirs"));
        let bytes = gzip(&self.tar);
        assert!(block_on(Verify::new().start(in_memory(&bytes))).unwrap().is_whole(), "{what}");
        let strict = block_on(Extract::new(dir("strict")).start(in_memory(&bytes)));
        let restored = block_on(Restore::new(dir("restored")).start(in_memory(&bytes)));
        let lenient = UnpackOptions::new().skip_refused(true);
        let extract = Extract::new(dir("over")).overwrite(true).options(lenient.clone());
        let over = block_on(extract.start(in_memory(&bytes)));
        let over = over.unwrap_or_else(|e| panic!("{what}: {e}")).unpacked;
        let restore = Restore::new(dir("lenient")).options(lenient);
        let skipped = block_on(restore.start(in_memory(&bytes)));
        let skipped = skipped.unwrap_or_else(|e| panic!("{what}: {e}")).unpacked;
        let tree = tree(&dir("over"));
        tree.assert_is(&self::tree(&dir("lenient")), format!("{what}: overwriting or not"));
        check_counts(&over, &tree, what);
        assert_eq!(over.skipped, skipped.skipped, "{what}");
        let is_refused = over.refused > 0;
        for (way, error) in [("extract", strict.err()), ("restore", restored.err())] {
            match error {
                None => assert!(!is_refused, "{what}: {way} took {:?}", over.skipped),
                Some(e) => assert!(is_refused, "{what}: {way}: {e}"),
            }
        }
        // GNU tar follows symlinks. It also removes the old file before it notices that a directory cannot be
        // hard-linked.
        let is_link =
            |why: &str| why.contains("a link is in the place") || why.contains("no file of");
        let is_through_link = over.skipped.iter().any(|skipped| match &skipped.reason {
            NotExtractedReason::Refused(why) => is_link(why),
            _ => false,
        });
        let is_other = is_through_link && theirs.follows_links || theirs.removes_first;
        if !is_other {
            assert_eq!(theirs.is_failed, is_refused, "{what}: {:?}", over.skipped);
            match is_refused {
                false => tree.assert_is(&theirs.tree, what),
                // It creates the parent directory of a hard link before it notices that the target is missing.
                true => {
                    let (ours, theirs) = (tree.clone(), theirs.tree.clone());
                    ours.without_directories().assert_is(&theirs.without_directories(), what);
                }
            }
        }
        if is_refused {
            return false;
        }
        for way in ["strict", "restored"] {
            self::tree(&dir(way)).assert_is(&tree, format!("{what}: {way}"));
        }
        check_list(&bytes, &tree, what);
        check_entries(&bytes, &tree, what);
        check_own(&dir("strict"), &dir("own"), what);
        true
    }

    fn gnu_tar(&self, dir: &Path) -> Theirs {
        fs::create_dir(dir).unwrap();
        let archive = dir.with_extension("tar");
        fs::write(&archive, &self.tar).unwrap();
        let mut tar = Command::new("tar");
        // Without `-P`, tar creates symlinks that point outside only at its end, and forgets replaced ones by
        // then. None of the targets exists.
        let tar = tar.env("LC_ALL", "C").args(["--warning=no-timestamp", "-xpPf"]).arg(&archive);
        let output = tar.arg("-C").arg(dir).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        Theirs {
            tree: tree(dir),
            follows_links: self.tar.chunks(512).any(|block| block[156] == b'2'),
            removes_first: text.contains("Operation not permitted"),
            is_failed: !output.status.success(),
        }
    }
}

/// The result of GNU tar.
struct Theirs {
    tree: Snapshot,
    follows_links: bool,
    removes_first: bool,
    is_failed: bool,
}

/// The attributes that both preserve. We skip named pipes.
fn tree(dir: &Path) -> Snapshot {
    Snapshot::of(dir)
        .without_others()
        .without_link_times()
        .without_directory_times()
        .without_holes()
}

fn check_counts(unpacked: &Unpacked, tree: &Snapshot, what: &str) {
    let count = |kind| tree.iter().filter(|(_, found)| found.kind == kind).count() as u64;
    assert_eq!((unpacked.files, unpacked.symlinks), (count('f'), count('l')), "{what}");
    assert!(unpacked.directories <= count('d'), "{what}");
}

/// A list has each path once, with the right fields. `cat` gives the content of each file.
fn check_list(bytes: &[u8], tree: &Snapshot, what: &str) {
    let listing = block_on(List::new().start(in_memory(bytes))).unwrap();
    let is_shown = |member: &Member| {
        let kinds = [MemberKind::Fifo, MemberKind::CharDevice, MemberKind::BlockDevice];
        !kinds.contains(&member.kind) && !member.path.is_empty()
    };
    let mut members: Vec<_> = listing.members().filter(is_shown).collect();
    members.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = members.iter().map(|member| &member.path[..]).collect();
    let is_implied = |path: &[u8]| !paths.contains(&path);
    let there = tree.iter().filter(|(path, found)| found.kind != 'd' || !is_implied(path));
    assert_eq!(paths, there.map(|(path, _)| path).collect::<Vec<_>>(), "{what}");
    for member in members {
        let found = tree.get(&member.path);
        let kind = match member.kind {
            MemberKind::Directory => 'd',
            MemberKind::Symlink => 'l',
            _ => 'f',
        };
        let name = member.path.escape_ascii().to_string();
        assert_eq!(kind, found.kind, "{what}: {name}");
        let mut content = Vec::new();
        let copied = block_on(in_memory(bytes).copy_file(&*member.path, &mut content));
        match kind {
            'f' => {
                let copied = copied.unwrap_or_else(|e| panic!("{what}: {name}: {e}"));
                assert_eq!(member.size, found.content.len() as u64, "{what}: {name}");
                assert_eq!(copied.size, member.size, "{what}: {name}");
                assert!(content == found.content, "{what}: {name}");
            }
            'l' => assert_eq!(member.target, found.content, "{what}: {name}"),
            _ => assert!(copied.is_err(), "{what}: {name}"),
        }
    }
}

/// A program that writes the members in sequence gets the same contents.
fn check_entries(bytes: &[u8], tree: &Snapshot, what: &str) {
    use futures::{AsyncReadExt, TryStreamExt};
    let mut files = std::collections::BTreeMap::new();
    block_on(async {
        let mut entries = Entries::open(in_memory(bytes));
        while let Some(member) = entries.try_next().await.unwrap() {
            match member.kind {
                MemberKind::File => {
                    let mut content = Vec::new();
                    entries.read_to_end(&mut content).await.unwrap();
                    files.insert(member.path, content);
                }
                MemberKind::HardLink => {
                    match files.get(&member.target).cloned() {
                        Some(content) => files.insert(member.path, content),
                        None => files.remove(&member.path),
                    };
                }
                _ => {
                    files.remove(&member.path);
                }
            }
        }
    });
    let there = tree.iter().filter(|(_, found)| found.kind == 'f');
    let there: Vec<_> = there.map(|(path, found)| (path.to_vec(), found.content.clone())).collect();
    assert!(files.into_iter().eq(there), "{what}: in sequence");
}

/// A backup of the tree is restored by its index.
fn check_own(source: &Path, target: &Path, what: &str) {
    let (_, bytes) = support::bytes(Backup::new(source).threads(1).allow_empty(true)).unwrap();
    let done = block_on(Extract::new(target).start(in_memory(&bytes))).unwrap();
    assert_eq!(done.read_method, wingback::ReadMethod::Indexed, "{what}");
    tree(target).assert_is(&tree(source), format!("{what}: by index"));
}

const NAMES: [&str; 6] = ["a", "b", "d", "d/a", "d/b", "a/b"];

/// A path as it may be typed in a shell.
fn spelled(rng: &mut Rng, path: &str) -> String {
    match rng.u8(..12) {
        0 => format!("./{path}"),
        1 => path.replace('/', "//"),
        2 => path.replace('/', "/./"),
        3 => format!(".//{path}"),
        _ => path.into(),
    }
}

fn random_member(rng: &mut Rng, place: usize) -> (Vec<u8>, String) {
    let name = NAMES[rng.usize(..NAMES.len())];
    let (path, to) = (spelled(rng, name), NAMES[rng.usize(..NAMES.len())]);
    let to = spelled(rng, to);
    let content = format!("{place}-{}", rng.u8(..));
    let header = |flag, name: &str, size| {
        let mtime = 1_000_000_000 + place as u64 * 1000;
        let header = Header::new(flag, name.as_bytes(), size);
        header.set(136, format!("{mtime:011o}").as_bytes())
    };
    match rng.u8(..20) {
        0..=6 => (
            member(header(b'0', &path, content.len()), content.as_bytes()),
            format!("{path}={content}"),
        ),
        7 => {
            let flag = [b'7', 0, b'Z', b'N'][rng.usize(..4)];
            let bytes = member(header(flag, &path, content.len()), content.as_bytes());
            (bytes, format!("{path}={content} (type {flag})"))
        }
        8..=12 => {
            // Some writers give a hard link the size of its target.
            let size = if rng.u8(..4) == 0 { rng.usize(1..2000) } else { 0 };
            let bytes = header(b'1', &path, size).target(to.as_bytes());
            (member(bytes, b""), format!("{path} is {to}"))
        }
        13..=15 => {
            let to = ["a", "b", "d", "../x", "/x", "d/a"][rng.usize(..6)];
            (member(header(b'2', &path, 0).target(to.as_bytes()), b""), format!("{path} -> {to}"))
        }
        16..=18 => {
            let path = format!("{path}{}", ["", "/", "//"][rng.usize(..3)]);
            (member(header(b'5', &path, 0).mode(0o755), b""), format!("{path} (directory)"))
        }
        _ => (member(header(b'6', &path, 0), b""), format!("{path} (pipe)")),
    }
}

/// An archive of a small tree, made and changed by GNU tar commands.
fn random_commands(rng: &mut Rng) -> (Vec<u8>, Vec<String>) {
    let tmp = tempfile::tempdir().unwrap();
    let (root, archive) = (tmp.path().join("tree"), tmp.path().join("archive.tar"));
    fs::create_dir(&root).unwrap();
    let mut commands = Vec::new();
    let rounds = rng.usize(1..5);
    for round in 0..rounds {
        for step in 0..rng.usize(1..6) {
            change(rng, &root, round * 10 + step, &mut commands);
        }
        let mut names: Vec<_> = NAMES.iter().filter(|_| rng.u8(..3) == 0).collect();
        if names.is_empty() {
            names.push(&".");
        }
        rng.shuffle(&mut names);
        let names: Vec<_> = names.iter().map(|name| spelled(rng, name)).collect();
        let command = match round {
            0 => "-cf",
            _ => ["-rf", "-uf", "--delete -f"][rng.usize(..3)],
        };
        let format = ["gnu", "posix", "ustar"][rng.usize(..3)];
        commands.push(format!("tar {command} {}", names.join(" ")));
        let mut tar = Command::new("tar");
        let args = command.split(' ').map(String::from).chain([archive.display().to_string()]);
        tar.current_dir(&root).args(args).args(&names).stdin(Stdio::null()).stderr(Stdio::null());
        if round == 0 {
            tar.arg(format!("--format={format}"));
        }
        // Missing names are an error of tar, and it processes the others.
        let _ = tar.status().unwrap();
    }
    (fs::read(&archive).unwrap(), commands)
}

/// Creates something at one of the names, or removes it.
fn change(rng: &mut Rng, root: &Path, time: usize, commands: &mut Vec<String>) {
    let name = NAMES[rng.usize(..NAMES.len())];
    let path = root.join(name);
    let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let parent = path.parent().map(PathBuf::from).unwrap();
    if parent != *root && !is_dir(&parent) {
        let _ = fs::remove_file(&parent);
        fs::create_dir(&parent).unwrap();
    }
    let clear = || {
        let _ = if is_dir(&path) { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    };
    let other = root.join(NAMES[rng.usize(..NAMES.len())]);
    match rng.u8(..10) {
        0..=4 => {
            clear();
            fs::write(&path, format!("{time}")).unwrap();
            commands.push(format!("{name}={time}"));
        }
        5..=6 if fs::symlink_metadata(&other).is_ok_and(|meta| !meta.is_dir()) && path != other => {
            if !other.starts_with(&path) {
                clear();
                // The parent directory may be gone.
                let _ = fs::hard_link(&other, &path);
                commands.push(format!("ln {} {name}", other.display()));
            }
        }
        7 => {
            clear();
            std::os::unix::fs::symlink("a", &path).unwrap();
            commands.push(format!("ln -s a {name}"));
        }
        8 => {
            clear();
            fs::create_dir(&path).unwrap();
            commands.push(format!("mkdir {name}"));
        }
        _ => {
            clear();
            commands.push(format!("rm {name}"));
        }
    }
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        let at =
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 + time as u64);
        fs::File::open(&path).unwrap().set_modified(at).unwrap();
    }
}
