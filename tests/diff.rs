//! Comparing an archive with another archive or with a directory.

mod support;

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use futures::{TryStreamExt, executor::block_on};
use support::{Tree, in_memory, noise, text};
use wingback::{Archive, Compared, Diff, DiffStream, Difference, ErrorKind, NoIndex, ReadMethod};

const LARGE: usize = 3 << 20;

/// Small files that share segments, large ones, and one that games change in place. All have the same time.
fn tree() -> Tree {
    let tree = Tree::new();
    for i in 0..40 {
        tree.file(format!("small/{i:02}"), text(20_000 + i));
    }
    tree.file("region/r.0.0.mca", noise(600_000));
    tree.file("server.jar", noise(LARGE));
    tree.file("empty", "");
    tree.link("link", "empty");
    tree.link("other", "empty");
    let files = ["region/r.0.0.mca", "server.jar", "empty"].map(str::to_owned);
    let small = (0..40).map(|i| format!("small/{i:02}"));
    files.into_iter().chain(small).for_each(|path| set_time(&tree, &path, 1_700_000_000));
    tree
}

fn set_time(tree: &Tree, path: &str, seconds: u64) {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(tree.root.join(path)).unwrap().set_modified(time).unwrap();
}

/// Writes a file, and gives it a new time.
fn write(tree: &Tree, path: &str, content: &[u8]) {
    tree.file(path, content);
    set_time(tree, path, 1_700_000_100);
}

fn backup(tree: &Tree) -> Vec<u8> {
    // The files were not changed just now.
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    support::archive_bytes(tree.backup().now(later))
}

/// The same archive without its index.
fn foreign(archive: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(archive).read_to_end(&mut tar).unwrap();
    support::gzip(&tar)
}

fn all(mut stream: DiffStream<'_>) -> (Vec<Difference>, Compared) {
    assert!(stream.compared().is_none());
    let differences: Vec<_> = block_on((&mut stream).try_collect()).unwrap();
    assert_eq!(stream.returned(), differences.len() as u64);
    (differences, stream.into_compared().expect("it has ended"))
}

fn lines(differences: &[Difference]) -> Vec<String> {
    let line = |difference: &Difference| {
        let changes: Vec<_> = difference.changes.iter().map(|aspect| aspect.code()).collect();
        let path = String::from_utf8_lossy(&difference.path);
        format!("{} {path} {}", difference.kind().code(), changes.join(",")).trim_end().to_owned()
    };
    differences.iter().map(line).collect()
}

fn of_archives(diff: Diff, a: &[u8], b: &[u8]) -> (Vec<String>, Compared) {
    let (differences, compared) = all(diff.start(in_memory(a), in_memory(b)));
    (lines(&differences), compared)
}

fn with_dir(diff: Diff, a: &[u8], dir: &Path) -> (Vec<String>, Compared) {
    let (differences, compared) = all(diff.with_dir(in_memory(a), dir));
    (lines(&differences), compared)
}

