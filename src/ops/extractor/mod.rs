//! Writes the members of an archive as files. Extract and restore share it.

mod job;
mod members;
mod paths;
mod writes;

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    ops::Range,
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

pub(crate) use job::Job;

use crate::{
    entry::{Entry, EntryKind, Member},
    error::{Error, ErrorKind, Result},
    format::index::{LocatedEntry, LocatedSegment},
    fs::{
        sys,
        unpack::{Attributes, Unpacker},
    },
    listed::Listed,
    ops::{
        extractor::{
            members::{Extractor, SPACE_STRIDE},
            paths::Kind,
        },
        select::{Selection, refuse_unmatched},
        unpacked::{NotExtractedReason, Unpacked},
    },
    progress::{Expected, Tracker},
    read::{
        self, Index, Options, ReadReport, Source, Wanted,
        damage::NoIndex,
        sink::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
    size::Size,
};

/// The result of [`unpack`].
#[derive(Debug)]
pub(crate) struct UnpackOutcome {
    pub(crate) unpacked: Unpacked,
    /// How the archive was read, and its damage.
    pub(crate) read: ReadReport,
    /// Selected paths and patterns that matched nothing in the archive.
    pub(crate) unmatched: Vec<Vec<u8>>,
    /// Paths of members whose times could not be set exactly.
    pub(crate) clamped: Listed<Vec<u8>>,
    /// Paths of members whose owner could not be set.
    pub(crate) unowned: Listed<Vec<u8>>,
    /// Directories that are members.
    pub(crate) directories: HashSet<Vec<u8>>,
}

/// Unpacks an archive, by its index if it has one. `unpacker` opens the directory. If there is an index,
/// it is called only after each selected path and pattern has matched something in it.
pub(crate) fn unpack(
    source: Source,
    unpacker: impl FnOnce() -> Result<Unpacker>,
    job: &Job<'_>,
    tracker: &Tracker,
) -> Result<UnpackOutcome> {
    let index = source.checked_index()?;
    if let Ok(index) = &index {
        refuse_unmatched(&unmatched(index, job.selection)?, "extract", "the archive")?;
    }
    let pool = WorkerPool::start(job.options.threads, job.options.background)?;
    let options = Options { sha1: job.sha1, keys: false, tolerant: job.salvage };
    let unpacker = Arc::new(unpacker()?);
    let len = source.len();
    let why = match &index {
        Ok(_) => NoIndex::Mismatch,
        Err(why) => *why,
    };
    if let (Ok(index), Source::At(source)) = (index, &source) {
        let mut sink = Extractor::new(job, len, unpacker.clone(), &pool, tracker);
        sink.prepare(&index)?;
        // Only all bytes have a SHA-1.
        let wanted = match job.selection.is_empty() || job.sha1 {
            true => Wanted::All,
            false => Wanted::Some(Box::new(|entry: &Entry| job.matches(entry))),
        };
        let checked = index.clone();
        let read = read::by_index(source, checked, wanted, &options, &pool, tracker, &mut sink)?;
        if let Some(outcome) = read {
            drop(unpacker);
            return sink.finish(outcome);
        }
        sink.undo(&index)?;
        tracker.restart();
    }
    let mut sink = Extractor::new(job, len, unpacker, &pool, tracker);
    let outcome = read::in_sequence(source, why, &options, &pool, tracker, &mut sink)
        .inspect_err(|_| tracker.fail())?;
    sink.finish(outcome)
}

/// Returns the selected paths and patterns that match nothing in the index.
fn unmatched(index: &Arc<Index>, selection: &Selection) -> Result<Vec<Vec<u8>>> {
    let mut unmatched = selection.unmatched();
    let mut pages = index.pages();
    while !unmatched.is_empty()
        && let Some(page) = pages.next()?
    {
        for LocatedEntry { entry, .. } in &page.entries {
            selection.matches(&entry.path, entry.kind == EntryKind::Directory, &mut unmatched);
        }
    }
    Ok(selection.texts(&unmatched))
}

impl Extractor<'_> {
    /// Reports the number and size of the wanted entries as expected. Fails at once if all of them need more
    /// than the free space.
    fn prepare(&mut self, index: &Arc<Index>) -> Result<()> {
        let (mut expected, mut needed, mut unchanged) = (Expected::default(), 0, 0);
        let mut pages = index.pages();
        while let Some(page) = pages.next()? {
            for LocatedEntry { entry, .. } in &page.entries {
                if self.is_wanted(&entry.path, entry.kind == EntryKind::Directory) {
                    unchanged += self.unchanged(entry);
                    expected.files += u64::from(entry.kind == EntryKind::File);
                    expected.bytes += entry.size;
                }
            }
            // A segment that compresses to almost nothing may be a hole.
            let is_content = |s: &&LocatedSegment| {
                s.segment.raw_len / 256 < s.segment.compressed_len && s.tar_at >= page.start.tar_at
            };
            let content = page.segments.iter().filter(is_content);
            needed += content.map(|s| u64::from(s.segment.raw_len)).sum::<u64>();
        }
        self.tracker.expect(expected);
        match self.job.selection.is_empty() {
            true => self.check_room(u64::saturating_sub(needed, unchanged)),
            false => Ok(()),
        }
    }

    /// Returns the bytes of a file that need no room if the old file is equal.
    fn unchanged(&self, entry: &Entry) -> u64 {
        let Entry { mode, mtime_ns, .. } = *entry;
        let (uid, gid) = (entry.uid.into(), entry.gid.into());
        let attributes = Attributes { mode, uid, gid, mtime_ns };
        let is_file = entry.kind == EntryKind::File;
        match is_file && self.unpacker.may_be_unchanged(&entry.path, entry.size, &attributes) {
            true => entry.size,
            false => 0,
        }
    }

    /// Removes the files and directories that were made from an index that turned out to be wrong.
    fn undo(mut self, index: &Arc<Index>) -> Result<()> {
        self.current = None;
        self.wait()?;
        index.for_each_entry(|LocatedEntry { entry, .. }| {
            let kind = self.paths.kind(self.paths.hash(&entry.path));
            if matches!(kind, Some(Kind::File | Kind::HardLink | Kind::Symlink)) {
                self.unpacker.remove_file(&entry.path)?;
            }
            Ok(())
        })?;
        for path in self.unpacker.own_directories() {
            // A directory with other files in it stays.
            let _ = self.unpacker.remove_directory(&path);
        }
        self.unpacker.clear_deviations();
        Ok(())
    }

    /// Counts content. Checks the free space before the first of it, and after each [`SPACE_STRIDE`].
    fn count(&mut self, bytes: u64) -> Result<()> {
        self.tracker.add_bytes(bytes);
        self.unchecked += bytes;
        if self.unchecked >= SPACE_STRIDE {
            self.unchecked = 0;
            let (free, reserve) = (self.free_space()?, self.job.options.reserve);
            if let Some(free) = free.filter(|&free| free < reserve) {
                let why = format!("{} are free, and {} must stay free", Size(free), Size(reserve));
                return Err(Error::new(ErrorKind::NoSpace, "extract").caused_by(why));
            }
        }
        Ok(())
    }

    /// Returns the free space. `None` if the file system does not report it and no reserve was asked for.
    fn free_space(&self) -> Result<Option<u64>> {
        match self.unpacker.free_space()? {
            None if self.job.options.reserve > 0 => {
                Err(Error::new(ErrorKind::NoSpace, "extract").caused_by(sys::UNKNOWN_SPACE))
            }
            free => Ok(free),
        }
    }

    /// Fails if the content needs more than the free space.
    fn check_room(&self, needed: u64) -> Result<()> {
        const BLOCK: u64 = 4096;
        let Some(free) = self.free_space()? else { return Ok(()) };
        let reserve = self.job.options.reserve;
        let free = free.saturating_sub(reserve);
        if needed > free + BLOCK {
            let beyond = if reserve > 0 { " beyond the reserve" } else { "" };
            let (needed, free) = (Size(needed), Size(free));
            let why = format!("the content needs {needed}, and {free} are free{beyond}");
            return Err(Error::new(ErrorKind::NoSpace, "extract").caused_by(why));
        }
        Ok(())
    }

    /// Makes the entries that only the index has, then links, times and modes that must come last.
    fn finish(mut self, outcome: ReadReport) -> Result<UnpackOutcome> {
        self.wait()?;
        if let Some(index) = &outcome.index {
            index.for_each_unlisted(|entry| self.member(Member::of_entry(entry)).map(drop))?;
            self.link_names(index)?;
        }
        drop(self.writes);
        let finished = Arc::into_inner(self.unpacker)
            .ok_or_else(|| {
                Error::new(ErrorKind::Internal, "extract")
                    .caused_by("a worker still holds the directory")
            })?
            .finish()?;
        self.unpacked.hard_links += finished.linked;
        Ok(UnpackOutcome {
            unmatched: self.job.selection.texts(&self.unmatched),
            unpacked: self.unpacked,
            clamped: finished.clamped,
            unowned: finished.unowned,
            directories: finished.directories,
            read: outcome,
        })
    }
}

