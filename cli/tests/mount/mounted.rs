//! A mount by the command.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::{self, Ran, left_out, wingback};

/// A mount. It is unmounted when it is dropped.
pub struct Mounted {
    tmp: TempDir,
    pub dir: PathBuf,
    /// `None` after the end of the command.
    child: Option<Child>,
    /// What the command printed first.
    pub line: String,
}

impl Mounted {
    /// Mounts a place or an archive. `None` if this machine cannot mount.
    pub fn new(place: &Path) -> Option<Mounted> {
        Mounted::by(wingback(), place)
    }

    /// Mounts by this command without arguments.
    pub fn by(mut command: Command, place: &Path) -> Option<Mounted> {
        if fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_err() {
            left_out("mounts: /dev/fuse cannot be opened");
            return None;
        }
        let tmp = tempfile::tempdir().expect("a temporary directory");
        let dir = tmp.path().join("mnt");
        fs::create_dir(&dir).expect("created");
        let errors = fs::File::create(tmp.path().join("errors")).expect("created");
        command.arg("mount").arg(place).arg(&dir).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        let mounted = Mounted { tmp, dir, child: Some(child), line };
        if mounted.line.is_empty() {
            let why = mounted.errors();
            assert!(why.contains("mount") && why.contains("not permitted"), "{why}");
            left_out("mounts: no permission to mount");
            return None;
        }
        Some(mounted)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// Returns what the command printed on standard error so far.
    pub fn errors(&self) -> String {
        let mut text = String::new();
        let file = fs::File::open(self.tmp.path().join("errors"));
        file.and_then(|mut file| file.read_to_string(&mut text)).expect("readable");
        text
    }

    /// Returns the peak of the resident memory in MiB.
    pub fn peak_mb(&self) -> u64 {
        let id = self.child.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
    }

    pub fn send(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// Waits for the end of the command. Returns its status and errors.
    pub fn wait(&mut self) -> (i32, String) {
        let ran: Ran = common::wait(self.child.take().expect("it runs"));
        (ran.status, self.errors())
    }

    pub fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("readable");
        mounts.lines().any(|line| line.split(' ').nth(1) == self.dir.to_str())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let ended = child.wait_with_output().map(|output| output.status.code());
            if !std::thread::panicking() {
                assert_eq!(ended.ok(), Some(Some(143)), "{}", self.errors());
                assert!(!self.is_mounted());
            }
        }
        if self.is_mounted() {
            let _ = Command::new("umount").arg("--lazy").arg(&self.dir).status();
        }
    }
}
