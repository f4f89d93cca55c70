//! Aligned archives on file systems that share blocks, each mounted for one test.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    common::{create, names, noise, ok},
    mounts::{Mounted, everything_works, fill},
};

const DAYS: u64 = 30;

/// A tree of 8 MB, most of which cannot be compressed.
fn fill_server(server: &Path) {
    for i in 0..8 {
        let path = server.join(format!("world/region/r.{i}.0.mca"));
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(&path, noise(i, 1 << 20)).expect("written");
        set_time(&path, 0);
    }
    set_time(&server.join("world/region"), 0);
    set_time(&server.join("world"), 0);
}

/// Sets the time of a file. The headers have it, and the content of segments decides which of them are aligned.
/// So with the same times, every run shares the same blocks.
fn set_time(path: &Path, day: u64) {
    let time = UNIX_EPOCH + Duration::from_secs(1_800_000_000 + day * 86_400);
    File::open(path).expect("opened").set_modified(time).expect("set");
}

/// Changes 20 kB of one file, and makes the file before all others one byte longer.
fn change(server: &Path, day: u64) {
    let region = server.join(format!("world/region/r.{}.0.mca", day % 8));
    let file = File::options().write(true).open(&region).expect("opened");
    file.write_all_at(&noise(100 + day, 20_000), 400_000).expect("written");
    set_time(&region, day);
    let log = server.join("a.log");
    fs::write(&log, "x".repeat(day as usize)).expect("written");
    set_time(&log, day);
}

/// Returns the used bytes of a mounted file system.
fn used(root: &Path) -> u64 {
    ok(Command::new("sync").arg("-f").arg(root));
    let stat = rustix::fs::statvfs(root).expect("mounted");
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

/// Returns the bytes of a file that the kernel reports as shared, by the ioctl FIEMAP.
fn shared(path: &Path) -> u64 {
    let extents = ok(Command::new("filefrag").args(["-v", "-b1"]).arg(path));
    let is_shared = |line: &&str| line.rsplit(':').next().is_some_and(|f| f.contains("shared"));
    let len = |line: &str| line.split(':').nth(3).and_then(|len| len.trim().parse::<u64>().ok());
    extents.out.lines().filter(is_shared).filter_map(len).sum()
}

/// Makes thirty archives, and checks that they take the space of one and of the changes.
fn thirty_archives_take_the_space_of_one_and_the_changes(on: &Mounted) {
    // A change also costs the bytes up to the next aligned segment, which come after about 1 MiB.
    const CHANGE_MAX: u64 = 1 << 20;
    let tmp = tempfile::tempdir().expect("a temporary directory");
    let server = tmp.path().join("server");
    fill_server(&server);
    let (to, before) = (on.path("aligned"), used(&on.root));
    let mut previous: Option<PathBuf> = None;
    let mut first = 0;
    for day in 1..=DAYS {
        change(&server, day);
        let mut command = create(&server, &to);
        command.args(["-q", "--align", "--name", &format!("{day:02}-{{uuid}}.tar.gz")]);
        if let Some(previous) = &previous {
            command.arg("--previous").arg(previous);
        }
        ok(&mut command);
        previous = names(&to).pop().map(|name| to.join(name));
        if day == 1 {
            first = used(&on.root) - before;
        }
    }
    let last = previous.expect("an archive");
    let size = fs::metadata(&last).expect("an archive").len();
    let (all, shared) = (used(&on.root) - before, shared(&last));
    let max = first + (DAYS - 1) * CHANGE_MAX;
    assert!(all < max, "{all} bytes for {DAYS} archives of {size} bytes; one takes {first}");
    assert!(shared > size * 9 / 10, "{shared} of {size} bytes are shared");
    let older = names(&to);
    for name in &older[..older.len() - 1] {
        fs::remove_file(to.join(name)).expect("removed");
    }
    // No archive needs the others.
    ok(&mut on.command(&["verify", last.to_str().expect("text")]));
}

fn works_and_shares(kind: &str, make: &str) {
    let make = format!("truncate -s 512M @/image; {make} @/image; mount -o loop @/image @/mounted");
    let Some(on) = Mounted::new(kind, |_| {}, &[&make]) else { return };
    fill(&on.root);
    everything_works(&on);
    thirty_archives_take_the_space_of_one_and_the_changes(&on);
}

#[test]
fn everything_works_on_xfs_and_aligned_archives_share_blocks() {
    works_and_shares("XFS", "mkfs.xfs -q -m reflink=1");
}

#[test]
fn everything_works_on_btrfs_and_aligned_archives_share_blocks() {
    works_and_shares("btrfs", "mkfs.btrfs -q");
}
