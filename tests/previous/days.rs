//! A chain of daily backups, each made from the previous one and each restored.

use std::fs;

use fastrand::Rng;
use futures::executor::block_on;
use wingback::{Archive, Extract, LocalStore, Previous, Verify};

use crate::{
    edit, files, later,
    support::{Tree, noise, random::random_tree, snapshot::Snapshot, text},
    wait_for_later_ctime,
};

#[test]
fn sixty_days_of_edits_come_back_as_they_were() {
    let mut rng = Rng::with_seed(60);
    let tree = Tree::new();
    for n in 0..60 {
        tree.file(format!("plugins/{:02}/{n:03}.yml", n % 7), text(500 + 37 * n));
    }
    tree.file("world/region/r.0.0.mca", noise(400_000));
    tree.file("world/players.db", text(300_000));
    let more = tree.root.join("more");
    fs::create_dir(&more).unwrap();
    random_tree(&more, &mut rng, false);
    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    let mut days = Vec::new();
    let (mut content, mut read) = (0, 0);
    for day in 0..60u128 {
        // Keeps enough files to edit, without growing endlessly.
        let mut all = Vec::new();
        files(&tree.root, &mut all);
        for _ in 0..rng.usize(0..8) {
            if all.len() > 30 {
                edit(&tree.root, &mut rng);
            }
        }
        tree.file("log", format!("day {day}\n").repeat(day as usize));
        wait_for_later_ctime();
        let key = store.key(uuid::Uuid::from_u128(day));
        let backup = tree.backup().now(later());
        let backup = match days.last() {
            Some((last, _)) => backup.previous(Previous::Key(Clone::clone(last))),
            None => backup,
        };
        let report = block_on(backup.start(store.clone(), key.clone())).unwrap();
        assert!(report.warnings.is_empty() && report.skipped.is_empty(), "{report:?}");
        if day > 0 {
            (content, read) = (content + report.content, read + report.read);
        }
        days.push((key, Snapshot::of(&tree.root)));
    }
    assert!(read < content / 4, "{read} of {content} bytes were read");
    for (day, (key, then)) in days.iter().enumerate() {
        let path = store.path(key);
        let verified = block_on(Verify::new().start(Archive::file(&path))).unwrap();
        assert!(verified.is_whole(), "day {day}: {:?}", verified.damage);
        let back = tempfile::tempdir().unwrap();
        let into = back.path().join("tree");
        block_on(Extract::new(&into).start(Archive::file(&path))).unwrap();
        let then = then.clone().without_special_bits().without_holes();
        Snapshot::of(&into).without_holes().assert_is(&then, format!("day {day}"));
    }
}
