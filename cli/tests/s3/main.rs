//! The command with archives in S3 and behind links, on a real S3 server.

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/http.rs"]
mod http;
#[cfg(feature = "mount")]
#[path = "../mount/mounted.rs"]
mod mounted;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/server.rs"]
mod server;

use std::{fs, process::Command};

use common::{Fixture, noise, ok, run, wingback};
use server::Server;

const UUID: &str = "00000000-0000-0000-0000-000000000001";

fn fixture() -> Fixture {
    Fixture::with(&[("server.properties", b"motd=x\n"), ("world/r.mca", &noise(1, 12 << 20))])
}

/// Returns the command with keys and endpoint in the environment.
fn with_keys(server: &Server) -> Command {
    let mut command = wingback();
    command
        .env("AWS_ACCESS_KEY_ID", server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", server.secret_key())
        .env("AWS_ENDPOINT_URL_S3", server.endpoint());
    command
}

#[test]
fn a_backup_in_s3_is_made_listed_and_restored() {
    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    let to = format!("s3://{bucket}/servers/one");
    let ran = ok(with_keys(&server).arg("create").arg(&fixture.source).args(["--to", &to]).args([
        "--uuid",
        UUID,
        "--json",
        "--part-size",
        "6MiB",
        "--parallel",
        "2",
    ]));
    let archive = format!("{to}/backup-{UUID}.tar.gz");
    let report = ran.json();
    assert_eq!(report["location"], archive);
    let objects = server.objects(&bucket);
    let size = report["size"].as_u64().unwrap();
    assert_eq!(objects, [(format!("servers/one/backup-{UUID}.tar.gz"), size)]);

    let on = |command: &str| {
        let mut on = with_keys(&server);
        on.args([command, &archive]);
        on
    };
    let listed = ok(&mut on("list"));
    assert!(
        listed.out.contains("world/r.mca") && listed.err.contains("by its index"),
        "{listed:?}"
    );
    let info = ok(on("info").arg("--json")).json();
    assert_eq!((&info["label"], &info["files"]), (&"server".into(), &2.into()));
    assert_eq!(ok(on("cat").arg("server.properties")).out, "motd=x\n");
    let verified = ok(on("verify").args(["--json", "--sha1", report["sha1"].as_str().unwrap()]));
    assert_eq!(verified.json()["whole"], true);
    let target = fixture.tmp.path().join("target");
    ok(on("restore").arg(&target).arg("--quiet"));
    assert_eq!(fs::read(target.join("world/r.mca")).unwrap(), noise(1, 12 << 20));
    let extracted = fixture.tmp.path().join("extracted");
    ok(on("extract").arg(&extracted).args(["server.properties", "--quiet"]));
    assert_eq!(common::names(&extracted), ["server.properties"]);

    let again = run(with_keys(&server)
        .arg("create")
        .arg(&fixture.source)
        .args(["--to", &to])
        .args(["--uuid", UUID, "--quiet"]));
    assert_eq!(again.status, 1);
    assert!(again.one_line_error().contains("exists already"), "{again:?}");
    assert_eq!(server.unfinished(&bucket), []);
}

#[test]
fn unchanged_parts_are_copied_within_the_bucket() {
    let (server, fixture) = (Server::shared(), fixture());
    let (to, cache) = (format!("s3://{}", server.bucket()), fixture.tmp.path().join("cache"));
    let create = |more: &[&str]| {
        let mut create = with_keys(server);
        create.arg("create").arg(&fixture.source).args(["--to", &to, "--cache"]).arg(&cache);
        ok(create.args(more))
    };
    let first = create(&["--json"]).json();
    assert_eq!((&first["uploaded"], &first["copied_in_store"]), (&first["size"], &0.into()));
    let second = create(&["--json"]).json();
    assert_eq!(second["copied_in_store"], 10 << 20);
    assert_eq!(second["uploaded"].as_u64(), second["size"].as_u64().map(|size| size - (10 << 20)));
    let text = create(&[]).out;
    assert!(text.contains("\nupload    2.0 MiB sent, 10.0 MiB copied by the service\n"), "{text}");
    // The same with parts in files.
    fs::write(fixture.source.join("server.properties"), "motd=y").unwrap();
    let staged = create(&["--memory-limit", "0", "--json"]).json();
    assert!(staged["copied_in_store"].as_u64().unwrap() >= 5 << 20, "{staged}");
    assert!(staged["uploaded"].as_u64().unwrap() < 8 << 20, "{staged}");
    let archive = staged["location"].as_str().unwrap();
    ok(with_keys(server).args(["verify", archive, "--sha1", staged["sha1"].as_str().unwrap()]));
}

#[test]
fn archives_in_s3_are_listed_locked_and_pruned() {
    let (server, fixture) = (Server::new(), Fixture::with(&[("a", b"four")]));
    let bucket = server.bucket();
    let to = format!("s3://{bucket}/servers");
    let other = fixture.tmp.path().join("arena");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a"), "a").unwrap();
    let create = |source: &std::path::Path, name: &str| {
        let mut create = with_keys(&server);
        create.arg("create").arg(source).args(["--to", &to, "--name", name, "--quiet"]);
        ok(&mut create);
    };
    create(&other, "{label}/{date}");
    for name in ["1-{uuid}", "2-{date}-{time}", "3-{uuid}.tar.gz"] {
        create(&fixture.source, name);
    }
    server.put(&bucket, "servers/notes.tar.gz", b"mine");
    let archives = || ok(with_keys(&server).args(["archives", &to, "--json"])).results();
    let listed = archives();
    let keys: Vec<_> = listed.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert!(
        keys.iter().zip(["3-", "2-", "1-", "arena/"]).all(|(key, start)| key.starts_with(start))
    );
    assert_eq!(listed[1]["location"], format!("{to}/{}", keys[1]));
    let table = ok(with_keys(&server).args(["archives", &to, "--label", "arena"]));
    assert!(table.out.contains("arena/20") && table.err.contains("1 archive, "), "{table:?}");

    let on = |command: &str| ok(with_keys(&server).args([command, &format!("{to}/{}", keys[2])]));
    assert!(on("lock").out.starts_with("locked  s3://"));
    assert!(on("lock").out.starts_with("locked already  s3://"));
    let prune = |args: &[&str]| ok(with_keys(&server).args(["prune", &to]).args(args));
    let planned = prune(&["--keep-last", "1"]);
    assert!(planned.out.contains("to remove: 1 archive, "), "{planned:?}");
    assert_eq!(archives().len(), 4);
    let removed = prune(&["--keep-last", "1", "--verify", "--apply"]);
    assert!(removed.out.contains(&format!("{to}/{}", keys[1])), "{removed:?}");
    let left = archives();
    assert!(left.iter().map(|line| &line["key"]).eq([keys[0], keys[2], keys[3]]));
    assert!(left.iter().map(|line| &line["locked"]).eq([false, true, false]));
    on("unlock");
    prune(&["--keep-last", "1", "--apply"]);
    let objects: Vec<_> = server.objects(&bucket).into_iter().map(|(name, _)| name).collect();
    let expected = [keys[0], keys[3], "notes.tar.gz"].map(|key| format!("servers/{key}"));
    assert_eq!(objects, expected);
}

#[test]
fn a_link_is_read_like_a_file() {
    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    ok(fixture.create().arg("--quiet"));
    server.put(&bucket, "a", &fs::read(fixture.archive()).unwrap());
    let link = server.presign_get(&bucket, "a", 60);
    assert_eq!(ok(wingback().args(["cat", &link, "server.properties"])).out, "motd=x\n");
    let info = ok(wingback().args(["info", &link]));
    assert!(info.out.starts_with("label     server\n"), "{info:?}");
    let verified = ok(wingback().args(["verify", &link, "--quiet"]));
    assert!(verified.out.contains("whole"), "{verified:?}");
    let gone = run(wingback().args(["list", &server.presign_get(&bucket, "b", 60)]));
    assert_eq!(gone.status, 1);
    let error = gone.one_line_error();
    assert!(error.contains("NoSuchKey") && !error.contains("X-Amz"), "{error}");
}

#[test]
fn keys_may_come_from_a_profile_and_missing_keys_are_a_one_line_error() {
    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    let file = fixture.tmp.path().join("credentials");
    let keys = |secret: &str| {
        let access = server.access_key();
        let text =
            format!("[ops]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
        fs::write(&file, text).unwrap();
    };
    let list = |profile: &str| {
        let mut list = wingback();
        list.args(["sweep", &format!("s3://{bucket}"), "--endpoint", &server.endpoint()])
            .args(["--aws-profile", profile, "--json"])
            .env("AWS_SHARED_CREDENTIALS_FILE", &file)
            .env_remove("AWS_ACCESS_KEY_ID");
        run(&mut list)
    };
    keys(server.secret_key());
    assert_eq!(list("ops").json()["removed"], serde_json::json!([]));
    assert_eq!(list("other").json()["kind"], "not-found");
    let mut without = wingback();
    without.args(["list", "s3://bucket/a"]).env("HOME", fixture.tmp.path());
    let without = run(without.env_remove("AWS_ACCESS_KEY_ID"));
    assert!(without.one_line_error().contains("AWS_ACCESS_KEY_ID"), "{without:?}");
    keys("wrong");
    let refused = list("ops");
    assert_eq!((refused.status, &refused.json()["kind"]), (1, &"permission-denied".into()));
    assert!(refused.out.contains("SignatureDoesNotMatch"), "{refused:?}");
    assert!(!refused.out.contains("wrong"), "{refused:?}");
}

#[test]
fn sweep_aborts_the_upload_of_a_killed_backup() {
    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    let to = format!("s3://{bucket}");
    let mut create = with_keys(&server);
    create.arg("create").arg(&fixture.source).args(["--to", &to, "--read-limit", "1M"]);
    let mut child = common::spawn(&mut create);
    while server.unfinished(&bucket).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the process exited too early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let sweep =
        |hours| ok(with_keys(&server).args(["sweep", &to, "--json", "--older-than", hours]));
    assert_eq!(sweep("24").json()["removed"], serde_json::json!([]));
    assert_eq!(sweep("0").json()["removed"].as_array().unwrap().len(), 1);
    assert_eq!(server.unfinished(&bucket), []);
}

#[test]
fn an_interrupt_leaves_nothing_in_s3() {
    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    for pause in [0, 20, 200] {
        let mut create = with_keys(&server);
        let to = format!("s3://{bucket}");
        create.arg("create").arg(&fixture.source).args(["--to", &to, "--read-limit", "2M"]);
        let mut child = common::spawn(&mut create);
        while server.unfinished(&bucket).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "the process exited too early");
        }
        // Several times: at the beginning and in the middle.
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let ran = common::wait(child);
        assert_eq!(ran.status, 130, "{ran:?}");
        assert!(ran.err.contains("cancelled"), "{ran:?}");
        assert_eq!((server.unfinished(&bucket), server.objects(&bucket)), (vec![], vec![]));
    }
}

