//! The exchange: after each fault and each kill, the target is the old tree or the new tree.

use super::*;
use crate::{fs::sys::denied, left_out::left_out, warning::Warning};

/// A test case: the paths of both trees, and those that are kept.
struct Case {
    name: &'static str,
    old: &'static [&'static str],
    new: &'static [&'static str],
    keep: &'static [&'static str],
    delete: bool,
    /// The paths of the result, each with the tree that it comes from.
    want: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        name: "delete",
        old: &["a", "b/c", "b/d/", "gone/x/y", "link -> a", "same"],
        new: &["a", "b/e/f", "link", "new/", "same"],
        keep: &[],
        delete: true,
        want: &[
            ("a", "new"),
            ("b", "/"),
            ("b/e", "/"),
            ("b/e/f", "new"),
            ("link", "new"),
            ("new", "/"),
            ("same", "new"),
        ],
    },
    Case { name: "nothing over nothing", old: &[], new: &[], keep: &[], delete: true, want: &[] },
    Case {
        name: "delete and keep",
        old: &["a", "cache/x", "p/keep/1", "p/keep/2", "p/other", "q/r/kept", "q/s"],
        new: &["a", "cache/y", "p/keep/1", "p/third"],
        keep: &["cache", "p/keep", "q/r/kept"],
        delete: true,
        want: &[
            ("a", "new"),
            ("cache", "/"),
            ("cache/x", "old"),
            ("p", "/"),
            ("p/keep", "/"),
            ("p/keep/1", "old"),
            ("p/keep/2", "old"),
            ("p/third", "new"),
            ("q", "/"),
            ("q/r", "/"),
            ("q/r/kept", "old"),
        ],
    },
    Case {
        name: "keep all others",
        old: &["a", "b/c", "b/d", "l -> a", "stays/x"],
        new: &["a", "b/c", "b/new/x", "l -> other", "n/1", "z"],
        keep: &["z"],
        delete: false,
        want: &[
            ("a", "new"),
            ("b", "/"),
            ("b/c", "new"),
            ("b/d", "old"),
            ("b/new", "/"),
            ("b/new/x", "new"),
            ("l", "link"),
            ("n", "/"),
            ("n/1", "new"),
            ("stays", "/"),
            ("stays/x", "old"),
            ("z", "new"),
        ],
    },
];

/// An exchange that leaves only the new tree.
pub(super) const EXACT: Exchange<'_> =
    Exchange { keep: &|_, _| false, fates: Some(&|_, _| Fate::Remove), is_named: &|_| true };

/// An exchange that keeps what the new tree does not have.
const KEEPING: Exchange<'_> = Exchange { fates: None, ..EXACT };

/// The overlayfs layer of the old tree's directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Upper,
    /// Its directories cannot be renamed.
    Lower,
}

impl Layer {
    /// Returns the tree without values that a fault may change: the times of directories that are moved
    /// entry by entry.
    fn comparable(self, tree: &Snapshot) -> Snapshot {
        let mut tree = tree.clone();
        for (_, time, content) in tree.values_mut() {
            if self == Layer::Lower && content == b"/" {
                *time = 0;
            }
        }
        tree
    }
}

impl Case {
    fn keeps(&self, path: &[u8]) -> bool {
        self.keep.iter().any(|keep| keep.as_bytes() == path)
    }

    /// Makes both trees, and exchanges them with a fault. Returns both trees and the result.
    fn run(
        &self,
        target: &Path,
        layer: Layer,
        fault: Option<(u32, Fault)>,
    ) -> (Snapshot, Snapshot, Result<(Changes, Vec<Warning>)>) {
        build(target, "old", self.old);
        let old = snapshot(target);
        denied::lower_layer(match layer {
            Layer::Upper => Vec::new(),
            Layer::Lower => {
                let dirs = old.iter().filter(|(_, (_, _, content))| content == b"/");
                let open = |path| fs::File::open(target.join(os(path))).expect("open").into();
                dirs.map(|(path, _)| open(path)).collect()
            }
        });
        let staging = prepare(target).expect("prepared");
        let new_root = staging_dir(target).join("new");
        build(&new_root, "new", self.new);
        let new = snapshot(&new_root);
        let keep = |path: &[u8], _: bool| self.keeps(path);
        let fates = |path: &[u8], _: bool| if self.keeps(path) { Fate::Stay } else { Fate::Remove };
        let fates: Option<Fates<'_>> = self.delete.then_some(&fates);
        let how = Exchange { keep: &keep, fates, is_named: &|_| true };
        faults::plan(fault);
        let result = staging.check(how).and_then(|()| staging.commit(how, &|| false, &|| ()));
        (old, new, result)
    }

