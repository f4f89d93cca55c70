//! Listing, downloading and verifying archives.

use std::{fs, io::Write, os::unix::ffi::OsStrExt};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::fetch,
    daemon::{Daemon, TOKEN, jwt, now, sha1sum, until},
};

#[test]
fn the_files_of_a_backup_are_listed_page_by_page_and_filtered() {
    let daemon = Daemon::new();
    for n in 0..250 {
        fs::write(daemon.dir(daemon.server()).join(format!("world/Chunk {n:03}.bin")), "x")
            .unwrap();
    }
    let backup = daemon.made();
    let path = daemon.path(daemon.server(), backup);
    let all = daemon.get(&format!("{path}/files"));
    let total = all["total"].as_u64().unwrap();
    assert_eq!((all["files"].as_array().unwrap().len(), &all["page"]), (100, &json!(1)));
    let mut seen = Vec::new();
    for page in 1..=4 {
        let page = daemon.get(&format!("{path}/files?page={page}&per_page=70&filter=cHUNK+"));
        assert_eq!(page["total"], 250);
        let files = page["files"].as_array().unwrap().iter();
        seen.extend(files.map(|file| file["path"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, (0..250).map(|n| format!("world/Chunk {n:03}.bin")).collect::<Vec<_>>());
    assert!(total > 250);
    let none = daemon.get(&format!("{path}/files?page=1000000&filter=%26"));
    assert!(none["files"].as_array().unwrap().is_empty());
    let level = daemon.get(&format!("{path}/files?filter=level.dat"));
    let level = &level["files"][0];
    assert_eq!((&level["kind"], &level["size"]), (&json!("file"), &json!(4096)));
    assert!(level["modified_at"].as_str().unwrap().ends_with('Z'));
    for wrong in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=1001", "filter=%ff"] {
        daemon.send("GET", &format!("{path}/files?{wrong}"), b"").expect(400);
    }
}

#[test]
fn an_archive_says_which_server_it_is_a_backup_of() {
    let daemon = Daemon::new();
    let server = daemon.server();
    let backup = daemon.made();
    let path = daemon.path(server, backup);
    let info = daemon.get(&format!("{path}/info"));
    assert_eq!((&info["label"], &info["tags"]), (&json!(server), &json!([])));
    let dir = daemon.dir(server).canonicalize().unwrap();
    assert_eq!(info["source"], dir.to_str().unwrap());
    assert_eq!(info["tool"], concat!("wingback ", env!("CARGO_PKG_VERSION")));
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert_eq!(info["host"], host);
    let created = daemon.get(&path)["created_at"].as_str().unwrap().to_owned();
    let made = info["made_at"].as_str().unwrap();
    assert!(made.ends_with('Z') && made[..19] >= created[..19], "{made}, {created}");

    daemon.send("POST", &format!("{path}/info"), b"").expect(405);
    daemon.send("GET", &format!("{}/info", daemon.path(server, Uuid::new_v4())), b"").expect(404);
    let bytes = fs::read(daemon.archive(backup)).unwrap();
    fs::write(daemon.archive(backup), &bytes[..bytes.len() - 1]).unwrap();
    let without = daemon.send("GET", &format!("{path}/info"), b"").expect(404);
    assert!(without.text().contains("has no index"), "{}", without.text());
}

#[test]
fn one_file_of_a_backup_can_be_downloaded() {
    let daemon = Daemon::new();
    let odd = std::ffi::OsStr::from_bytes(b"odd \xff+&.dat");
    fs::write(daemon.dir(daemon.server()).join(odd), "odd").unwrap();
    fs::write(daemon.dir(daemon.server()).join("nothing"), "").unwrap();
    let backup = daemon.made();
    let path = daemon.path(daemon.server(), backup);
    let file = |name: &str| daemon.send("GET", &format!("{path}/file?path={name}"), b"");
    let region = file("world/region/r.0.0.mca").expect(200);
    let there = daemon.dir(daemon.server()).join("world/region/r.0.0.mca");
    assert!(region.body == fs::read(there).unwrap());
    assert_eq!(region.headers["content-length"], (1 << 20).to_string());
    assert!(region.headers["content-disposition"].contains("filename=\"r.0.0.mca\""));
    assert_eq!(file("odd%20%ff%2B%26.dat").expect(200).text(), "odd");
    assert_eq!(file("nothing").expect(200).body, b"");
    let head = daemon.send("HEAD", &format!("{path}/file?path=server.properties"), b"").expect(200);
    assert_eq!((&*head.headers["content-length"], head.body.len()), ("7", 0));
    file("world").expect(400);
    file("").expect(404);
    file("world/level").expect(404);
    daemon.send("GET", &format!("{path}/file"), b"").expect(400);

    let link = daemon.link(backup, json!({ "file": "server.properties" }));
    assert_eq!(fetch("GET", &link, &[], b"").unwrap().expect(200).text(), "motd=x\n");
    fetch("GET", &link, &[], b"").unwrap().expect(401);
}

/// Archives of other programs may have hard links, and a path twice.
#[test]
fn a_file_of_a_foreign_archive_has_the_content_that_restore_gives_it() {
    let daemon = Daemon::new();
    let backup = daemon.made();
    let tmp = tempfile::tempdir().unwrap();
    let tar = |script: &str| {
        let status =
            std::process::Command::new("sh").args(["-ec", script]).current_dir(&tmp).status();
        assert!(status.unwrap().success());
        fs::copy(tmp.path().join("x.tar.gz"), daemon.archive(backup)).unwrap();
    };
    tar(
        "echo old >a; ln a b; ln -s a l; tar -cf x.tar a b l; rm a; echo newer >a; tar -rf x.tar a; gzip x.tar",
    );
    let path = daemon.path(daemon.server(), backup);
    let file = |name: &str| daemon.send("GET", &format!("{path}/file?path={name}"), b"");
    for (name, content) in [("a", "newer\n"), ("b", "old\n")] {
        let reply = file(name).expect(200);
        assert_eq!(
            (reply.text(), &*reply.headers["content-length"]),
            (content.into(), &*content.len().to_string())
        );
    }
    file("l").expect(400);
    let all = daemon.get(&format!("{path}/files"));
    let shown: Vec<_> = (all["files"].as_array().unwrap().iter())
        .map(|file| (file["path"].as_str().unwrap(), file["kind"].as_str().unwrap(), &file["size"]))
        .collect();
    let (old, newer, none) = (json!(4), json!(6), json!(0));
    assert_eq!(shown, [("b", "hard-link", &old), ("l", "symlink", &none), ("a", "file", &newer)]);
    // A hard link without a target is detected before the response starts.
    tar("rm -f *; echo x >a; ln a b; tar -cf x.tar a b; tar --delete -f x.tar a; gzip x.tar");
    file("b").expect(400);
}

#[test]
fn a_download_supports_ranges_and_each_token_works_once() {
    let daemon = Daemon::new();
    let backup = daemon.made();
    let bytes = fs::read(daemon.archive(backup)).unwrap();
    let size = bytes.len();
    let get = |headers: &[(&str, &str)]| {
        fetch("GET", &daemon.link(backup, json!({})), headers, b"").unwrap()
    };
    let all = get(&[]).expect(200);
    assert!(all.body == bytes);
    let tag = format!("\"{}\"", sha1sum(&daemon.archive(backup)));
    assert_eq!(all.headers["etag"], tag);
    assert_eq!(all.headers["content-length"], size.to_string());
    assert_eq!(all.headers["accept-ranges"], "bytes");
    let name = format!("attachment; filename=\"backup-{backup}.tar.gz\"");
    assert!(all.headers["content-disposition"].starts_with(&name));

    let part = get(&[("Range", "bytes=1000-1999")]).expect(206);
    assert!(part.body == bytes[1000..2000]);
    assert_eq!(part.headers["content-range"], format!("bytes 1000-1999/{size}"));
    assert!(get(&[("Range", "bytes=-5")]).expect(206).body == bytes[size - 5..]);
    let beyond = get(&[("Range", &format!("bytes={size}-"))]).expect(416);
    assert_eq!(beyond.headers["content-range"], format!("bytes */{size}"));
    assert!(get(&[("Range", "bytes=0-1,4-5")]).expect(200).body == bytes);
    get(&[("Range", "bytes=0-1"), ("If-Range", &tag)]).expect(206);
    get(&[("Range", "bytes=0-1"), ("If-Range", "\"other\"")]).expect(200);
    let unchanged = get(&[("If-None-Match", &format!("\"x\", {tag}"))]).expect(304);
    assert!(unchanged.body.is_empty());

    let link = daemon.link(backup, json!({}));
    fetch("GET", &link, &[], b"").unwrap().expect(200);
    fetch("GET", &link, &[], b"").unwrap().expect(401);
}

#[test]
fn only_tokens_of_the_panel_allow_a_download() {
    let mut daemon = Daemon::new();
    let other = daemon.add_server();
    let backup = daemon.made();
    let get = |token: &str| {
        fetch("GET", &format!("{}/download/backup?token={token}", daemon.url), &[], b"").unwrap()
    };
    let claims = |server: Uuid, id: &str| {
        json!({ "server_uuid": server, "backup_uuid": backup, "unique_id": id, "user_uuid": "x",
            "iat": now() + 1, "nbf": now() - 300, "exp": now() + 300, "jti": "x" })
    };
    get(&jwt(TOKEN, &claims(daemon.server(), "a"))).expect(200);
    get(&jwt(TOKEN, &claims(daemon.server(), "a"))).expect(401);
    get(&jwt("guess", &claims(daemon.server(), "b"))).expect(401);
    get(&jwt(TOKEN, &claims(other, "c"))).expect(404);
    get(&jwt(TOKEN, &json!({ "server_uuid": other, "exp": now() + 9 }))).expect(401);
    for text in ["", "x", "a.b.c"] {
        get(text).expect(401);
    }
    // The node's own token does not work here.
    fetch("GET", &format!("{}/download/backup?token={TOKEN}", daemon.url), &[], b"")
        .unwrap()
        .expect(401);
}

#[test]
fn a_token_from_before_a_restart_is_rejected() {
    let mut daemon = Daemon::new();
    let backup = daemon.made();
    let link = daemon.link(backup, json!({}));
    let (_, query) = link.split_once("/download").unwrap();
    // Times in tokens are whole seconds, and the restart must be in a later second.
    let made = now();
    until("another second", || Some(()).filter(|()| now() > made));
    daemon.kill();
    daemon.start();
    let link = format!("{}/download{query}", daemon.url);
    fetch("GET", &link, &[], b"").unwrap().expect(401);
}

#[test]
fn verify_locates_damage() {
    let daemon = Daemon::new();
    let backup = daemon.made();
    let path = daemon.path(daemon.server(), backup);
    let verified = || {
        daemon.send("POST", &format!("{path}/verify"), b"").expect(202);
        daemon.wait(daemon.server(), backup, |backup| backup["verifying"] == false)["verified"]
            .clone()
    };
    assert_eq!(verified()["whole"], true);
    let mut bytes = fs::read(daemon.archive(backup)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::File::create(daemon.archive(backup)).unwrap().write_all(&bytes).unwrap();
    let damaged: Value = verified();
    assert_eq!(damaged["whole"], false);
    let first = &damaged["damage"][0];
    assert_eq!(first["code"], "segment");
    assert!(first["message"].as_str().unwrap().contains("r.0.0.mca"), "{damaged}");
    fs::remove_file(daemon.archive(backup)).unwrap();
    let gone = verified();
    assert_eq!(gone["whole"], false, "{gone}");
}
