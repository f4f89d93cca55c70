//! Reads an archive with its index.

use std::{ops::Range, sync::Arc};

use sha1::Digest;

use super::{
    damage::{Damage, NoIndex, ReadMethod},
    damage_log::DamageLog,
    index::Index,
    input::{ReadAt, chunks_of, corrupt},
    plan::{Plan, Wanted},
    report::{Options, ReadReport},
    segments::{Checks, Decoded, Segments},
    sink::Sink,
    tar_reader::TarReader,
    worker_pool::WorkerPool,
};
use crate::{
    checksum::Sha1,
    error::Result,
    format::{
        gzip::{self, GZIP_HEADER, TRAILER_LEN},
        index::LocatedSegment,
    },
    progress::Tracker,
};

/// Reads an archive with its index.
///
/// Returns `None` if the index does not match the tar stream and only some members are wanted. The sink
/// has then received only the members before the mismatch.
pub(crate) fn by_index(
    source: &Arc<dyn ReadAt>,
    index: Arc<Index>,
    wanted: Wanted<'_>,
    options: &Options,
    workers: &WorkerPool,
    tracker: &Tracker,
    sink: &mut impl Sink,
) -> Result<Option<ReadReport>> {
    let is_all = matches!(wanted, Wanted::All);
    let reader = match is_all {
        true => TarReader::with_index(sink, index.footer.tar_len),
        false => TarReader::of_some(sink),
    };
    let plan = Plan::new(wanted, || index.pages());
    let mut reading = Reading {
        source: &**source,
        index: &index,
        is_all,
        reader,
        sha1: (options.sha1 && is_all).then(sha1::Sha1::new),
        tar_crc: crc32fast::Hasher::new(),
        damage: DamageLog::new(options),
        lost: Vec::new(),
    };
    let header = if is_all { 0..GZIP_HEADER.len() as u64 } else { 0..0 };
    let until = if is_all { index.footer.data_end } else { 0 };
    let checks = Checks { keys: options.keys, keep_compressed: reading.sha1.is_some() };
    let segments = Segments::new(workers, source.clone(), checks, plan, header, until)?;
    if is_all {
        reading.check_header()?;
    }
    // The workers must not wait for a limit after a failure, because the pool waits for them.
    let read = read_all(segments, reading, workers, tracker).inspect_err(|_| tracker.fail())?;
    Ok(read.map(|report| {
        let index = (report.read_method == ReadMethod::Indexed).then_some(index);
        ReadReport { index, ..report }
    }))
}

/// Reads all runs. Returns the report, without the index.
fn read_all<S: Sink>(
    mut segments: Segments<'_>,
    mut reading: Reading<'_, S>,
    workers: &WorkerPool,
    tracker: &Tracker,
) -> Result<Option<ReadReport>> {
    while let Some(run) = segments.next()? {
        tracker.check()?;
        workers.check()?;
        reading.read_run(run)?;
        if reading.reader.has_mismatch() && !reading.is_all {
            return Ok(None);
        }
        reading.reader.buffer_end()?;
    }
    reading.finish()
}

/// An archive while it is read.
struct Reading<'a, S> {
    source: &'a dyn ReadAt,
    index: &'a Index,
    is_all: bool,
    reader: TarReader<'a, S>,
    /// Hash of the archive so far, if it is wanted.
    sha1: Option<sha1::Sha1>,
    /// CRC-32 of the tar stream, combined from the values in the index.
    tar_crc: crc32fast::Hasher,
    damage: DamageLog,
    lost: Vec<Range<u64>>,
}

