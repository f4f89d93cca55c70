//! Reads an archive with its index.

use std::{ops::Range, sync::Arc};

use sha1::{Digest, Sha1};

use super::{
    damage::{Damage, NoIndex, ReadMethod},
    damage_log::DamageLog,
    input::{ReadAt, chunks_of, corrupt},
    layout::Layout,
    report::{Options, ReadReport, Wanted},
    segments::{Checks, Decoded, Segments},
    sink::Sink,
    tar_reader::TarReader,
    worker_pool::WorkerPool,
};
use crate::{
    error::{Error, Result},
    format::gzip::{self, GZIP_HEADER, TRAILER_LEN},
    progress::Tracker,
};

/// Reads an archive with its index.
///
/// Returns `None` if the index does not match the tar stream and only some members are wanted. The sink
/// has then received only the members before the mismatch.
pub(crate) fn by_index(
    source: &Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    wanted: Wanted,
    options: &Options,
    workers: &WorkerPool,
    tracker: &Tracker,
    sink: &mut impl Sink,
) -> Result<Option<ReadReport>> {
    let is_all = matches!(wanted, Wanted::All);
    let (runs, reader) = match wanted {
        Wanted::All => (layout.runs(), TarReader::new(sink, Some(layout.clone()))),
        Wanted::Some(entries) => (
            layout.runs_of(entries.iter().copied()),
            TarReader::of_entries(sink, layout.clone(), entries),
        ),
    };
    let header = is_all.then_some(0..GZIP_HEADER.len() as u64);
    let ranges = header.into_iter().chain(runs.iter().map(|run| layout.run_in_file(run)));
    source.will_need(ranges.collect(), 0);
    let mut reading = Reading {
        source: &**source,
        layout: &layout,
        is_all,
        reader,
        sha1: (options.sha1 && is_all).then(Sha1::new),
        tar_crc: crc32fast::Hasher::new(),
        damage: DamageLog::new(options),
        lost: Vec::new(),
    };
    if is_all {
        reading.check_header()?;
    }
    let checks = Checks { keys: options.keys, keep_compressed: reading.sha1.is_some() };
    let mut segments = Segments::new(workers, source.clone(), layout.clone(), checks, runs);
    while let Some(run) = segments.next()? {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        workers.check()?;
        reading.read_run(&run)?;
        if reading.reader.has_mismatch() && !is_all {
            return Ok(None);
        }
        reading.reader.buffer_end()?;
    }
    let report = reading.finish()?;
    Ok(report.map(|report| {
        let layout = (report.read_method == ReadMethod::Indexed).then_some(layout);
        ReadReport { layout, ..report }
    }))
}

/// An archive while it is read.
struct Reading<'a, S> {
    source: &'a dyn ReadAt,
    layout: &'a Layout,
    is_all: bool,
    reader: TarReader<'a, S>,
    /// Hash of the archive so far, if it is wanted.
    sha1: Option<Sha1>,
    /// CRC-32 of the tar stream, combined from the values in the index.
    tar_crc: crc32fast::Hasher,
    damage: DamageLog,
    lost: Vec<bool>,
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

    fn read_run(&mut self, run: &Decoded) -> Result<()> {
        if let (Some(sha1), Some(compressed)) = (&mut self.sha1, &run.compressed) {
            sha1.update(compressed.as_ref());
        }
        for segment in &self.layout.index.segments[run.segments.clone()] {
            self.tar_crc.combine(&crc32fast::Hasher::new_with_initial_len(
                segment.raw_crc32,
                segment.raw_len.into(),
            ));
        }
        let tar = self.layout.run_in_tar(&run.segments);
        let mut at = tar.start;
        for &(segment, why) in &run.damaged {
            let damaged = self.layout.segment_in_tar(segment);
            self.feed(run, tar.start, at..damaged.start)?;
            self.skip_segment(segment, why)?;
            at = damaged.end;
        }
        self.feed(run, tar.start, at..tar.end)
    }

    /// Passes a range of the tar stream to the reader. The run begins at `start`.
    fn feed(&mut self, run: &Decoded, start: u64, tar: Range<u64>) -> Result<()> {
        let range = (tar.start - start) as usize..(tar.end - start) as usize;
        let fed = self.reader.feed(&run.raw, range, tar.start);
        self.damage.tolerate(fed, tar.start, &mut self.reader)
    }

    fn skip_segment(&mut self, segment: usize, why: &str) -> Result<()> {
        let tar = self.layout.segment_in_tar(segment);
        let Some(lost) = self.reader.skip_damage(&tar) else {
            // The index was wrong, so it is not known where the next member begins.
            let error = corrupt(format!("segment {segment} is damaged: {why}"));
            return self.damage.tolerate(Err(error), tar.start, &mut self.reader);
        };
        let entries = &self.layout.index.entries;
        self.lost.resize(entries.len(), false);
        lost.iter().for_each(|&i| self.lost[i] = true);
        let members = lost.iter().map(|&i| entries[i].path.clone()).collect();
        let range = self.layout.segment_in_file(segment);
        self.damage.add(Damage { members, ..Damage::of_segment(segment, range, why) })
    }

    /// Returns the report, without the layout.
    fn finish(mut self) -> Result<Option<ReadReport>> {
        let end = self.reader.check_end();
        self.damage.tolerate(end, self.layout.footer.tar_len, &mut self.reader)?;
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
            sha1: self.sha1.map(|sha1| sha1.finalize().into()),
            damage: self.damage.into_list(),
            lost: self.lost,
            layout: None,
        }))
    }

    /// Checks the bytes after the last segment, and hashes the rest of the archive.
    fn check_trailer(&mut self) -> Result<()> {
        let at = self.layout.footer.data_end;
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
        if trailer != gzip::trailer(tar_crc, self.layout.footer.tar_len) {
            self.damage.add(Damage::of_file(trailer_range, "the gzip trailer is wrong"))?;
        }
        Ok(())
    }
}
