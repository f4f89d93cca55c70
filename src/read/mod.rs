//! The way back: from an archive's bytes to its members.
//!
//! ```text
//! with an index      segments, decoded side by side ─┐
//! without, or cut    gunzip, on a thread of its own ─┴─ tar stream, in order ─ walker ─ Sink
//! ```
//!
//! Either way the tar stream is read strictly and in order. The index only says where it can be
//! cut, and adds what tar cannot say; where it contradicts the stream, the stream is right.

pub(crate) mod damage;
pub(crate) mod gunzip;
pub(crate) mod inflate;
pub(crate) mod segments;
pub(crate) mod tar_reader;
pub(crate) mod worker_pool;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        FINAL_BLOCK, GZIP_HEADER,
        index::{Decoder, FOOTER_LEN, Footer, Index},
    },
    listed::Listed,
    progress::Tracker,
    read::{
        damage::{Damage, NoIndex, ReadMethod},
        gunzip::{Gunzip, Stretch},
        segments::{Checks, Layout, Segments},
        tar_reader::{Sink, TarReader},
        worker_pool::WorkerPool,
    },
};

/// What is read at once to find the index: it holds the index of some 2,500 files.
pub(crate) const TAIL: u64 = 64 << 10;

/// What is read at once where the file is read from end to end.
const CHUNK: u64 = 1 << 20;

/// What is planned at once of such a file: its length is what somebody says.
const PLANNED: u64 = 1 << 30;

/// An archive that can be read at any place.
pub(crate) trait ReadAt: Send + Sync {
    /// Bytes of the archive.
    fn len(&self) -> u64;

    /// Fills `into` with the bytes at `at`. It is an error if the archive ends before.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()>;

    /// Says that little of what lies before is going to be read again.
    fn passed(&self, at: u64) {
        let _ = at;
    }

    /// Says that these ranges are going to be read, in about this order, and what follows the last of
    /// them up to `until` after that.
    fn plan(&self, ranges: Vec<Range<u64>>, until: u64) {
        let _ = (ranges, until);
    }
}

/// An archive that comes from its start to its end.
pub(crate) trait Chunks: Send {
    /// The next bytes; `None` or none at the end.
    fn next(&mut self) -> Result<Option<Bytes>>;
}

/// Where an archive's bytes come from.
pub(crate) enum Source {
    At(Arc<dyn ReadAt>),
    Stream(Box<dyn Chunks>),
}

impl Source {
    /// Its index, or why there is none to use.
    pub(crate) fn layout(&self) -> Result<Result<Arc<Layout>, NoIndex>> {
        match self {
            Source::At(source) => layout(&**source),
            Source::Stream(_) => Ok(Err(NoIndex::Stream)),
        }
    }

    /// Bytes of the archive, where that is known before its end.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Source::At(source) => Some(source.len()),
            Source::Stream(_) => None,
        }
    }

    fn chunks(self) -> Box<dyn Chunks> {
        match self {
            Source::At(source) => Box::new(Whole { source, at: 0, planned: 0 }),
            Source::Stream(chunks) => chunks,
        }
    }
}

pub(crate) fn corrupt(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "read the archive").caused_by(why.into())
}

fn layout(source: &dyn ReadAt) -> Result<Result<Arc<Layout>, NoIndex>> {
    let len = source.len();
    let mut tail = vec![0; len.min(TAIL) as usize];
    let tail_at = len - tail.len() as u64;
    source.read_at(tail_at, &mut tail)?;
    let Some(last) = tail.last_chunk::<FOOTER_LEN>() else {
        return Ok(Err(NoIndex::Absent));
    };
    let Some(footer) = Footer::decode(last, len) else {
        // What ends like one of ours and is none is damaged; anything else has no index.
        let is_ours = last.windows(6).any(|w| w == b"WBKIDX") || last[12..14] == *b"WF";
        return Ok(Err(if is_ours { NoIndex::Damaged } else { NoIndex::Absent }));
    };
    let mut decoder = Decoder::new(&footer);
    let index = footer.index_offset..footer.index_offset + footer.index_len;
    let before_tail = index.start..index.end.min(tail_at.max(index.start));
    source.plan(chunks_of(before_tail.clone()).collect(), before_tail.end);
    let mut chunk = Vec::new();
    for range in chunks_of(before_tail) {
        chunk.resize((range.end - range.start) as usize, 0);
        source.read_at(range.start, &mut chunk)?;
        // What is wrong here is not read to its end, however long it says it is.
        if decoder.feed(&chunk).is_err() {
            return Ok(Err(NoIndex::Damaged));
        }
    }
    let in_tail = index.start.max(tail_at) - tail_at..index.end - tail_at;
    let fed = decoder.feed(&tail[in_tail.start as usize..in_tail.end as usize]);
    let index = fed.and_then(|()| decoder.finish());
    Ok(index.map_err(|_| NoIndex::Damaged).and_then(|index| to_layout(footer, index)))
}

fn to_layout(footer: Footer, index: Index) -> Result<Arc<Layout>, NoIndex> {
    Layout::new(footer, index).map(Arc::new).ok_or(NoIndex::Damaged)
}

