//! From an archive's members to files: what extracting and restoring share.

use std::{
    collections::HashSet,
    ffi::OsStr,
    hash::{BuildHasher, RandomState},
    ops::Range,
    os::unix::ffi::OsStrExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use crate::{
    archive::read::{
        self, Options, Outcome, Source, Wanted,
        crew::{Crew, Raw},
        segments::Layout,
        walker::Sink,
    },
    damage::NoIndex,
    entry::{EntryKind, Member, MemberKind},
    error::{Error, ErrorKind, Result},
    progress::{Expected, Tracker},
    select::{Selection, Unmet},
    unpack::{self, Beneath, Existing, Meta, NewFile, Unpacker, check_path},
    unpacked::{NotExtracted, NotExtractedReason, UnpackOptions, Unpacked, too_many, weight},
};

/// Content bytes between two looks at the free space.
const SPACE_STRIDE: u64 = 16 << 20;

/// What came of it, and how.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) unpacked: Unpacked,
    pub(crate) outcome: Outcome,
    /// Paths and patterns that nothing in the archive matched.
    pub(crate) unmatched: Vec<Vec<u8>>,
}

/// What [`unpack`] is to do.
pub(crate) struct Job<'a> {
    pub(crate) existing: Existing,
    pub(crate) selection: &'a Selection,
    /// Members that are left out, by path and whether it is a directory.
    pub(crate) skip: &'a dyn Fn(&[u8], bool) -> bool,
    pub(crate) salvage: bool,
    pub(crate) sha1: bool,
    pub(crate) options: &'a UnpackOptions,
}

/// Unpacks an archive, by its index where there is one.
pub(crate) fn unpack(
    source: Source,
    root: Beneath,
    job: &Job<'_>,
    tracker: &Tracker,
) -> Result<Facts> {
    let layout = source.layout()?;
    let crew = Crew::start(job.options.threads, job.options.background)?;
    let options = Options { sha1: job.sha1, keys: false, tolerant: job.salvage };
    let unpacker =
        Unpacker::new(root, unpack::Options { existing: job.existing, owner: job.options.owner });
    let mut sink = Extractor::new(job, source.len(), unpacker, &crew, tracker);
    let mut why = match &layout {
        Ok(_) => NoIndex::Contradicted,
        Err(why) => *why,
    };
    let mut outcome = None;
    if let (Ok(layout), Source::At(source)) = (layout, &source) {
        let wanted = sink.wanted(&layout);
        sink.check_room(&layout, &wanted)?;
        outcome = read::by_index(source, layout, wanted, &options, &crew, tracker, &mut sink)?;
        why = NoIndex::Contradicted;
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => read::in_sequence(source, why, &options, &crew, tracker, &mut sink)?,
    };
    sink.finish(outcome)
}

/// Hands members to the unpacker: small files whole, large ones piece by piece, both on the crew.
struct Extractor<'a> {
    job: &'a Job<'a>,
    crew: &'a Crew,
    tracker: &'a Tracker,
    unpacker: Arc<Unpacker>,
    unpacked: Unpacked,
    unmet: Unmet,
    /// Hashes of the paths of all files, with keys nobody can guess: a path that comes again.
    seen: HashSet<u64>,
    hasher: RandomState,
    current: Option<Current>,
    batch: Vec<Write>,
    /// What the members count.
    members: u64,
    bytes_left: u64,
    bytes: u64,
}

/// The file whose content comes.
struct Current {
    path: Vec<u8>,
    size: u64,
    meta: Meta,
    parts: Vec<Part>,
    /// Open already, since its content spans stretches.
    file: Option<Arc<OpenFile>>,
}

/// A piece of content.
struct Part {
    raw: Raw,
    range: Range<usize>,
    offset: u64,
}

/// A file that several tasks write to. The last one finishes it, if all of it came.
struct OpenFile {
    file: NewFile,
    is_complete: AtomicBool,
}

enum Write {
    Whole(Current),
    Part(Arc<OpenFile>, Part),
    /// All parts are on their way.
    Done(Arc<OpenFile>),
}

