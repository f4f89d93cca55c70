//! Turns a walk into the tar stream: headers, content, padding, and the index beside it.

mod again;
mod copy;

use std::{
    collections::HashMap,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::io::Errno;

use crate::{
    entry::{Entry, EntryKind, Metadata, Unlisted, is_beyond},
    error::{Error, Result},
    format::{
        Profile,
        index::IndexBuilder,
        segment::{Batch, SegmentLayout, ends_group},
        tar::{BLOCK, END_LEN, Header},
    },
    fs::{
        file::SourceFile,
        root::{Root, skippable},
        stat::FileId,
        walk::{TreeWalk, WalkEntry},
    },
    limiter::Limiter,
    listed::Listed,
    progress::Tracker,
    report::{Change, Changed, SkipReason, Skipped},
    write::{
        pipeline::Feeder,
        previous::{Cursor, PreviousArchive},
        read_ahead::Copies,
        tree::copy::Group,
    },
};

/// Below this age of a ctime, a write may not show in it yet: memory-mapped pages change it only
/// when they are written back.
const RECENT: Duration = Duration::from_secs(60);

/// What is taken from the tree, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeOptions {
    pub(crate) profile: Profile,
    /// For some paths, how many of their first bytes count.
    pub(crate) max_len: HashMap<Vec<u8>, u64>,
    /// Leave out what differs between two copies of a tree: ctimes and inode numbers.
    pub(crate) reproducible: bool,
    /// A file with its old mtime has its old content, whatever its ctime.
    pub(crate) trust_mtime: bool,
    /// What time it is, for tests.
    pub(crate) now: Option<SystemTime>,
    pub(crate) read_limit: Limiter,
}

/// What a report says of the source.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) symlinks: u64,
    pub(crate) hard_links: u64,
    pub(crate) content: u64,
    pub(crate) read: u64,
    pub(crate) excluded: u64,
    pub(crate) skipped: Listed<Skipped>,
    /// Something of that should be in the archive.
    pub(crate) is_partial: bool,
    pub(crate) changed: Listed<Changed>,
    /// What has a time that the index cannot say.
    pub(crate) beyond: Listed<Vec<u8>>,
    /// Paths of `max_len` that were not met.
    pub(crate) unmet: Vec<Vec<u8>>,
}

/// Feeds the whole tar stream of `walk`, and returns all of its index but the segments. What is as it
/// was in `stock` is not read but copied from there.
pub(crate) fn write(
    mut walk: TreeWalk<'_>,
    options: &TreeOptions,
    stock: Option<Arc<PreviousArchive>>,
    tracker: &Tracker,
    feeder: &mut Feeder,
) -> Result<(IndexBuilder, Facts)> {
    let mut writer = Writer {
        batch: feeder.batch(),
        copies: Copies::default(),
        cursor: stock.map(|stock| Cursor::new(stock, options.trust_mtime, feeder.pool())),
        group: None,
        held: Vec::new(),
        root: walk.root(),
        options,
        tracker,
        feeder,
        index: IndexBuilder::default(),
        facts: Facts::default(),
        links: HashMap::new(),
        unmet: options.max_len.keys().cloned().collect(),
        headers: Vec::new(),
    };
    while let Some(step) = walk.next()? {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        writer.step(&walk, step)?;
    }
    writer.finish()
}

struct Writer<'a> {
    root: &'a Root,
    options: &'a TreeOptions,
    tracker: &'a Tracker,
    feeder: &'a mut Feeder,
    batch: Batch,
    /// Encoded segments that stand before the batch, which is empty then.
    copies: Copies,
    cursor: Option<Cursor>,
    /// A group that has been what it was so far; nothing of it is in the batch then.
    group: Option<Group>,
    /// Its entries. Until its bytes are known to be right they are not in the index.
    held: Vec<Entry>,
    index: IndexBuilder,
    facts: Facts,
    /// Entries of files with more than one name.
    links: HashMap<FileId, Vec<u32>>,
    unmet: std::collections::BTreeSet<Vec<u8>>,
    headers: Vec<u8>,
}

