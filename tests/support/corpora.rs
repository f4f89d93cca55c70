//! Tar fixtures of other projects, from `tests/corpora.sh` and the Go toolchain.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::left_out;

/// Returns name and bytes of every archive that is installed. Prints which ones are missing.
pub fn archives() -> Vec<(String, Vec<u8>)> {
    let mut archives = Vec::new();
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let corpora = cache.map(|cache| cache.join("wingback/corpora"));
    for corpus in ["astral-tokio-tar-0.7.0", "backports.tarfile-1.2.0", "libarchive-c-5.3"] {
        match corpora.as_ref().map(|dir| dir.join(corpus).join("tests")).filter(|dir| dir.is_dir())
        {
            Some(dir) => collect(&dir, corpus, &mut archives),
            None => {
                left_out(&format!("archives of {corpus}: tests/corpora.sh has not downloaded them"))
            }
        }
    }
    match go_testdata() {
        Some(dir) => collect(&dir, "go", &mut archives),
        None => left_out("archives of Go: its source with archive/tar/testdata is not installed"),
    }
    archives.sort();
    archives
}

fn go_testdata() -> Option<PathBuf> {
    let output = Command::new("go").args(["env", "GOROOT"]).output().ok()?;
    let root = String::from_utf8(output.stdout).ok()?;
    Some(Path::new(root.trim()).join("src/archive/tar/testdata")).filter(|dir| dir.is_dir())
}

fn collect(dir: &Path, name: &str, archives: &mut Vec<(String, Vec<u8>)>) {
    for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        let name = format!("{name}/{}", file.file_name().unwrap().to_string_lossy());
        if file.is_dir() {
            collect(&file, name.split('/').next().unwrap(), archives);
        } else if let Some(name) = name.strip_suffix(".tar") {
            archives.push((name.to_owned(), fs::read(file).unwrap()));
        } else if let Some(name) = name.strip_suffix(".tar.base64") {
            let mut text = fs::read(file).unwrap();
            text.retain(|byte| !byte.is_ascii_whitespace());
            archives.push((name.to_owned(), BASE64_STANDARD.decode(text).unwrap()));
        } else if let Some(name) = name.strip_suffix(".tar.bz2") {
            let unpack =
                "import bz2,sys; sys.stdout.buffer.write(bz2.open(sys.stdin.buffer).read())";
            let file = Stdio::from(fs::File::open(file).unwrap());
            let output = Command::new("python3").args(["-c", unpack]).stdin(file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            archives.push((name.to_owned(), output.stdout));
        }
    }
}
