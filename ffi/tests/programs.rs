//! C programs that use the library, under AddressSanitizer with LeakSanitizer, and under valgrind.

#[allow(dead_code, reason = "the engine's tests use the rest")]
#[path = "../../tests/s3/client.rs"]
mod client;
mod common;
#[allow(dead_code, reason = "the engine's tests use the rest")]
#[path = "../../tests/s3/http.rs"]
mod http;
#[allow(dead_code, reason = "the engine's tests use the rest")]
#[path = "../../tests/s3/server.rs"]
mod server;

use std::{collections::BTreeSet, ffi::OsString, fs, path::Path, process::Command};

use common::{
    Fixture, HEADER, built, compile,
    left_out::{cases, in_test_all},
    ok, root,
};
use server::Server;

/// Runs a program under both, each time with new directories.
fn run_checked(program: &str, arguments: impl Fn(&Fixture) -> Vec<OsString>) {
    let dir = tempfile::tempdir().unwrap();
    let sanitized = compile(program, dir.path(), &["-fsanitize=address"]);
    let fixture = Fixture::new();
    ok(Command::new(sanitized).args(arguments(&fixture)));
    if !in_test_all(&format!("{program} under valgrind")) {
        return;
    }
    let plain = compile(program, dir.path(), &[]);
    let fixture = Fixture::new();
    ok(valgrind().arg(plain).args(arguments(&fixture)));
}

fn valgrind() -> Command {
    const KINDS: &str = "definite,indirect,possible";
    let mut valgrind = Command::new("valgrind");
    // Suppressions name functions that are far up in the stack of a build without inlining.
    valgrind.args(["-q", "--error-exitcode=1", "--leak-check=full", "--num-callers=60"]);
    valgrind.arg(format!("--show-leak-kinds={KINDS}"));
    valgrind.arg(format!("--errors-for-leak-kinds={KINDS}"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/valgrind.supp");
    let mut suppressions = OsString::from("--suppressions=");
    suppressions.push(here);
    valgrind.arg(suppressions);
    valgrind
}

fn directories(fixture: &Fixture) -> Vec<OsString> {
    vec![fixture.source().into(), fixture.work().into()]
}

/// The arguments with which a program uses a server.
fn access(server: &Server, bucket: &str) -> Vec<OsString> {
    [&*server.endpoint(), bucket, server.access_key(), server.secret_key()].map(Into::into).into()
}

#[test]
fn a_complete_client_works() {
    let server = Server::new();
    run_checked("client.c", |fixture| {
        let bucket = server.bucket();
        let mut arguments = directories(fixture);
        arguments.extend(access(&server, &bucket));
        for key in ["streamed", "file"] {
            let upload = server.create_upload(&bucket, key);
            let url = |number| server.presign_part(&bucket, key, &upload, number, 600);
            arguments.extend((1..=2).map(|number| url(number).into()));
        }
        arguments
    });
    // Each run leaves two uploads that are not completed, and nothing else.
    for bucket in server.buckets() {
        assert_eq!(server.objects(&bucket), [], "{bucket}");
        assert_eq!(server.unfinished(&bucket).len(), 2);
    }
}

#[test]
fn the_program_of_the_documentation_makes_a_backup_and_explains_a_failure() {
    let page = fs::read_to_string(root().join("docs/c-api.md")).unwrap();
    let program = page.split("```c\n").find(|block| block.contains("int main(")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("documented.c");
    fs::write(&source, program.split_once("```").unwrap().0).unwrap();
    let program = compile(&source, dir.path(), &["-fsanitize=address"]);
    let fixture = Fixture::new();
    let said = ok(Command::new(&program).args(directories(&fixture)));
    assert!(said.contains(" bytes, SHA-1 "), "{said}");
    assert!(fixture.work().join("monday.tar.gz").is_file());

    let source = fixture.source().join("missing");
    let failed = Command::new(&program).arg(&source).arg(fixture.work()).output().unwrap();
    let why = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{why}");
    assert!(why.starts_with("not-found: ") && why.contains(source.to_str().unwrap()), "{why}");
    assert_eq!(why.lines().count(), 1, "{why}");
}

#[test]
fn misuse_is_an_error() {
    run_checked("misuse.c", directories);
}

#[test]
fn eight_threads_share_stores() {
    let server = Server::new();
    run_checked("threads.c", |fixture| {
        let mut arguments = directories(fixture);
        arguments.extend(access(&server, &server.bucket()));
        arguments
    });
    for bucket in server.buckets() {
        assert_eq!((server.objects(&bucket), server.unfinished(&bucket)), (vec![], vec![]));
    }
}

/// `WINGBACK_CYCLES` sets the number of cycles with tasks; `make cycles-campaign` runs 100,000.
#[test]
fn memory_does_not_grow_with_use() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = std::env::var("WINGBACK_CYCLES").unwrap_or(cases("400", "2000").into());
    let program = compile("cycles.c", dir.path(), &[]);
    let fixture = Fixture::new();
    // Without these settings, memory that the allocator keeps for ended threads would count as well.
    let printed = ok(Command::new(program)
        .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1")
        .args(directories(&fixture))
        .args([cases("20000", "100000"), &tasks]));
    print!("{printed}");
}

#[test]
fn only_the_functions_of_the_header_are_exported() {
    let symbols = ok(Command::new("nm")
        .args(["-D", "--defined-only", "--format=posix"])
        .arg(built().join("libwingback.so")));
    let exported: BTreeSet<_> = symbols.lines().filter_map(|l| l.split(' ').next()).collect();
    let header = fs::read_to_string(HEADER).unwrap();
    let declared: BTreeSet<_> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect();
    assert_eq!(exported, declared);
    assert!(exported.len() > 100 && exported.iter().all(|name| name.starts_with("wingback_")));
}
