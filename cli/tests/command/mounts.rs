//! Backups and restores on other file systems, each mounted for one test.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    common::{Fixture, Ran, create, is_root, left_out, names, noise, ok, run, wingback},
    tree::{Tree, tree},
};

/// A mounted file system. On overlayfs and FUSE, a directory beside the mount point has the content.
pub struct Mounted {
    tmp: TempDir,
    pub root: PathBuf,
}

impl Mounted {
    /// Runs `commands` in a shell, with `@` replaced by the temporary directory. `fill` first creates the
    /// content of the directories.
    pub fn new(kind: &str, fill: impl FnOnce(&Path), commands: &[&str]) -> Option<Mounted> {
        if !is_root() {
            left_out(&format!("backups and restores on {kind}: no permission to mount"));
            return None;
        }
        let tmp = tempfile::tempdir().expect("a temporary directory");
        let root = tmp.path().join("mounted");
        fs::create_dir(&root).expect("created");
        fill(tmp.path());
        for command in commands {
            let command = command.replace('@', tmp.path().to_str().expect("text"));
            let done =
                Command::new("sh").arg("-ec").arg(&command).output().expect("the program starts");
            if !done.status.success() {
                left_out(&format!("backups and restores on {kind}: it cannot be mounted"));
                return None;
            }
        }
        Some(Mounted { tmp, root })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = wingback();
        command.env("WINGBACK_STATE_DIR", self.tmp.path().join("state"));
        command.args(args).arg("-q");
        command
    }

    #[track_caller]
    fn assert_nothing_left(&self, target: &Path) {
        let target = names(target);
        let is_ours = target.iter().any(|name| name.to_string_lossy().starts_with(".wingback-"));
        assert!(!is_ours, "{target:?}");
        assert_eq!(names(&self.tmp.path().join("state/restores")), [""; 0]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.root).status();
    }
}

const WAYS: [(&str, &[&str]); 3] =
    [("delete", &["--delete"]), ("add", &[]), ("in-place", &["--delete", "--in-place"])];

/// Fills a server directory, and the directories that are replaced by a restore of it.
pub fn fill(root: &Path) {
    let server = root.join("server");
    for (path, content) in [
        ("plugins/a.jar", &b"new"[..]),
        ("server.properties", b"motd=new"),
        ("world/region/r.0.0.mca", &noise(1, 300_000)),
    ] {
        let path = server.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, content).expect("written");
    }
    symlink("server.properties", server.join("link")).expect("created");
    fs::hard_link(server.join("server.properties"), server.join("world/hard")).expect("created");
    for (way, _) in WAYS {
        fill_target(&root.join(way));
    }
}

fn fill_target(target: &Path) {
    for path in ["gone/deep/er/x", "plugins/a.jar", "plugins/old.jar", "server.properties"] {
        let path = target.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, "old").expect("written");
    }
}

/// Mounts an overlay with all files in the lower layer.
fn overlay(more: impl FnOnce(&Path)) -> Option<Mounted> {
    let layers = |tmp: &Path| {
        for layer in ["lower", "upper", "work"] {
            fs::create_dir(tmp.join(layer)).expect("created");
        }
        fill(&tmp.join("lower"));
        more(&tmp.join("lower"));
    };
    let options = "lowerdir=@/lower,upperdir=@/upper,workdir=@/work,redirect_dir=off";
    let mount = format!("mount -t overlay overlay -o {options} @/mounted");
    Mounted::new("overlayfs", layers, &[&mount])
}

/// Backs up, extracts and restores, with everything on the file system.
pub fn everything_works(on: &Mounted) {
    let (server, to) = (on.path("server"), on.path("backups"));
    let new = tree(&server);
    ok(create(&server, &to).arg("-q"));
    let archive = to.join(&names(&to)[0]);
    let archive = archive.to_str().expect("text");
    ok(&mut on.command(&["verify", archive]));
    ok(&mut on.command(&["extract", archive, on.path("extracted").to_str().expect("text")]));
    assert_eq!(tree(&on.path("extracted")), new);
    for (way, options) in WAYS {
        let target = on.path(way);
        let mut want = new.clone();
        if way == "add" {
            for (path, old) in tree(&target) {
                want.entry(path).or_insert(old);
            }
        }
        let target_text = target.to_str().expect("text");
        ok(on.command(&["restore", archive, target_text]).args(options));
        assert_eq!(tree(&target), want, "{way}");
        on.assert_nothing_left(&target);
    }
    fs::write(server.join("plugins/a.jar"), "newer").expect("written");
    ok(create(&server, &to).args(["-q", "--previous", "latest"]));
    let mut newer = names(&to).into_iter().map(|name| to.join(name));
    let newer = newer.find(|path| path.to_str() != Some(archive)).expect("another");
    let target = on.path("delete");
    ok(&mut on.command(&[
        "restore",
        newer.to_str().expect("text"),
        target.to_str().expect("text"),
        "--delete",
    ]));
    assert_eq!(tree(&target), tree(&server));
    on.assert_nothing_left(&target);
}

