//! Reading an archive takes bounded memory and time, whatever its index and footer contain.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt, executor::block_on, future::BoxFuture, io::sink};
use support::{
    Tree,
    forge::{self, FOOTER_LEN, Footer},
    hostile::Header,
    key, limited,
};
use wingback::{
    Archive, Backup, Diff, Entries, Error, ErrorKind, Extract, Find, Key, List, LocalStore,
    MemoryStore, Object, Opened, Previous, ReadMethod, ReadRange, Restore, Sha1, Store,
    UnpackOptions, Upload, Verify, VerifyAll,
};

/// Limits of each operation on such an archive.
const MB: u64 = 64;
const SECONDS: f64 = 2.0;

/// An archive of a few files. Most of a forged version of it is the index.
fn small() -> Vec<u8> {
    let tree = Tree::with(&[("a", b"first"), ("b/c", b"second"), ("d", b"third")]);
    support::bytes(tree.backup()).unwrap().1
}

/// Archives whose indexes have the right hashes. Each costs time or memory if a reader trusts it.
fn forged() -> Vec<(&'static str, Vec<u8>)> {
    let file = small();
    let (_, index) = forge::read(&file);
    let page = |raw: Vec<u8>| forge::with_raw_pages(&file, &[(raw, Vec::new())]);
    // Offsets of the first page, then the numbers of segments and entries.
    let head = |segments, entries| forge::numbers(&[0, 10, 0, 0, segments, entries]);
    let entry = [0, 1, b'x', 0b100, 1, 0, 0, 0, 0, 0, 0, 0];
    let segments: Vec<u8> = index.segments.iter().flat_map(forge::segment).collect();
    let with_segments = |entries: u64, rest: Vec<u8>| {
        page([head(index.segments.len() as u64, entries), segments.clone(), rest].concat())
    };
    let mut long_path = Vec::new();
    forge::put_shared(&mut long_path, b"", &[b'p'; 8000]);
    long_path.extend(&entry[3..]);
    let mut same_paths = long_path.clone();
    for i in 0..9_000_u64 {
        // 8000 bytes of the path before, and two others.
        same_paths.extend(forge::numbers(&[8000, 2]));
        same_paths.extend(&i.to_be_bytes()[6..]);
        same_paths.extend(&entry[3..]);
    }
    let repeated = |raw: Vec<u8>, times: usize| vec![(raw, Vec::new()); times];
    let empty = head(0, 0);
    let whole = [head(index.segments.len() as u64, 0), segments.clone()].concat();
    vec![
        ("a page of 200 MB", page(vec![0; 200 << 20])),
        ("a page of 2 to 60 segments", page(head(1 << 60, 0))),
        ("a page of 2 to 60 entries", with_segments(1 << 60, entry.to_vec())),
        (
            "one path without end",
            with_segments(1, [&[0, 0xff, 0xff, 0xff, 0x7f][..], &[b'x'; 99_000]].concat()),
        ),
        ("a prefix that is longer than its path", with_segments(1, forge::numbers(&[1 << 50, 0]))),
        ("many long paths", with_segments(9_001, same_paths)),
        ("many empty pages", forge::with_raw_pages(&file, &repeated(empty, 3000))),
        ("many equal pages", forge::with_raw_pages(&file, &repeated(whole, 300))),
        ("a node of 2 to 60 pages", with_node(&file, &forge::numbers(&[1, 0, 1 << 60]))),
        ("a node without children", with_node(&file, &forge::numbers(&[1, 0, 0, 0]))),
        ("a root of 200 MB", with_node(&file, &vec![0; 200 << 20])),
        ("nodes that lead nowhere", forge::with_shared_nodes(&file, 5, 400)),
    ]
}

/// Returns the archive with a root of these raw bytes, and no pages.
fn with_node(file: &[u8], raw: &[u8]) -> Vec<u8> {
    let (footer, _) = forge::read(file);
    forge::with_root(file[..footer.data_end as usize + 10].to_vec(), &footer, raw)
}

