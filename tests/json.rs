//! The written form of results: what programs that read JSON rely on.

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use futures::{TryStreamExt, executor::block_on};
use serde::Serialize;
use serde_json::{Value, json};
use support::{Tree, in_memory, key};
use wingback::{
    Archive, Archives, Entries, Error, ErrorKind, Excludes, Extract, List, LocalStore, NamedBytes,
    Object, PatternOrigin, Phase, Progress, Retention, Rules, Store, Verify,
};

fn written(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("JSON")
}

/// Takes the fields out of an object, sorted.
fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn a_report_says_where_the_archive_is() {
    let tree = Tree::with(&[("a", b"123")]);
    let fifo = tree.root.join(OsStr::from_bytes(b"caf\xe9"));
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    let store = LocalStore::new(tree.tmp.path().join(OsStr::from_bytes(b"to\xff"))).mkdir(true);
    let backup = tree.backup().exclude("[unclosed").max_len("none", 1);
    let report = block_on(backup.start(store.clone(), key())).unwrap();
    assert_eq!(report.location, Some(store.location(&key())));
    let object = written(&report);
    assert_eq!(
        fields(&object),
        [
            "changed",
            "changed_more",
            "compressed",
            "content",
            "copied",
            "copied_in_store",
            "directories",
            "duration_ms",
            "excluded",
            "files",
            "hard_links",
            "location",
            "location_b64",
            "partial",
            "read",
            "segments",
            "sha1",
            "size",
            "skipped",
            "skipped_more",
            "symlinks",
            "type",
            "uploaded",
            "warnings"
        ]
    );
    let location = object["location"].as_str().unwrap();
    assert!(location.ends_with(&format!("/to\u{fffd}/{}", key())), "{location}");
    assert_eq!(object["sha1"], report.sha1.to_string());
    let why = "is a named pipe";
    assert_eq!(
        object["skipped"],
        json!([{ "path": "caf\u{fffd}", "path_b64": "Y2Fm6Q==", "reason": "fifo",
            "message": why, "loss": false }])
    );
    let message = |i: usize| report.warnings[i].to_string();
    assert_eq!(
        object["warnings"],
        json!([{ "code": "pattern", "message": message(0) },
            { "code": "max-len-unused", "message": message(1), "path": "none" }])
    );

    let mut bytes = Vec::new();
    let report = block_on(tree.backup().write_to(&mut bytes)).unwrap();
    assert_eq!((&report.location, written(&report).get("location")), (&None, None));
}

#[test]
fn progress_has_the_numbers_and_nulls_for_what_is_not_known() {
    let unknown = written(&Progress::default());
    assert_eq!(
        unknown,
        json!({ "type": "progress", "phase": "starting", "files": 0, "bytes": 0, "written": 0,
            "uploaded": 0, "copied_in_store": 0, "expected_files": null, "expected_bytes": null, "percent": null,
            "rate": 0, "time_left_ms": null })
    );
    let tree = Tree::with(&[("a", b"1234")]);
    let task = tree.backup().write_to(futures::io::sink());
    let handle = task.handle();
    block_on(task).unwrap();
    let done = written(&handle.progress());
    assert_eq!((&done["phase"], &done["bytes"]), (&json!(Phase::Done), &json!(4)));
    assert_eq!((&done["expected_bytes"], &done["percent"]), (&json!(4), &json!(100.0)));
}

