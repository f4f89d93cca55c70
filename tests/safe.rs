//! Defaults that keep a mistake from becoming a backup, and backups of selected paths.

mod support;

use std::fs;

use futures::executor::block_on;
use support::{Tree, archive_bytes, bytes, key};
use wingback::{Backup, ErrorKind, LocalStore, MemoryStore, Previous, SkipReason, Warning};

#[test]
fn an_empty_source_fails_before_anything_is_committed() {
    let tree = Tree::new();
    let store = MemoryStore::new();
    let error = block_on(tree.backup().start(store.clone(), key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("the directory is empty"), "{error}");
    assert!(store.get(&key()).is_none());
    assert_eq!(store.unfinished(), 0);
}

#[test]
fn a_source_of_which_everything_is_excluded_is_empty() {
    let tree = Tree::with(&[("a", b"a"), ("b", b"b")]);
    let error = bytes(tree.backup().exclude("*")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("2 are excluded and 0 skipped"), "{error}");
}

#[test]
fn an_allowed_empty_archive_has_a_warning() {
    let (report, _) = bytes(Tree::new().backup().allow_empty(true)).unwrap();
    assert_eq!(report.warnings, [Warning::Empty]);
    assert_eq!((report.files, report.warnings[0].code()), (0, "empty"));
}

#[test]
fn a_source_with_only_a_directory_or_a_symlink_is_not_empty() {
    let tree = Tree::new();
    fs::create_dir(tree.root.join("dir")).unwrap();
    assert_eq!(bytes(tree.backup()).unwrap().0.warnings, []);
    let tree = Tree::new();
    tree.link("link", "elsewhere");
    assert_eq!(bytes(tree.backup()).unwrap().0.warnings, []);
}

#[test]
fn content_of_less_than_a_tenth_of_the_previous_archives_is_a_warning() {
    let tree = Tree::with(&[("a", &[b'a'; 1000]), ("b", &[b'b'; 100])]);
    let path = tree.tmp.path().join("previous.tar.gz");
    fs::write(&path, archive_bytes(tree.backup())).unwrap();
    let warnings = || {
        let backup = tree.backup().previous(Previous::File(path.clone()));
        bytes(backup).unwrap().0.warnings
    };
    fs::remove_file(tree.root.join("a")).unwrap();
    tree.file("b", [b'b'; 110]);
    assert!(!warnings().iter().any(|warning| warning.code() == "shrank"), "exactly a tenth");
    tree.file("b", [b'b'; 109]);
    assert!(warnings().contains(&Warning::Shrank { content: 109, previous: 1100 }));
}

#[test]
fn archives_in_the_source_are_left_out_wherever_they_are() {
    let tree = Tree::with(&[("a", b"a")]);
    let archive = archive_bytes(tree.backup());
    tree.file("plugins/backup.tar.gz", &archive);
    tree.file("renamed", &archive);
    // These are not complete archives of wingback.
    tree.file("foreign.tar.gz", support::gzip(b"content"));
    tree.file("short.tar.gz", &archive[..archive.len() - 1]);
    tree.file("longer", [&archive[..], b"x"].concat());
    tree.file("tail", &archive[archive.len() - 128..]);
    let (report, _) = bytes(tree.backup()).unwrap();
    let paths: Vec<_> = report.skipped.iter().map(|skipped| &*skipped.path).collect();
    assert_eq!(paths, [&b"plugins/backup.tar.gz"[..], b"renamed"]);
    assert!(report.skipped.iter().all(|s| matches!(s.reason, SkipReason::OwnBackup)));
    assert_eq!((report.files, report.is_partial()), (5, false));

    let (report, _) = bytes(tree.backup().include_archives(true)).unwrap();
    assert_eq!((report.files, report.skipped.total()), (7, 0));
}

#[test]
fn the_directory_of_a_local_store_must_exist() {
    let tree = Tree::with(&[("a", b"a")]);
    let dir = tree.tmp.path().join("disk/backups");
    let error = block_on(tree.backup().start(LocalStore::new(&dir), key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("disk/backups: it does not exist; mount its disk"), "{text}");
    assert!(!tree.tmp.path().join("disk").exists());

    block_on(tree.backup().start(LocalStore::new(&dir).mkdir(true), key())).unwrap();
    assert!(dir.join("a.tar.gz").is_file());
}

#[test]
fn folders_of_a_key_are_made_in_an_existing_directory() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = LocalStore::new(tree.tmp.path()).names("lobby/{uuid}.tgz".parse().unwrap());
    let key = store.key(uuid::Uuid::nil());
    block_on(Backup::new(&tree.root).start(store.clone(), key.clone())).unwrap();
    assert!(store.path(&key).is_file());
}

#[test]
fn only_selected_paths_and_the_directories_that_lead_to_them_are_backed_up() {
    let tree = Tree::with(&[
        ("a", b"a"),
        ("world/level.dat", b"level"),
        ("world/region/r.mca", b"region"),
        ("world-old/x", b"x"),
        ("plugins/a.jar", b"jar"),
    ]);
    let paths = |backup: Backup| {
        let (report, archive) = support::archive(backup);
        let paths: Vec<_> = archive.entries.iter().map(|entry| entry.path.clone()).collect();
        let skipped: Vec<_> =
            report.skipped.iter().map(|s| (s.path.clone(), s.reason.code())).collect();
        (paths, skipped)
    };
    let (found, skipped) = paths(tree.backup().select(["./world//region/", "a"]));
    assert_eq!(found, [&b"a"[..], b"world", b"world/region", b"world/region/r.mca"]);
    assert!(skipped.is_empty(), "{skipped:?}");
    let (found, skipped) =
        paths(tree.backup().select(["world", "nope", "a/beneath"]).exclude("*.dat"));
    assert_eq!(found, [&b"world"[..], b"world/region", b"world/region/r.mca"]);
    assert_eq!(skipped, [(b"a/beneath".to_vec(), "missing"), (b"nope".to_vec(), "missing")]);
    // An excluded path is not missing.
    let (_, skipped) = paths(tree.backup().select(["world/level.dat", "a"]).exclude("world"));
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn a_selected_path_outside_of_the_source_is_an_error() {
    let tree = Tree::with(&[("a", b"a")]);
    for path in ["/a", "../a", "a/../../b"] {
        let error = bytes(tree.backup().select([path])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    let (report, _) = bytes(tree.backup().select(["a", "b"])).unwrap();
    assert!(report.is_partial());
}

#[test]
fn delete_is_refused_if_only_some_paths_were_backed_up() {
    let tree = Tree::with(&[("a", b"a"), ("b", b"b")]);
    let (bytes, selected) =
        (archive_bytes(tree.backup()), archive_bytes(tree.backup().select(["a"])));
    support::restore_bytes(&bytes, &tree.root, |r| r.delete(true)).unwrap();
    let error = support::restore_bytes(&selected, &tree.root, |r| r.delete(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(tree.root.join("b").exists());
    let change = |r: wingback::Restore| r.delete(true).delete_excluded(true);
    support::restore_bytes(&selected, &tree.root, change).unwrap();
    assert!(!tree.root.join("b").exists());
}
