//! Fixtures of other projects. They are read as Python reads them, or refused.

use std::fs;

use super::{
    corpora::archives,
    foreign::{listed, listed_by_python},
    read,
};

/// Refused archives, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("astral-tokio-tar-0.7.0/diff-014-unterminated-pax", "a PAX record is malformed"),
    ("astral-tokio-tar-0.7.0/diff-024-pending-pax-boundary", "has no member after it"),
    ("astral-tokio-tar-0.7.0/pax-overrides-extension-header", "follows one that gives a size"),
    ("backports.tarfile-1.2.0/recursion", "the archive ends inside it"),
    ("go/gnu-long-nul", "a long name is empty or contains a NUL"),
    ("go/gnu-multi-hdrs", "two extensions of one member conflict"),
    ("go/gnu-sparse-many-zeros", "its sparse map is too long"),
    ("go/invalid-go17", "a GNU header has a prefix in place of its times"),
    ("go/issue10968", "a field does not contain a number"),
    ("go/issue11169", "the archive ends inside it"),
    ("go/issue12435", "a field does not contain a number"),
    ("go/neg-size", "a field does not contain a number"),
    ("go/pax-bad-hdr-file", "a PAX record is malformed"),
    ("go/pax-bad-hdr-large", "an extension is over 1 MiB"),
    ("go/pax-bad-mtime-file", "a record does not contain a time"),
    ("go/pax-global-records", "a global header gives the same name"),
    ("go/pax-multi-hdrs", "two extensions of one member conflict"),
    ("go/pax-nul-path", "a name in a PAX record is empty or contains a NUL"),
    ("go/pax-nul-xattrs", "a PAX record is malformed"),
    ("go/pax-path-hdr", "an extension has no member after it"),
    ("go/sparse-formats", "sparse-gnu: its sparse map has an extent that does not end at a block"),
];

/// Archives that Python reads differently from GNU tar, libarchive and this reader. Python takes the times
/// of GNU tar as a prefix, takes the stored size of a sparse file as its size, and leaves out truncated
/// members.
const OTHERWISE_IN_PYTHON: [&str; 7] = [
    "astral-tokio-tar-0.7.0/diff-039-truncated-entry-body",
    "go/gnu-incremental",
    "go/pax-nil-sparse-data",
    "go/pax-nil-sparse-hole",
    "go/pax-sparse-big",
    "go/writer-big",
    "go/writer-big-long",
];

#[test]
fn fixtures_are_read_as_python_reads_them_or_refused() {
    let archives = archives();
    let dir = tempfile::tempdir().expect("made");
    let paths: Vec<_> = (0..archives.len()).map(|n| dir.path().join(n.to_string())).collect();
    for (path, (_, bytes)) in paths.iter().zip(&archives) {
        fs::write(path, bytes).expect("written");
    }
    for ((name, bytes), theirs) in archives.iter().zip(listed_by_python(&paths)) {
        let reading = read(bytes);
        let ours = listed(&reading);
        let error = reading.error.map(|e| e.to_string());
        let why = REFUSED.iter().find(|(refused, _)| refused == name).map(|(_, why)| *why);
        match (&error, why) {
            (None, None) if OTHERWISE_IN_PYTHON.contains(&&name[..]) => assert_ne!(ours, theirs),
            (None, None) => assert_eq!(ours, theirs, "{name}"),
            (Some(e), Some(why)) => {
                assert!(e.contains(why), "{name}: {e}");
                assert_eq!(ours[..], theirs[..ours.len()], "{name}");
            }
            _ => panic!("{name}: {error:?} instead of {why:?}"),
        }
    }
}
