//! Differences between backups, versions of files, and the verification of all backups.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::daemon::{Daemon, until};

/// The values of a field in a list.
fn all<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[test]
fn a_backup_is_compared_with_another_one_or_with_the_files_of_the_server() {
    let daemon = Daemon::new();
    let (server, dir) = (daemon.server(), daemon.dir(daemon.server()));
    let before = daemon.made();
    fs::write(dir.join("world/level.dat"), "changed").unwrap();
    fs::remove_file(dir.join("server.properties")).unwrap();
    for n in 0..5 {
        fs::write(dir.join(format!("world/new {n}")), "x").unwrap();
    }
    let path = format!("{}/diff", daemon.path(server, before));
    let after = daemon.made();
    for with in [format!("with={after}"), "per_page=100".to_owned()] {
        let found = daemon.get(&format!("{path}?{with}"));
        let kinds = all(&found["differences"], "kind");
        assert_eq!(kinds.iter().filter(|kind| **kind == "added").count(), 5, "{found}");
        let compared = &found["compared"];
        let numbers = ["added", "removed", "changed"].map(|kind| compared[kind].as_u64());
        assert_eq!(numbers, [Some(5), Some(1), Some(1)], "{found}");
        assert_eq!(found["total"].as_u64(), Some(kinds.len() as u64), "{found}");
    }
    let mut seen = Vec::new();
    for page in 1..=3 {
        let found =
            daemon.get(&format!("{path}?with={after}&path=world/new*&page={page}&per_page=2"));
        assert_eq!(found["total"], 5, "{found}");
        seen.extend(all(&found["differences"], "path").into_iter().map(str::to_owned));
    }
    assert_eq!(seen, (0..5).map(|n| format!("world/new {n}")).collect::<Vec<_>>());
    let equal = daemon.get(&format!("{path}?with={before}"));
    assert_eq!((&equal["compared"]["equal"], &equal["total"]), (&json!(true), &json!(0)));

    for (query, status) in [
        (format!("with={}", Uuid::new_v4()), 404),
        ("with=x".to_owned(), 404),
        ("page=0".to_owned(), 400),
    ] {
        daemon.send("GET", &format!("{path}?{query}"), b"").expect(status);
    }
    daemon.send("POST", &path, b"").expect(405);
}

#[test]
fn a_backup_of_another_server_is_not_compared_or_searched() {
    let mut daemon = Daemon::idle("", "");
    let (server, other) = (daemon.server(), daemon.add_server());
    daemon.start();
    let own = daemon.made();
    let foreign = Uuid::new_v4();
    daemon.ask(other, "wings", foreign).expect(202);
    daemon.wait_state(other, foreign, "complete");
    let path = format!("{}/diff?with={foreign}", daemon.path(server, own));
    daemon.send("GET", &path, b"").expect(404);
    let path = format!("{}/diff?with={own}", daemon.path(server, foreign));
    daemon.send("GET", &path, b"").expect(404);
    let found = daemon.get(&format!("/api/servers/{server}/find?path=world"));
    assert_eq!(found["searched"], 1, "{found}");
    for version in found["versions"].as_array().unwrap() {
        assert_eq!(all(&version["backups"], "uuid"), [own.to_string()]);
    }
}