/// Files whose footers claim data that do not exist, up to 1 TiB.
fn claims() -> Vec<(&'static str, Claim)> {
    let file = small();
    let (footer, _) = forge::read(&file);
    let claim = |len: u64, footer: Footer| {
        let file_len = len + FOOTER_LEN as u64;
        let last = forge::footer(&Footer { file_len, ..footer }, b"");
        Claim { len: file_len, start: file[..10].to_vec(), last }
    };
    let tib = 1 << 40;
    let data_end = footer.data_end;
    let far = Footer { data_end: tib - 1010, root_len: 1000, ..footer };
    vec![
        ("root_len", claim(tib, Footer { root_len: u32::MAX, ..footer })),
        ("a root of 2 GiB", claim(2 << 30, Footer { root_len: (2 << 30) - 1000, ..footer })),
        ("no root", claim(tib, Footer { root_len: 0, ..footer })),
        ("tar_len", claim(tib, Footer { tar_len: u64::MAX, ..far })),
        ("segments", claim(tib, Footer { segments: u64::MAX, ..far })),
        ("entries", claim(tib, Footer { entries: u64::MAX, ..far })),
        ("data_end", claim(data_end + 10, Footer { root_len: 0, ..footer })),
        ("data_end at the end", claim(tib, Footer { data_end: u64::MAX, ..footer })),
    ]
}

/// A sparse file with only a start and an end.
#[derive(Clone)]
struct Claim {
    len: u64,
    start: Vec<u8>,
    last: Vec<u8>,
}

impl Claim {
    fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.len).unwrap();
        file.write_all_at(&self.start, 0).unwrap();
        file.write_all_at(&self.last, self.len - self.last.len() as u64).unwrap();
    }

    fn read(&self, at: u64, len: usize) -> Bytes {
        let last_at = self.len - self.last.len() as u64;
        let byte = |at: u64| match at.checked_sub(last_at) {
            Some(i) => self.last[i as usize],
            None => self.start.get(at as usize).copied().unwrap_or(0),
        };
        (at..at + len as u64).map(byte).collect()
    }
}

/// A store that returns such a file.
impl Store for Claim {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>, Error>> {
        let _ = key;
        unreachable!("it is opened at once")
    }

    fn open<'a>(&'a self, _: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened, Error>> {
        let tail = self.read(self.len - tail.min(self.len), tail.min(self.len) as usize);
        futures::future::ready(Ok(Opened::new(self.len, tail))).boxed()
    }

    fn read<'a>(&'a self, _: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes, Error>> {
        let ReadRange::Bytes(range) = range else { unreachable!("it has the end") };
        let bytes = self.read(range.start, (range.end - range.start) as usize);
        futures::future::ready(Ok(bytes)).boxed()
    }

    fn create<'a>(
        &'a self,
        _: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>, Error>> {
        unreachable!()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>, Error>> {
        unreachable!()
    }

    fn delete<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<(), Error>> {
        unreachable!()
    }
}

/// The archives in `dir`, sorted by name.
fn archives(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    all.sort();
    all
}

/// Calls `look` with every hostile archive in one child process. Each call must stay within the time
/// limit, and all calls within the memory limit.
fn each_is_bounded(look: impl Fn(&Path, &Path)) {
    let prepare = |dir: &Path| {
        for (what, bytes) in forged() {
            assert!(bytes.len() < 400_000, "{what}: {}", bytes.len());
            fs::write(dir.join(what.replace(' ', "-") + ".forged.gz"), bytes).unwrap();
        }
        for (what, claim) in claims() {
            claim.write(&dir.join(what.replace(' ', "-") + ".claim.gz"));
        }
    };
    let body = |dir: &Path| {
        for path in archives(dir) {
            let start = Instant::now();
            look(dir, &path);
            let took = start.elapsed().as_secs_f64();
            println!("{} {took:.2} s", path.display());
            assert!(took < 5.0 * SECONDS, "{} took {took} s", path.display());
        }
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(MB);
}

/// Forged archives are read in sequence. A file that is only a claim is an error.
fn clear(result: Result<(), Error>) {
    if let Err(e) = result {
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    }
}

#[test]
fn list_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(List::new().start(Archive::file(path))).map(|list| {
            assert_ne!(list.read_method(), ReadMethod::Indexed);
            assert_eq!(list.members().count(), 4);
        }));
    });
}