#[test]
fn members_are_written_one_by_one() {
    let tree = Tree::with(&[("a", b"123")]);
    tree.link("link", "a");
    let bytes = support::bytes(tree.backup().reproducible(true)).unwrap().1;
    let entries = Entries::open(in_memory(&bytes));
    let members = block_on(entries.try_collect::<Vec<_>>()).unwrap();
    let objects: Vec<_> = members.iter().map(written).collect();
    let of_file = ["gid", "kind", "mode", "mtime_ns", "path", "size", "type", "uid"];
    assert_eq!(fields(&objects[0]), of_file);
    assert_eq!((&objects[0]["kind"], &objects[0]["size"]), (&json!("file"), &json!(3)));
    assert_eq!((&objects[1]["kind"], &objects[1]["target"]), (&json!("symlink"), &json!("a")));

    let listing = block_on(List::new().select("none").start(in_memory(&bytes))).unwrap();
    let none =
        json!({ "type": "listing", "read_method": "indexed", "members": 0, "unmatched": ["none"] });
    assert_eq!(written(&listing), none);
    let stream = Archive::stream(futures::io::Cursor::new(&bytes));
    let listing = written(&block_on(List::new().start(stream)).unwrap());
    assert_eq!((&listing["members"], &listing["no_index"]), (&json!(2), &json!("stream")));
}

#[test]
fn damage_names_the_members_that_are_lost() {
    let tree =
        Tree::with(&[("a.mca", &support::noise(200_000)), ("b.mca", &support::noise(200_000))]);
    let (report, mut bytes) = support::bytes(tree.backup()).unwrap();
    bytes[50_000] ^= 1;
    let verify = Verify::new().sha1(report.sha1);
    let verified = block_on(verify.start(in_memory(&bytes))).unwrap();
    let object = written(&verified);
    assert_eq!(
        fields(&object),
        [
            "damage",
            "damage_more",
            "duration_ms",
            "files",
            "read_method",
            "segments",
            "sha1",
            "sha1_matches",
            "size",
            "type",
            "whole",
            "whole_files",
            "whole_files_more"
        ]
    );
    assert_eq!((&object["whole"], &object["sha1_matches"]), (&json!(false), &json!(false)));
    assert_eq!(object["whole_files"], json!([{ "path": "b.mca" }]));
    let damage = &object["damage"][0];
    let of_damage = ["code", "end", "members", "problem", "segment", "start", "truncates_rest"];
    assert_eq!(
        (fields(damage), &damage["members"]),
        (of_damage.into(), &json!([{ "path": "a.mca" }]))
    );

    let extract = Extract::new(tree.tmp.path().join("out")).salvage(true);
    let object = written(&block_on(extract.start(in_memory(&bytes))).unwrap());
    assert_eq!(
        fields(&object),
        [
            "content",
            "damage",
            "damage_more",
            "directories",
            "duration_ms",
            "files",
            "hard_links",
            "read_method",
            "refused",
            "skipped",
            "skipped_more",
            "symlinks",
            "type",
            "unmatched",
            "warnings"
        ]
    );
    assert_eq!((&object["type"], &object["files"]), (&json!("extracted"), &json!(1)));
}

#[test]
fn a_restore_says_what_it_recovered() {
    let tree = Tree::with(&[("a", b"123")]);
    let bytes = support::bytes(tree.backup()).unwrap().1;
    let dir = tree.tmp.path().join("restored");
    let restored = block_on(support::restore(&dir).start(in_memory(&bytes))).unwrap();
    let object = written(&restored);
    assert_eq!(
        fields(&object),
        [
            "added",
            "added_more",
            "content",
            "directories",
            "duration_ms",
            "files",
            "hard_links",
            "read_method",
            "recovered",
            "refused",
            "removed",
            "removed_more",
            "replaced",
            "replaced_more",
            "skipped",
            "skipped_more",
            "symlinks",
            "type",
            "unchanged",
            "warnings"
        ]
    );
    assert_eq!(
        (&object["recovered"], fs::read(dir.join("a")).unwrap()),
        (&Value::Null, b"123".into())
    );
}

#[test]
fn an_error_has_its_kind_and_its_path() {
    let error = Error::new(ErrorKind::Busy, "look at").at(OsStr::from_bytes(b"/caf\xe9"));
    assert_eq!(
        written(&error),
        json!({ "type": "error", "kind": "busy", "operation": "look at", "path": "/caf\u{fffd}",
            "path_b64": "L2NhZuk=", "message": "look at /caf\u{fffd}", "retryable": false })
    );
    assert_eq!(
        fields(&written(&Error::new(ErrorKind::Io, "x"))),
        ["kind", "message", "operation", "retryable", "type"]
    );
}