    /// As [`assert_new`](Case::assert_new), after a fault.
    #[track_caller]
    fn assert_new_after(&self, layer: Layer, target: &Path, old: &Snapshot, new: &Snapshot) {
        let now = layer.comparable(&snapshot(target));
        self.assert_is_new(&now, &layer.comparable(old), &layer.comparable(new));
    }

    #[track_caller]
    fn assert_new(&self, target: &Path, old: &Snapshot, new: &Snapshot) {
        self.assert_is_new(&snapshot(target), old, new);
    }

    /// Compares the changes with the trees.
    #[track_caller]
    fn assert_changes(&self, changes: &Changes, old: &Snapshot) {
        let result: Vec<_> = self.want.iter().map(|(path, _)| path.as_bytes().to_vec()).collect();
        let sorted = |mut paths: Vec<Vec<u8>>| {
            paths.sort();
            paths
        };
        let added = result.iter().filter(|path| !old.contains_key(*path)).cloned().collect();
        let removed = old.keys().filter(|path| !result.contains(path)).cloned().collect();
        assert_eq!(sorted(changes.added.to_vec()), sorted(added), "{}", self.name);
        assert_eq!(sorted(changes.removed.to_vec()), sorted(removed), "{}", self.name);
        let replaced = self.want.iter().filter(|(path, from)| {
            matches!(*from, "new" | "link")
                && old.contains_key(path.as_bytes())
                && !self.keeps(path.as_bytes())
        });
        let replaced = replaced.map(|(path, _)| path.as_bytes().to_vec()).collect();
        assert_eq!(sorted(changes.replaced.to_vec()), sorted(replaced), "{}", self.name);
        assert_eq!(changes.unchanged, 0);
    }

    #[track_caller]
    fn assert_is_new(&self, now: &Snapshot, old: &Snapshot, new: &Snapshot) {
        let paths: Vec<_> = now.keys().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        let want: Vec<_> = self.want.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(paths, want, "{}", self.name);
        for (path, tree) in self.want {
            let found = &now[path.as_bytes()];
            let from = |tree: &Snapshot| tree.get(path.as_bytes()).cloned();
            match *tree {
                "old" => assert_eq!(Some(found), from(old).as_ref(), "{}: {path}", self.name),
                // Directories have the attributes of the new tree. If only the old tree has them, they
                // have those of the old tree.
                _ => assert_eq!(
                    Some(found),
                    if self.keeps(path.as_bytes()) {
                        from(old).or(from(new))
                    } else {
                        from(new).or(from(old))
                    }
                    .as_ref(),
                    "{}: {path}",
                    self.name
                ),
            }
        }
    }
}

fn on_every_layer(check: impl Fn(&Case, Layer)) {
    for case in CASES {
        for layer in [Layer::Upper, Layer::Lower] {
            check(case, layer);
            denied::lower_layer(Vec::new());
        }
    }
}

#[test]
fn an_exchange_ends_with_the_new_tree() {
    on_every_layer(|case, layer| {
        let (_dir, target) = temporary();
        let inode = fs::metadata(&target).expect("there").ino();
        let (old, new, result) = case.run(&target, layer, None);
        let (changes, warnings) = result.expect(case.name);
        assert_eq!(warnings, []);
        case.assert_changes(&changes, &old);
        case.assert_new(&target, &old, &new);
        assert_nothing_left(&target);
        assert_eq!(fs::metadata(&target).expect("there").ino(), inode);
        assert_eq!(recover(&target).expect("nothing to do"), None);
    });
}

/// After a failure of any change, the tree is the old one or the new one, at once or after the next run.
#[test]
fn a_failure_at_any_change_leaves_the_old_or_the_new_tree() {
    on_every_layer(|case, layer| {
        let errnos: &[Errno] = match layer {
            Layer::Upper => &[Errno::IO, Errno::NOSPC, Errno::PERM],
            Layer::Lower => &[Errno::IO],
        };
        for &errno in errnos {
            for n in 0.. {
                let (_dir, target) = temporary();
                let (old, new, result) = case.run(&target, layer, Some((n, Fault::Fail(errno))));
                let changes = faults::count();
                faults::plan(None);
                if result.is_err() {
                    recover(&target).expect("it recovers");
                    assert_nothing_left(&target);
                }
                let is_old = || layer.comparable(&snapshot(&target)) == layer.comparable(&old);
                if result.is_ok() || !is_old() {
                    case.assert_new_after(layer, &target, &old, &new);
                }
                recover(&target).expect("the rest is removed");
                assert_nothing_left(&target);
                if n > changes {
                    break;
                }
            }
        }
    });
}