/// Changes a tree in all ways. Returns the expected differences.
fn change(tree: &Tree) -> Vec<String> {
    let mut content = text(20_007);
    content[3] = b'#';
    write(tree, "small/07", &content);
    write(tree, "small/08", &text(3));
    set_time(tree, "small/09", 1_700_000_200);
    fs::set_permissions(tree.root.join("small/20"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(tree.root.join("small/30")).unwrap();
    write(tree, "small/30a", &text(50));
    let mut region = noise(600_000);
    region[500_000] ^= 1;
    write(tree, "region/r.0.0.mca", &region);
    set_time(tree, "server.jar", 1_700_000_300);
    fs::remove_file(tree.root.join("link")).unwrap();
    tree.link("link", "server.jar");
    fs::remove_file(tree.root.join("other")).unwrap();
    write(tree, "other", b"a file now");
    fs::remove_file(tree.root.join("empty")).unwrap();
    fs::create_dir(tree.root.join("empty")).unwrap();
    [
        "removed empty",
        "added empty",
        "changed link target",
        "changed other kind",
        "changed region/r.0.0.mca content,mtime",
        "metadata server.jar mtime",
        "changed small/07 content,mtime",
        "changed small/08 content,mtime",
        "metadata small/09 mtime",
        "metadata small/20 mode",
        "removed small/30",
        "added small/30a",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The times of links cannot be set here.
fn without_link_times(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .filter(|line| line != "metadata link mtime" && line != "metadata other mtime")
        .map(|line| match line.split(' ').nth(1) {
            Some("link" | "other") => line.trim_end_matches(",mtime").to_owned(),
            _ => line,
        })
        .collect()
}

#[test]
fn every_kind_of_difference_is_found_between_all_kinds_of_sides() {
    let tree = tree();
    let before = backup(&tree);
    let expected = change(&tree);
    let after = backup(&tree);
    for content in [false, true] {
        let diff = || Diff::new().content(content);
        let found = [
            of_archives(diff(), &before, &after),
            of_archives(diff(), &foreign(&before), &after),
            of_archives(diff(), &before, &foreign(&after)),
            of_archives(diff(), &foreign(&before), &foreign(&after)),
            with_dir(diff(), &before, &tree.root),
            with_dir(diff(), &foreign(&before), &tree.root),
        ];
        for (i, (lines, compared)) in found.into_iter().enumerate() {
            assert_eq!(without_link_times(lines), expected, "{i} {content}");
            assert_eq!((compared.added, compared.added_bytes), (2, 50), "{i} {compared:?}");
            assert_eq!((compared.removed, compared.removed_bytes), (2, 20_030), "{i} {compared:?}");
            assert_eq!(compared.changed, 5, "{i} {compared:?}");
            assert_eq!(compared.changed_bytes, 20_007 + 3 + 600_000 + 10, "{i} {compared:?}");
            // 35 files, and the directories `region` and `small`.
            assert_eq!((compared.metadata, compared.unchanged), (3, 37), "{i} {compared:?}");
            assert!(!compared.is_equal() && !compared.is_partial());
        }
    }
}

#[test]
fn two_backups_of_one_tree_are_equal_and_no_content_is_read() {
    let tree = tree();
    let (a, b) = (backup(&tree), backup(&tree));
    for content in [false, true] {
        let (lines, compared) = of_archives(Diff::new().content(content), &a, &b);
        assert_eq!((lines, compared.read), (Vec::new(), 0));
        assert!(compared.is_equal());
    }
    let (lines, compared) = with_dir(Diff::new(), &a, &tree.root);
    assert_eq!((lines, compared.read), (Vec::new(), 0));
    let (_, compared) = with_dir(Diff::new().content(true), &a, &tree.root);
    assert!(compared.is_equal() && compared.read as usize > LARGE, "{compared:?}");
}

#[test]
fn keys_decide_large_files_and_stamps_the_neighbors_of_changed_small_files() {
    let tree = tree();
    let before = backup(&tree);
    let mut jar = noise(LARGE);
    jar[LARGE - 1] ^= 1;
    write(&tree, "server.jar", &jar);
    write(&tree, "small/08", &text(3));
    let after = backup(&tree);
    let (lines, compared) = of_archives(Diff::new(), &before, &after);
    let expected = ["changed server.jar content,mtime", "changed small/08 content,mtime"];
    assert_eq!((lines, compared.read), (expected.map(str::to_owned).to_vec(), 0));
    // With `content`, the neighbors of the small file are read.
    let (lines, compared) = of_archives(Diff::new().content(true), &before, &after);
    assert_eq!(lines, expected);
    assert!((1..LARGE as u64).contains(&compared.read), "{compared:?}");
}

#[test]
fn a_change_that_keeps_size_and_time_is_found_by_content() {
    let tree = tree();
    let before = backup(&tree);
    tree.file("small/07", vec![b'#'; 20_007]);
    set_time(&tree, "small/07", 1_700_000_000);
    let (lines, _) = with_dir(Diff::new(), &before, &tree.root);
    assert_eq!(lines, [""; 0]);
    let (lines, _) = with_dir(Diff::new().content(true), &before, &tree.root);
    assert_eq!(lines, ["changed small/07 content"]);
    // Between archives, the ctime shows it.
    let (lines, _) = of_archives(Diff::new(), &before, &backup(&tree));
    assert_eq!(lines, ["changed small/07 content"]);
}

#[test]
fn only_the_selected_paths_are_compared() {
    let tree = tree();
    let before = backup(&tree);
    change(&tree);
    let after = backup(&tree);
    let diff = || Diff::new().select("small/0*").select("region").select("nothing");
    let expected = [
        "changed region/r.0.0.mca content,mtime",
        "changed small/07 content,mtime",
        "changed small/08 content,mtime",
        "metadata small/09 mtime",
    ];
    for (lines, compared) in [
        of_archives(diff(), &before, &after),
        of_archives(diff(), &foreign(&before), &after),
        with_dir(diff(), &before, &tree.root),
    ] {
        assert_eq!(lines, expected);
        assert_eq!(compared.unmatched, [b"nothing"]);
    }
}

#[test]
fn paths_that_the_backup_excluded_are_no_differences_of_a_directory() {
    let tree = tree();
    let before = support::archive_bytes(tree.backup().exclude("*.log\ncache/"));
    tree.file("latest.log", "a line");
    tree.file("cache/a", "cached");
    let (lines, compared) = with_dir(Diff::new(), &before, &tree.root);
    assert_eq!((lines, compared.excluded), (Vec::new(), 2));
    let (lines, compared) = with_dir(Diff::new().excluded(true), &before, &tree.root);
    assert_eq!(lines, ["added cache", "added cache/a", "added latest.log"]);
    assert_eq!(compared.excluded, 0);
}

#[test]
fn directories_without_a_member_exist_in_an_archive_of_tar() {
    let tree = Tree::with(&[("a/b/c", b"1"), ("a/d", b"2")]);
    set_time(&tree, "a/b/c", 1_700_000_000);
    set_time(&tree, "a/d", 1_700_000_000);
    let archive = tree.tmp.path().join("foreign.tar.gz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("czf").arg(&archive).arg("-C").arg(&tree.root).args(["a/d", "a/b/c"]);
    assert!(tar.status().unwrap().success());
    let (differences, compared) = all(Diff::new().with_dir(Archive::file(&archive), &tree.root));
    assert_eq!(lines(&differences), [""; 0]);
    assert_eq!(compared.unchanged, 4);
    assert_eq!(compared.read_method, ReadMethod::Sequential(NoIndex::Absent));
}

#[test]
fn a_directory_that_cannot_be_listed_hides_what_is_beneath_it() {
    // Only the walk of a tree that is too deep fails for root as well.
    let tree = Tree::new();
    let name = "d".repeat(250);
    let deep = vec![&*name; 16].join("/");
    tree.file("a", "1");
    tree.file("z", "2");
    let before = backup(&tree);
    fs::create_dir_all(tree.root.join(&name)).unwrap();
    let mut dir = tree.root.join(&name);
    // Longer paths than the system takes are made from inside.
    let sh = format!("for i in $(seq 17); do mkdir {name} && cd {name}; done; : > file");
    dir.push("");
    let made = std::process::Command::new("sh").arg("-c").arg(sh).current_dir(&dir).status();
    assert!(made.unwrap().success());
    let (lines, compared) = with_dir(Diff::new(), &before, &tree.root);
    assert!(lines.iter().all(|line| line.starts_with("added d")), "{lines:?}");
    assert_eq!((lines.len(), deep.len()), (compared.added as usize, 16 * 251 - 1));
    assert!(compared.is_partial(), "{compared:?}");
}

#[test]
fn damage_that_the_comparison_reads_is_an_error_with_the_name_of_the_archive() {
    let tree = tree();
    let before = tree.tmp.path().join("before.tar.gz");
    let mut bytes = backup(&tree);
    let located = support::forge::locate(&bytes);
    let is_read = |at: &usize| located.entries_of_segment_at(*at).contains(&b"small/07".to_vec());
    let at = (0..bytes.len()).step_by(100).find(is_read).unwrap();
    bytes[at + 100] ^= 0xff;
    fs::write(&before, &bytes).unwrap();
    write(&tree, "small/07", &vec![b'#'; 20_007]);
    let after = backup(&tree);
    let mut stream = Diff::new().content(true).start(Archive::file(&before), in_memory(&after));
    let error = block_on(async {
        loop {
            match stream.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the damage was not found"),
                Err(e) => return e,
            }
        }
    });
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.path(), Some(&*before));
    assert!(stream.compared().is_none());
}

#[test]
fn an_archive_without_an_index_has_a_limit_of_members() {
    let tree = tree();
    let archive = foreign(&backup(&tree));
    let mut stream = Diff::new().max_members(5).with_dir(in_memory(&archive), &tree.root);
    let error = block_on(stream.try_next()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
}