#[test]
fn the_versions_of_a_file_are_found_in_all_backups_of_a_server() {
    let daemon = Daemon::new();
    let (server, dir) = (daemon.server(), daemon.dir(daemon.server()));
    let odd = dir.join(OsStr::from_bytes(b"odd \xff"));
    fs::write(odd, "x").unwrap();
    let first = daemon.made();
    let second = daemon.made();
    fs::write(dir.join("world/level.dat"), "changed").unwrap();
    let third = daemon.made();
    let find = |query: &str| daemon.get(&format!("/api/servers/{server}/find?{query}"));
    let found = find("path=*.dat");
    assert_eq!((&found["paths"], &found["searched"]), (&json!(1), &json!(3)), "{found}");
    let versions = found["versions"].as_array().unwrap();
    assert_eq!((versions.len(), &found["total"]), (2, &json!(2)), "{found}");
    assert_eq!(
        (&versions[0]["path"], &versions[0]["size"]),
        (&json!("world/level.dat"), &json!(7))
    );
    assert_eq!(all(&versions[0]["backups"], "uuid"), [third.to_string()]);
    assert_eq!(all(&versions[1]["backups"], "uuid"), [second.to_string(), first.to_string()]);
    assert!(versions[1]["backups"][0]["made_at"].as_str().unwrap().ends_with('Z'));
    let page = find("path=*.dat&page=2&per_page=1");
    assert_eq!((&page["versions"][0], &page["total"]), (&versions[1], &json!(2)), "{page}");
    // Neighbors in the segment of a small file have changed, so it may have several versions.
    assert_eq!(find("path=odd+%ff")["paths"], 1);
    assert_eq!(find("path=nothing")["total"], 0);

    // An archive without its end cannot be searched, and one that is gone is left out.
    let bytes = fs::read(daemon.archive(second)).unwrap();
    fs::write(daemon.archive(second), &bytes[..bytes.len() - 1]).unwrap();
    fs::remove_file(daemon.archive(first)).unwrap();
    let found = find("path=*.dat");
    assert_eq!((&found["searched"], &found["total"]), (&json!(1), &json!(1)), "{found}");
    assert_eq!(all(&found["unsearched"], "uuid"), [second.to_string()], "{found}");
    for wrong in ["", "path=", "path=x&page=0"] {
        let path = format!("/api/servers/{server}/find?{wrong}");
        daemon.send("GET", &path, b"").expect(400);
    }
    let missing = format!("/api/servers/{}/find?path=x", Uuid::new_v4());
    daemon.send("GET", &missing, b"").expect(404);
}

#[test]
fn all_backups_of_a_server_are_verified_one_after_another() {
    let daemon = Daemon::new();
    let server = daemon.server();
    let backups = [daemon.made(), daemon.made(), daemon.made()];
    let mut bytes = fs::read(daemon.archive(backups[1])).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(daemon.archive(backups[1]), bytes).unwrap();
    let path = format!("/api/servers/{server}/verify");
    let begun = daemon.send("POST", &path, b"").expect(202);
    assert_eq!(serde_json::from_slice::<Value>(&begun.body).unwrap(), json!({ "backups": 3 }));
    for backup in backups {
        let verified = daemon.wait(server, backup, |backup| backup["verified"].is_object());
        assert_eq!(verified["verified"]["whole"], json!(backup != backups[1]), "{verified}");
    }
    // The pass ends right after the last result.
    until("another pass can begin", || {
        (daemon.send("POST", &path, b"").status == 202).then_some(())
    });
    daemon.send("POST", &format!("/api/servers/{}/verify", Uuid::new_v4()), b"").expect(404);
    daemon.send("GET", &path, b"").expect(405);
}

#[test]
fn the_verification_of_all_backups_is_cancelled() {
    let tmp = tempfile::tempdir().unwrap();
    let hold = tmp.path().join("hold");
    let before = format!("while test -e {}; do sleep 0.1; done", hold.display());
    let daemon = Daemon::with(&format!("  slots: 1\n  hooks:\n    before: '{before}'\n"));
    let server = daemon.server();
    let first = daemon.made();
    // A backup has the only slot, so the verification waits.
    fs::write(&hold, "").unwrap();
    let second = Uuid::new_v4();
    daemon.ask(server, "wings", second).expect(202);
    daemon.wait_state(server, second, "running");
    let path = format!("/api/servers/{server}/verify");
    daemon.send("POST", &path, b"").expect(202);
    daemon.send("POST", &path, b"").expect(409);
    daemon.wait(server, first, |backup| backup["verifying"] == true);
    daemon.send("POST", &format!("{path}/cancel"), b"").expect(204);
    let backup = daemon.backup(server, first);
    assert_eq!((&backup["verifying"], &backup["verified"]), (&json!(false), &Value::Null));
    daemon.send("POST", &format!("{path}/cancel"), b"").expect(409);
    fs::remove_file(&hold).unwrap();
    daemon.wait_state(server, second, "complete");
}