#[test]
fn another_object_can_contain_bytes_and_results() {
    #[derive(Serialize)]
    struct Outer<'a> {
        id: u8,
        #[serde(flatten)]
        place: NamedBytes<'a>,
        #[serde(flatten)]
        progress: Progress,
    }
    let (place, progress) = (NamedBytes::new("place", b"\xff"), Progress::default());
    let outer = written(&Outer { id: 1, place, progress });
    assert_eq!((&outer["place_b64"], &outer["phase"]), (&json!("/w=="), &json!("starting")));
}

#[test]
fn objects_and_pattern_warnings_are_written() {
    let modified = UNIX_EPOCH + Duration::new(1, 2);
    let object = |modified| written(&Object::new(key(), 3, modified));
    let key = key();
    assert_eq!(
        object(Some(modified)),
        json!({ "key": key.as_str(), "size": 3, "modified_ns": 1_000_000_002 })
    );
    assert_eq!(object(None)["modified_ns"], Value::Null);

    let mut excludes = Excludes::new(Rules::Git);
    excludes.add(PatternOrigin::IgnoreFile, b"fine\n[\xff").unwrap();
    let warning = &excludes.warnings()[0];
    let expected = json!({
        "origin": "ignore-file",
        "line": 2,
        "pattern": "[\u{fffd}",
        "pattern_b64": "W/8=",
        "problem": "unclosed-bracket",
        "message": warning.to_string(),
    });
    assert_eq!(written(warning), expected);
}

#[test]
fn a_stored_archive_and_a_plan_have_their_fields() {
    let tree = Tree::with(&[("a", b"123")]);
    let store = LocalStore::new(tree.tmp.path().join("to")).mkdir(true);
    block_on(tree.backup().label("lobby").start(store.clone(), key())).unwrap();
    fs::write(
        store.path(&"cut.tar.gz".parse().unwrap()),
        &fs::read(store.path(&key())).unwrap()[..300],
    )
    .unwrap();
    let archives = block_on(Archives::new().start(store)).unwrap();
    let objects: Vec<_> = archives.iter().map(written).collect();
    let expected = [
        "content_change",
        "info",
        "key",
        "locked",
        "made_ns",
        "modified_ns",
        "size",
        "type",
        "whole",
    ];
    assert!(objects.iter().all(|object| fields(object) == expected));
    let [cut, whole] = &objects[..] else { panic!("{objects:?}") };
    assert_eq!(
        (&cut["info"], &cut["whole"], &cut["size"]),
        (&Value::Null, &false.into(), &300.into())
    );
    assert_eq!((&whole["type"], &whole["key"]), (&"archive".into(), &key().as_str().into()));
    assert_eq!((&whole["info"]["label"], &whole["info"]["content"]), (&"lobby".into(), &3.into()));
    assert_eq!(whole["made_ns"], whole["info"]["made_ns"]);

    let groups = Retention::new().last(1).plan(archives, std::time::SystemTime::now());
    let planned = groups.iter().flat_map(|group| &group.archives).map(written);
    let planned: Vec<_> = planned.collect();
    for (planned, verdict, reason) in
        [(&planned[0], "keep", json!("newest")), (&planned[1], "not-whole", Value::Null)]
    {
        let expected = [&expected[..], &["reason", "suspicious", "verdict"]].concat();
        assert!(fields(planned).into_iter().all(|field| expected.contains(&field)));
        assert_eq!(fields(planned).len(), expected.len());
        assert_eq!((&planned["verdict"], &planned["reason"]), (&verdict.into(), &reason));
        assert_eq!(planned["suspicious"], false);
    }
}
