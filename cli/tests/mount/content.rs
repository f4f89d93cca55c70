//! The tree of one archive.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Mounted,
    common::{Fixture, noise, ok, read, wingback},
    found, same_content, tar_sum,
    tree::Tree,
};

#[test]
fn an_archive_has_the_tree_of_its_source_for_find_diff_and_tar() {
    let fixture = Fixture::new();
    Tree::make(&fixture.source);
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    assert!(mounted.line.starts_with("mounted   /"), "{}", mounted.line);
    assert_eq!(found(&mounted.dir), found(&fixture.source));
    same_content(&mounted.dir, &fixture.source);
    assert_eq!(tar_sum(&mounted.dir), tar_sum(&fixture.source));
    // Both names of a file with two.
    assert_eq!(read(&mounted.path("level.dat_old")), read(&mounted.path("level.dat")));
    assert_eq!(mounted.errors(), "");
}

/// Only the index has the directories and links of such an archive.
#[test]
fn an_archive_of_profile_wings_has_its_directories_and_links() {
    let fixture = Fixture::with(&[("world/level.dat", b"a level"), ("a", b"a")]);
    fs::create_dir_all(fixture.source.join("hollow/within")).unwrap();
    std::os::unix::fs::symlink("world/level.dat", fixture.source.join("link")).unwrap();
    ok(fixture.create().args(["--profile", "wings"]));
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    assert_eq!(found(&mounted.dir), found(&fixture.source));
    same_content(&mounted.dir, &fixture.source);
}

#[test]
fn any_part_of_a_sparse_file_of_one_gib_is_read() {
    let fixture = Fixture::new();
    let path = fixture.source.join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let parts = [0, 77_777_777, (1 << 29) - 3, (1 << 30) - 5];
    parts.iter().for_each(|at| file.write_all_at(b"bytes", *at).unwrap());
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    let file = File::open(mounted.path("sparse")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 1 << 30);
    // Backward, so that each read begins before the pages and segments of the last one.
    for at in parts.into_iter().rev() {
        let mut bytes = [0; 5];
        file.read_exact_at(&mut bytes, at).unwrap();
        assert_eq!(&bytes, b"bytes", "{at}");
    }
    assert_eq!(file.read_at(&mut [0; 9], 1 << 30).unwrap(), 0);
    ok(Command::new("cmp").args([&path, &mounted.path("sparse")]));
    assert!(mounted.peak_mb() < 128, "{} MiB", mounted.peak_mb());
}

#[test]
fn two_processes_read_a_directory_of_20_000_files() {
    let fixture = Fixture::new();
    let dir = fixture.source.join("players");
    fs::create_dir(&dir).unwrap();
    for number in 0..20_000 {
        fs::write(dir.join(format!("{number}.json")), number.to_string()).unwrap();
    }
    fs::write(fixture.source.join("large"), noise(1, 20 << 20)).unwrap();
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    let sum = |dir: &std::path::Path| {
        let script = "cd \"$0\" && find . -type f -print0 | sort -z | xargs -0 cat | sha1sum";
        Command::new("bash").args(["-c", script]).arg(dir).stdout(Stdio::piped()).spawn().unwrap()
    };
    let sums = [sum(&mounted.dir), sum(&mounted.dir), sum(&fixture.source)];
    let [a, b, source] = sums.map(|child| child.wait_with_output().unwrap().stdout);
    assert_eq!((&a, &b), (&source, &source));
    assert_eq!(found(&mounted.dir), found(&fixture.source));
    assert_eq!(fs::read_dir(mounted.path("players")).unwrap().count(), 20_000);
}

#[test]
fn reads_of_many_threads_at_any_place_are_right() {
    let content = noise(7, 30 << 20);
    let fixture = Fixture::with(&[("noise", &content)]);
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    thread::scope(|scope| {
        for number in 0..4 {
            let (content, path) = (&content, mounted.path("noise"));
            scope.spawn(move || {
                let file = File::open(path).unwrap();
                let mut random = fastrand::Rng::with_seed(number);
                for _ in 0..200 {
                    let at = random.usize(..content.len());
                    let mut bytes = vec![0; random.usize(1..200_000).min(content.len() - at)];
                    file.read_exact_at(&mut bytes, at as u64).unwrap();
                    assert!(bytes == content[at..at + bytes.len()], "{at}");
                }
            });
        }
    });
}

#[test]
fn an_archive_of_200_000_members_takes_little_memory() {
    let fixture = Fixture::new();
    for dir in 0..200 {
        let dir = fixture.source.join(format!("region-{dir}"));
        fs::create_dir(&dir).unwrap();
        (0..1000).for_each(|file| drop(File::create(dir.join(format!("chunk-{file}"))).unwrap()));
    }
    ok(&mut fixture.create());
    let Some(mounted) = Mounted::new(&fixture.archive()) else { return };
    assert_eq!(found(&mounted.dir), found(&fixture.source));
    assert!(mounted.peak_mb() < 80, "{} MiB", mounted.peak_mb());
}

#[test]
fn reads_can_be_limited() {
    let fixture = Fixture::with(&[("a", &noise(1, 300_000))]);
    ok(&mut fixture.create());
    let mut command = wingback();
    command.env("WINGBACK_READ_LIMIT", "300kB");
    let Some(mounted) = Mounted::by(command, &fixture.archive()) else { return };
    let start = Instant::now();
    assert_eq!(read(&mounted.path("a")), noise(1, 300_000));
    let took = start.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_secs(30)).contains(&took), "{took:?}");
}
