//! Indexes that were written are read back, and hostile ones are refused.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    indexed::by_index,
    input::{ReadAt, Source},
    plan::{Plan, Wanted},
    report::Options,
    sink::Sink,
    worker_pool::{SharedBuffer, WorkerPool},
};
use crate::{
    entry::{Entry, EntryKind, Member},
    error::{Error, ErrorKind, Result},
    format::{
        index::{IndexWriter, LocatedEntry, Segment},
        info::Info,
    },
    progress::Tracker,
};

/// An archive whose data are zeros that take no memory.
struct Archive {
    index_at: u64,
    index: Vec<u8>,
    reads: AtomicU64,
}

impl ReadAt for Archive {
    fn len(&self) -> u64 {
        self.index_at + self.index.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.reads.fetch_add(1, Relaxed);
        let start = at.checked_sub(self.index_at).map(|start| start as usize);
        match start.and_then(|start| self.index.get(start..start + into.len())) {
            Some(bytes) => into.copy_from_slice(bytes),
            None if at + into.len() as u64 <= self.len() => {
                let skip = self.index_at.saturating_sub(at).min(into.len() as u64) as usize;
                into[..skip].fill(0);
                let rest = into.len() - skip;
                into[skip..].copy_from_slice(&self.index[..rest]);
            }
            None => return Err(Error::new(ErrorKind::Io, "read")),
        }
        Ok(())
    }
}

/// Writes the index of these entries. Segments have 128 KiB, as in a tree of small files.
fn archive(entries: impl Iterator<Item = Entry>) -> Archive {
    let mut writer = IndexWriter::default();
    let (mut tar, mut cut, mut file_at) = (0u64, 0u64, 10);
    let mut add_segments = |writer: &mut IndexWriter, until: u64| {
        while cut < until {
            let raw_len = (until - cut).min(128 << 10) as u32;
            let key = *blake3::hash(&cut.to_le_bytes()).as_bytes().first_chunk().expect("16 of 32");
            let segment = Segment {
                compressed_len: raw_len / 3 + 5,
                raw_len,
                raw_crc32: cut as u32,
                compressed_crc32: !(cut as u32),
                key,
            };
            writer.add_segment(&segment);
            cut += u64::from(raw_len);
            file_at += u64::from(segment.compressed_len);
        }
    };
    let mut waiting = Vec::new();
    for entry in entries {
        tar += entry.tar_len();
        waiting.push(entry);
        if tar.is_multiple_of(128 << 10) || waiting.len() == 1000 {
            add_segments(&mut writer, tar);
            waiting.drain(..).for_each(|entry| writer.add_entry(&entry).expect("added"));
        }
    }
    add_segments(&mut writer, tar);
    waiting.iter().for_each(|entry| writer.add_entry(entry).expect("added"));
    add_segments(&mut writer, tar + 1024);
    let mut index = Vec::new();
    let info =
        Info { label: b"a label".to_vec(), excludes: vec![b'x'; 300_000], ..Info::default() };
    writer
        .finish(0, info, |bytes| {
            index.extend(bytes);
            Ok(())
        })
        .expect("written");
    Archive { index_at: file_at + 10, index, reads: AtomicU64::new(0) }
}

fn file(i: u64) -> Entry {
    let path = format!("dir-{:05}/file-{:07}.dat", i / 1000, i).into_bytes();
    let (mtime_ns, inode) = (1_700_000_000_000_000_000 + i as i64 * 12_345, 4_000_000 + i);
    let size = i % 7 * 100;
    Entry {
        path,
        header_len: 512,
        size,
        mode: 0o644,
        mtime_ns,
        ctime_ns: mtime_ns,
        inode,
        ..Entry::default()
    }
}

fn source(archive: Archive) -> (Arc<Archive>, Source) {
    let archive = Arc::new(archive);
    (archive.clone(), Source::At(archive))
}

fn entries(source: &Source) -> Vec<Entry> {
    let index = source.checked_index().expect("read").expect("an index");
    let mut found = Vec::new();
    index
        .for_each_entry(|LocatedEntry { entry, .. }| {
            found.push(entry.clone());
            Ok(())
        })
        .expect("read");
    found
}

#[test]
fn an_index_of_any_number_of_entries_is_read_back() {
    for count in [0, 1, 2, 999, 1000, 1001, 5000, 300_000] {
        let (_, source) = source(archive((0..count).map(file)));
        assert!(entries(&source).into_iter().eq((0..count).map(file)), "{count}");
        let index = source.index().expect("read").expect("an index");
        assert_eq!(index.info().label, b"a label");
        assert_eq!(index.excludes().expect("read"), vec![b'x'; 300_000]);
    }
}

#[test]
fn one_path_takes_a_read_for_each_level() {
    let count = 300_000;
    let (archive, source) = source(archive((0..count).map(file)));
    for i in [0, 1, 12_345, 150_000, count - 1] {
        archive.reads.store(0, Relaxed);
        let index = source.index().expect("read").expect("an index");
        let (found, _) = index.find(&file(i).path).expect("read").expect("found");
        assert_eq!(found.entry, file(i));
        assert!(archive.reads.load(Relaxed) <= 3, "{i}: {} reads", archive.reads.load(Relaxed));
        for other in [&b"dir-00000"[..], b"zzz", b"", b"dir-00000/file-0000000.da"] {
            assert!(index.find(other).expect("read").is_none());
        }
    }
}

