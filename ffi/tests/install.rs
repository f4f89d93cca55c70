//! A program can be built with the installed library alone, by `pkg-config` or CMake.

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Fixture, built, cargo, left_out::in_test_all, ok, root};

/// An installation.
struct Prefix(PathBuf);

impl Prefix {
    fn pkg_config(&self, what: &[&str]) -> Vec<String> {
        let printed = ok(Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", self.0.join("lib/pkgconfig"))
            .args(what)
            .arg("wingback"));
        printed.split_whitespace().map(str::to_owned).collect()
    }

    /// Builds the examples with the compiler and pkg-config, and runs them.
    fn works(&self, how: &str, flags: &[&str], of_pkg_config: &[&str]) {
        examples_work(|example| {
            let binary = self.0.join(format!("{example}-{how}"));
            ok(Command::new("cc")
                .args(["-Wall", "-Wextra", "-Werror"])
                .args(flags)
                .arg(root().join("examples/c").join(example).with_extension("c"))
                .args(self.pkg_config(of_pkg_config))
                .arg("-o")
                .arg(&binary));
            let mut command = Command::new(binary);
            command.env("LD_LIBRARY_PATH", self.0.join("lib"));
            command
        });
    }

    /// Builds the examples with CMake, and runs them.
    fn works_with_cmake(&self, static_libs: &str) {
        let build = self.0.join(format!("cmake-{static_libs}"));
        ok(Command::new("cmake")
            .arg("-S")
            .arg(root().join("examples/c"))
            .arg("-B")
            .arg(&build)
            .arg(format!("-DCMAKE_PREFIX_PATH={}", self.0.display()))
            .arg(format!("-Dwingback_USE_STATIC_LIBS={static_libs}")));
        ok(Command::new("cmake").arg("--build").arg(&build));
        let dynamic = ok(Command::new("readelf").arg("-d").arg(build.join("backup")));
        assert_eq!(dynamic.contains("[libwingback.so.1]"), static_libs == "OFF", "{dynamic}");
        examples_work(|example| Command::new(build.join(example)));
    }

    fn soname(&self) -> String {
        let dynamic = ok(Command::new("readelf").arg("-d").arg(self.0.join("lib/libwingback.so")));
        let line = dynamic.lines().find(|line| line.contains("SONAME")).unwrap();
        line.split_once('[').unwrap().1.trim_end_matches(']').to_owned()
    }

    /// Checks the installed files.
    fn is_complete(&self) {
        let header = fs::read(self.0.join("include/wingback.h")).unwrap();
        assert!(header == fs::read(root().join("include/wingback.h")).unwrap());
        assert_eq!(self.pkg_config(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
        assert_eq!(self.soname(), "libwingback.so.1");
        assert!(self.0.join("lib/libwingback.so.1").is_file());
        assert!(self.0.join("lib/libwingback.a").is_file());
    }
}

/// Makes a backup with the first example and reads it with the second. `command` returns a command that
/// runs the example of a name.
fn examples_work(command: impl Fn(&str) -> Command) {
    let fixture = Fixture::new();
    let said = ok(command("backup").arg(fixture.source()).arg(fixture.work()));
    assert!(said.contains("skipped fifo: is a named pipe"), "{said}");
    let (archive, _) = said.split_once(": ").unwrap();
    let listed = ok(command("look").arg(archive));
    assert!(listed.contains("  world/region.mca\n"), "{listed}");
    assert_eq!(ok(command("look").arg(archive).arg("server.properties")), "motd=hi\n");
    let refused = command("look").arg(archive).arg("none").output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.starts_with("not-found: "), "{why}");
}

#[test]
fn make_install_installs_all_that_a_program_needs() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = Prefix(dir.path().join("usr"));
    ok(Command::new(root().join("ffi/install.sh")).arg(built()).arg(&prefix.0));
    prefix.is_complete();
    prefix.works("dynamic", &[], &["--cflags", "--libs"]);
    prefix.works("static", &["-static"], &["--static", "--cflags", "--libs"]);
    // Packagers set DESTDIR.
    let staged = dir.path().join("staged");
    ok(Command::new(root().join("ffi/install.sh"))
        .env("DESTDIR", &staged)
        .arg(built())
        .arg("/usr"));
    let written = fs::read_to_string(staged.join("usr/lib/pkgconfig/wingback.pc")).unwrap();
    assert!(written.starts_with("prefix=/usr\n"), "{written}");
}

#[test]
fn cmake_finds_the_library_wherever_it_is() {
    if !in_test_all("C programs built by CMake") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (installed, moved) = (dir.path().join("usr"), dir.path().join("moved"));
    ok(Command::new(root().join("ffi/install.sh")).arg(built()).arg(&installed));
    fs::rename(installed, &moved).unwrap();
    let prefix = Prefix(moved);
    prefix.works_with_cmake("OFF");
    prefix.works_with_cmake("ON");
}

/// This build has no network features, so that one test covers them.
#[test]
fn cargo_cinstall_installs_the_same_files() {
    if !in_test_all("cargo cinstall") {
        return;
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache"));
    let cargo_capi = cache.join("wingback/bin/cargo-capi");
    let dir = tempfile::tempdir().unwrap();
    let prefix = Prefix(dir.path().join("usr"));
    ok(cargo(cargo_capi)
        .args(["capi", "install", "--package", "wingback-ffi", "--no-default-features"])
        .args(["--profile", "dev", "--libdir", "lib", "--prefix"])
        .arg(&prefix.0)
        // cargo-c contains another version of cargo. In one folder, each would rebuild the other's artifacts.
        .arg("--target-dir")
        .arg(built().with_file_name("capi")));
    prefix.is_complete();
    prefix.works("dynamic", &[], &["--cflags", "--libs"]);
}