/// A range in pieces that are read at once.
fn chunks_of(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(CHUNK as usize).map(move |at| at..at.saturating_add(CHUNK).min(end))
}

/// The index in what follows the data of an archive that was read from its start.
pub(crate) fn layout_in_tail(tail: &[u8], file_len: u64) -> Option<Arc<Layout>> {
    let footer = Footer::decode(tail.last_chunk()?, file_len)?;
    let members = tail.get(..tail.len() - FOOTER_LEN)?;
    to_layout(footer, Index::decode(&footer, members).ok()?).ok()
}

/// How an archive is read.
pub(crate) struct Options {
    /// Computes the SHA-1 of the file; only where all of it is read.
    pub(crate) sha1: bool,
    /// Compares the segments' keys too.
    pub(crate) keys: bool,
    /// Goes on behind damage, as far as that can be.
    pub(crate) tolerant: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) read_method: ReadMethod,
    pub(crate) sha1: Option<[u8; 20]>,
    pub(crate) damage: Listed<Damage>,
    /// Entries of the index that damaged segments cost, by their place; empty if there are none.
    pub(crate) lost: Vec<bool>,
    /// The index, where there is one that agrees with the stream.
    pub(crate) layout: Option<Arc<Layout>>,
}

/// Which members are wanted.
pub(crate) enum Wanted {
    All,
    /// These entries of the index.
    Some(Vec<usize>),
}

/// Reads an archive by its index. `None` if the index was found to say other than the tar stream
/// where only some members were wanted: then nothing more than the members before is done.
pub(crate) fn by_index(
    source: &Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    wanted: Wanted,
    options: &Options,
    crew: &WorkerPool,
    tracker: &Tracker,
    sink: &mut impl Sink,
) -> Result<Option<Outcome>> {
    let is_all = matches!(wanted, Wanted::All);
    let (runs, mut walker) = match wanted {
        Wanted::All => (layout.runs(), TarReader::new(sink, Some(layout.clone()))),
        Wanted::Some(entries) => (
            layout.runs_of(entries.iter().copied()),
            TarReader::some(sink, layout.clone(), entries),
        ),
    };
    let header_range = is_all.then_some(0..GZIP_HEADER.len() as u64);
    let ranges = header_range.into_iter().chain(runs.iter().map(|r| layout.run_in_file(r)));
    source.plan(ranges.collect(), 0);
    let mut sha1 = (options.sha1 && is_all).then(Sha1::new);
    let mut damage = Listed::default();
    if is_all {
        let mut header = [0; GZIP_HEADER.len()];
        source.read_at(0, &mut header)?;
        sha1.iter_mut().for_each(|sha1| sha1.update(header));
        if header != GZIP_HEADER {
            note(&mut damage, options, Damage::of_file(0..10, "the gzip header is not the one"))?;
        }
    }
    let checks = Checks { keys: options.keys, encoded: sha1.is_some() };
    let mut segments = Segments::new(crew, source.clone(), layout.clone(), checks, runs);
    let mut crc = crc32fast::Hasher::new();
    let mut all_lost = Vec::new();
    while let Some(run) = segments.next()? {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        crew.check()?;
        if let (Some(sha1), Some(encoded)) = (&mut sha1, &run.encoded) {
            sha1.update(encoded.as_ref());
        }
        let start = layout.segment_in_tar(run.segments.start).start;
        let within = |tar: u64| (tar - start) as usize;
        let mut good = start;
        for i in run.segments.clone() {
            let segment = &layout.index.segments[i];
            crc.combine(&crc32fast::Hasher::new_with_initial_len(
                segment.raw_crc32,
                segment.raw_len.into(),
            ));
        }
        for &(i, why) in &run.damaged {
            let tar = layout.segment_in_tar(i);
            let feed = walker.feed(&run.raw, within(good)..within(tar.start), good);
            tolerate(feed, good, &mut walker, &mut damage, options)?;
            good = tar.end;
            let Some(lost) = walker.damaged(&tar) else {
                // The index was wrong, so where the next member begins is not known.
                let error = corrupt(format!("segment {i} is damaged: {why}"));
                tolerate(Err(error), tar.start, &mut walker, &mut damage, options)?;
                continue;
            };
            all_lost.resize(layout.index.entries.len(), false);
            lost.iter().for_each(|&i| all_lost[i] = true);
            let lost = lost.iter().map(|&i| layout.index.entries[i].path.clone()).collect();
            let hit =
                Damage { members: lost, ..Damage::of_segment(i, layout.segment_in_file(i), why) };
            note(&mut damage, options, hit)?;
        }
        let end = start + run.raw.len() as u64;
        let feed = walker.feed(&run.raw, within(good)..within(end), good);
        tolerate(feed, good, &mut walker, &mut damage, options)?;
        if walker.has_mismatch() && !is_all {
            return Ok(None);
        }
        walker.stretch_end()?;
    }
    let end = walker.check_end();
    tolerate(end, layout.footer.tar_len, &mut walker, &mut damage, options)?;
    let agrees = walker.agrees();
    if !agrees && !is_all {
        return Ok(None);
    }
    if is_all {
        let trailer_at = layout.footer.data_end;
        let mut is = [0; FINAL_BLOCK.len() + 8];
        let rest = match sha1 {
            Some(_) => trailer_at..source.len(),
            None => trailer_at..trailer_at + is.len() as u64,
        };
        source.plan(chunks_of(rest.clone()).collect(), 0);
        let mut chunk = Vec::new();
        for range in chunks_of(rest) {
            chunk.resize((range.end - range.start) as usize, 0);
            source.read_at(range.start, &mut chunk)?;
            sha1.iter_mut().for_each(|sha1| sha1.update(&chunk));
            if range.start == trailer_at {
                is.copy_from_slice(&chunk[..FINAL_BLOCK.len() + 8]);
            }
        }
        let mut trailer = FINAL_BLOCK.to_vec();
        trailer.extend(crc.finalize().to_le_bytes());
        trailer.extend((layout.footer.tar_len as u32).to_le_bytes());
        if is[..] != trailer {
            let range = trailer_at..trailer_at + trailer.len() as u64;
            note(&mut damage, options, Damage::of_file(range, "the gzip trailer is not the one"))?;
        }
    }
    Ok(Some(Outcome {
        read_method: if agrees {
            ReadMethod::Indexed
        } else {
            ReadMethod::Sequential(NoIndex::Mismatch)
        },
        sha1: sha1.map(|sha1| sha1.finalize().into()),
        damage,
        lost: all_lost,
        layout: agrees.then_some(layout),
    }))
}