#[test]
fn runs_have_all_segments_of_the_wanted_entries_and_no_others() {
    let large =
        |i: u64| if i == 2 || i == 7_000 { Entry { size: 40 << 20, ..file(i) } } else { file(i) };
    let (_, source) = source(archive((0..20_000).map(large)));
    let index = source.checked_index().expect("read").expect("an index");
    let is_wanted =
        |entry: &Entry| [2, 3, 7_000, 19_999].iter().any(|i| entry.path == file(*i).path);
    let mut all = 0;
    for wanted in [Wanted::All, Wanted::Some(Box::new(is_wanted))] {
        let is_all = matches!(wanted, Wanted::All);
        let mut plan = Plan::new(wanted, || index.pages());
        let (mut found, mut covered) = (Vec::new(), Vec::new());
        while let Some(run) = plan.next().expect("read") {
            assert!(run.segments.windows(2).all(|two| two[0].number + 1 == two[1].number));
            for entry in &run.entries {
                assert!(run.segments.iter().any(|segment| segment.tar().contains(&entry.tar_at)));
            }
            covered.extend(run.segments.iter().map(|segment| segment.tar()));
            found.extend(run.entries);
        }
        let is_covered = |at: u64| covered.iter().any(|range| range.contains(&at));
        for entry in &found {
            assert!(is_covered(entry.tar_at) && is_covered(entry.tar().end - 1));
        }
        let len: u64 = covered.iter().map(|range| range.end - range.start).sum();
        match is_all {
            true => {
                all = len;
                assert_eq!((found.len(), len), (20_000, index.footer.tar_len));
            }
            false => assert!(found.len() == 4 && len < (81 << 20) && len < all, "{len}"),
        }
    }
}

#[test]
fn any_damaged_byte_of_an_index_is_found() {
    let archive = archive((0..3_000).map(file));
    let (index_at, index) = (archive.index_at, archive.index);
    let whole = index.len();
    let opens = |index: Vec<u8>| {
        let (_, source) = source(Archive { index_at, index, reads: AtomicU64::new(0) });
        let opened = source.checked_index().expect("read");
        let excludes = opened.as_ref().map(|index| index.excludes().is_ok());
        excludes.unwrap_or(false)
    };
    assert!(opens(index.clone()));
    for at in (0..whole).step_by(37).chain(whole - 200..whole) {
        let mut damaged = index.clone();
        damaged[at] ^= 0x10;
        assert!(!opens(damaged), "byte {at} of {whole}");
        assert!(!opens(index[..at].to_vec()), "truncated at {at}");
    }
}

#[test]
fn an_entry_that_only_the_index_has_is_in_the_order_of_paths() {
    let link = |i: u64| Entry {
        path: format!("l{i:06}").into_bytes(),
        kind: EntryKind::Symlink,
        target: b"target".to_vec(),
        ..Entry::default()
    };
    let mixed = |i| if i % 2 == 0 { link(i) } else { Entry { path: link(i).path, ..file(i) } };
    let (_, source) = source(archive((0..100_000).map(mixed)));
    assert!(entries(&source).into_iter().eq((0..100_000).map(mixed)));
    let index = source.index().expect("read").expect("an index");
    for i in [0, 1, 50_000, 99_999] {
        assert_eq!(index.find(&link(i).path).expect("read").expect("found").0.entry, mixed(i));
    }
}

/// A remote archive, which counts its announced ranges.
#[test]
fn a_remote_index_is_read_once() {
    struct Remote(Arc<Archive>, Mutex<Vec<std::ops::Range<u64>>>);
    impl ReadAt for Remote {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
            self.1.lock().expect("whole").push(at..at + into.len() as u64);
            self.0.read_at(at, into)
        }
        fn is_remote(&self) -> bool {
            true
        }
    }
    let (archive, _) = source(archive((0..100_000).map(file)));
    let remote = Arc::new(Remote(archive.clone(), Mutex::default()));
    let source = Source::At(remote.clone());
    assert_eq!(entries(&source).len(), 100_000);
    let read: u64 =
        remote.1.lock().expect("whole").iter().map(|range| range.end - range.start).sum();
    assert!(read <= archive.index.len() as u64 + (64 << 10), "{read} bytes were read");
}

/// An archive of which only the first run arrives. The others wait for a limit.
struct Limited {
    archive: Archive,
    tracker: Arc<Tracker>,
}

impl ReadAt for Limited {
    fn len(&self) -> u64 {
        self.archive.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let start = Instant::now();
        while (11..self.archive.index_at).contains(&at) && !self.tracker.is_ending() {
            assert!(start.elapsed() < Duration::from_secs(60), "nobody has ended the wait");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.archive.read_at(at, into)
    }
}

struct Ignore;

impl Sink for Ignore {
    fn member(&mut self, _: Member) -> Result<bool> {
        Ok(false)
    }

    fn data(&mut self, _: &SharedBuffer, _: Range<usize>, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }

    fn abandon(&mut self) {}
}

#[test]
fn a_failure_ends_the_reads_that_wait_for_a_limit() {
    let tracker = Arc::new(Tracker::default());
    let archive = archive((0..100_000).map(file));
    let source: Arc<dyn ReadAt> = Arc::new(Limited { archive, tracker: tracker.clone() });
    let index = Source::At(source.clone()).index().expect("read").expect("an index");
    let pool = WorkerPool::start(4, false).expect("started");
    let options = Options { sha1: false, keys: false, tolerant: false };
    let all = Wanted::Some(Box::new(|_| true));
    // The data are zeros, so the first segment is damaged.
    let read = by_index(&source, index, all, &options, &pool, &tracker, &mut Ignore);
    assert_eq!(read.expect_err("damaged").kind(), ErrorKind::Corrupt);
    assert!(!tracker.is_cancelled());
    // The pool waits for its tasks.
    let start = Instant::now();
    drop(pool);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