impl Writer<'_> {
    fn step(&mut self, walk: &TreeWalk<'_>, step: WalkEntry) -> Result<()> {
        let path = walk.path();
        match step {
            WalkEntry::File => {
                if self.copy_file(walk)? {
                    return Ok(());
                }
                match walk.open_file() {
                    Ok(file) => self.file(walk, file),
                    Err(errno) => self.skip_or_fail(walk, "open", errno),
                }
            }
            WalkEntry::Symlink => match walk.read_link() {
                Ok((meta, target)) => {
                    self.facts.symlinks += 1;
                    self.link_or_directory(path, EntryKind::Symlink, &meta, target)
                }
                // No symlink any more.
                Err(Errno::INVAL) => {
                    self.skip(path, SkipReason::Replaced);
                    Ok(())
                }
                Err(errno) => self.skip_or_fail(walk, "read the link", errno),
            },
            WalkEntry::Directory(meta, not_entered) => {
                if let Some(reason) = not_entered {
                    self.skip(path, reason);
                }
                self.facts.directories += 1;
                self.link_or_directory(path, EntryKind::Directory, &meta, Vec::new())
            }
            WalkEntry::Excluded => {
                self.facts.excluded += 1;
                Ok(())
            }
            WalkEntry::Skipped(reason) => {
                self.skip(path, reason);
                Ok(())
            }
        }
    }

    fn skip(&mut self, path: &[u8], reason: SkipReason) {
        let path = path.to_vec();
        self.facts.is_partial |= reason.is_data_loss();
        self.facts.skipped.push(Skipped { path, reason });
    }

    fn skip_or_fail(
        &mut self,
        walk: &TreeWalk<'_>,
        doing: &'static str,
        errno: Errno,
    ) -> Result<()> {
        let reason = skippable(errno).ok_or_else(|| walk.fail(doing, errno))?;
        self.skip(walk.path(), reason);
        Ok(())
    }

    fn link_or_directory(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        meta: &Metadata,
        target: Vec<u8>,
    ) -> Result<()> {
        let meta = Metadata { size: 0, ..*meta };
        if self.options.profile == Profile::Wings {
            self.check_time(path, &meta);
            return self.index.unlisted.push(&Unlisted {
                path: path.to_vec(),
                kind: kind.code(),
                mode: meta.mode,
                uid: meta.uid,
                gid: meta.gid,
                mtime_ns: meta.mtime_ns,
                target,
            });
        }
        let header = Header { path, kind, meta: &meta, target: &target };
        self.headers.clear();
        header.write(&mut self.headers);
        let headers = self.headers.len();
        let was = self.cursor.as_mut().and_then(|cursor| {
            let i = cursor.entry(path, kind)?;
            let is_same = cursor.is_same_link(i, kind, &meta) && cursor.header_len(i) == headers;
            is_same.then_some(i)
        });
        let is_joined = match was {
            Some(i) => self.join_group(i)?,
            None => false,
        };
        if !is_joined {
            self.open_group()?;
            self.batch.raw.extend(&self.headers);
        }
        self.add_entry(path, kind, &meta, headers, 0)?;
        self.end_small(path)
    }

    fn file(&mut self, walk: &TreeWalk<'_>, mut file: SourceFile) -> Result<()> {
        self.open_group()?;
        let mut meta = file.metadata();
        let is_recent = is_recent(meta.ctime_ns, self.options.now);
        let path = walk.path();
        let max_len = self.options.max_len.get(path).copied();
        meta.size = meta.size.min(max_len.unwrap_or(u64::MAX));
        self.unmet.remove(path);
        let stored = match SegmentLayout::of(path, meta.size) {
            None => self.small_file(walk, &mut file, &mut meta)?,
            Some(cut) => self.large_file(walk, &mut file, &meta, cut)?,
        };
        let Some(Stored { headers, is_short }) = stored else {
            return Ok(());
        };
        let mut change = file.change().map_err(|e| walk.fail("look at", e))?;
        if is_short {
            change = Some(Change::Shrank);
        }
        // A file that is to be cut short is expected to grow.
        self.note_change(path, change.filter(|_| max_len.is_none() || is_short));
        let flags = if change.is_some() { Entry::CHANGED } else { 0 }
            | if is_recent { Entry::RECENT } else { 0 };
        self.file_done(path, &meta, headers, flags, file.hard_link())?;
        match SegmentLayout::of(path, meta.size) {
            None => self.end_small(path),
            Some(_) => self.send_if_full(),
        }
    }

    /// Reports a change, and returns the flag that an entry has for it.
    fn note_change(&mut self, path: &[u8], change: Option<Change>) -> u32 {
        let Some(change) = change else { return 0 };
        self.facts.changed.push(Changed { path: path.to_vec(), change });
        Entry::CHANGED
    }

    fn file_done(
        &mut self,
        path: &[u8],
        meta: &Metadata,
        headers: usize,
        flags: u32,
        link: Option<FileId>,
    ) -> Result<()> {
        let entry = self.add_entry(path, EntryKind::File, meta, headers, flags)?;
        if let Some(id) = link {
            self.links.entry(id).or_default().push(entry);
        }
        self.facts.files += 1;
        self.facts.content += meta.size;
        self.tracker.add_file();
        Ok(())
    }

    /// The header is written behind the content, so that it has the length that was read.
    fn small_file(
        &mut self,
        walk: &TreeWalk<'_>,
        file: &mut SourceFile,
        meta: &mut Metadata,
    ) -> Result<Option<Stored>> {
        let start = self.batch.raw.len();
        let headers = file_header(walk.path(), meta).len();
        self.batch.raw.zeros(headers);
        let got = match self.read(file, 0..meta.size) {
            Ok(got) => got,
            Err(ReadError::Errno(errno)) => {
                self.batch.raw.truncate(start);
                self.skip_or_fail(walk, "read", errno)?;
                return Ok(None);
            }
            Err(ReadError::Cancelled(e)) => return Err(e),
        };
        let is_short = got < meta.size;
        meta.size = got;
        self.pad();
        self.headers.clear();
        file_header(walk.path(), meta).write(&mut self.headers);
        self.batch.raw[start..start + headers].copy_from_slice(&self.headers);
        Ok(Some(Stored { headers, is_short }))
    }

    /// Headers, then each piece, are segments of their own.
    fn large_file(
        &mut self,
        walk: &TreeWalk<'_>,
        file: &mut SourceFile,
        meta: &Metadata,
        cut: SegmentLayout,
    ) -> Result<Option<Stored>> {
        self.end_group()?;
        self.send_if_full()?;
        let (start, ends) = (self.batch.raw.len(), self.batch.ends.len());
        self.headers.clear();
        file_header(walk.path(), meta).write(&mut self.headers);
        self.batch.raw.extend(&self.headers);
        self.batch.cut();
        let headers = self.headers.len();
        let mut is_short = false;
        for piece in cut.pieces() {
            let is_first = piece.start == 0;
            if !is_first {
                self.batch.cut();
                self.send_if_full()?;
            }
            let got = match self.read(file, piece.clone()) {
                Ok(got) => got,
                Err(ReadError::Errno(errno)) if is_first => {
                    self.batch.raw.truncate(start);
                    self.batch.ends.truncate(ends);
                    self.skip_or_fail(walk, "read", errno)?;
                    return Ok(None);
                }
                // The headers may be on their way: there is no going back.
                Err(ReadError::Errno(errno)) => return Err(walk.fail("read", errno)),
                Err(ReadError::Cancelled(e)) => return Err(e),
            };
            let missing = piece.end - piece.start - got;
            is_short |= missing > 0;
            self.batch.raw.zeros(missing as usize);
        }
        self.pad();
        self.batch.cut();
        Ok(Some(Stored { headers, is_short }))
    }

    /// Reads a stretch of a file into the batch, and says how many bytes of it were there.
    fn read(&mut self, file: &mut SourceFile, range: Range<u64>) -> Result<u64, ReadError> {
        let got = self.fill(file, range)?;
        self.tracker.add_bytes(got);
        Ok(got)
    }

    /// As [`read`](Writer::read), of bytes that count as done already.
    fn fill(&mut self, file: &mut SourceFile, range: Range<u64>) -> Result<u64, ReadError> {
        let mut at = range.start;
        while at < range.end {
            if self.tracker.is_cancelled() {
                return Err(ReadError::Cancelled(Error::cancelled()));
            }
            let left = (range.end - at) as usize;
            let hole = file.hole_at(at).min(left as u64) as usize;
            if hole > 0 {
                self.batch.raw.zeros(hole);
                at += hole as u64;
                continue;
            }
            let want = (self.options.read_limit)
                .take(left, || self.tracker.is_cancelled())
                .map_err(ReadError::Cancelled)?;
            let n = file.read_at(self.batch.raw.room(want), at).map_err(ReadError::Errno)?;
            if n == 0 {
                break;
            }
            self.batch.raw.advance(n);
            at += n as u64;
            self.facts.read += n as u64;
        }
        file.release(range.start..at);
        Ok(at - range.start)
    }

    /// Fills the last block. Batches begin and segments end at blocks, but for the pieces of a
    /// large file, whose lengths are multiples of one.
    fn pad(&mut self) {
        let len = self.batch.raw.len();
        self.batch.raw.zeros(len.next_multiple_of(BLOCK) - len);
    }

    fn end_small(&mut self, path: &[u8]) -> Result<()> {
        let len = self.group.as_ref().map_or(self.batch.open_len(), |group| group.len as usize);
        if ends_group(len, path) {
            self.end_group()?;
            self.send_if_full()?;
        }
        Ok(())
    }

    fn send_if_full(&mut self) -> Result<()> {
        if self.batch.is_full() { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        let next = self.feeder.batch();
        self.feeder.send(std::mem::replace(&mut self.batch, next))
    }

    /// Returns its place.
    fn add_entry(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        meta: &Metadata,
        headers: usize,
        flags: u32,
    ) -> Result<u32> {
        self.check_time(path, meta);
        let place = self.index.entries.len() + self.held.len() as u64;
        let keep = !self.options.reproducible;
        let entry = Entry {
            path: path.to_vec(),
            kind: kind.code(),
            header_len: headers as u32,
            size: meta.size,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime_ns: meta.mtime_ns,
            ctime_ns: if keep { meta.ctime_ns } else { 0 },
            inode: if keep { meta.inode } else { 0 },
            flags: if keep { flags } else { flags & !Entry::RECENT },
        };
        match self.group {
            Some(_) => self.held.push(entry),
            None => self.index.entries.push(&entry)?,
        }
        Ok(place as u32)
    }

    fn check_time(&mut self, path: &[u8], meta: &Metadata) {
        if is_beyond(meta.mtime_ns) {
            self.facts.beyond.push(path.to_vec());
        }
    }

    fn finish(mut self) -> Result<(IndexBuilder, Facts)> {
        self.end_group()?;
        self.before_raw()?;
        self.batch.raw.zeros(END_LEN as usize);
        self.batch.cut();
        self.send()?;
        self.send_copies()?;
        let mut groups: Vec<_> = self.links.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable();
        self.facts.hard_links = groups.len() as u64;
        self.index.hard_links = groups;
        self.facts.unmet = self.unmet.into_iter().collect();
        Ok((self.index, self.facts))
    }
}

/// A file whose content is in the batch.
struct Stored {
    headers: usize,
    /// It ended before the length it had when it was opened.
    is_short: bool,
}

enum ReadError {
    Errno(Errno),
    Cancelled(Error),
}

impl ReadError {
    /// The error that ends the backup.
    fn or(self, fail: impl FnOnce(Errno) -> Error) -> Error {
        match self {
            ReadError::Errno(errno) => fail(errno),
            ReadError::Cancelled(e) => e,
        }
    }
}

fn file_header<'a>(path: &'a [u8], meta: &'a Metadata) -> Header<'a> {
    Header { path, kind: EntryKind::File, meta, target: b"" }
}

fn is_recent(ctime_ns: i64, now: Option<SystemTime>) -> bool {
    let now = now.unwrap_or_else(SystemTime::now);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = i128::from(ctime_ns) + RECENT.as_nanos() as i128;
    now.as_nanos() as i128 <= since
}
