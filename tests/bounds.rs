//! What an archive may take: memory and time are bounded, whatever its index and its footer say.

mod support;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt, executor::block_on, future::BoxFuture, io::sink};
use support::{Tree, forge, hostile::Header, key, limited};
use wingback::{
    Archive, Backup, Entries, Error, ErrorKind, Extract, FOOTER_LEN, Footer, Key, List,
    MemoryStore, Object, Opened, Previous, ReadMethod, ReadRange, Restore, Store, UnpackOptions,
    Upload, Verify,
};

/// What each look at such an archive may take.
const MB: u64 = 64;
const SECONDS: f64 = 2.0;

/// An archive of a few files, small enough that most of a forged one is its index.
fn small() -> Vec<u8> {
    let tree = Tree::with(&[("a", b"first"), ("b/c", b"second"), ("d", b"third")]);
    support::bytes(tree.backup()).unwrap().1
}

/// Archives of 200 KB whose indexes have the right hash and inflate to 200 MB.
fn forged() -> Vec<(&'static str, Vec<u8>)> {
    let file = small();
    let footer = Footer::decode(file.last_chunk().unwrap(), file.len() as u64).unwrap();
    let [segments, entries, unlisted, links] = forge::lists(&file);
    let number = |n: u64| postcard::to_stdvec(&n).unwrap();
    let with = |before: &[&[u8]], count: u64, item: &[u8], after: &[&[u8]]| {
        forge::with_raw(&file, footer.segments, |to| {
            before.iter().for_each(|bytes| to.write_all(bytes).unwrap());
            to.write_all(&number(count)).unwrap();
            let many = (64 << 10) / item.len();
            let (chunk, rest) = (count / many as u64, count as usize % many);
            let chunk_of = item.repeat(many);
            (0..chunk).for_each(|_| to.write_all(&chunk_of).unwrap());
            to.write_all(&item.repeat(rest)).unwrap();
            after.iter().for_each(|bytes| to.write_all(bytes).unwrap());
        })
    };
    // Path, kind, header_len, and eight fields more.
    let no_header = [&[1, b'x', 0][..], &[0; 9]].concat();
    let link = [&[1, b'x', 1][..], &[0; 4], &[1, b'y']].concat();
    let first: [&[u8]; 3] = [&segments, &entries, &unlisted];
    let mb = 1 << 20;
    let mut all = vec![
        ("groups of no links", with(&first, 190 * mb, &[0], &[])),
        ("one group of many links", with(&[&first.concat(), &[1]], 190 * mb, &[0], &[])),
        ("groups of one file", with(&first, 60 * mb, &[2, 0, 1], &[])),
        ("unlisted links", with(&first[..2], 20 * mb, &link, &[&links])),
        ("entries without headers", with(&first[..1], 15 * mb, &no_header, &[&unlisted, &links])),
        ("segments of nothing", with(&[], 9 * mb, &[0; 20], &[&entries, &unlisted, &links])),
        ("one path without end", with(&[&segments, &[1]], 190 * mb, b"x", &[])),
    ];
    for (what, before) in ["segments", "entries", "unlisted", "groups"].into_iter().zip(0..) {
        let before: &[&[u8]] = &[&segments[..], &entries, &unlisted][..before];
        let claim = |to: &mut dyn Write| {
            before.iter().for_each(|bytes| to.write_all(bytes).unwrap());
            to.write_all(&number(1 << 60)).unwrap();
        };
        all.push((what, forge::with_raw(&file, footer.segments, claim)));
    }
    all
}

/// Files whose footers say what is not there, up to 1 TiB of it.
fn claims() -> Vec<(&'static str, Claim)> {
    let file = small();
    let footer = Footer::decode(file.last_chunk().unwrap(), file.len() as u64).unwrap();
    let claim = |len: u64, footer: Footer| {
        let last = forge::footer(&footer, b"");
        Claim { len: len + FOOTER_LEN as u64, start: file[..10].to_vec(), last }
    };
    let tib = 1 << 40;
    let (data_end, index_offset) = (footer.data_end, footer.index_offset);
    let index_len = tib - index_offset;
    let far = Footer { data_end: tib - 1010, index_offset: tib - 1000, index_len: 1000, ..footer };
    vec![
        ("index_len", claim(tib, Footer { index_len, ..footer })),
        (
            "all lengths",
            claim(tib, Footer { index_len, blob_len: index_len, raw_len: tib, ..footer }),
        ),
        (
            "an index of 2 GiB",
            claim(2 << 30, Footer { index_len: (2 << 30) - index_offset, ..footer }),
        ),
        ("blob_len", claim(tib, Footer { blob_len: u64::MAX, index_len, ..footer })),
        ("raw_len", claim(tib, Footer { raw_len: u64::MAX, ..far })),
        ("tar_len", claim(tib, Footer { tar_len: u64::MAX, ..far })),
        ("segments", claim(tib, Footer { segments: u32::MAX, ..far })),
        ("data_end", claim(data_end + 10, Footer { data_end, ..footer })),
    ]
}

