//! The identity of an archive: written by a backup, and read with one request.

mod support;

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{executor::block_on, future::BoxFuture, io::Cursor};
use support::{Tree, archive_bytes, in_memory};
use wingback::{
    Archive, Backup, ErrorKind, Info, Key, LABEL_MAX, MemoryStore, Object, Opened, Profile,
    ReadRange, Result, Rules, Store, TAG_VALUE_MAX, TAGS_MAX, Upload,
};

fn tree() -> Tree {
    let tree = Tree::with(&[
        (".pteroignore", b"*.tmp\n"),
        ("a.tmp", b"left out"),
        ("server.properties", b"motd=x\n"),
        ("world/level.dat", b"level"),
    ]);
    tree.link("world/link", "level.dat");
    let socket = tree.root.join("console.sock");
    std::os::unix::net::UnixListener::bind(socket).unwrap();
    tree
}

fn info_of(bytes: &[u8]) -> Option<Info> {
    block_on(in_memory(bytes).info()).unwrap()
}

fn info(backup: Backup) -> Info {
    info_of(&archive_bytes(backup)).expect("an archive with an index")
}

#[test]
fn an_archive_says_what_it_is_a_backup_of_and_how_it_was_made() {
    let tree = tree();
    let before = SystemTime::now();
    let (report, bytes) = support::bytes(tree.backup().exclude("*.log\ncache/**")).unwrap();
    let info = info_of(&bytes).unwrap();

    assert_eq!(info.label, b"source", "the name of the directory");
    let source = tree.root.canonicalize().unwrap();
    assert_eq!(info.source.as_deref(), Some(source.as_os_str().as_bytes()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!(info.host, Some(host));
    let made = info.made.unwrap();
    assert!(before - Duration::from_secs(1) <= made && made <= SystemTime::now());
    let since = made.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(info.made_ns(), Some(since.as_nanos() as i64));
    assert_eq!(info.tool, format!("wingback {}", env!("CARGO_PKG_VERSION")));
    assert_eq!((info.encoder.code(), info.encoder.level()), ("wingback", 1));
    assert_eq!((info.profile, info.rules), (Profile::Full, Rules::Git));
    assert_eq!(info.tags, []);

    assert_eq!((info.files, info.directories, info.symlinks), (3, 1, 1));
    assert_eq!((info.files, info.directories), (report.files, report.directories));
    assert_eq!((info.content, info.segments), (report.content, report.segments));
    assert_eq!(info.skipped, 1, "the socket");
    assert_eq!(info.size, bytes.len() as u64);
    assert!(info.tar_len > info.content && info.tar_len.is_multiple_of(512), "{}", info.tar_len);
}

#[test]
fn the_patterns_of_the_ignore_file_and_of_the_caller_are_recorded_in_their_order() {
    let lines = |info: &Info| {
        let text = String::from_utf8(info.excludes.clone()).unwrap();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let tree = tree();
    let both = tree.backup().exclude("*.log\ncache/**").exclude(b"caf\xc3\xa9");
    assert_eq!(lines(&info(both)), ["*.tmp", "*.log", "cache/**", "café"]);
    let own = tree.backup().ignore_file(wingback::IgnoreFile::None);
    assert_eq!(lines(&info(own)), [""; 0]);
    let wings = info(tree.backup().rules(Rules::Wings).exclude("*.log"));
    assert_eq!((wings.rules, lines(&wings)), (Rules::Wings, vec!["*.tmp".into(), "*.log".into()]));

    // More than the last 64 KiB of the archive.
    let many: String = (0..40_000).map(|n| format!("/directory/of/file-{n}\n")).collect();
    let info = info(tree.backup().exclude(&many));
    assert!(info.excludes.len() > 800_000);
    let text = String::from_utf8(info.excludes).unwrap();
    assert!(text.starts_with("*.tmp\n") && text.trim_end().ends_with("/file-39999"));
}

#[test]
fn a_label_and_tags_are_kept_as_they_were_given() {
    let tree = tree();
    let backup = || tree.backup();
    let named = backup().label(b"caf\xe9").tag("plan", "gold=1").tag("plan", "").tag("näme", "é");
    let named = info(named);
    assert_eq!(named.label, b"caf\xe9");
    let tags: Vec<_> = named.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(tags, [("plan", "gold=1"), ("plan", ""), ("näme", "é")]);

    let most = (0..TAGS_MAX).fold(backup().label(vec![b'l'; LABEL_MAX]), |backup, n| {
        backup.tag(format!("{n:0>width$}", width = LABEL_MAX), "v".repeat(TAG_VALUE_MAX))
    });
    let most = info(most);
    assert_eq!((most.label.len(), most.tags.len()), (LABEL_MAX, TAGS_MAX));
    assert_eq!(most.tags[31].1.len(), TAG_VALUE_MAX);
}

#[test]
fn an_identity_over_a_limit_fails_the_backup_before_anything_is_written() {
    let tree = tree();
    let long = "x".repeat(LABEL_MAX + 1);
    let tags = |n| (0..n).fold(tree.backup(), |backup, n| backup.tag(format!("{n}"), ""));
    for (backup, why) in [
        (tree.backup().label(&*long), "the label has more than 255 bytes"),
        (tags(TAGS_MAX + 1), "there are more than 32 tags"),
        (tree.backup().tag("", "x"), "the key \"\" of a tag is empty"),
        (tree.backup().tag("a=b", "x"), "the key \"a=b\" of a tag is empty, contains '='"),
        (tree.backup().tag(&long, "x"), "or has more than 255 bytes"),
        (tree.backup().tag("a", "x".repeat(TAG_VALUE_MAX + 1)), "the value of the tag a has more"),
    ] {
        let store = MemoryStore::new();
        let error = block_on(backup.start(store.clone(), support::key())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!((store.get(&support::key()), store.unfinished()), (None, 0));
    }
}

#[test]
fn a_reproducible_archive_has_no_source_host_and_time() {
    let tree = tree();
    let copy = |label: Option<&str>| {
        let backup = tree.backup().reproducible(true).tag("plan", "gold");
        info(match label {
            Some(label) => backup.label(label),
            None => backup,
        })
    };
    let anonymous = copy(None);
    assert_eq!((&*anonymous.label, &anonymous.source), (&b""[..], &None));
    assert_eq!((&anonymous.host, anonymous.made, anonymous.made_ns()), (&None, None, None));
    assert_eq!(anonymous.tags, [("plan".into(), "gold".into())]);
    assert_eq!(copy(Some("lobby")).label, b"lobby");
}

#[test]
fn the_profile_of_wings_is_known_and_its_other_entries_are_counted() {
    let info = info(tree().backup().profile(Profile::Wings));
    assert_eq!(info.profile, Profile::Wings);
    assert_eq!((info.files, info.directories, info.symlinks), (3, 1, 1));
}

#[test]
fn an_archive_without_an_index_has_no_identity() {
    let tree = tree();
    let file = tree.tmp.path().join("tar.tar.gz");
    let made =
        Command::new("tar").arg("czf").arg(&file).arg("-C").arg(&tree.root).arg(".").status();
    assert!(made.unwrap().success());
    assert_eq!(block_on(Archive::file(&file).info()).unwrap(), None);

    let bytes = archive_bytes(tree.backup());
    assert_eq!(info_of(&bytes[..bytes.len() - 1]), None, "its end is missing");
    assert_eq!(info_of(b""), None);
    let stream = Archive::stream(Cursor::new(bytes.clone()));
    assert_eq!(block_on(stream.info()).unwrap(), None, "a stream has no end to begin with");

    let missing = block_on(Archive::file(tree.root.join("none")).info()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    fs::write(&file, &bytes).unwrap();
    assert_eq!(block_on(Archive::file(&file).info()).unwrap().unwrap().label, b"source");
}

/// A store that answers with size and last bytes at once, as S3 does. Counts the requests of a reader.
#[derive(Clone, Default)]
struct Counting {
    store: MemoryStore,
    requests: Arc<AtomicU64>,
}

impl Store for Counting {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        size: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        self.store.create(key, size)
    }

    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        self.requests.fetch_add(1, SeqCst);
        assert_eq!(tail, 64 << 10);
        self.store.open(key, tail)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.requests.fetch_add(1, SeqCst);
        self.store.head(key)
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        self.requests.fetch_add(1, SeqCst);
        self.store.read(key, range)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.store.list()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.delete(key)
    }
}

#[test]
fn the_identity_of_an_archive_in_a_store_takes_one_request() {
    let tree = tree();
    for n in 0..5000 {
        tree.file(format!("world/chunk-{n}"), "x");
    }
    let store = Counting::default();
    let backup = tree.backup().exclude("*.log");
    block_on(backup.start(store.store.clone(), support::key())).unwrap();
    let size = store.store.get(&support::key()).unwrap().len();
    assert!(size > 64 << 10, "the index alone has {size} bytes");
    let info = block_on(Archive::in_store(store.clone(), support::key()).info()).unwrap().unwrap();
    assert_eq!((info.label, info.files), (b"source".to_vec(), 5003));
    assert_eq!(store.requests.load(SeqCst), 1);
}
