//! From tar bytes to the archive: compressed on several threads, put in order, hashed, closed.
//!
//! The calling thread makes batches; workers compress them in any order; one more thread takes the
//! results in the order in which the batches were handed over and passes the bytes on. What is
//! under way is bounded, so a slow destination slows the reading.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread::{self, Scope},
};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        FINAL_BLOCK, GZIP_HEADER, Level, Profile,
        buffer::{Pool, Pooled},
        deflate::{Deflater, MIXED},
        index::{Footer, IndexBuilder, List, Segment},
        segment::Batch,
        tar::END_LEN,
    },
    limiter::Limiter,
    progress::Tracker,
    read::inflate::Inflater,
    write::{
        previous::{PreviousArchive, key_of},
        read_ahead::Copies,
    },
};

/// How an archive is made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    pub(crate) profile: Profile,
    pub(crate) threads: usize,
    pub(crate) background: bool,
    pub(crate) write_limit: Limiter,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    pub(crate) segments: u64,
    /// Bytes of it that were copied from the previous archive.
    pub(crate) copied: u64,
    /// Bytes of the tar stream that were compressed.
    pub(crate) compressed: u64,
    /// Nothing was copied but, at most, the blocks at the end.
    pub(crate) is_all_new: bool,
}

/// Takes batches from the thread that makes them.
pub(crate) struct Feeder {
    jobs: Sender<Job>,
    ordered: SyncSender<Ordered>,
    pool: Pool,
}

struct Job {
    batch: Batch,
    done: SyncSender<Done>,
}

/// A compressed batch.
struct Done {
    bytes: Pooled,
    segments: Vec<Segment>,
    copied: u64,
    compressed: u64,
}

enum Ordered {
    Batch(Receiver<Done>),
    Copies(Copies),
    /// The end of the tar, with all of the index but the segments. Without it there is no archive.
    End(Box<IndexBuilder>),
}

/// Makes an archive of the batches that `produce` feeds, ends it with the index that `produce`
/// returns, and hands its bytes to `emit` in order. Segments that `stock` has are copied. An error
/// on any side ends all of it.
pub(crate) fn run<T>(
    settings: &Settings,
    stock: Option<&PreviousArchive>,
    tracker: &Tracker,
    emit: impl FnMut(Bytes) -> Result<()> + Send,
    produce: impl FnOnce(&mut Feeder) -> Result<(IndexBuilder, T)>,
) -> Result<(Summary, T)> {
    let threads = settings.threads.max(1);
    let (jobs, jobs_out) = mpsc::channel();
    let (ordered, ordered_out) = mpsc::sync_channel(2 * threads);
    let jobs_out = Mutex::new(jobs_out);
    let pool = Pool::default();
    thread::scope(|scope| {
        let worker = |i| {
            let (jobs, pool) = (&jobs_out, pool.clone());
            let body = move || work(settings.level, stock, jobs, &pool);
            start(scope, &format!("wingback-pack-{i}"), settings, body)
        };
        let workers = (0..threads).map(worker).collect::<Result<Vec<_>>>()?;
        let assembler = Assembler {
            emit,
            settings,
            tracker,
            sha1: Sha1::new(),
            crc: crc32fast::Hasher::new(),
            size: 0,
            tar_len: 0,
            copied: 0,
            compressed: 0,
            is_mixed: stock.is_some_and(PreviousArchive::is_other),
        };
        let assembly =
            start(scope, "wingback-hash", settings, move || assembler.assemble(&ordered_out))?;
        let mut feeder = Feeder { jobs, ordered, pool };
        let produced = produce(&mut feeder).and_then(|(index, value)| {
            feeder.ordered.send(Ordered::End(Box::new(index))).map_err(|_| stopped())?;
            Ok(value)
        });
        drop(feeder);
        let assembled = join(assembly);
        workers.into_iter().for_each(join);
        // Where both failed, the one that stopped the other says why.
        match (produced, assembled) {
            (Err(e), Ok(_)) => Err(e),
            (_, Err(e)) => Err(e),
            (Ok(value), Ok(summary)) => Ok((summary.ok_or_else(stopped)?, value)),
        }
    })
}

impl Feeder {
    /// An empty batch.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(self.pool.take())
    }

    /// The memory that is used again and again.
    pub(crate) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// Hands segments over that are encoded already.
    pub(crate) fn send_copies(&mut self, copies: Copies) -> Result<()> {
        self.ordered.send(Ordered::Copies(copies)).map_err(|_| stopped())
    }

    /// Hands a batch over, waiting until there is room.
    pub(crate) fn send(&mut self, batch: Batch) -> Result<()> {
        let (done, done_out) = mpsc::sync_channel(1);
        self.ordered.send(Ordered::Batch(done_out)).map_err(|_| stopped())?;
        self.jobs.send(Job { batch, done }).map_err(|_| stopped())
    }
}

/// What the producer gets when the other side has ended; that side's error is the one that counts.
fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "make the archive").caused_by("it was stopped halfway")
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    settings: &Settings,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>> {
    let background = settings.background;
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, move || {
            if background {
                lower_priority();
            }
            body()
        })
        .map_err(|e| Error::io("start a thread", e))
}