#[test]
fn copying_one_file_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(Archive::file(path).copy_file("a", sink())).map(drop))
    });
}

#[test]
fn extract_is_bounded() {
    each_is_bounded(|dir, path| {
        let to = dir.join("to");
        clear(block_on(Extract::new(&to).overwrite(true).start(Archive::file(path))).map(drop));
    });
}

#[test]
fn restore_is_bounded() {
    each_is_bounded(|dir, path| {
        clear(block_on(Restore::new(dir.join("to")).start(Archive::file(path))).map(drop));
    });
}

#[test]
fn verify_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(Verify::new().sha1(Sha1([0; 20])).start(Archive::file(path))).map(
            |verified| {
                assert!(!verified.is_whole());
            },
        ));
    });
}

#[test]
fn diff_is_bounded() {
    each_is_bounded(|_, path| {
        let mut stream = Diff::new().start(Archive::file(path), Archive::file(path));
        clear(block_on(async {
            while stream.try_next().await?.is_some() {}
            Ok(())
        }));
    });
}

#[test]
fn find_and_verify_of_all_archives_are_bounded() {
    each_is_bounded(|dir, path| {
        // Once, for all of them together.
        if archives(dir)[0] != path {
            return;
        }
        let found = block_on(Find::new().start(LocalStore::new(dir))).unwrap();
        assert!(!found.unsearched.is_empty(), "{found:?}");
        let mut checks = VerifyAll::new().start(LocalStore::new(dir));
        while let Some(check) = block_on(checks.try_next()).unwrap() {
            assert!(!check.is_whole(), "{check:?}");
        }
        assert!(checks.verified_all().is_some_and(|all| !all.is_whole()));
    });
}

#[test]
fn reading_the_entries_is_bounded() {
    each_is_bounded(|_, path| {
        let mut entries = Entries::open(Archive::file(path));
        clear(block_on(async {
            while entries.try_next().await?.is_some() {}
            Ok(())
        }));
    });
}

#[test]
fn reading_a_stream_is_bounded() {
    each_is_bounded(|_, path| {
        // Cut short, to avoid reading 1 TiB of zeros.
        let start = std::io::Read::take(File::open(path).unwrap(), 64 << 20);
        let archive = Archive::stream(futures::io::AllowStdIo::new(start));
        clear(block_on(List::new().start(archive)).map(drop));
    });
}

#[test]
fn a_backup_with_a_forged_previous_archive_is_bounded() {
    let Some(ran) = limited::body(
        |dir| {
            fs::create_dir(dir.join("source")).unwrap();
            fs::write(dir.join("source/a"), "first").unwrap();
            for (what, bytes) in forged() {
                fs::write(dir.join(what.replace(' ', "-") + ".gz"), bytes).unwrap();
            }
        },
        |dir| {
            for path in archives(dir) {
                let backup = Backup::new(dir.join("source")).previous(Previous::File(path));
                let report = block_on(backup.start(MemoryStore::new(), key())).unwrap();
                assert!(report.warnings[0].to_string().contains("damaged"), "{report:?}");
            }
        },
    ) else {
        return;
    };
    ran.succeeded().peak_below(MB);
}

#[test]
fn a_length_claimed_by_a_service_is_bounded() {
    let Some(ran) = limited::body(
        |_| {},
        |_| {
            for (what, claim) in claims() {
                let archive = || Archive::in_store(claim.clone(), key());
                println!("{what}");
                clear(block_on(List::new().start(archive())).map(drop));
                clear(block_on(Verify::new().start(archive())).map(drop));
            }
        },
    ) else {
        return;
    };
    ran.succeeded().peak_below(2 * MB).took_less_than(4.0 * SECONDS);
}

