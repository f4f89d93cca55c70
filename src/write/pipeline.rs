//! From tar bytes to an archive: compresses on several threads, restores the order, hashes, and adds the
//! index.
//!
//! The calling thread produces batches, and workers compress them in any order. One more thread takes the
//! results in the order of the batches and emits the bytes. The number of unfinished batches is bounded,
//! so a slow destination slows down the reading.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
};

use bytes::Bytes;
use sha1::Digest;

use crate::{
    checksum::Sha1,
    compression::{Encoder, Level},
    entry::Entry,
    error::{Error, ErrorKind, Result},
    format::{
        Profile, align,
        buffer::{Pool, Pooled},
        deflate::{Deflater, MIXED, encoder_id},
        gzip::{self, GZIP_HEADER},
        index::{IndexWriter, LocatedSegment, Segment},
        info::Info,
        segment::Batch,
        tar::END_LEN,
    },
    limiter::Limiter,
    progress::Tracker,
    read::inflate::Inflater,
    rt::{
        pipe::Chunk,
        threads::{Threads, join},
    },
    write::previous::{Copies, PreviousArchive},
};

/// How an archive is written.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) encoder: Encoder,
    pub(crate) level: Level,
    pub(crate) profile: Profile,
    pub(crate) threads: Threads,
    pub(crate) write_limit: Limiter,
    /// Begins some segments at multiples of a block of the file system.
    pub(crate) align: bool,
    /// Passes on which bytes the previous archive has, because the destination may share or copy them.
    pub(crate) names_copies: bool,
}

/// Size, hash and counts of the archive, for the report.
#[derive(Debug)]
pub(crate) struct ArchiveReport {
    pub(crate) size: u64,
    pub(crate) sha1: Sha1,
    pub(crate) segments: u64,
    /// Compressed bytes that were copied from the previous archive.
    pub(crate) copied: u64,
    /// Bytes of the tar stream that were compressed.
    pub(crate) compressed: u64,
    /// Nothing was copied, except perhaps the blocks at the end.
    pub(crate) is_all_new: bool,
}

/// Sends batches from the thread that produces them to the workers.
pub(crate) struct Feeder {
    jobs: Sender<Job>,
    ordered: SyncSender<Ordered>,
    pool: Pool,
    /// Number of segments so far.
    segments: u64,
}

struct Job {
    batch: Batch,
    /// Number of the first segment.
    first: u64,
    done: SyncSender<Done>,
}

/// A segment, and its offset in the previous archive if it was copied.
type Placed = (Segment, Option<u64>);

/// A compressed batch.
struct Done {
    bytes: Pooled,
    segments: Vec<Placed>,
    entries: Vec<Entry>,
    copied: u64,
    compressed: u64,
}

enum Ordered {
    Batch(Receiver<Done>),
    Copies(Copies),
    /// The end of the tar stream, with the identity of the archive. Without it, the archive is incomplete.
    End(Box<Info>),
}

/// Makes an archive from the batches that `produce` sends, and ends it with the identity that `produce`
/// returns. Passes its bytes to `emit` in order. Segments that `previous` contains are copied. An error in
/// any thread stops all of them.
pub(crate) fn run<T>(
    settings: &Settings,
    previous: Option<&PreviousArchive>,
    tracker: &Tracker,
    emit: impl FnMut(Chunk) -> Result<()> + Send,
    produce: impl FnOnce(&mut Feeder) -> Result<(Info, T)>,
) -> Result<(ArchiveReport, T)> {
    let threads = settings.threads.count.max(1);
    let (jobs, jobs_out) = mpsc::channel();
    let (ordered, ordered_out) = mpsc::sync_channel(2 * threads);
    let jobs_out = Mutex::new(jobs_out);
    let pool = Pool::default();
    thread::scope(|scope| {
        let worker = |i| {
            let (jobs, pool) = (&jobs_out, pool.clone());
            let deflater = Deflater::new(settings.encoder, settings.level)?;
            let body = move || work(deflater, previous, jobs, &pool);
            settings.threads.start(scope, &format!("wingback-pack-{i}"), body)
        };
        let workers = (0..threads).map(worker).collect::<Result<Vec<_>>>()?;
        let assembler = Assembler {
            emit,
            settings,
            tracker,
            sha1: sha1::Sha1::new(),
            crc: crc32fast::Hasher::new(),
            size: 0,
            tar_len: 0,
            index: IndexWriter::default(),
            segments: 0,
            copied: 0,
            compressed: 0,
            is_mixed: previous.is_some_and(PreviousArchive::has_other_encoder),
            copied_file: previous
                .filter(|_| settings.names_copies)
                .and_then(PreviousArchive::file)
                .cloned(),
        };
        let assemble = move || assembler.assemble(&ordered_out);
        let assembly = settings.threads.start(scope, "wingback-hash", assemble)?;
        let mut feeder = Feeder { jobs, ordered, pool, segments: 0 };
        let produced = produce(&mut feeder).and_then(|(info, value)| {
            feeder.ordered.send(Ordered::End(Box::new(info))).map_err(|_| stopped())?;
            Ok(value)
        });
        drop(feeder);
        let assembled = join(assembly);
        workers.into_iter().for_each(join);
        // If both failed, the assembly failed first and stopped the producer.
        match (produced, assembled) {
            (Err(e), Ok(_)) => Err(e),
            (_, Err(e)) => Err(e),
            (Ok(value), Ok(summary)) => Ok((summary.ok_or_else(stopped)?, value)),
        }
    })
}

