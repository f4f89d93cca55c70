//! The archives of a place.

use std::fs;

use crate::{
    Mounted,
    common::{Fixture, names, ok},
    found, same_content, texts,
};

fn label(fixture: &Fixture, label: &str) {
    ok(fixture.create().args(["--label", label]));
}

#[test]
fn archives_are_directories_by_label_and_time() {
    let fixture = Fixture::with(&[("world/level.dat", b"one")]);
    label(&fixture, "lobby");
    label(&fixture, "a/b");
    ok(fixture.create().args(["--reproducible", "--name", "sub/plain-{uuid}.tar.gz"]));
    fs::write(fixture.source.join("world/level.dat"), "two").unwrap();
    label(&fixture, "lobby");
    let Some(mounted) = Mounted::new(&fixture.to) else { return };
    assert!(mounted.line.starts_with("mounted   4 archives at /"), "{}", mounted.line);
    let root = texts(&names(&mounted.dir));
    assert_eq!(root[..2], ["a_b", "lobby"]);
    assert!(root[2].starts_with("sub_plain-") && root[2].ends_with(".tar.gz"), "{root:?}");
    assert_eq!(root.len(), 3);
    // Both may be of one second.
    let times = texts(&names(&mounted.path("lobby")));
    assert_eq!(times.len(), 2);
    for time in &times {
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(form.starts_with("0000-00-00T00-00-00Z"), "{time}");
    }
    let content = |time: &str| {
        fs::read_to_string(mounted.path("lobby").join(time).join("world/level.dat")).unwrap()
    };
    assert_eq!((content(&times[0]), content(&times[1])), ("one".into(), "two".into()));
    let newest = mounted.path("lobby").join(&times[1]);
    same_content(&newest, &fixture.source);
    assert_eq!(found(&newest), found(&fixture.source));
    assert_eq!(mounted.errors(), "");
}

#[test]
fn archives_without_an_index_are_left_out_and_named() {
    let fixture = Fixture::with(&[("a", b"a")]);
    label(&fixture, "lobby");
    let bytes = fs::read(fixture.archive()).unwrap();
    fs::write(fixture.to.join("cut.tar.gz"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(fixture.to.join("notes.txt"), "mine").unwrap();
    let Some(mounted) = Mounted::new(&fixture.to) else { return };
    assert_eq!(texts(&names(&mounted.dir)), ["lobby"]);
    let cut = fixture.to.join("cut.tar.gz");
    let line = format!("wingback: left out: {}: it has no index to use\n", cut.display());
    assert_eq!(mounted.errors(), line);
}

#[test]
fn more_archives_than_stay_open_are_read_in_turns() {
    let fixture = Fixture::with(&[("number", b"")]);
    for number in 0..12 {
        fs::write(fixture.source.join("number"), number.to_string()).unwrap();
        label(&fixture, &format!("server-{number}"));
    }
    let Some(mounted) = Mounted::new(&fixture.to) else { return };
    for _ in 0..2 {
        for number in 0..12 {
            let dir = mounted.path(&format!("server-{number}"));
            let time = &names(&dir)[0];
            let content = fs::read_to_string(dir.join(time).join("number")).unwrap();
            assert_eq!(content, number.to_string());
        }
    }
}