/// Directories of the lower layer cannot be renamed unless `redirect_dir` is on.
#[test]
fn everything_works_on_overlayfs_with_all_files_in_the_lower_layer() {
    let Some(on) = overlay(|_| ()) else { return };
    let error =
        fs::rename(on.path("delete/plugins"), on.path("delete/other")).expect_err("rejected");
    assert_eq!(error.kind(), std::io::ErrorKind::CrossesDevices, "the case under test");
    everything_works(&on);
}

/// Kept directories of the lower layer are moved into the new tree.
#[test]
fn a_restore_keeps_directories_of_the_lower_layer() {
    let cache = |lower: &Path| {
        fs::create_dir_all(lower.join("delete/world/cache/a")).expect("created");
        fs::write(lower.join("delete/world/cache/a/b"), "kept").expect("written");
    };
    let Some(on) = overlay(cache) else { return };
    ok(create(&on.path("server"), &on.path("backups")).arg("-q"));
    let archive = on.path("backups").join(&names(&on.path("backups"))[0]);
    let target = on.path("delete");
    let mut want = tree(&on.path("server"));
    let kept = tree(&target);
    want.extend(kept.into_iter().filter(|(path, _)| path.starts_with("world/cache")));
    let args = ["restore", archive.to_str().expect("text"), target.to_str().expect("text")];
    ok(on.command(&args).args(["--delete", "--keep", "world/cache"]));
    assert_eq!(tree(&target), want);
    on.assert_nothing_left(&target);
}

#[test]
fn everything_works_on_ext4() {
    let image = |_: &Path| {};
    let make = "truncate -s 32M @/image; mkfs.ext4 -q @/image; mount -o loop @/image @/mounted";
    let Some(on) = Mounted::new("ext4", image, &[make]) else { return };
    fill(&on.root);
    everything_works(&on);
}

#[test]
fn everything_works_on_a_fuse_file_system() {
    let lower = |tmp: &Path| {
        fs::create_dir(tmp.join("lower")).expect("created");
        fill(&tmp.join("lower"));
    };
    let Some(on) = Mounted::new("FUSE", lower, &["bindfs @/lower @/mounted"]) else { return };
    everything_works(&on);
}

/// FAT has no links, owners or modes.
#[test]
fn fat_takes_backups_and_regular_files_and_the_rest_fails_cleanly() {
    let make = "truncate -s 32M @/image
        { mkfs.vfat @/image && mount -o loop @/image @/mounted; } >&2 || {
            mkfs.exfat @/image; loop=$(losetup --find --show @/image)
            mount.exfat-fuse $loop @/mounted; losetup --detach $loop; }";
    let Some(on) = Mounted::new("FAT", |_| {}, &[make]) else { return };
    let fixture = Fixture::with(&[("server.properties", b"motd=new"), ("world/a", b"a")]);
    let to = on.path("backups");
    ok(create(&fixture.source, &to).arg("-q"));
    let archive = to.join(&names(&to)[0]);
    let archive = archive.to_str().expect("text");
    ok(&mut on.command(&["verify", archive]));
    let extracted = on.path("extracted");
    ok(&mut on.command(&["extract", archive, extracted.to_str().expect("text")]));
    let without_modes = |tree: Tree| -> Vec<_> {
        tree.into_iter().map(|(path, (_, _, content))| (path, content)).collect()
    };
    assert_eq!(without_modes(tree(&extracted)), without_modes(tree(&fixture.source)));

    symlink("server.properties", fixture.source.join("link")).expect("created");
    ok(create(&fixture.source, &to).args(["-q", "--previous", "latest"]));
    let mut linked = names(&to).into_iter().map(|name| to.join(name));
    let linked = linked.find(|path| path.to_str() != Some(archive)).expect("another");
    let linked = linked.to_str().expect("text");
    let other = on.path("other");
    let ran = run(&mut on.command(&["extract", linked, other.to_str().expect("text")]));
    fails_with("make the link link: ", &ran);

    let target = on.path("target");
    fill_target(&target);
    let old = without_modes(tree(&target));
    for (way, options) in WAYS {
        let args = ["restore", archive, target.to_str().expect("text")];
        let ran = run(on.command(&args).args(options));
        fails_with("make the staging directory ", &ran);
        assert!(ran.err.contains("`extract`"), "the error names the alternative: {ran:?}");
        assert_eq!(without_modes(tree(&target)), old, "{way}");
        on.assert_nothing_left(&target);
    }
}

#[track_caller]
fn fails_with(start: &str, ran: &Ran) {
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.one_line_error().starts_with(start), "{ran:?}");
}
