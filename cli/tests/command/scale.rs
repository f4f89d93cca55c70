//! Work grows with the size of the tree only.

use std::fs;

use crate::{
    common::{Fixture, left_out::cases, ok, wingback},
    limited,
};

/// Creates `dirs` directories of `files` files each, or that many files in the root.
fn tree(dirs: usize, files: usize) -> Fixture {
    let fixture = Fixture::new();
    for dir in 0..dirs {
        let dir =
            if dirs == 1 { fixture.source.clone() } else { fixture.source.join(dir.to_string()) };
        fs::create_dir_all(&dir).expect("created");
        (0..files).for_each(|file| fs::write(dir.join(file.to_string()), "x").expect("written"));
    }
    ok(&mut fixture.create());
    fixture
}

/// Seconds of user time that a restore over the same tree takes.
fn restore(fixture: &Fixture) -> f64 {
    let mut command = wingback();
    command.args(["restore", "-q", "--threads", "1"]).arg(fixture.archive()).arg(&fixture.source);
    let ran = limited::run(&command);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.peak_below(128);
    ran.user
}

#[test]
fn restore_time_does_not_depend_on_the_number_of_files_in_the_root() {
    let dirs = cases(100, 400);
    let (flat, deep) = (tree(1, dirs * 100), tree(dirs, 100));
    // Another program may disturb one measurement.
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (flat, deep) = (restore(&flat), restore(&deep));
        if flat <= 1.3 * deep {
            println!("in the root {flat:.2} s, in directories {deep:.2} s");
            return;
        }
        seen.push((flat, deep));
    }
    panic!("in the root and in directories: {seen:?} s");
}
