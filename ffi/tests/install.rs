//! A program can be built with `pkg-config` and the installed library alone.

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Place, built, cargo, left_out::in_test_all, ok, root};

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

    /// Builds both examples, makes a backup with the first and reads it with the second.
    fn works(&self, how: &str, flags: &[&str], of_pkg_config: &[&str]) {
        let build = |example: &str| {
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
        };
        let place = Place::new();
        let printed = ok(build("backup").arg(place.source()).arg(place.work()));
        assert!(printed.contains("skipped fifo: is a named pipe"), "{printed}");
        let archive = printed.lines().last().unwrap();
        let listed = ok(build("look").arg(archive));
        assert!(listed.contains("  world/region.mca\n"), "{listed}");
        assert_eq!(ok(build("look").arg(archive).arg("server.properties")), "motd=hi\n");
        let refused = build("look").arg(archive).arg("none").output().unwrap();
        let why = String::from_utf8(refused.stderr).unwrap();
        assert!(why.starts_with("not-found: "), "{why}");
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
