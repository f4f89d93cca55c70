//! `--json` prints progress lines, then one report or one error.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::common::{self, Fixture, Ran, ok, run};

/// Parses all lines and checks their order.
#[track_caller]
fn lines(ran: &Ran) -> Vec<Value> {
    let lines = common::json_lines(&ran.out);
    assert_eq!(ran.err, "", "everything goes to standard output");
    let (_, before) = lines.split_last().expect("a result");
    assert!(before.iter().all(|line| line["type"] == "progress"), "{lines:?}");
    lines
}

fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn progress_lines_precede_the_report() {
    let fixture =
        Fixture::with(&[("a", &common::noise(1, 100_000)), ("b", &common::noise(2, 100_000))]);
    let lines = lines(&ok(fixture.create().args(["--json", "--read-limit", "200k"])));
    let (report, progress) = lines.split_last().unwrap();
    assert_eq!(report["type"], "report");
    assert!(
        progress.len() >= 2,
        "a backup of a second shows progress more than once: {progress:?}"
    );
    let mut bytes = 0;
    for line in progress {
        assert_eq!(
            fields(line),
            [
                "bytes",
                "copied_in_store",
                "expected_bytes",
                "expected_files",
                "files",
                "percent",
                "phase",
                "rate",
                "time_left_ms",
                "type",
                "uploaded",
                "written"
            ]
        );
        let now = line["bytes"].as_u64().unwrap();
        assert!(now >= bytes);
        bytes = now;
    }
    let last = progress.last().unwrap();
    assert_eq!(last["expected_bytes"], 200_000);
    assert_eq!(last["expected_files"], 2);
    // One file comes at once, and then 200 kB come in a second.
    let is_known = |line: &&Value| line["time_left_ms"].is_u64();
    let reading = progress.iter().find(is_known).expect("a time left");
    let [rate, left] = ["rate", "time_left_ms"].map(|name| reading[name].as_u64().unwrap());
    let [bytes, percent] = ["bytes", "percent"].map(|name| reading[name].as_f64().unwrap());
    assert!(rate > 0 && left.abs_diff(((200_000.0 - bytes) / rate as f64 * 1000.0) as u64) <= 1);
    assert!((percent - bytes / 2000.0).abs() < 0.1, "{reading}");
}

#[test]
fn the_report_has_every_field() {
    let fixture = Fixture::with(&[("a", b"123"), ("d/b", b"4567"), ("no.log", b"")]);
    fs::hard_link(fixture.source.join("a"), fixture.source.join("c")).unwrap();
    std::os::unix::fs::symlink("a", fixture.source.join("l")).unwrap();
    let uuid = "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10";
    let mut command = fixture.create();
    command.args(["--json", "--uuid", uuid, "--exclude", "*.log", "--max-len", "none=1"]);
    let mut report = lines(&ok(&mut command)).pop().unwrap();
    let archive = fixture.archive();
    let object = report.as_object_mut().unwrap();
    assert!(object.remove("duration_ms").unwrap().is_u64());
    assert_eq!(object.remove("sha1").unwrap().as_str().unwrap().len(), 40);
    let size = fs::metadata(&archive).unwrap().len();
    assert_eq!(
        report,
        json!({
            "type": "report", "location": archive.to_str().unwrap(), "uuid": uuid, "size": size,
            "files": 3, "directories": 1, "symlinks": 1, "hard_links": 1, "content": 10,
            "read": 10,
            "copied": 0, "compressed": 5120, "uploaded": 0, "copied_in_store": 0, "segments": 2, "excluded": 1, "skipped": [],
            "skipped_more": 0, "changed": [], "changed_more": 0,
            "warnings": [{
                "path": "none", "code": "max-len-unused",
                "message": "a length was given for none, which is not a file of this backup",
            }],
            "partial": false,
        })
    );
}

#[test]
fn paths_that_are_not_utf8_are_given_in_base64_as_well() {
    let fixture = Fixture::new();
    let name = b"caf\xe9";
    common::ok(
        std::process::Command::new("mkfifo").arg(fixture.source.join(OsStr::from_bytes(name))),
    );
    let to = fixture.tmp.path().join(OsStr::from_bytes(b"to\xff"));
    let ran = ok(common::create(&fixture.source, &to).args(["--json", "--allow-empty"]));
    let report = lines(&ran).pop().unwrap();
    let path = STANDARD.decode(report["location_b64"].as_str().unwrap()).unwrap();
    assert!(fs::metadata(OsStr::from_bytes(&path)).unwrap().is_file());
    assert!(report["location"].as_str().unwrap().contains("/to\u{fffd}/backup-"));
    assert_eq!(
        report["skipped"],
        json!([{
            "path": "caf\u{fffd}", "path_b64": STANDARD.encode(name), "reason": "fifo",
            "message": "is a named pipe", "loss": false,
        }])
    );
    let ran = run(common::create(&to.join("none"), &to).arg("--json"));
    let error = lines(&ran).pop().unwrap();
    assert_eq!(
        STANDARD.decode(error["path_b64"].as_str().unwrap()).unwrap(),
        [common::bytes(&to), b"/none"].concat()
    );
}

#[test]
fn an_error_replaces_the_report() {
    let fixture = Fixture::new();
    let nowhere = fixture.tmp.path().join("nowhere");
    let ran = run(common::create(&nowhere, &fixture.to).arg("--json"));
    assert_eq!(ran.status, 1);
    assert_eq!(
        lines(&ran),
        [json!({
            "type": "error", "kind": "not-found", "operation": "open the source",
            "path": nowhere.to_str().unwrap(), "retryable": false,
            "message": format!(
                "open the source {}: No such file or directory", nowhere.display()
            ),
        })]
    );
}

#[test]
fn each_error_kind_has_its_own_word() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let file = fixture.source.join("a");
    let uuid = "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10";
    let kind = |command: &mut std::process::Command| {
        let ran = run(command.arg("--json"));
        assert_eq!(ran.status, 1, "{ran:?}");
        lines(&ran).pop().unwrap()["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(&mut common::create(&file, &fixture.to)), "invalid-input");
    assert_eq!(kind(&mut common::create(&fixture.source, &file)), "invalid-input");
    assert_eq!(kind(&mut common::create(&fixture.source, &file.join("x"))), "invalid-input");
    assert_eq!(kind(fixture.create().args(["--reserve", "1000000T"])), "no-space");
    assert_eq!(fixture.left(), [""; 0], "nothing is left");
    ok(fixture.create().args(["--uuid", uuid]));
    assert_eq!(kind(fixture.create().args(["--uuid", uuid])), "already-exists");
}
