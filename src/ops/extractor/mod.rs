//! From an archive's members to files: what extracting and restoring share.

mod members;
mod names;
mod writes;

use std::{collections::HashSet, ffi::OsStr, ops::Range, os::unix::ffi::OsStrExt, sync::Arc};

use crate::{
    entry::{EntryKind, Member},
    error::{Error, ErrorKind, Result},
    fs::{
        sys,
        unpack::{Beneath, OverwritePolicy, Unpacker, UnpackerOptions},
    },
    listed::Listed,
    ops::{
        extractor::{
            names::{Kind, Name, Names},
            writes::{Current, Part, Writes},
        },
        select::{Selection, Unmatched, refuse_unmatched},
        unpacked::{NotExtractedReason, UnpackOptions, Unpacked},
    },
    progress::{Expected, Tracker},
    read::{
        self, Layout, Options, ReadReport, Source, Wanted,
        damage::NoIndex,
        sink::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
};

/// Content bytes between two looks at the free space.
const SPACE_STRIDE: u64 = 16 << 20;

/// What came of it, and how.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) unpacked: Unpacked,
    pub(crate) outcome: ReadReport,
    /// Paths and patterns that nothing in the archive matched.
    pub(crate) unmatched: Vec<Vec<u8>>,
    /// Members whose times came out otherwise.
    pub(crate) clamped: Listed<Vec<u8>>,
}

/// What [`unpack`] is to do.
pub(crate) struct Job<'a> {
    pub(crate) existing: OverwritePolicy,
    pub(crate) selection: &'a Selection,
    /// Members that are left out, by path and whether it is a directory.
    pub(crate) skip: &'a dyn Fn(&[u8], bool) -> bool,
    pub(crate) salvage: bool,
    pub(crate) sha1: bool,
    pub(crate) options: &'a UnpackOptions,
}

/// Unpacks an archive, by its index where there is one. `root` opens the directory; it is asked once
/// the index, where there is one, has something for each selected path and pattern.
pub(crate) fn unpack(
    source: Source,
    root: impl FnOnce() -> Result<Beneath>,
    job: &Job<'_>,
    tracker: &Tracker,
) -> Result<Facts> {
    let layout = source.layout()?;
    if let Ok(layout) = &layout {
        refuse_unmatched(&unmatched(layout, job.selection), "extract", "the archive")?;
    }
    let crew = WorkerPool::start(job.options.threads, job.options.background)?;
    let options = Options { sha1: job.sha1, keys: false, tolerant: job.salvage };
    let unpacker = UnpackerOptions { policy: job.existing, owner: job.options.owner };
    let unpacker = Arc::new(Unpacker::new(root()?, unpacker));
    let len = source.len();
    let why = match &layout {
        Ok(_) => NoIndex::Mismatch,
        Err(why) => *why,
    };
    if let (Ok(layout), Source::At(source)) = (layout, &source) {
        let mut sink = Extractor::new(job, len, unpacker.clone(), &crew, tracker);
        let wanted = sink.wanted(&layout);
        sink.check_room(&layout, &wanted)?;
        let index = layout.clone();
        let read = read::by_index(source, index, wanted, &options, &crew, tracker, &mut sink)?;
        if let Some(outcome) = read {
            drop(unpacker);
            return sink.finish(outcome);
        }
        sink.undo(&layout)?;
        tracker.restart();
    }
    let mut sink = Extractor::new(job, len, unpacker, &crew, tracker);
    let outcome = read::in_sequence(source, why, &options, &crew, tracker, &mut sink)?;
    sink.finish(outcome)
}

/// Selected paths and patterns that nothing in the index matches.
fn unmatched(layout: &Layout, selection: &Selection) -> Vec<Vec<u8>> {
    let mut unmet = selection.unmet();
    let entries = layout.index.entries.iter().map(|e| (&e.path, e.kind()));
    let unlisted = layout.index.unlisted.iter().map(|u| (&u.path, u.kind()));
    for (path, kind) in entries.chain(unlisted) {
        if unmet.is_empty() {
            break;
        }
        selection.wants(path, kind == EntryKind::Directory, &mut unmet);
    }
    selection.texts(&unmet)
}