/// A file of zeros but for its start and its end.
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

/// A service that answers with such a file, however little it has.
impl Store for Claim {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>, Error>> {
        let _ = key;
        unreachable!("it is opened at once")
    }

    fn open<'a>(&'a self, _: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened, Error>> {
        let tail = self.read(self.len - tail.min(self.len), tail.min(self.len) as usize);
        futures::future::ready(Ok(Opened { size: self.len, tail })).boxed()
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

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        unreachable!()
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        unreachable!()
    }

    fn location(&self, key: &Key) -> std::ffi::OsString {
        key.as_str().into()
    }
}

/// The archives in `dir`, by name.
fn archives(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    all.sort();
    all
}

/// Does `look` with every archive that is hostile, in one child, each within the time, and all within
/// the memory.
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

/// Forged ones are read in sequence; where there is nothing but a claim, that is an error.
fn clear(result: Result<(), Error>) {
    if let Err(e) = result {
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    }
}

#[test]
fn a_list_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(List::new().start(Archive::file(path))).map(|list| {
            assert_ne!(list.read_method(), ReadMethod::Indexed);
            assert_eq!(list.members().count(), 4);
        }));
    });
}

#[test]
fn a_copy_of_one_file_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(Archive::file(path).copy_file("a", sink())).map(drop))
    });
}

#[test]
fn an_extraction_is_bounded() {
    each_is_bounded(|dir, path| {
        let to = dir.join("to");
        clear(block_on(Extract::new(&to).overwrite(true).start(Archive::file(path))).map(drop));
    });
}

#[test]
fn a_restore_is_bounded() {
    each_is_bounded(|dir, path| {
        clear(block_on(Restore::new(dir.join("to")).start(Archive::file(path))).map(drop));
    });
}

#[test]
fn a_check_is_bounded() {
    each_is_bounded(|_, path| {
        clear(block_on(Verify::new().sha1([0; 20]).start(Archive::file(path))).map(|verified| {
            assert!(!verified.is_whole());
        }));
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
fn a_stream_is_bounded() {
    each_is_bounded(|_, path| {
        // One that is cut short, so that nobody has to pass 1 TiB of zeros on.
        let start = std::io::Read::take(File::open(path).unwrap(), 64 << 20);
        let archive = Archive::stream(futures::io::AllowStdIo::new(start));
        clear(block_on(List::new().start(archive)).map(drop));
    });
}

#[test]
fn a_backup_from_such_a_previous_archive_is_bounded() {
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
fn what_a_service_claims_is_bounded() {
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

/// A `.tar.gz` of `times` copies of what `headers` is, each compressed once.
fn repeated(headers: &[u8], times: usize) -> Vec<u8> {
    let member = support::gzip(headers);
    let mut all = member.repeat(times);
    all.extend(support::gzip(&[0; 1024]));
    all
}

/// Headers of members with paths of `path`.
fn headers(count: u32, flag: u8, path: impl Fn(u32) -> String) -> Vec<u8> {
    (0..count).flat_map(|i| Header::new(flag, path(i).as_bytes(), 0).block()).collect()
}

#[test]
fn an_archive_of_directories_takes_what_its_limit_says() {
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
        // What is kept of none has no limit.
        block_on(Verify::new().start(archive())).unwrap();
    };
    let Some(ran) = limited::body(prepare, body) else { return };
    ran.succeeded().peak_below(MB);
}

#[test]
fn without_an_option_the_limit_is_five_million_and_what_is_skipped_is_counted() {
    let prepare = |dir: &Path| {
        // FIFOs take nothing of the file system.
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
fn long_names_count_more() {
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
fn an_archive_that_is_damaged_all_over_takes_little() {
    let prepare = |dir: &Path| {
        // One file of a long path, in as many segments as a forger likes, none of which is right.
        let file = small();
        let long = vec![b'n'; 4000];
        let segments = 80_000;
        let content = u64::from(segments) * 512;
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