/// A `.tar.gz` of `times` copies of `headers`, each compressed on its own.
fn repeated(headers: &[u8], times: usize) -> Vec<u8> {
    let member = support::gzip(headers);
    let mut all = member.repeat(times);
    all.extend(support::gzip(&[0; 1024]));
    all
}

/// Headers of members with the paths that `path` returns.
fn headers(count: u32, flag: u8, path: impl Fn(u32) -> String) -> Vec<u8> {
    (0..count).flat_map(|i| Header::new(flag, path(i).as_bytes(), 0).block()).collect()
}

#[test]
fn the_member_limit_bounds_an_archive_of_directories() {
    let prepare = |dir: &Path| {
        let directories = headers(200_000, b'5', |i| format!("d/{i:x}/"));
        fs::write(dir.join("a.tar.gz"), repeated(&directories, 1)).unwrap();
    };
    let body = |dir: &Path| {
        let archive = || Archive::file(dir.join("a.tar.gz"));
        let options = || UnpackOptions::new().max_members(20_000);
        for error in [
            block_on(Extract::new(dir.join("x")).options(options()).start(archive())).map(drop),
            block_on(Restore::new(dir.join("r")).options(options()).start(archive())).map(drop),
            block_on(List::new().max_members(20_000).start(archive())).map(drop),
        ] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
            assert!(error.to_string().contains("more than 20000 members"), "{error}");
        }
        // Without a list of members there is no limit.
        block_on(Verify::new().start(archive())).unwrap();
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(MB);
}

#[test]
fn the_default_limit_is_five_million_and_counts_skipped_members() {
    let prepare = |dir: &Path| {
        // FIFOs take no space in the file system.
        let fifos = headers(50_000, b'6', |i| format!("{i:x}"));
        fs::write(dir.join("few.gz"), repeated(&fifos, 1)).unwrap();
        fs::write(dir.join("many.gz"), repeated(&fifos, 101)).unwrap();
    };
    let body = |dir: &Path| {
        let extract =
            |name: &str| block_on(Extract::new(dir.join("x")).start(Archive::file(dir.join(name))));
        let skipped = extract("few.gz").unwrap().unpacked.skipped;
        assert_eq!((skipped.len(), skipped.more(), skipped.total()), (1000, 49_000, 50_000));
        let error = extract("many.gz").unwrap_err();
        assert!(error.to_string().contains("more than 5000000 members"), "{error}");
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(MB);
}

#[test]
fn long_names_count_more_toward_the_member_limit() {
    let tree = Tree::new();
    let long = "n".repeat(250);
    let path = format!("{long}/{long}/{long}");
    tree.file(&path, b"x");
    let (_, bytes) = support::bytes(tree.backup()).unwrap();
    for (max, is_enough) in [(11, false), (14, true)] {
        let to = Tree::new();
        let options = UnpackOptions::new().max_members(max);
        let done =
            block_on(Extract::new(&to.root).options(options).start(support::in_memory(&bytes)));
        assert_eq!(done.is_ok(), is_enough, "{max}: {done:?}");
    }
}

#[test]
fn an_archive_with_damage_in_every_segment_is_bounded() {
    let prepare = |dir: &Path| {
        // One file with a long path, in a forged number of segments, all of them damaged.
        let file = small();
        let long = vec![b'n'; 4000];
        let segments = 80_000;
        let content = segments * 512;
        let forged = forge::with_segments(&file, segments, |entry| {
            entry.path.clone_from(&long);
            entry.size = content;
        });
        fs::write(dir.join("a.gz"), forged).unwrap();
    };
    let body = |dir: &Path| {
        let verified = block_on(Verify::new().start(Archive::file(dir.join("a.gz")))).unwrap();
        assert_eq!(verified.read_method, ReadMethod::Indexed);
        assert!(verified.damage.len() == 1000 && verified.damage.more() > 70_000);
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(MB);
}