/// Brings members to the disk in their order, as tar does: each is made where the ones before it have
/// left things, and the last of a name counts. Only files are written later, by the workers; what
/// touches the name of one that is on its way waits for it.
struct Extractor<'a> {
    job: &'a Job<'a>,
    tracker: &'a Tracker,
    unpacker: Arc<Unpacker>,
    writes: Writes<'a>,
    unpacked: Unpacked,
    unmet: Unmatched,
    names: Names,
    /// Directories that would hold something if pipes and devices were extracted.
    not_empty: HashSet<Name>,
    /// The directory of the last member, which is known to be one.
    parent: Option<Vec<u8>>,
    current: Option<Current>,
    members: u64,
    bytes_left: u64,
    bytes: u64,
}

impl<'a> Extractor<'a> {
    fn new(
        job: &'a Job<'a>,
        archive_len: Option<u64>,
        unpacker: Arc<Unpacker>,
        crew: &'a WorkerPool,
        tracker: &'a Tracker,
    ) -> Self {
        let by_ratio = archive_len.map(|len| len.saturating_mul(job.options.max_ratio));
        Extractor {
            job,
            tracker,
            writes: Writes::new(crew, unpacker.clone(), is_lenient(job)),
            unpacker,
            unpacked: Unpacked::default(),
            unmet: job.selection.unmet(),
            names: Names::default(),
            not_empty: HashSet::new(),
            parent: None,
            current: None,
            members: 0,
            bytes_left: job.options.max_bytes.min(by_ratio.unwrap_or(u64::MAX)),
            bytes: 0,
        }
    }

    /// What of an index is wanted; also says what it will come to.
    fn wanted(&mut self, layout: &Layout) -> Wanted {
        let entries = &layout.index.entries;
        let mut expected = Expected::default();
        let mut wanted = Vec::new();
        let is_all = self.job.selection.is_empty();
        for (i, entry) in entries.iter().enumerate() {
            if is_all || self.is_wanted(&entry.path, entry.kind() == EntryKind::Directory) {
                expected.files += u64::from(entry.kind() == EntryKind::File);
                expected.bytes += entry.size;
                if !is_all {
                    wanted.push(i);
                }
            }
        }
        self.tracker.expect(expected);
        if is_all { Wanted::All } else { Wanted::Some(wanted) }
    }

    fn is_wanted(&mut self, path: &[u8], is_dir: bool) -> bool {
        self.job.selection.wants(path, is_dir, &mut self.unmet) && !(self.job.skip)(path, is_dir)
    }

    /// Removes what came of entries of an index that was found to be wrong.
    fn undo(mut self, layout: &Layout) -> Result<()> {
        self.current = None;
        self.wait()?;
        for entry in &layout.index.entries {
            let kind = self.names.kind(self.names.name(&entry.path));
            if matches!(kind, Some(Kind::File | Kind::HardLink | Kind::Symlink)) {
                self.unpacker.remove_file(&entry.path)?;
            }
        }
        for path in self.unpacker.own_directories() {
            // What holds something else stays.
            let _ = self.unpacker.remove_directory(&path);
        }
        self.unpacker.clear_clamped_times();
        Ok(())
    }

    /// Takes `size` off what is allowed. Holes count: they cost whoever reads the file next.
    fn allow(&mut self, size: u64) -> Result<()> {
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or_else(|| {
            Error::new(ErrorKind::NoSpace, "extract")
                .caused_by("the content is larger than what was allowed")
        })?;
        Ok(())
    }

