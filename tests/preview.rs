//! A preview says what a backup would contain.

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, net::UnixListener},
    process::Command,
};

use fastrand::Rng;
use futures::{StreamExt, TryStreamExt, executor::block_on};
use support::{Tree, archive, bytes, key, noise};
use wingback::{
    Backup, ErrorKind, LocalStore, MemberKind, PatternOrigin, Preview, PreviewEntry, Rules,
    SkipReason, Warning,
};

fn preview(backup: Backup) -> (Vec<PreviewEntry>, Preview) {
    let mut stream = backup.preview(None);
    assert!(stream.preview().is_none());
    let entries: Vec<PreviewEntry> = block_on((&mut stream).try_collect()).unwrap();
    assert_eq!(stream.returned(), entries.len() as u64);
    (entries, stream.into_preview().unwrap())
}

/// Asserts that the preview of a backup is right, by making the backup.
fn assert_right(backup: impl Fn() -> Backup) {
    let (entries, preview) = preview(backup());
    let (report, archive) = archive(backup());
    let included = entries.iter().filter(|entry| entry.is_included);
    let included: Vec<_> = included.map(|entry| (entry.path.clone(), entry.size)).collect();
    let stored = archive.entries.iter();
    let stored: Vec<_> =
        stored.map(|entry| (entry.path.clone(), entry.content.len() as u64)).collect();
    assert_eq!(included, stored);

    let estimate = preview.estimate;
    assert_eq!(
        (estimate.files, estimate.directories, estimate.symlinks, estimate.content),
        (report.files, report.directories, report.symlinks, report.content)
    );
    assert!(report.size <= estimate.archive_max);
    assert_eq!(preview.excluded, report.excluded);
    assert_eq!(preview.is_partial(), report.is_partial());
    assert_eq!(preview.warnings, report.warnings);
    let skipped = preview.skipped.iter().map(|s| (&s.path, s.reason.code()));
    assert!(skipped.eq(report.skipped.iter().map(|s| (&s.path, s.reason.code()))));
    for entry in entries {
        let excludes = entry.pattern.as_ref().is_some_and(|pattern| !pattern.is_negated);
        assert_eq!(excludes, !entry.is_included && entry.skipped.is_none(), "{entry:?}");
    }
}

/// Small files, directories and symlinks, with names that patterns match.
fn random_tree(rng: &mut Rng) -> Tree {
    let tree = Tree::new();
    for i in 0..120 {
        let dir = ["", "a", "a/b", "world", "world/a/c"][rng.usize(..5)];
        let path = format!("{dir}/{i}{}", [".log", ".tmp", "", "a"][rng.usize(..4)]);
        tree.file(path.trim_start_matches('/'), noise(rng.usize(..100)));
    }
    tree.link("a/link", "b");
    tree.link("x.log", "nowhere");
    fs::create_dir(tree.root.join("empty")).unwrap();
    tree.file("large", noise(400_000));
    UnixListener::bind(tree.root.join("socket")).unwrap();
    let fifo = Command::new("mkfifo").arg(tree.root.join("pipe.tmp")).status();
    assert!(fifo.unwrap().success());
    tree
}

#[test]
fn a_preview_has_the_entries_and_the_counts_of_the_backup() {
    let mut rng = Rng::with_seed(11);
    let lists = [
        "",
        "*.log\n!1*.log\n",
        "a/\n!a/b\n",
        "*\n!world\n",
        "/world/*\n!/world/a\n*.tmp\nsocket\n",
        "large\n[unclosed\n",
    ];
    for list in lists {
        let tree = random_tree(&mut rng);
        tree.file("old/monday", bytes(tree.backup()).unwrap().1);
        let exclude = || tree.backup().exclude(list);
        for rules in [Rules::Git, Rules::Wings] {
            assert_right(|| exclude().rules(rules));
        }
        assert_right(|| exclude().include_archives(true));
        assert_right(|| exclude().max_len("large", 1000).max_len("none", 1));
        assert_right(|| exclude().select(["world/a", "a/b/c/none", "large", "none"]));
    }
}

