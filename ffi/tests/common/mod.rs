//! Shared by the tests of the library: the built libraries, and compiling C.

#![allow(dead_code, reason = "each test uses some of it")]

#[path = "../../../tests/support/cargo.rs"]
mod cargo;
#[path = "../../../tests/support/left_out.rs"]
pub mod left_out;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

pub const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/wingback.h");

pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns a command for cargo in the root.
pub fn cargo(program: impl AsRef<OsStr>) -> Command {
    let mut cargo = cargo::cargo(program);
    cargo.current_dir(root());
    cargo
}

/// Returns the directory with `libwingback.so` and `libwingback.a` of these sources. Cargo does not build
/// them for tests, but it does with `--all-targets`, with the same settings as the tests.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = cargo(env!("CARGO"));
        cargo.args(["build", "--quiet", "--all-targets"]).args(cargo::SELECTION);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        ok(&mut cargo);
        let exe = std::env::current_exe().unwrap();
        exe.parent().and_then(Path::parent).unwrap().to_owned()
    })
}

/// Returns a directory with the shared library, under its soname and under the name for the linker.
pub fn shared() -> &'static Path {
    static SHARED: OnceLock<TempDir> = OnceLock::new();
    let dir = SHARED.get_or_init(|| {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["libwingback.so", "libwingback.so.1"] {
            symlink(built().join("libwingback.so"), dir.path().join(name)).unwrap();
        }
        dir
    });
    dir.path()
}

/// Runs a command that must succeed. Returns its standard output.
#[track_caller]
pub fn ok(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out.into_owned()
}

/// Compiles a program: a name in `tests/c`, or a path.
pub fn compile(program: impl AsRef<Path>, to: &Path, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(program);
    let binary = to.join(source.file_stem().unwrap());
    let mut cc = Command::new("gcc");
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    cc.args(flags)
        .arg("-I")
        .arg(root().join("include"))
        .args(files(&source))
        .arg("-o")
        .arg(&binary);
    cc.arg("-L").arg(shared()).args(["-lwingback", "-lpthread"]);
    let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
    rpath.push(shared());
    ok(cc.arg(rpath));
    binary
}

/// Returns the files of the program NAME.c: itself and NAME_*.c in its folder.
fn files(source: &Path) -> Vec<PathBuf> {
    let prefix = format!("{}_", source.file_stem().unwrap().display());
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        path == source || (name.starts_with(&prefix) && name.ends_with(".c"))
    };
    let all = fs::read_dir(source.parent().unwrap()).unwrap();
    all.map(|file| file.unwrap().path()).filter(is_part).collect()
}

/// A directory with a source to back up, as the programs expect it, and one to work in.
pub struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let fixture = Fixture { dir: TempDir::new().unwrap() };
        let source = fixture.source();
        for dir in ["logs", "world"] {
            fs::create_dir_all(source.join(dir)).unwrap();
        }
        fs::create_dir(fixture.work()).unwrap();
        fs::write(source.join("server.properties"), "motd=hi\n").unwrap();
        fs::write(source.join("logs/latest.log"), "a line\n").unwrap();
        fs::write(source.join(OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
        let region: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(3_000_000).collect();
        fs::write(source.join("world/region.mca"), region).unwrap();
        ok(Command::new("mkfifo").arg(source.join("fifo")));
        fixture
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }
}
