//! Forged entries of a target, which look as if the engine had made them.

use super::*;

/// An older version would have used these files.
#[test]
fn forged_entries_of_a_target_are_never_used_and_never_block() {
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
    let how = Exchange { keep: &|_, _| false, fates: None, is_named: &|_| true };
    replacement.commit(how, &|| false, &|| ()).expect("nothing to change");
    assert_eq!(fs::read(forged.join("old/0")).expect("there"), b"the only copy");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(snapshot(&canary), before);
}