impl<'a> Extractor<'a> {
    fn new(
        job: &'a Job<'a>,
        archive_len: Option<u64>,
        unpacker: Unpacker,
        crew: &'a Crew,
        tracker: &'a Tracker,
    ) -> Self {
        let by_ratio = archive_len.map(|len| len.saturating_mul(job.options.max_ratio));
        Extractor {
            job,
            crew,
            tracker,
            unpacker: Arc::new(unpacker),
            unpacked: Unpacked::default(),
            unmet: job.selection.unmet(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            current: None,
            batch: Vec::new(),
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

    fn meta(member: &Member) -> Meta {
        let Member { mode, uid, gid, mtime_ns, .. } = *member;
        Meta { mode, uid, gid, mtime_ns }
    }

    /// Takes a member up; true if its content is wanted.
    fn take(&mut self, member: Member) -> Result<bool> {
        let is_dir = member.kind == MemberKind::Directory;
        if member.path.is_empty() && is_dir || !self.is_wanted(&member.path, is_dir) {
            return Ok(false);
        }
        check_path(&member.path)?;
        self.members = self.members.saturating_add(weight(&member));
        if self.members > self.job.options.max_members {
            return Err(too_many("extract", self.job.options.max_members));
        }
        let meta = Self::meta(&member);
        if !matches!(
            member.kind,
            MemberKind::Fifo | MemberKind::CharDevice | MemberKind::BlockDevice
        ) {
            self.make_way(&member)?;
        }
        match member.kind {
            MemberKind::File => {
                self.allow(member.size)?;
                self.begin_file(member, meta);
                return Ok(true);
            }
            MemberKind::HardLink => {
                let target = member.target.strip_prefix(b"./").unwrap_or(&member.target);
                let refused = || {
                    let path = OsStr::from_bytes(&member.path);
                    Error::new(ErrorKind::InvalidInput, "make the hard link").at(path)
                };
                check_path(target).map_err(|e| refused().caused_by(e))?;
                if !self.seen.contains(&self.hasher.hash_one(target)) {
                    return Err(refused().caused_by("no file of that name came before it"));
                }
                self.unpacker.hard_link(&member.path, target);
                self.unpacked.files += 1;
            }
            MemberKind::Symlink => {
                self.unpacker.symlink(&member.path, &member.target, &meta)?;
                self.unpacked.symlinks += 1;
            }
            MemberKind::Directory => {
                self.unpacker.directory(&member.path, &meta)?;
                self.unpacked.directories += 1;
            }
            MemberKind::Fifo => self.skip(member.path, NotExtractedReason::Fifo),
            MemberKind::CharDevice | MemberKind::BlockDevice => {
                self.skip(member.path, NotExtractedReason::Device);
            }
        }
        Ok(false)
    }

    fn skip(&mut self, path: Vec<u8>, reason: NotExtractedReason) {
        self.unpacked.skipped.push(NotExtracted { path, reason });
    }

    /// Of two members of one name the last counts, as with every reader of tar. Only a directory
    /// stays: what comes in its place, or it in the place of a file, is an error.
    fn make_way(&mut self, member: &Member) -> Result<()> {
        let is_dir = member.kind == MemberKind::Directory;
        self.unpacker.forget_symlink(&member.path);
        if !is_dir && self.seen.remove(&self.hasher.hash_one(&member.path)) {
            self.send();
            self.crew.drain()?;
            self.unpacker.remove_file(&member.path)?;
            self.unpacked.files -= 1;
        }
        Ok(())
    }

    fn begin_file(&mut self, member: Member, meta: Meta) {
        let Member { path, size, .. } = member;
        self.seen.insert(self.hasher.hash_one(&path));
        self.unpacked.files += 1;
        self.unpacked.content += size;
        self.current = Some(Current { path, size, meta, parts: Vec::new(), file: None });
    }

    /// Hands what has come together to a worker.
    fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let (unpacker, batch) = (self.unpacker.clone(), std::mem::take(&mut self.batch));
        self.crew.write(move || batch.into_iter().try_for_each(|write| write.run(&unpacker)));
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
            let (free, reserve) = (self.unpacker.free_space()?, self.job.options.reserve);
            if free < reserve {
                return Err(Error::new(ErrorKind::NoSpace, "extract")
                    .caused_by(format!("{free} bytes are free, and {reserve} are to stay free")));
            }
        }
        Ok(())
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
        let free = self.unpacker.free_space()?.saturating_sub(self.job.options.reserve);
        if needed > free + BLOCK {
            return Err(Error::new(ErrorKind::NoSpace, "extract")
                .caused_by(format!("it needs {needed} bytes, and {free} are free")));
        }
        Ok(())
    }

    /// What the index adds to the tar stream, then what must come last.
    fn finish(mut self, outcome: Outcome) -> Result<Facts> {
        self.send();
        self.crew.drain()?;
        if let Some(layout) = &outcome.layout {
            for unlisted in &layout.index.unlisted {
                self.take(Member::of_unlisted(unlisted))?;
            }
            let entries = &layout.index.entries;
            for group in &layout.index.hard_links {
                let paths = group.iter().map(|&i| entries[i as usize].path.clone());
                let written = paths.filter(|path| self.seen.contains(&self.hasher.hash_one(path)));
                self.unpacker.same_file(written.collect());
            }
        }
        let finished = Arc::into_inner(self.unpacker)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "extract").caused_by("a task is left"))?
            .finish()?;
        Ok(Facts {
            unmatched: self.job.selection.texts(&self.unmet),
            unpacked: Unpacked { hard_links: finished.linked, ..self.unpacked },
            outcome,
        })
    }
}