/// A scope waits for its threads' work only, not for their end.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Gives way to everything else, for the processor and, since Linux derives the one from the other
/// (ioprio_set(2)), for the disk. On Linux a nice value belongs to the thread.
pub(crate) fn lower_priority() {
    // Nothing is lost where that is refused.
    let _ = rustix::process::setpriority_process(None, 19);
}

/// One worker: compresses batches until there are no more.
fn work(level: Level, stock: Option<&PreviousArchive>, jobs: &Mutex<Receiver<Job>>, pool: &Pool) {
    let mut deflater = Deflater::new(level);
    let mut inflater = Inflater::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { batch, done }) = job else {
            return;
        };
        let mut bytes = pool.take();
        let (mut copied, mut compressed) = (0, 0);
        let segments = batch.segments().map(|raw| {
            let start = bytes.len();
            let key = key_of(raw);
            let equal =
                stock.and_then(|stock| stock.copy_equal(&key, raw, &mut inflater, &mut bytes));
            if let Some(segment) = equal {
                copied += u64::from(segment.compressed_len);
                return segment;
            }
            deflater.segment(raw, &mut bytes);
            compressed += raw.len() as u64;
            let encoded = &bytes[start..];
            Segment {
                compressed_len: encoded.len() as u32,
                raw_len: raw.len() as u32,
                raw_crc32: crc32fast::hash(raw),
                compressed_crc32: crc32fast::hash(encoded),
                key,
            }
        });
        let segments = segments.collect();
        // Nobody waits for it if the backup has ended meanwhile.
        let _ = done.send(Done { bytes, segments, copied, compressed });
    }
}

/// Puts the archive together, in order.
struct Assembler<'a, E> {
    emit: E,
    settings: &'a Settings,
    tracker: &'a Tracker,
    sha1: Sha1,
    /// Of the whole tar, combined from the segments' own.
    crc: crc32fast::Hasher,
    size: u64,
    tar_len: u64,
    copied: u64,
    compressed: u64,
    /// What is copied is of another encoder or level.
    is_mixed: bool,
}

impl<E: FnMut(Bytes) -> Result<()>> Assembler<'_, E> {
    /// `None` if the tar stopped before its end.
    fn assemble(mut self, ordered: &Receiver<Ordered>) -> Result<Option<Summary>> {
        self.pass(Bytes::from_static(&GZIP_HEADER))?;
        let mut segments = List::default();
        loop {
            match ordered.recv() {
                Ok(Ordered::Batch(done)) => {
                    let done = done.recv().map_err(|_| {
                        Error::new(ErrorKind::Internal, "compress").caused_by("a worker panicked")
                    })?;
                    self.add(&done.segments, &mut segments)?;
                    self.copied += done.copied;
                    self.compressed += done.compressed;
                    self.pass(Bytes::from_owner(done.bytes))?;
                }
                Ok(Ordered::Copies(copies)) => {
                    self.add(&copies.segments, &mut segments)?;
                    self.copied += copies.len() as u64;
                    copies.into_runs().try_for_each(|run| self.pass(run))?;
                }
                Ok(Ordered::End(index)) => {
                    let index = IndexBuilder { segments, ..*index };
                    return self.close(index).map(Some);
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn add(&mut self, added: &[Segment], segments: &mut List<Segment>) -> Result<()> {
        for segment in added {
            self.crc.combine(&crc32fast::Hasher::new_with_initial_len(
                segment.raw_crc32,
                segment.raw_len.into(),
            ));
            self.tar_len += u64::from(segment.raw_len);
            segments.push(segment)?;
        }
        Ok(())
    }

    fn close(mut self, index: IndexBuilder) -> Result<Summary> {
        let (encoder, level) = match self.is_mixed && self.copied > 0 {
            true => MIXED,
            false => Deflater::new(self.settings.level).id(),
        };
        let profile = u32::from(self.settings.profile == Profile::Wings);
        let footer = Footer {
            flags: u32::from(encoder) | u32::from(level) << 8 | profile << 16,
            data_end: self.size,
            tar_len: self.tar_len,
            ..Footer::default()
        };
        let segments = index.segments.len();
        let mut trailer = FINAL_BLOCK.to_vec();
        trailer.extend(self.crc.clone().finalize().to_le_bytes());
        trailer.extend((self.tar_len as u32).to_le_bytes());
        self.pass(trailer.into())?;
        index.finish(footer, |member| self.pass(member.into()))?;
        let Assembler { size, copied, compressed, tar_len, .. } = self;
        let is_all_new = compressed + END_LEN >= tar_len;
        let sha1 = self.sha1.finalize().into();
        Ok(Summary { size, sha1, segments, copied, compressed, is_all_new })
    }

    /// Hashes and counts the bytes, and passes them on within the limit.
    fn pass(&mut self, mut bytes: Bytes) -> Result<()> {
        self.sha1.update(&bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let limit = &self.settings.write_limit;
            let n = limit.take(bytes.len(), || self.tracker.is_cancelled())?;
            (self.emit)(bytes.split_to(n))?;
        }
        Ok(())
    }
}
