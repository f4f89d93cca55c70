//! Compares the archives of other writers with what Python's `tarfile` reads from them.

use std::{
    fs,
    os::unix::fs::{FileExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::{Reading, content, left_out, read};
use crate::entry::MemberKind;

/// Prints one line for each member of each archive: kind, path, target, size, mode, uid, gid, mtime in
/// whole seconds, and the CRC-32 of the content if it is not too large. Then prints an empty line.
const LIST: &str = r#"
import sys, tarfile, zlib
sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
def plain(name): return name[2:] if name.startswith("./") else "" if name == "." else name
for path in sys.argv[1:]:
    try:
        archive = tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape")
        for m in archive:
            data = archive.extractfile(m).read() if m.isreg() and m.size <= 1 << 24 else b""
            kind = "file" if m.isreg() else "directory" if m.isdir() else \
                "symlink" if m.issym() else "hard-link" if m.islnk() else \
                "fifo" if m.isfifo() else "char-device" if m.ischr() else "block-device"
            target = m.linkname if m.issym() else plain(m.linkname) if m.islnk() else ""
            size = m.size if m.isreg() else 0
            print(kind, plain(m.name).rstrip("/"), target, size, oct(m.mode & 0o7777), m.uid,
                  m.gid, int(m.mtime // 1), zlib.crc32(data), sep="\t")
    except (tarfile.TarError, EOFError) as e:
        print("refused:", e)
    print()
"#;
/// Larger contents are not compared.
const CONTENT_MAX: u64 = 1 << 24;

/// Returns what Python reads from archives.
pub(super) fn listed_by_python(archives: &[PathBuf]) -> Vec<Vec<String>> {
    let output = Command::new("python3").args(["-c", LIST]).args(archives).output();
    let output = output.expect("make test installs python3");
    assert!(output.status.success(), "{}", lossy(&output.stderr));
    // A line may contain bytes that are not text.
    let lines: Vec<String> = output.stdout.split(|&byte| byte == b'\n').map(lossy).collect();
    lines.split(String::is_empty).map(<[String]>::to_vec).collect()
}

/// Returns the same for this reader.
pub(super) fn listed(reading: &Reading) -> Vec<String> {
    (reading.members.iter())
        .map(|member| {
            let (header, _) = member;
            let is_small = header.kind == MemberKind::File && header.size <= CONTENT_MAX;
            let content = if is_small { content(member) } else { Vec::new() };
            [
                header.kind.code().to_owned(),
                lossy(&header.path),
                lossy(&header.target),
                header.size.to_string(),
                format!("0o{:o}", header.mode),
                header.uid.to_string(),
                header.gid.to_string(),
                header.mtime_ns.div_euclid(1_000_000_000).to_string(),
                crc32fast::hash(&content).to_string(),
            ]
            .join("\t")
        })
        .collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Creates a directory with every kind of entry that needs no privileges.
fn tree(dir: &Path, long: usize) {
    let root = dir.join("tree");
    fs::create_dir_all(root.join("empty")).expect("made");
    fs::write(root.join("file"), "content").expect("written");
    fs::write(root.join("nothing"), "").expect("written");
    fs::write(root.join("Käse"), [0xff; 1025]).expect("written");
    fs::hard_link(root.join("file"), root.join("hard")).expect("linked");
    symlink("../no/where", root.join("link")).expect("linked");
    let deep = root.join("d".repeat(long)).join("e".repeat(long));
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("f".repeat(long)), "deep").expect("written");
    symlink("t".repeat(long), deep.join("link")).expect("linked");
    let old = Command::new("touch").args(["-d", "@1000000000.5"]).arg(root.join("file")).status();
    assert!(old.expect("runs").success());
}

/// Creates a file with holes between its extents of data, and a hole at the end.
fn sparse(dir: &Path, extents: u64) {
    let file = fs::File::create(dir.join("tree/sparse")).expect("made");
    for n in 0..extents {
        file.write_all_at(b"data", n * 65_536 + 8192).expect("written");
    }
    file.set_len(extents * 65_536 + 100_000).expect("long");
}

fn archive(dir: &Path, command: &str, arguments: &[&str]) -> PathBuf {
    let tar = dir.join("tar");
    let output = Command::new(command)
        .arg("-c")
        .args(arguments)
        .arg("-f")
        .args([&tar, Path::new("-C"), dir, Path::new("./tree")])
        .output()
        .expect("make test installs it");
    assert!(output.status.success(), "{}", lossy(&output.stderr));
    tar
}

#[track_caller]
fn compare(tar: &Path) -> Reading {
    let reading = read(&fs::read(tar).expect("there"));
    assert!(reading.error.is_none(), "{:?}", reading.error);
    assert_eq!(listed(&reading), listed_by_python(&[tar.to_owned()])[0]);
    reading
}

#[test]
fn all_formats_of_gnu_tar_are_read_as_python_reads_them() {
    for (form, long) in [("v7", 20), ("ustar", 70), ("oldgnu", 250), ("gnu", 250), ("posix", 250)] {
        let dir = tempfile::tempdir().expect("made");
        tree(dir.path(), long);
        let tar = archive(dir.path(), "tar", &[&format!("--format={form}")]);
        let reading = compare(&tar);
        let kinds = |kind| reading.members.iter().filter(|(m, _)| m.kind == kind).count();
        assert_eq!([MemberKind::HardLink, MemberKind::Symlink].map(kinds), [1, 2], "{form}");
    }
}

#[test]
fn formats_of_other_writers_are_read_as_python_reads_them() {
    for (form, long) in [("v7", 20), ("ustar", 70), ("gnutar", 250), ("pax", 250)] {
        let dir = tempfile::tempdir().expect("made");
        tree(dir.path(), long);
        compare(&archive(dir.path(), "bsdtar", &[&format!("--format={form}")]));
    }
    for form in ["USTAR", "GNU", "PAX"] {
        let dir = tempfile::tempdir().expect("made");
        tree(dir.path(), 70);
        let write = "import sys, tarfile
with tarfile.open('tar', 'w', format=getattr(tarfile, sys.argv[1] + '_FORMAT')) as archive:
    archive.add('tree')";
        let status = Command::new("python3").args(["-c", write, form]).current_dir(&dir).status();
        assert!(status.expect("runs").success());
        compare(&dir.path().join("tar"));
    }
}

#[test]
fn sparse_files_of_gnu_tar_and_libarchive_are_read_as_python_reads_them() {
    let gnu: [(&str, &[&str]); 5] = [
        ("tar", &["--format=oldgnu", "-S"]),
        ("tar", &["--format=gnu", "-S"]),
        ("tar", &["--format=posix", "-S", "--sparse-version=0.0"]),
        ("tar", &["--format=posix", "-S", "--sparse-version=0.1"]),
        ("tar", &["--format=posix", "-S", "--sparse-version=1.0"]),
    ];
    for (command, arguments) in gnu.into_iter().chain([("bsdtar", &["--format=pax"][..])]) {
        for extents in [0, 4, 5, 30] {
            let dir = tempfile::tempdir().expect("made");
            tree(dir.path(), 20);
            sparse(dir.path(), extents);
            let reading = compare(&archive(dir.path(), command, arguments));
            let sparse = reading.members.iter().find(|(m, _)| m.path.ends_with(b"/sparse"));
            let (member, _) = sparse.expect("there");
            assert_eq!(member.size, extents * 65_536 + 100_000);
            if member.sparse.is_none() {
                left_out("sparse members of other writers: no holes in this file system");
            }
        }
    }
}

#[test]
fn times_of_pax_archives_keep_their_nanoseconds() {
    let dir = tempfile::tempdir().expect("made");
    tree(dir.path(), 20);
    let reading = compare(&archive(dir.path(), "tar", &["--format=posix"]));
    let file = reading.members.iter().find(|(m, _)| m.path.ends_with(b"/file"));
    assert_eq!(file.map(|(m, _)| m.mtime_ns), Some(1_000_000_000_500_000_000));
}

#[test]
fn git_archives_are_read() {
    let dir = tempfile::tempdir().expect("made");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=b", "-c", "commit.gpgsign=false"]);
        let output = git.args(arguments).current_dir(&dir).output().expect("runs");
        assert!(output.status.success(), "{}", lossy(&output.stderr));
    };
    git(&["init", "-q"]);
    fs::write(dir.path().join("file"), "content").expect("written");
    git(&["add", "file"]);
    git(&["commit", "-qm", "message"]);
    git(&["archive", "-o", "tar", "HEAD"]);
    assert_eq!(compare(&dir.path().join("tar")).paths(), ["file"]);
}