impl Extractor<'_> {
    /// Makes the names of one file hard links again, if their contents are equal.
    fn link_names(&mut self, index: &Arc<Index>) -> Result<()> {
        let mut names: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        index.for_each_entry(|LocatedEntry { entry, .. }| {
            if entry.kind == EntryKind::File && !entry.target.is_empty() {
                names.entry(entry.target.clone()).or_default().push(entry.path.clone());
            }
            Ok(())
        })?;
        for (first, others) in names {
            let is_file =
                |path: &Vec<u8>| self.paths.kind(self.paths.hash(path)) == Some(Kind::File);
            let all = std::iter::once(first).chain(others);
            self.unpacker.link_if_equal(all.filter(is_file).collect());
        }
        Ok(())
    }
}

impl Sink for Extractor<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let path = member.path.clone();
        match self.add_member(member) {
            // One unusable name must not stop the other members.
            Err(e) if self.job.skips_unusable() && e.kind() == ErrorKind::InvalidInput => {
                self.skip(path, NotExtractedReason::Refused(e.to_string()));
                Ok(false)
            }
            taken => taken,
        }
    }

    fn refuse(&mut self, member: Member, why: &'static str) -> Result<()> {
        let path = OsStr::from_bytes(&member.path);
        let error = Error::new(ErrorKind::InvalidInput, "extract").at(path).caused_by(why);
        if !self.job.skips_unusable() {
            return Err(error);
        }
        self.skip(member.path, NotExtractedReason::Refused(error.to_string()));
        Ok(())
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.count(range.len() as u64)?;
        if let Some(current) = &mut self.current {
            current.push(raw.clone(), range, offset);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.tracker.add_file();
        if let Some(current) = self.current.take() {
            self.writes.end(current);
        }
        Ok(())
    }

    fn abandon(&mut self) {
        if let Some(current) = self.current.take() {
            self.paths.remove(current.name);
            self.unpacked.files -= 1;
            self.unpacked.content -= current.size;
        }
    }

    fn buffer_end(&mut self) -> Result<()> {
        if let Some(current) = &mut self.current
            && !self.writes.begin(current)?
        {
            self.current = None;
        }
        self.writes.send()
    }
}