/// The same if the process is killed, and the next process, which recovers, is killed at any change as
/// well.
#[test]
fn a_kill_at_any_change_leaves_the_old_or_the_new_tree() {
    on_every_layer(|case, layer| {
        for n in 0.. {
            let (_dir, target) = temporary();
            let (old, new, result) = case.run(&target, layer, Some((n, Fault::Kill)));
            let is_through = faults::count() <= n;
            drop(result);
            for m in (0..).step_by(3) {
                faults::plan(Some((m, Fault::Kill)));
                let recovered = recover(&target);
                let is_recovered = faults::count() <= m;
                faults::plan(None);
                if is_recovered {
                    recovered.expect("nobody killed it");
                    break;
                }
            }
            assert_nothing_left(&target);
            if layer.comparable(&snapshot(&target)) != layer.comparable(&old) {
                case.assert_new_after(layer, &target, &old, &new);
            }
            if is_through {
                break;
            }
        }
    });
}

/// A power cut may keep some renames and lose earlier ones: any set of steps may be done, as long as they
/// are about different names.
#[test]
fn any_set_of_steps_can_be_finished() {
    let case = &CASES[0];
    for mask in 0..32u32 {
        let (_dir, target) = temporary();
        build(&target, "old", case.old);
        let old = snapshot(&target);
        let staging = prepare(&target).expect("prepared");
        let new_root = staging_dir(&target).join("new");
        build(&new_root, "new", case.new);
        let new = snapshot(&new_root);
        let journal = staging.trees.plan(EXACT).expect("a plan").0;
        // The steps of one path depend on each other.
        for (i, steps) in journal.steps.chunk_by(|a, b| a.path() == b.path()).enumerate() {
            if mask >> (i % 5) & 1 == 1 {
                let done = if mask % 3 == 0 { 1 } else { steps.len() };
                let part = Journal { steps: steps[..done].to_vec(), attributes: Vec::new() };
                staging.trees.apply(&part).expect("a step");
            }
        }
        if mask % 2 == 0 {
            staging.trees.roll_back(&journal).expect("rolled back");
            assert_eq!(snapshot(&target), old, "{mask}");
            staging.trees.roll_back(&journal).expect("twice");
            assert_eq!(snapshot(&target), old, "{mask}");
        }
        staging.trees.apply(&journal).expect("applied");
        staging.trees.apply(&journal).expect("twice");
        case.assert_new(&target, &old, &new);
        std::mem::forget(staging);
    }
}

#[test]
fn a_replacement_that_is_dropped_leaves_nothing() {
    let (_dir, target) = temporary();
    build(&target, "old", CASES[0].old);
    let old = snapshot(&target);
    let staging = prepare(&target).expect("prepared");
    build(&staging_dir(&target).join("new"), "new", CASES[0].new);
    let second = prepare(&target).expect_err("another is running");
    assert_eq!(second.kind(), ErrorKind::Busy);
    assert_eq!(recover(&target).expect_err("another is running").kind(), ErrorKind::Busy);
    drop(staging);
    assert_nothing_left(&target);
    assert_eq!(snapshot(&target), old);
}

#[test]
fn a_backup_refuses_a_half_exchanged_tree() {
    let (_dir, target) = temporary();
    let check = || {
        let dir = fs::File::open(&target).expect("there");
        check_whole(&dir, &target, &state(&target))
    };
    assert!(check().expect("nothing is there").is_none());
    let mut staging = prepare(&target).expect("prepared");
    let left_out = check().expect("nothing was exchanged yet").expect("a staging directory");
    assert_eq!(target.join(os(&left_out.name)), staging_dir(&target));
    let claim = staging.claim.as_mut().expect("a claim");
    claim.begin_exchange(&Journal::default()).expect("written");
    assert_eq!(check().expect_err("it is pending").kind(), ErrorKind::Busy);
    std::mem::forget(staging);
}

#[test]
fn an_entry_of_another_type_is_replaced_unless_it_is_a_directory_that_stays() {
    for (old, new, how) in [
        ("a", "a/b", KEEPING),
        ("a -> x", "a/b", KEEPING),
        ("a/b", "a", EXACT),
        ("a/b", "a -> x", EXACT),
    ] {
        let (_dir, target) = temporary();
        build(&target, "old", &[old]);
        let staging = prepare(&target).expect("prepared");
        let new_root = staging_dir(&target).join("new");
        build(&new_root, "new", &[new]);
        let want = snapshot(&new_root);
        let (changes, _) = staging.commit(how, &|| false, &|| ()).expect("replaced");
        assert_eq!(snapshot(&target), want, "{old}, {new}");
        assert_eq!(*changes.replaced, [b"a"], "{old}, {new}");
        assert_eq!(changes.removed.total(), u64::from(old == "a/b"), "{old}, {new}");
        assert_nothing_left(&target);
    }
    let keep: Fates<'_> = &|path, _| if path == b"a/b" { Fate::Stay } else { Fate::Remove };
    for (old, how) in [("a/b", KEEPING), ("a/b", Exchange { fates: Some(keep), ..EXACT })] {
        let (_dir, target) = temporary();
        build(&target, "old", &[old]);
        let before = snapshot(&target);
        let staging = prepare(&target).expect("prepared");
        build(&staging_dir(&target).join("new"), "new", &["a"]);
        let error = staging.commit(how, &|| false, &|| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.path(), Some(Path::new("a")), "{error}");
        assert_eq!(snapshot(&target), before);
        assert_nothing_left(&target);
    }
}