impl Feeder {
    /// Returns an empty batch.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(self.pool.take())
    }

    /// Returns the pool of reusable buffers.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// Sends copied segments, which are compressed already.
    pub(crate) fn send_copies(&mut self, copies: Copies) -> Result<()> {
        self.segments += copies.segments().len() as u64;
        self.ordered.send(Ordered::Copies(copies)).map_err(|_| stopped())
    }

    /// Sends a batch. Waits until there is room for it.
    pub(crate) fn send(&mut self, batch: Batch) -> Result<()> {
        let (done, done_out) = mpsc::sync_channel(1);
        let first = self.segments;
        self.segments += batch.segments().count() as u64;
        self.ordered.send(Ordered::Batch(done_out)).map_err(|_| stopped())?;
        self.jobs.send(Job { batch, first, done }).map_err(|_| stopped())
    }
}

/// Error for the producer if the other side has ended. The caller gets the error of the other side.
fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "make the archive").caused_by("another thread has stopped")
}

/// A worker. It compresses batches until there are no more.
fn work(
    mut deflater: Deflater,
    previous: Option<&PreviousArchive>,
    jobs: &Mutex<Receiver<Job>>,
    pool: &Pool,
) {
    let mut inflater = Inflater::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut batch, first, done }) = job else {
            return;
        };
        let mut bytes = pool.take();
        let entries = std::mem::take(&mut batch.entries);
        let (mut copied, mut compressed) = (0, 0);
        // Number that an equal segment has in the previous archive, if both archives have the same order.
        let mut near = first;
        let segments = batch.segments().map(|raw| {
            let start = bytes.len();
            let key = Segment::key_of(raw);
            let equal = previous.and_then(|previous| {
                previous.copy_equal(&key, raw, near, &mut inflater, &mut bytes)
            });
            near = equal.map_or(near, |equal| equal.number) + 1;
            if let Some(LocatedSegment { segment, file_at, .. }) = equal {
                copied += u64::from(segment.compressed_len);
                return (segment, Some(file_at));
            }
            deflater.segment(raw, &mut bytes);
            compressed += raw.len() as u64;
            (Segment::new(key, raw, &bytes[start..]), None)
        });
        let segments = segments.collect();
        // The backup may have ended, so that nobody receives the result.
        let _ = done.send(Done { bytes, segments, entries, copied, compressed });
    }
}

/// Emits the archive in order.
struct Assembler<'a, E> {
    emit: E,
    settings: &'a Settings,
    tracker: &'a Tracker,
    sha1: sha1::Sha1,
    /// CRC-32 of the tar stream, combined from those of the segments.
    crc: crc32fast::Hasher,
    size: u64,
    tar_len: u64,
    index: IndexWriter,
    segments: u64,
    copied: u64,
    compressed: u64,
    /// Whether copied segments are from another encoder or level.
    is_mixed: bool,
    /// The previous archive, if the destination may share its blocks.
    copied_file: Option<Arc<File>>,
}