/// Reads an archive from its start to its end.
pub(crate) fn in_sequence(
    source: Source,
    mut why: NoIndex,
    options: &Options,
    crew: &WorkerPool,
    tracker: &Tracker,
    sink: &mut impl Sink,
) -> Result<Outcome> {
    let sha1 = Arc::new(std::sync::Mutex::new(options.sha1.then(Sha1::new)));
    let look = {
        let sha1 = sha1.clone();
        move |bytes: &[u8]| {
            if let Some(sha1) = &mut *sha1.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            {
                sha1.update(bytes);
            }
        }
    };
    let mut gunzip = Gunzip::start(source.chunks(), crew, Box::new(look))?;
    let mut walker = TarReader::new(sink, None);
    let mut damage = Listed::default();
    let (mut at, mut is_whole) = (0, true);
    let layout = loop {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        crew.check()?;
        match gunzip.next()? {
            Stretch::SharedBuffer(raw) => {
                let feed = walker.feed(&raw, 0..raw.len(), at);
                tolerate(feed, at, &mut walker, &mut damage, options)?;
                at += raw.len() as u64;
                walker.stretch_end()?;
            }
            Stretch::Damaged(why) => {
                let lost = walker.give_up();
                let mut rest = Damage::of_rest(at, why);
                rest.members.extend(lost);
                note(&mut damage, options, rest)?;
                is_whole = false;
                break None;
            }
            Stretch::End(ending) => {
                let layout = layout_in_tail(&ending.tail, ending.len);
                if layout.is_none() && ending.tail.get(12..14) == Some(b"WX") {
                    why = NoIndex::Damaged;
                }
                break layout;
            }
        }
    };
    let end = walker.check_end();
    tolerate(end, at, &mut walker, &mut damage, options)?;
    let sha1 = sha1.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    // Where it ended early, not all of the file was seen.
    let sha1 = sha1.filter(|_| is_whole);
    Ok(Outcome {
        read_method: ReadMethod::Sequential(why),
        sha1: sha1.map(|sha1| sha1.finalize().into()),
        damage,
        lost: Vec::new(),
        layout,
    })
}

/// Goes on behind a header that cannot be read, where that is wanted: the stream may be whole, but
/// where its members are is not known any more.
fn tolerate<S: Sink>(
    result: Result<()>,
    at: u64,
    walker: &mut TarReader<'_, S>,
    damage: &mut Listed<Damage>,
    options: &Options,
) -> Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::Corrupt && options.tolerant => {
            let mut rest = Damage::of_rest(at, e);
            rest.members.extend(walker.give_up());
            note(damage, options, rest)
        }
        result => result,
    }
}

/// Remembers damage, or fails with it.
fn note(damage: &mut Listed<Damage>, options: &Options, hit: Damage) -> Result<()> {
    if !options.tolerant {
        return Err(corrupt(hit.to_string()));
    }
    damage.push(hit);
    Ok(())
}

/// A file that can be read at any place, from its start.
struct Whole {
    source: Arc<dyn ReadAt>,
    at: u64,
    /// Up to where the source knows that it will be read.
    planned: u64,
}

impl Chunks for Whole {
    fn next(&mut self) -> Result<Option<Bytes>> {
        let len = self.source.len();
        if self.at == self.planned && self.at < len {
            self.planned = self.at.saturating_add(PLANNED).min(len);
            self.source.plan(chunks_of(self.at..self.planned).collect(), len);
        }
        let mut chunk = vec![0; (len - self.at).min(CHUNK) as usize];
        self.source.read_at(self.at, &mut chunk)?;
        self.at += chunk.len() as u64;
        Ok(Some(chunk.into()))
    }
}
