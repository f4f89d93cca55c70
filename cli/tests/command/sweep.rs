//! `sweep` removes leftovers of killed backups and nothing else.

use std::fs;

use serde_json::json;

use crate::common::{self, Fixture, ok, run, wait};

const PART: &str = ".backup-8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10.tar.gz.wingback-part";

#[test]
fn sweep_removes_leftovers_only() {
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(&mut fixture.create());
    fs::write(fixture.to.join(PART), "half").unwrap();
    let others = ["x.wingback-part", ".x", ".wingback-part.txt", "notes"];
    for name in others {
        fs::write(fixture.to.join(name), "").unwrap();
    }
    let ran = ok(common::wingback().arg("sweep").arg(&fixture.to));
    assert_eq!(ran.out, format!("removed {}\n", fixture.to.join(PART).display()));
    assert_eq!(fixture.left().len(), 1 + others.len());
    assert_eq!(
        ok(common::wingback().arg("sweep").arg(&fixture.to)).out,
        "",
        "the leftover is gone"
    );
}

#[test]
fn json_sweep_lists_removed_files() {
    let fixture = Fixture::new();
    let dir = fixture.to.join("srv");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(PART), "half").unwrap();
    let mut command = common::wingback();
    command.arg("sweep").arg(&fixture.to).args(["--json", "--name", "srv/{uuid}.tar.gz"]);
    let removed = json!([{ "location": dir.join(PART).to_str().unwrap() }]);
    assert_eq!(ok(&mut command).json(), json!({ "type": "sweep", "removed": removed }));
    assert_eq!(ok(&mut command).json(), json!({ "type": "sweep", "removed": [] }));
}

#[test]
fn a_backup_replaces_a_leftover_of_its_name() {
    let fixture = Fixture::with(&[("a", b"a")]);
    fs::create_dir(&fixture.to).unwrap();
    fs::write(fixture.to.join(PART), "half").unwrap();
    ok(fixture.create().args(["--uuid", "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10"]));
    assert_eq!(common::listed(&fixture.archive()), ["a"]);
}

#[test]
fn sweep_never_touches_a_backup_that_is_running() {
    let fixture = Fixture::with(&[("a", b"a")]);
    fs::create_dir(&fixture.to).unwrap();
    for _ in 0..20 {
        let backups: Vec<_> = (0..2).map(|_| common::spawn(&mut fixture.create())).collect();
        let sweeps: Vec<_> = (0..3)
            .map(|_| common::spawn(common::wingback().arg("sweep").arg(&fixture.to)))
            .collect();
        for backup in backups {
            let ran = wait(backup);
            assert_eq!(ran.status, 0, "{ran:?}");
        }
        for sweep in sweeps {
            let ran = wait(sweep);
            assert_eq!(ran.status, 0, "{ran:?}");
        }
    }
    assert_eq!(fixture.left().len(), 40);
}

#[test]
fn a_missing_directory_is_an_error() {
    let fixture = Fixture::new();
    let ran = run(common::wingback().arg("sweep").arg(&fixture.to));
    let error = format!("open the directory {}: No such file or directory", fixture.to.display());
    assert_eq!((ran.status, ran.one_line_error()), (1, &*error));
    let ran = run(common::wingback().arg("sweep").arg(&fixture.to).arg("--json"));
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &json!("not-found")));
    assert!(!fixture.to.exists());
}