#[test]
fn every_command_rejects_an_invalid_name() {
    let fixture = fixture();
    for to in [
        "s3://bkt//pre",
        "s3://bkt/pre//x",
        "s3://bkt/../other/x",
        "s3://bkt/./y",
        "s3://bkt/.backups",
        "s3:///x",
        "s3://../x",
        "s3://s3://bkt/x",
    ] {
        let object = format!("{to}/backup-{UUID}.tar.gz");
        let root = fixture.source.to_str().unwrap();
        for args in [
            &["create", root, "--to", to, "--uuid", UUID][..],
            &["info", &object],
            &["list", &object],
            &["cat", &object, "server.properties"],
            &["verify", &object],
            &["extract", &object, root],
            &["restore", &object, root],
            &["sweep", to],
            &["archives", to],
            &["prune", to, "--keep-last", "1"],
            &["lock", &object],
            &["unlock", &object],
        ] {
            // Nothing listens on this port, and no request is sent.
            let ran = wingback()
                .args(args)
                .env("AWS_ACCESS_KEY_ID", "a")
                .env("AWS_SECRET_ACCESS_KEY", "b")
                .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
                .output()
                .unwrap();
            let err = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(1), "{args:?}: {err}");
            assert!(err.contains("use the name s3://"), "{args:?}: {err}");
        }
    }
}

#[cfg(feature = "mount")]
#[test]
fn a_bucket_is_mounted() {
    use std::path::Path;

    use mounted::Mounted;

    let (server, fixture) = (Server::new(), fixture());
    let bucket = server.bucket();
    let to = format!("s3://{bucket}/servers/");
    for label in ["lobby", "arena"] {
        let mut create = with_keys(&server);
        ok(create.arg("create").arg(&fixture.source).args(["--to", &to, "--label", label, "-q"]));
    }
    let Some(mounted) = Mounted::by(with_keys(&server), Path::new(&to)) else { return };
    assert_eq!(common::names(&mounted.dir), ["arena", "lobby"]);
    let [arena, lobby] = ["arena", "lobby"].map(|label| {
        let dir = mounted.path(label);
        dir.join(&common::names(&dir)[0])
    });
    let ran = ok(Command::new("diff").arg("-r").args([&lobby, &fixture.source]));
    assert_eq!(ran.out, "");
    // The other archive was not opened yet.
    server.objects(&bucket).iter().for_each(|(key, _)| server.delete(&bucket, key));
    let error = fs::read(arena.join("server.properties")).expect_err("it was removed");
    assert_eq!(error.raw_os_error(), Some(libc::ESTALE), "{}", mounted.errors());
}
