//! Verifies an archive.

use std::{
    collections::HashSet,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    checksum::Sha1,
    entry::{EntryKind, Member, MemberKind},
    error::{Error, ErrorKind, Result},
    format::index::LocatedEntry,
    listed::Listed,
    ops::unpacked::UnpackOptions,
    progress::{Expected, Phase, Tracker},
    read::{
        self, Index, Options, ReadReport, Source, Wanted,
        damage::{Damage, NoIndex, ReadMethod},
        sink::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
    source::Archive,
    task::Task,
};

/// Verifies an archive.
///
/// It compares the checksum of each segment (compressed and decoded), of the whole stream and of the index. It
/// also compares the index with the tar stream. For an archive without an index, it checks the gzip
/// checksums and the structure of the tar.
///
/// The archive is read once. Damage is not an error of the task: [`Verified`] reports it.
///
/// ```no_run
/// use wingback::{Archive, Verify};
///
/// let verified = Verify::new().start(Archive::file("backup.tar.gz"));
/// let verified = futures::executor::block_on(verified)?;
/// for damage in &verified.damage {
///     println!("{damage}: {} members are lost", damage.members.len());
/// }
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verify {
    sha1: Option<Sha1>,
    threads: usize,
    background: bool,
    is_part: bool,
}

/// The result of [`Verify`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// Bytes of the archive. `None` for a stream.
    pub size: Option<u64>,
    /// SHA-1 of the archive, if [`Verify::sha1`] was set and the whole archive could be read.
    pub sha1: Option<Sha1>,
    /// Whether the SHA-1 equals the expected one. `None` if [`Verify::sha1`] was not set.
    pub sha1_matches: Option<bool>,
    /// Segments that were checked. 0 without an index.
    pub segments: u64,
    /// Files in the readable part of the archive.
    pub files: u64,
    /// Damage of the archive, with the members that are lost.
    pub damage: Listed<Damage>,
    /// Undamaged files of a damaged archive. Empty for an undamaged archive. With an index, checksums confirm
    /// them. Without one, they are the files before the damage, and nothing confirms them.
    pub whole_files: Listed<Vec<u8>>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl Verified {
    /// Returns whether no damage was found and the SHA-1, if one was expected, matches.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.sha1_matches != Some(false)
    }

    /// Sets the duration.
    pub(crate) fn took(self, duration: Duration) -> Self {
        Verified { duration, ..self }
    }
}

impl Default for Verify {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Verify { sha1: None, threads, background: false, is_part: false }
    }
}

impl Verify {
    /// Returns a check with one thread for each processor.
    pub fn new() -> Self {
        Verify::default()
    }

    /// Also compares the SHA-1 of the whole archive with this one.
    #[must_use]
    pub fn sha1(mut self, sha1: Sha1) -> Self {
        self.sha1 = Some(sha1);
        self
    }