impl<E: FnMut(Chunk) -> Result<()>> Assembler<'_, E> {
    /// Returns `None` if the tar stream stopped before its end.
    fn assemble(mut self, ordered: &Receiver<Ordered>) -> Result<Option<ArchiveReport>> {
        self.emit_copy(Bytes::from_static(&GZIP_HEADER), self.copied_header())?;
        loop {
            match ordered.recv() {
                Ok(Ordered::Batch(done)) => {
                    let done = done.recv().map_err(|_| {
                        Error::new(ErrorKind::Internal, "compress").caused_by("a worker panicked")
                    })?;
                    self.copied += done.copied;
                    self.compressed += done.compressed;
                    let bytes = std::iter::once(Bytes::from_owner(done.bytes));
                    self.add(done.segments.into_iter(), done.entries, bytes)?;
                }
                Ok(Ordered::Copies(mut copies)) => {
                    self.copied += copies.len() as u64;
                    let (entries, segments) = (copies.take_entries(), copies.take_segments());
                    let placed = segments.iter().map(|from| (from.segment, Some(from.file_at)));
                    self.add(placed, entries, copies.into_runs())?;
                }
                Ok(Ordered::End(info)) => return self.finish(*info).map(Some),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Adds segments and the entries that end in them, and emits the bytes of the segments.
    fn add(
        &mut self,
        segments: impl Iterator<Item = Placed>,
        entries: Vec<Entry>,
        mut bytes: impl Iterator<Item = Bytes>,
    ) -> Result<()> {
        // Bytes are emitted at once as long as they are also together where they were copied from, and have no
        // padding between them.
        let (mut rest, mut run, mut run_from) = (Bytes::new(), 0, None);
        for (segment, copied_from) in segments {
            let begins_block = self.settings.align && align::begins_block(&segment);
            let is_next = copied_from == run_from.map(|from| from + run as u64);
            if begins_block || !is_next || run == rest.len() {
                self.emit_copy(rest.split_to(run), run_from)?;
                (run, run_from) = (0, copied_from);
                if rest.is_empty() {
                    rest = bytes.next().unwrap_or_default();
                }
            }
            if begins_block {
                self.pad()?;
            }
            run += segment.compressed_len as usize;
            self.crc.combine(&crc32fast::Hasher::new_with_initial_len(
                segment.raw_crc32,
                segment.raw_len.into(),
            ));
            self.tar_len += u64::from(segment.raw_len);
            self.index.add_segment(&segment);
            self.segments += 1;
        }
        self.emit_copy(rest.split_to(run), run_from)?;
        entries.iter().try_for_each(|entry| self.index.add_entry(entry))
    }

    /// Adds empty blocks, so that the next segment begins at a multiple of a block of the file system.
    fn pad(&mut self) -> Result<()> {
        let padding = align::padding(self.size);
        if padding.is_empty() {
            return Ok(());
        }
        self.index.add_segment(&Segment::padding(&padding));
        self.emit(Bytes::from(padding))
    }

    fn finish(mut self, info: Info) -> Result<ArchiveReport> {
        let (encoder, level) = match self.is_mixed && self.copied > 0 {
            true => MIXED,
            false => encoder_id(self.settings.encoder, self.settings.level),
        };
        let profile = u32::from(self.settings.profile == Profile::Wings);
        let flags = u32::from(encoder) | u32::from(level) << 8 | profile << 16;
        let trailer = gzip::trailer(self.crc.clone().finalize(), self.tar_len);
        self.emit(Bytes::from_owner(trailer))?;
        let index = std::mem::take(&mut self.index);
        index.finish(flags, info, |bytes| self.emit(Bytes::from(bytes)))?;
        let Assembler { size, segments, copied, compressed, tar_len, .. } = self;
        let is_all_new = compressed + END_LEN >= tar_len;
        let sha1 = Sha1(self.sha1.finalize().into());
        Ok(ArchiveReport { size, sha1, segments, copied, compressed, is_all_new })
    }

    /// Returns the offset of the header in the previous archive, if that begins with the same header. Its index does
    /// not have this range.
    fn copied_header(&self) -> Option<u64> {
        let mut header = [0; GZIP_HEADER.len()];
        let file = self.copied_file.as_ref()?;
        file.read_exact_at(&mut header, 0).ok().filter(|()| header == GZIP_HEADER).map(|()| 0)
    }

    /// Emits bytes that the previous archive has at this offset, or new ones.
    fn emit_copy(&mut self, bytes: Bytes, copied_from: Option<u64>) -> Result<()> {
        let copy_of = self.copied_file.clone().zip(copied_from);
        self.emit(Chunk { bytes, copy_of })
    }

    /// Hashes, counts and emits bytes, at the limited rate.
    fn emit(&mut self, chunk: impl Into<Chunk>) -> Result<()> {
        let mut chunk = chunk.into();
        self.sha1.update(&chunk.bytes);
        self.size += chunk.bytes.len() as u64;
        while !chunk.bytes.is_empty() {
            let limit = &self.settings.write_limit;
            let n = limit.take(chunk.bytes.len(), || self.tracker.is_cancelled())?;
            (self.emit)(chunk.split_to(n))?;
        }
        Ok(())
    }
}