#[test]
fn each_entry_has_the_pattern_that_decides() {
    let tree = Tree::with(&[
        (".pteroignore", b"# logs\n*.log\n\n!latest.log\n"),
        ("cache/deep/file", b"12"),
        ("latest.log", b"123"),
        ("logs/old.log", b""),
        ("world/x.tmp", b""),
        ("y.tmp", b""),
    ]);
    let backup = tree.backup().exclude_from("/etc/excludes", "\n*.tmp").exclude("*.bak\n/y.tmp");
    let (entries, found) = preview(backup.exclude("cache/"));
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            let path = str::from_utf8(&entry.path).unwrap();
            let pattern = entry.pattern.as_ref().map(|found| {
                let pattern = str::from_utf8(&found.pattern).unwrap();
                (found.origin.clone(), found.line, pattern)
            });
            (path, entry.is_included, pattern)
        })
        .collect();
    let ignore_file = |line, pattern| Some((PatternOrigin::IgnoreFile, line, pattern));
    let named = PatternOrigin::ExcludeFrom("/etc/excludes".into());
    let caller = |line, pattern| Some((PatternOrigin::Caller, line, pattern));
    assert_eq!(
        entries,
        [
            (".pteroignore", true, None),
            // It is not entered, so it is one entry.
            ("cache", false, caller(3, "cache/")),
            ("latest.log", true, ignore_file(4, "!latest.log")),
            ("logs", true, None),
            ("logs/old.log", false, ignore_file(2, "*.log")),
            ("world", true, None),
            ("world/x.tmp", false, Some((named, 2, "*.tmp"))),
            ("y.tmp", false, caller(2, "/y.tmp")),
        ]
    );
    assert_eq!((found.excluded, found.unselected, found.skipped.total()), (4, 0, 0));
}

#[test]
fn entries_that_are_not_selected_are_listed_and_a_directory_is_one_entry() {
    let tree = Tree::with(&[("a/b", b""), ("a/c", b""), ("d/e/f", b""), ("g", b"")]);
    let (entries, found) = preview(tree.backup().select(["a/b", "none"]));
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            let path = str::from_utf8(&entry.path).unwrap();
            (path, entry.kind, entry.skipped.as_ref().map(SkipReason::code))
        })
        .collect();
    let (file, directory) = (Some(MemberKind::File), Some(MemberKind::Directory));
    assert_eq!(
        entries,
        [
            ("a", directory, None),
            ("a/b", file, None),
            ("a/c", file, Some("not-selected")),
            ("d", directory, Some("not-selected")),
            ("g", file, Some("not-selected")),
            ("none", None, Some("missing")),
        ]
    );
    assert_eq!((found.excluded, found.unselected, found.skipped.total()), (0, 3, 1));
    assert!(found.is_partial());
}

#[test]
fn the_files_of_the_store_are_skipped() {
    let tree = Tree::with(&[("a", b"")]);
    let store = LocalStore::new(tree.root.join("backups")).mkdir(true);
    assert!(store.own_files(&key()).is_none(), "there is no directory yet");
    block_on(tree.backup().start(store.clone(), key())).unwrap();
    let lock = format!("{}.lock", key().as_str());
    tree.file(format!("backups/{lock}"), "");
    tree.file("backups/notes", "");
    let own = store.own_files(&key());
    let entries: Vec<PreviewEntry> =
        block_on(tree.backup().include_archives(true).preview(own).try_collect()).unwrap();
    let own = entries.iter().filter(|entry| matches!(entry.skipped, Some(SkipReason::OwnBackup)));
    let own: Vec<_> = own.map(|entry| str::from_utf8(&entry.path).unwrap()).collect();
    assert_eq!(own, [format!("backups/{}", key().as_str()), format!("backups/{lock}")]);
}

#[test]
fn names_of_any_bytes_are_previewed() {
    let tree = Tree::new();
    let name = b"caf\xe9\n";
    fs::write(tree.root.join(OsStr::from_bytes(name)), "").unwrap();
    let (entries, _) = preview(tree.backup());
    assert_eq!(entries[0].path, name);
}

#[test]
fn an_archive_that_would_be_empty_is_an_error_after_the_last_entry() {
    let tree = Tree::with(&[("a", b"")]);
    let mut stream = tree.backup().exclude("*").preview(None);
    assert!(!block_on(stream.next()).unwrap().unwrap().is_included);
    let error = block_on(stream.next()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), bytes(tree.backup().exclude("*")).unwrap_err().to_string());
    assert!(block_on(stream.next()).is_none() && stream.preview().is_none());
    let (_, found) = preview(tree.backup().exclude("*").allow_empty(true));
    assert_eq!(found.warnings, [Warning::Empty]);
}

#[test]
fn a_preview_that_is_cancelled_or_dropped_ends() {
    let tree = Tree::new();
    (0..3000).for_each(|i| tree.file(format!("{}/{i}", i % 7), ""));
    let mut stream = tree.backup().preview(None);
    assert!(block_on(stream.next()).unwrap().is_ok());
    stream.handle().cancel();
    let end = block_on(async { stream.try_collect::<Vec<_>>().await });
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Cancelled);
    support::wait_until("the end of the thread", || support::engine_threads() == 0);

    let mut stream = tree.backup().preview(None);
    assert!(block_on(stream.next()).unwrap().is_ok());
    drop(stream);
    support::wait_until("the end of the thread", || support::engine_threads() == 0);
}