impl<S: Sink> Reading<'_, S> {
    fn check_header(&mut self) -> Result<()> {
        let mut header = [0; GZIP_HEADER.len()];
        self.source.read_at(0, &mut header)?;
        self.sha1.iter_mut().for_each(|sha1| sha1.update(header));
        if header != GZIP_HEADER {
            let range = 0..header.len() as u64;
            self.damage.add(Damage::of_file(range, "the gzip header is wrong"))?;
        }
        Ok(())
    }

    fn read_run(&mut self, mut run: Decoded) -> Result<()> {
        if let (Some(sha1), Some(compressed)) = (&mut self.sha1, &run.compressed) {
            sha1.update(compressed.as_ref());
        }
        for LocatedSegment { segment, .. } in &run.segments {
            self.tar_crc.combine(&crc32fast::Hasher::new_with_initial_len(
                segment.raw_crc32,
                segment.raw_len.into(),
            ));
        }
        self.reader.expect(std::mem::take(&mut run.entries));
        let (Some(first), Some(last)) = (run.segments.first(), run.segments.last()) else {
            return Ok(());
        };
        let tar = first.tar_at..last.tar().end;
        let mut at = tar.start;
        for (segment, why) in &run.damaged {
            self.feed(&run, tar.start, at..segment.tar_at)?;
            self.skip_segment(segment, why)?;
            at = segment.tar().end;
        }
        self.feed(&run, tar.start, at..tar.end)
    }

    /// Passes a range of the tar stream to the reader. The run begins at `start`.
    fn feed(&mut self, run: &Decoded, start: u64, tar: Range<u64>) -> Result<()> {
        let range = (tar.start - start) as usize..(tar.end - start) as usize;
        let fed = self.reader.feed(&run.raw, range, tar.start);
        self.damage.tolerate(fed, tar.start, &mut self.reader)
    }

    fn skip_segment(&mut self, segment: &LocatedSegment, why: &str) -> Result<()> {
        let tar = segment.tar();
        let number = segment.number;
        let Some(lost) = self.reader.skip_damage(&tar) else {
            // The index was wrong, so it is not known where the next member begins.
            let error = corrupt(format!("segment {number} is damaged: {why}"));
            return self.damage.tolerate(Err(error), tar.start, &mut self.reader);
        };
        let mut members = Vec::new();
        for (path, range) in lost {
            members.push(path);
            match self.lost.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => self.lost.push(range),
            }
        }
        let damage = Damage::of_segment(number, segment.file(), why);
        self.damage.add(Damage { members, ..damage })
    }

    /// Returns the report, without the index.
    fn finish(mut self) -> Result<Option<ReadReport>> {
        let end = self.reader.check_end();
        self.damage.tolerate(end, self.index.footer.tar_len, &mut self.reader)?;
        let matches = self.reader.matches_index();
        if !matches && !self.is_all {
            return Ok(None);
        }
        if self.is_all {
            self.check_trailer()?;
        }
        Ok(Some(ReadReport {
            read_method: if matches {
                ReadMethod::Indexed
            } else {
                ReadMethod::Sequential(NoIndex::Mismatch)
            },
            sha1: self.sha1.map(|sha1| Sha1(sha1.finalize().into())),
            damage: self.damage.into_list(),
            lost: self.lost,
            index: None,
        }))
    }

    /// Checks the bytes after the last segment, and hashes the rest of the archive.
    fn check_trailer(&mut self) -> Result<()> {
        let at = self.index.footer.data_end;
        let trailer_range = at..at + TRAILER_LEN as u64;
        let rest = match self.sha1 {
            Some(_) => at..self.source.len(),
            None => trailer_range.clone(),
        };
        self.source.will_need(chunks_of(rest.clone()).collect(), 0);
        let mut trailer = [0; TRAILER_LEN];
        let mut chunk = Vec::new();
        for range in chunks_of(rest) {
            chunk.resize((range.end - range.start) as usize, 0);
            self.source.read_at(range.start, &mut chunk)?;
            self.sha1.iter_mut().for_each(|sha1| sha1.update(&chunk));
            if range.start == at {
                trailer.copy_from_slice(&chunk[..TRAILER_LEN]);
            }
        }
        let tar_crc = self.tar_crc.clone().finalize();
        if trailer != gzip::trailer(tar_crc, self.index.footer.tar_len) {
            self.damage.add(Damage::of_file(trailer_range, "the gzip trailer is wrong"))?;
        }
        Ok(())
    }
}