    /// Counts content, and looks at the free space now and then.
    fn count(&mut self, bytes: u64) -> Result<()> {
        self.tracker.add_bytes(bytes);
        let before = self.bytes / SPACE_STRIDE;
        self.bytes += bytes;
        if self.bytes / SPACE_STRIDE > before || before == 0 {
            let (free, reserve) = (self.free_space()?, self.job.options.reserve);
            if let Some(free) = free.filter(|&free| free < reserve) {
                return Err(Error::new(ErrorKind::NoSpace, "extract")
                    .caused_by(format!("{free} bytes are free, and {reserve} are to stay free")));
            }
        }
        Ok(())
    }

    /// `None` where the file system does not say, and nothing is to stay free.
    fn free_space(&self) -> Result<Option<u64>> {
        match self.unpacker.free_space()? {
            None if self.job.options.reserve > 0 => {
                Err(Error::new(ErrorKind::NoSpace, "extract").caused_by(sys::UNKNOWN_SPACE))
            }
            free => Ok(free),
        }
    }

    /// Fails at once where an index says that the content cannot fit.
    fn check_room(&self, layout: &Layout, wanted: &Wanted) -> Result<()> {
        const BLOCK: u64 = 4096;
        let needed: u64 = match wanted {
            // What comes from almost no bytes at all may be a hole.
            Wanted::All => (layout.index.segments.iter())
                .filter(|s| s.raw_len / 256 < s.compressed_len)
                .map(|s| u64::from(s.raw_len))
                .sum(),
            Wanted::Some(_) => 0,
        };
        let Some(free) = self.free_space()? else { return Ok(()) };
        let free = free.saturating_sub(self.job.options.reserve);
        if needed > free + BLOCK {
            return Err(Error::new(ErrorKind::NoSpace, "extract")
                .caused_by(format!("it needs {needed} bytes, and {free} are free")));
        }
        Ok(())
    }

    /// What the index adds to the tar stream, then what must come last.
    fn finish(mut self, outcome: ReadReport) -> Result<Facts> {
        self.wait()?;
        if let Some(layout) = &outcome.layout {
            for unlisted in &layout.index.unlisted {
                self.member(Member::of_unlisted(unlisted))?;
            }
            let entries = &layout.index.entries;
            for group in &layout.index.hard_links {
                let paths = group.iter().map(|&i| entries[i as usize].path.clone());
                let is_file =
                    |path: &Vec<u8>| self.names.kind(self.names.name(path)) == Some(Kind::File);
                self.unpacker.link_if_equal(paths.filter(is_file).collect());
            }
        }
        drop(self.writes);
        let finished = Arc::into_inner(self.unpacker)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "extract").caused_by("a task is left"))?
            .finish()?;
        self.unpacked.hard_links += finished.linked;
        Ok(Facts {
            unmatched: self.job.selection.texts(&self.unmet),
            unpacked: self.unpacked,
            clamped: finished.clamped,
            outcome,
        })
    }
}

impl Sink for Extractor<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let path = member.path.clone();
        match self.take(member) {
            // One bad name must not cost the rest.
            Err(e) if is_lenient(self.job) && e.kind() == ErrorKind::InvalidInput => {
                self.skip(path, NotExtractedReason::Refused(e.to_string()));
                Ok(false)
            }
            taken => taken,
        }
    }

    fn refuse(&mut self, member: Member, why: &'static str) -> Result<()> {
        let path = OsStr::from_bytes(&member.path);
        let error = Error::new(ErrorKind::InvalidInput, "extract").at(path).caused_by(why);
        if !is_lenient(self.job) {
            return Err(error);
        }
        self.skip(member.path, NotExtractedReason::Refused(error.to_string()));
        Ok(())
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.count(range.len() as u64)?;
        if let Some(current) = &mut self.current {
            current.parts.push(Part { raw: raw.clone(), range, offset });
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
            self.names.remove(current.name);
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

/// Whether a member that cannot be used is left out.
fn is_lenient(job: &Job<'_>) -> bool {
    job.salvage || job.options.skip_refused
}
