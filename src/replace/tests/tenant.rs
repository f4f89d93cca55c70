//! A tenant that changes everything in the target while restores run.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use rustix::fs::{AtFlags, Mode};

use super::*;
use crate::walk::root::DIRECTORY;

/// Renames, replaces, links, fills and removes entries of the target, staging directories included,
/// until `stop`. It follows no link itself, so only a restore can.
fn interfere(target: &Path, canary: &Path, stop: &AtomicBool) -> u64 {
    let mut random = fastrand::Rng::with_seed(17);
    let mut done = 0;
    let root = Beneath::open(target).expect("open");
    let again = || vec![root.reopen().expect("open")];
    let mut dirs = again();
    while !stop.load(Relaxed) {
        let dir = &dirs[random.usize(..dirs.len())];
        let names = remove::names(dir, 1000).unwrap_or_default();
        let Some(name) = names.get(random.usize(..names.len().max(1))) else {
            dirs = again();
            continue;
        };
        let aside = format!("aside-{}", random.u8(..20)).into_bytes();
        let open = || rustix::fs::openat(dir, &**name, DIRECTORY, Mode::empty());
        let (there, away) = ((dir, &**name), (&root, &*aside));
        let rename = |from: (&Beneath, &[u8]), to: (&Beneath, &[u8])| {
            rustix::fs::renameat(from.0, from.1, to.0, to.1)
        };
        let changed = match random.u8(..12) {
            0 => rename(there, away),
            1 => rename(away, there),
            2 | 3 => rename(there, away).and_then(|()| rustix::fs::symlinkat(canary, dir, &**name)),
            4 => open().and_then(|d| rustix::fs::symlinkat(canary.join("file"), d, c"link")),
            5 => open().and_then(|d| ops::make_file(d, b"more")),
            6 => open().and_then(|d| ops::make_dir(d, b"dir")),
            7 => open().and_then(|d| rustix::fs::fchmod(d, Mode::empty())),
            8 => open().and_then(|d| rustix::fs::fchmod(d, Mode::RWXU)),
            9 => rustix::fs::unlinkat(&root, &*aside, AtFlags::empty()),
            _ => open().map(|d| dirs.push(Beneath::from_fd(d))),
        };
        done += u64::from(changed.is_ok());
        dirs.truncate(8);
    }
    done
}

/// As an archive would be unpacked: the tenant may be faster.
fn fill(tree: &Beneath) {
    for (dir, name) in [("", "a"), ("b", "c"), ("d/e", "f")] {
        let made = match dir {
            "" => tree.dir(b""),
            dir => tree.make_dir(dir.as_bytes(), rustix::fs::Mode::RWXU),
        };
        if let Ok(dir) = made {
            let _ = ops::write_file(&dir, name.as_bytes(), b"new");
        }
    }
}

/// The links of the tenant lead to the canary, so modes and content there tell what was followed.
#[test]
fn a_tenant_cannot_lead_a_restore_out_of_its_directory() {
    let (dir, target) = temporary();
    let canary = dir.path().join("canary");
    fs::create_dir(&canary).expect("made");
    build(&canary, "canary", &["file", "new/a", "old/0", "b/c", "deep/er/file"]);
    fs::set_permissions(&canary, fs::Permissions::from_mode(0o751)).expect("set");
    let before = (fs::metadata(&canary).expect("there").mode(), snapshot(&canary));
    let stop = AtomicBool::new(false);
    let restores = 200;
    let (mut committed, mut failed) = (0, 0);
    let changes = thread::scope(|scope| {
        let tenant = scope.spawn(|| interfere(&target, &canary, &stop));
        for i in 0..restores {
            let result = prepare(&target).and_then(|replacement| {
                let tree = Beneath::from_fd(replacement.tree()?);
                fill(&tree);
                let keep = |path: &[u8], _: bool| i % 3 == 0 && path == b"b/c";
                let how = match i % 2 {
                    0 => How::Replace { keep: &keep },
                    _ => How::Merge { keep: &keep },
                };
                replacement.check(how)?;
                replacement.commit(how, &|| false, &|| ())
            });
            match result {
                Ok(_) => committed += 1,
                Err(_) => failed += 1,
            }
        }
        stop.store(true, Relaxed);
        tenant.join().expect("the tenant")
    });
    println!("{committed} restores committed, {failed} failed, {changes} changes of the tenant");
    let after = (fs::metadata(&canary).expect("there").mode(), snapshot(&canary));
    assert_eq!(after, before, "something outside of the target has changed");
    assert!(changes > 1000 && committed > 0, "nothing met: {changes} changes, {committed} commits");
}

/// Files that an older version took for its own.
#[test]
fn what_stands_in_a_target_is_never_followed_and_never_waited_for() {
    let (dir, target) = temporary();
    let canary = dir.path().join("canary");
    fs::create_dir(&canary).expect("made");
    build(&canary, "canary", &["new/a", "old/b"]);
    let before = snapshot(&canary);
    let forged = target.join(".wingback-restore");
    fs::create_dir_all(forged.join("old")).expect("made");
    fs::create_dir_all(forged.join("new")).expect("made");
    fs::write(forged.join("elsewhere"), canary.as_os_str().as_bytes()).expect("written");
    fs::write(forged.join("old/0"), "the only copy").expect("written");
    let fifo = std::process::Command::new("mkfifo").arg(forged.join("journal")).status();
    assert!(fifo.expect("mkfifo").success());
    symlink(&canary, target.join(format!("{}0", staging::PREFIX))).expect("made");
    let tree = snapshot(&target);
    let started = std::time::Instant::now();
    assert_eq!(recover(&target).expect("nothing of ours"), None);
    drop(prepare(&target).expect("prepared"));
    assert_eq!(snapshot(&target), tree);
    let replacement = prepare(&target).expect("prepared");
    let how = How::Merge { keep: &|_, _| false };
    replacement.commit(how, &|| false, &|| ()).expect("merged");
    assert_eq!(fs::read(forged.join("old/0")).expect("there"), b"the only copy");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(snapshot(&canary), before);
}
