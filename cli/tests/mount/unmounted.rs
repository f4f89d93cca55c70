//! The end of a mount, and mounts that fail.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::Command,
};

use rustix::process::Signal;

use crate::{
    Mounted,
    common::{Fixture, is_there, noise, ok, run, wingback},
};

fn fixture() -> Fixture {
    let fixture = Fixture::with(&[("a", &noise(1, 1 << 20))]);
    ok(&mut fixture.create());
    fixture
}

#[test]
fn a_signal_unmounts_also_while_a_file_is_open() {
    let fixture = fixture();
    for (signal, status, is_open) in
        [(Signal::INT, 130, false), (Signal::TERM, 143, true), (Signal::HUP, 129, true)]
    {
        let Some(mut mounted) = Mounted::new(&fixture.archive()) else { return };
        let file = is_open.then(|| File::open(mounted.path("a")).unwrap());
        mounted.send(signal);
        assert_eq!(mounted.wait(), (status, "wingback: cancelled\n".into()));
        assert!(!mounted.is_mounted());
        assert_eq!(fs::read_dir(&mounted.dir).unwrap().count(), 0);
        if let Some(mut file) = file {
            file.read_to_end(&mut Vec::new()).expect_err("the command has ended");
        }
    }
}

#[test]
fn fusermount_ends_the_command_with_status_0() {
    let fixture = fixture();
    for program in ["fusermount3", "umount"] {
        if !is_there(program, "the end of a mount") {
            continue;
        }
        let Some(mut mounted) = Mounted::new(&fixture.archive()) else { return };
        let mut command = Command::new(program);
        command.args((program == "fusermount3").then_some("-u")).arg(&mounted.dir);
        ok(&mut command);
        assert_eq!(mounted.wait(), (0, String::new()), "{program}");
    }
}

#[test]
fn an_impossible_mount_is_one_line() {
    let fixture = fixture();
    let tmp = fixture.tmp.path();
    let (dir, file) = (tmp.join("mnt"), tmp.join("file"));
    fs::create_dir(&dir).unwrap();
    fs::write(&file, "x").unwrap();
    let missing = tmp.join("missing");
    let archive = fixture.archive();
    let mount = |place: &Path, dir: &Path| {
        let ran = run(wingback().arg("mount").args([place, dir]));
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
        ran.one_line_error().to_owned()
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let found = mount(&archive, &missing);
    assert_eq!(
        found,
        format!("open the mount point {}: No such file or directory", text(&missing))
    );
    let found = mount(&archive, &file);
    assert_eq!(found, format!("open the mount point {}: Not a directory", text(&file)));
    if !Path::new("/dev/fuse").exists() {
        let found = mount(&archive, &dir);
        assert_eq!(found, "open the device /dev/fuse: No such file or directory");
        return;
    }
    let found = mount(&missing, &dir);
    assert_eq!(found, format!("open the archive {}: No such file or directory", text(&missing)));
    let found = mount(&file, &dir);
    assert_eq!(found, format!("open the archive {}: it has no index to use", text(&file)));
    let found = mount(Path::new("-"), &dir);
    assert_eq!(found, "open the archive: it has no index to use");
}