    /// Sets the number of threads that decode, at least one. The default is one for each processor.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 1024);
        self
    }

    /// Runs with the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Verifies the archive.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) if the archive is not a regular file.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if it cannot be opened.
    /// - [`UrlExpired`](crate::ErrorKind::UrlExpired) if the signature of its link has expired.
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the file is not a `.tar.gz` at all. Other damage is in
    ///   [`Verified::damage`].
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    /// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails, and
    ///   [`Internal`](crate::ErrorKind::Internal) for a fault in this crate.
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn start(self, archive: Archive<'_>) -> Task<'_, Verified> {
        Task::new(|tracker| async move {
            let started = Instant::now();
            tracker.enter(Phase::Reading);
            let watched = tracker.clone();
            let verified = archive
                .read(
                    &tracker,
                    move |source, _| self.run(source, &watched),
                    |_| futures::future::ready(Ok(())),
                )
                .await?;
            Ok(Verified { duration: started.elapsed(), ..verified })
        })
    }

    /// Leaves the expected size of the task to the caller, who verifies several archives in one task.
    pub(crate) fn in_part(mut self) -> Self {
        self.is_part = true;
        self
    }

    pub(crate) fn run(&self, source: Source, tracker: &Tracker) -> Result<Verified> {
        let pool = WorkerPool::start(self.threads, self.background)?;
        let options = Options { sha1: self.sha1.is_some(), keys: true, tolerant: true };
        let size = source.len();
        let mut sink = Check { tracker, files: 0, names: None, current: None };
        let (outcome, segments, whole) = match (source.checked_index()?, &source) {
            (Ok(index), Source::At(source)) => {
                let info = index.info();
                if !self.is_part {
                    tracker.expect(Expected { files: info.files, bytes: info.content });
                }
                let (wanted, checked) = (Wanted::All, index.clone());
                let whole =
                    read::by_index(source, checked, wanted, &options, &pool, tracker, &mut sink)?;
                let mut outcome = whole.ok_or_else(|| read::corrupt("its index is wrong"))?;
                if let ReadMethod::Sequential(_) = outcome.read_method {
                    outcome.damage.push(Damage::of_index("it contradicts the archive"));
                }
                let whole = match outcome.damage.is_empty() {
                    true => Listed::default(),
                    false => undamaged_files(&index, &outcome)?,
                };
                (outcome, info.segments, whole)
            }
            (Err(why), _) => {
                sink.names = Some(Listed::default());
                let mut outcome =
                    read::in_sequence(source, why, &options, &pool, tracker, &mut sink)?;
                if outcome.read_method == ReadMethod::Sequential(NoIndex::Damaged) {
                    outcome.damage.push(Damage::of_index("it is damaged"));
                }
                let is_hurt = !outcome.damage.is_empty();
                (outcome, 0, sink.names.take().filter(|_| is_hurt).unwrap_or_default())
            }
            (Ok(_), Source::Stream(_)) => unreachable!("a stream has no index"),
        };
        Ok(Verified {
            read_method: outcome.read_method,
            size,
            sha1: outcome.sha1,
            sha1_matches: self.sha1.map(|expected| outcome.sha1 == Some(expected)),
            segments,
            files: sink.files,
            damage: outcome.damage,
            whole_files: whole,
            duration: Duration::ZERO,
        })
    }
}

/// Verifies an archive before it is unpacked. Fails if it is damaged, or has another SHA-1 than `expected`.
pub(crate) fn require_whole(
    source: Source,
    expected: Option<Sha1>,
    options: &UnpackOptions,
    tracker: &Tracker,
) -> Result<()> {
    let verify = Verify {
        sha1: expected,
        threads: options.threads,
        background: options.background,
        is_part: false,
    };
    let verified = verify.run(source, tracker)?;
    if let Some(damage) = verified.damage.first() {
        return Err(read::corrupt(damage.to_string()));
    }
    compare_sha1(expected, verified.sha1)
}

/// Fails if a SHA-1 is expected, and the archive has another one.
pub(crate) fn compare_sha1(expected: Option<Sha1>, found: Option<Sha1>) -> Result<()> {
    if expected.is_none() || expected == found {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Mismatch, "compare the SHA-1 of the archive");
    Err(error.caused_by("it is not the one that was given, so this is another archive"))
}

/// Returns the files of the index that no damage has made unreadable.
fn undamaged_files(index: &Arc<Index>, outcome: &ReadReport) -> Result<Listed<Vec<u8>>> {
    let lost: HashSet<_> = outcome.damage.iter().flat_map(|damage| &damage.members).collect();
    let mut whole = Listed::default();
    let mut pages = index.pages();
    while let Some(page) = pages.next()? {
        for LocatedEntry { tar_at, entry } in page.entries {
            let after = outcome.lost.partition_point(|range| range.end <= tar_at);
            let is_lost = outcome.lost.get(after).is_some_and(|range| range.start <= tar_at);
            if entry.kind == EntryKind::File && !is_lost && !lost.contains(&entry.path) {
                whole.push(entry.path);
            }
        }
    }
    Ok(whole)
}

/// Counts members and keeps nothing else of them.
struct Check<'a> {
    tracker: &'a Tracker,
    files: u64,
    /// Paths of the files that were read completely. `None` if they are not needed.
    names: Option<Listed<Vec<u8>>>,
    current: Option<Vec<u8>>,
}

impl Sink for Check<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let is_file = member.kind == MemberKind::File;
        if is_file {
            self.files += 1;
            self.current = self.names.is_some().then_some(member.path);
        }
        Ok(is_file)
    }

    /// Ignores an unusable member: its checksums are right.
    fn refuse(&mut self, _: Member, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &SharedBuffer, range: Range<usize>, _: u64) -> Result<()> {
        self.tracker.add_bytes(range.len() as u64);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.tracker.add_file();
        if let Some(names) = &mut self.names {
            names.extend(self.current.take());
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.current = None;
    }
}