impl Sink for Extractor<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let path = member.path.clone();
        match self.take(member) {
            // One bad name must not cost the rest.
            Err(e) if self.job.salvage && e.kind() == ErrorKind::InvalidInput => {
                self.skip(path, NotExtractedReason::Refused(e.to_string()));
                Ok(false)
            }
            taken => taken,
        }
    }

    fn data(&mut self, raw: &Raw, range: Range<usize>, offset: u64) -> Result<()> {
        self.count(range.len() as u64)?;
        if let Some(current) = &mut self.current {
            current.parts.push(Part { raw: raw.clone(), range, offset });
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.tracker.add_file();
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        match current.file.take() {
            None => self.batch.push(Write::Whole(current)),
            Some(file) => {
                file.is_complete.store(true, SeqCst);
                let parts = current.parts.into_iter();
                self.batch.extend(parts.map(|part| Write::Part(file.clone(), part)));
                self.batch.push(Write::Done(file));
            }
        }
        Ok(())
    }

    fn abandon(&mut self) {
        if let Some(current) = self.current.take() {
            self.seen.remove(&self.hasher.hash_one(&current.path));
            self.unpacked.files -= 1;
            self.unpacked.content -= current.size;
        }
    }

    fn stretch_end(&mut self) -> Result<()> {
        if let Some(current) = &mut self.current {
            let file = match &current.file {
                Some(file) => file.clone(),
                None => {
                    let file = self.unpacker.file(&current.path, current.size, &current.meta)?;
                    let file = Arc::new(OpenFile { file, is_complete: AtomicBool::new(false) });
                    current.file.insert(file).clone()
                }
            };
            let parts = current.parts.drain(..);
            self.batch.extend(parts.map(|part| Write::Part(file.clone(), part)));
        }
        self.send();
        Ok(())
    }
}

impl Write {
    fn run(self, unpacker: &Unpacker) -> Result<()> {
        match self {
            Write::Whole(current) => {
                let file = unpacker.file(&current.path, current.size, &current.meta)?;
                for part in &current.parts {
                    file.write_at(part.offset, &part.raw[part.range.clone()])?;
                }
                file.finish()
            }
            Write::Part(file, part) => {
                file.file.write_at(part.offset, &part.raw[part.range])?;
                close(file)
            }
            Write::Done(file) => close(file),
        }
    }
}

/// Finishes a file if this was its last user.
fn close(file: Arc<OpenFile>) -> Result<()> {
    match Arc::into_inner(file) {
        Some(OpenFile { file, is_complete }) if is_complete.load(SeqCst) => file.finish(),
        _ => Ok(()),
    }
}