/// A hard link in the new tree says that the file is unchanged.
#[test]
fn unchanged_files_stay_and_are_counted() {
    for how in [KEEPING, EXACT] {
        let (_dir, target) = temporary();
        build(&target, "old", &["a/same", "a/other", "l -> x"]);
        let inode = |path: &str| fs::metadata(target.join(path)).expect("there").ino();
        let before = inode("a/same");
        let staging = prepare(&target).expect("prepared");
        let new = staging_dir(&target).join("new");
        build(&new, "new", &["a/other", "l -> y"]);
        fs::hard_link(target.join("a/same"), new.join("a/same")).expect("linked");
        let (changes, _) = staging.commit(how, &|| false, &|| ()).expect("replaced");
        assert_eq!((changes.unchanged, inode("a/same")), (1, before));
        assert_eq!(*changes.replaced, [&b"l"[..], b"a/other"]);
        assert_eq!(fs::metadata(target.join("a/same")).expect("there").nlink(), 1);
    }
}

#[test]
fn a_directory_that_no_member_named_keeps_its_attributes() {
    let (_dir, target) = temporary();
    build(&target, "old", &["a/b/c"]);
    let old = snapshot(&target);
    let staging = prepare(&target).expect("prepared");
    build(&staging_dir(&target).join("new"), "new", &["a/b/c"]);
    let how = Exchange { is_named: &|path| path == b"a", ..KEEPING };
    staging.commit(how, &|| false, &|| ()).expect("replaced");
    let now = snapshot(&target);
    assert_eq!(now[&b"a/b"[..]], old[&b"a/b"[..]]);
    assert_ne!(now[&b"a"[..]], old[&b"a"[..]]);
}

#[test]
fn deep_and_wide_trees_are_removed_and_links_not_followed() {
    let (dir, target) = temporary();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("file"), "stays").expect("written");
    let mut at = Beneath::open(&target).expect("open");
    for i in 0..3000 {
        ops::make_dir(&at, b"deep").expect("made");
        let next = at.dir(b"deep").expect("open");
        if i % 100 == 0 {
            rustix::fs::symlinkat(&*outside, &next, c"link").expect("made");
        }
        at = Beneath::from_fd(next);
    }
    for i in 0..500 {
        fs::create_dir_all(target.join(format!("wide/{i}/x"))).expect("made");
    }
    remove_contents(&Beneath::open(&target).expect("open")).expect("removed");
    assert_eq!(fs::read_dir(&target).expect("listed").count(), 0);
    assert_eq!(fs::read(outside.join("file")).expect("there"), b"stays");
}

#[test]
fn an_external_staging_directory_is_found_again_and_another_file_system_is_refused() {
    let (dir, target) = temporary();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    build(&target, "old", CASES[0].old);
    for kill in 0..60 {
        let staging =
            Replacement::prepare(&target, &state(&target), Some(&outside)).expect("prepared");
        build(&staging_dir(&outside).join("new"), "new", &["a", "b"]);
        faults::plan(Some((kill, Fault::Kill)));
        let _ = staging.commit(EXACT, &|| false, &|| ());
        faults::plan(None);
        recover(&target).expect("recovered");
        assert_nothing_left(&target);
        assert_eq!(fs::read_dir(&outside).expect("listed").count(), 0, "{kill}");
    }
    let paths: Vec<_> = snapshot(&target).into_keys().collect();
    assert_eq!(paths, [b"a", b"b"]);
    let other = Path::new("/proc/self");
    let error = Replacement::prepare(&target, &state(&target), Some(other)).expect_err("not there");
    assert_nothing_left(&target);
    assert!(error.path().is_some_and(|path| path.starts_with("/proc")), "{error}");
    let shm = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    if fs::metadata(shm.path()).expect("there").dev() == fs::metadata(&target).expect("there").dev()
    {
        left_out("a staging directory on another file system: /dev/shm is on the target's");
        return;
    }
    let error = Replacement::prepare(&target, &state(&target), Some(shm.path()))
        .expect_err("another file system");
    assert!(error.to_string().contains("another file system"), "{error}");
    assert_nothing_left(&target);
    assert_eq!(fs::read_dir(shm.path()).expect("listed").count(), 0);
}
