//! The previous archive, as a stock of segments for the next one.
//!
//! A segment's encoded bytes follow from its raw bytes, encoder and level alone, so what is unchanged
//! is copied as it stands, and the new archive has the very bytes that it would have had anyway.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    entry::{Entry, EntryKind, Metadata, is_beyond},
    error::Result,
    format::{
        FINAL_BLOCK, Level,
        buffer::{Buf, Pool},
        deflate::Deflater,
        index::Segment,
    },
    progress::Expected,
    read::{ReadAt, Source, inflate::Inflater, segments::Layout},
    write::read_ahead::{Copies, ReadAhead},
};

/// One in so many copied segments is decoded and looked at, others with each backup.
const LOOKED_AT: u8 = 16;

/// Bytes behind a segment that [`Inflater::segment`] needs.
const SPARE: usize = FINAL_BLOCK.len();

/// An archive to copy from.
pub(crate) struct PreviousArchive {
    source: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    by_key: HashMap<[u8; 16], u32>,
    /// Another encoder or level made it.
    is_other: bool,
    /// Segments that are not what the index says of them. One may be met more than once.
    damaged: Mutex<BTreeSet<usize>>,
}

impl PreviousArchive {
    /// Opens it, or says why it is of no use. With `any`, what another encoder or level has made is of
    /// use too.
    pub(crate) fn open(
        source: Arc<dyn ReadAt>,
        level: Level,
        any: bool,
    ) -> Result<Result<Self, String>> {
        let layout = match Source::At(source.clone()).layout()? {
            Ok(layout) => layout,
            Err(why) => return Ok(Err(format!("its index is {}", why.code()))),
        };
        let is_other = layout.footer.made_by() != Deflater::new(level).id();
        if is_other && !any {
            return Ok(Err("it was made by another encoder, or at another level".into()));
        }
        let keys = layout.index.segments.iter().zip(0..).map(|(segment, i)| (segment.key, i));
        let by_key = keys.collect();
        Ok(Ok(PreviousArchive { source, layout, by_key, is_other, damaged: Mutex::default() }))
    }

    /// Whether what is copied from it is not what this encoder and level would make.
    pub(crate) fn is_other(&self) -> bool {
        self.is_other
    }

    /// What it holds: about what the next one will.
    pub(crate) fn contents(&self) -> Expected {
        let files = self.layout.index.entries.iter().filter(|e| e.kind() == EntryKind::File);
        files.fold(Expected::default(), |sum, file| Expected {
            files: sum.files + 1,
            bytes: sum.bytes + file.size,
        })
    }

    /// How many of the segments that were looked at were damaged.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn note_damaged(&self, i: usize) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(i);
    }

    /// Appends the encoded bytes of the segment whose raw bytes are these, if there is one.
    pub(crate) fn copy_equal(
        &self,
        key: &[u8; 16],
        raw: &[u8],
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Option<Segment> {
        let i = self.equal(key, raw)?;
        self.copy(i, inflater, out).then(|| *self.segment(i))
    }

    fn equal(&self, key: &[u8; 16], raw: &[u8]) -> Option<usize> {
        let i = *self.by_key.get(key)? as usize;
        (self.segment(i).raw_len as usize == raw.len()).then_some(i)
    }

    /// How many there are.
    pub(crate) fn segments(&self) -> usize {
        self.layout.index.segments.len()
    }

    pub(crate) fn segment(&self, i: usize) -> &Segment {
        &self.layout.index.segments[i]
    }

    /// Appends the encoded bytes of a segment; false, with nothing appended, where they are damaged.
    pub(crate) fn copy(&self, i: usize, inflater: &mut Inflater, out: &mut Buf) -> bool {
        let (start, len) = (out.len(), self.segment(i).compressed_len as usize);
        let room = out.room(len + SPARE);
        let at = self.layout.segment_in_file(i).start;
        let is_good =
            self.source.read_at(at, &mut room[..len]).is_ok() && self.is_good(i, room, inflater);
        if is_good {
            out.advance(len);
        } else {
            out.truncate(start);
            self.note_damaged(i);
        }
        self.source.passed(at);
        is_good
    }

    /// Appends segments from this one on, of so many bytes or one, and says where each lies; `None` of
    /// what could not be read, or is damaged.
    pub(crate) fn read(
        &self,
        first: usize,
        bytes: u64,
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Vec<Option<Range<usize>>> {
        let from = self.layout.segment_in_file(first).start;
        let within = |i: &usize| *i == first || self.layout.segment_in_file(*i).end - from <= bytes;
        let segments = first..self.segments();
        let places: Vec<_> = segments
            .clone()
            .take_while(within)
            .map(|i| {
                let Range { start, end } = self.layout.segment_in_file(i);
                (start - from) as usize..(end - from) as usize
            })
            .collect();
        let len = places.last().map_or(0, |place| place.end);
        let room = out.room(len + SPARE);
        let is_read = self.source.read_at(from, &mut room[..len]).is_ok();
        let look = |(i, place): (usize, Range<usize>)| {
            let encoded = &mut room[place.start..place.end + SPARE];
            (is_read && self.is_good(i, encoded, inflater)).then_some(place)
        };
        let found = segments.zip(places).map(look).collect();
        out.advance(len);
        self.source.passed(from);
        found
    }

    /// Whether this is the segment, with [`SPARE`] bytes behind it: by its checksum, and one in so many
    /// by what it holds.
    fn is_good(&self, i: usize, encoded: &mut [u8], inflater: &mut Inflater) -> bool {
        let segment = self.segment(i);
        let turn = segment.key[0] ^ self.layout.footer.hash[0];
        crc32fast::hash(&encoded[..encoded.len() - SPARE]) == segment.compressed_crc32
            && (!turn.is_multiple_of(LOOKED_AT) || decode(segment, encoded, inflater).is_some())
    }
}

/// The raw bytes of a segment, with [`SPARE`] bytes behind it, if they are what they should be.
fn decode(segment: &Segment, encoded: &mut [u8], inflater: &mut Inflater) -> Option<Vec<u8>> {
    let mut raw = vec![0; segment.raw_len as usize];
    let is_good = inflater.segment(encoded, &mut raw)
        && crc32fast::hash(&raw) == segment.raw_crc32
        && key_of(&raw) == segment.key;
    is_good.then_some(raw)
}

/// Goes along the previous archive beside the walk: both are in the order of paths.
pub(crate) struct Cursor {
    stock: Arc<PreviousArchive>,
    next: usize,
    trust_mtime: bool,
    ahead: ReadAhead,
    inflater: Inflater,
    /// The segment that was decoded last; `None` within where it is damaged.
    decoded: Option<(usize, Option<Vec<u8>>)>,
}

impl Cursor {
    pub(crate) fn new(stock: Arc<PreviousArchive>, trust_mtime: bool, pool: Pool) -> Self {
        let ahead = ReadAhead::new(stock.clone(), pool);
        Cursor { stock, next: 0, trust_mtime, ahead, inflater: Inflater::new(), decoded: None }
    }

    /// The entry of that path and kind. Paths must come in their order.
    pub(crate) fn entry(&mut self, path: &[u8], kind: EntryKind) -> Option<usize> {
        let entries = &self.stock.layout.index.entries;
        let wanted = ordered(path, kind);
        while let Some(entry) = entries.get(self.next) {
            match ordered(&entry.path, entry.kind()).cmp(wanted.clone()) {
                std::cmp::Ordering::Less => self.next += 1,
                std::cmp::Ordering::Equal if entry.kind() == kind => return Some(self.next),
                _ => return None,
            }
        }
        None
    }

    /// Whether a file has the content that it had.
    pub(crate) fn is_same_file(&self, i: usize, meta: &Metadata) -> bool {
        let entry = &self.stock.layout.index.entries[i];
        // Of times that are beyond what the index can say, two are not told apart.
        let trusts_mtime = self.trust_mtime && !is_beyond(meta.mtime_ns);
        let is_touched = !trusts_mtime && entry.ctime_ns != meta.ctime_ns;
        entry.flags == 0
            && entry.size == meta.size
            && entry.inode == meta.inode
            && entry.inode != 0
            && !is_touched
            && self.is_same_header(i, meta)
    }

    /// Whether a directory or symlink has the header that it had.
    pub(crate) fn is_same_link(&self, i: usize, kind: EntryKind, meta: &Metadata) -> bool {
        let entry = &self.stock.layout.index.entries[i];
        // A link's target is that of its inode.
        let is_same_inode = entry.inode == meta.inode && entry.inode != 0;
        let may_differ =
            kind == EntryKind::Symlink && !(is_same_inode && entry.ctime_ns == meta.ctime_ns);
        !may_differ && self.is_same_header(i, meta)
    }

    fn is_same_header(&self, i: usize, meta: &Metadata) -> bool {
        let Entry { mode, uid, gid, mtime_ns, .. } = self.stock.layout.index.entries[i];
        (mode, uid, gid, mtime_ns) == (meta.mode, meta.uid, meta.gid, meta.mtime_ns)
    }

    /// Bytes of its headers.
    pub(crate) fn header_len(&self, i: usize) -> usize {
        self.stock.layout.index.entries[i].header_len as usize
    }

    /// Where the entry lies in the tar stream.
    pub(crate) fn range(&self, i: usize) -> Range<u64> {
        self.stock.layout.entry(i)
    }

    /// The segment that has this place of the tar stream, and what stretch of it that is.
    pub(crate) fn segment_at(&self, tar: u64) -> (usize, Range<u64>) {
        let segment = self.stock.layout.segment_of(tar);
        (segment, self.stock.layout.segment_in_tar(segment))
    }

    /// Appends the encoded segment; false, with nothing appended, where it is damaged.
    pub(crate) fn copy(&mut self, segment: usize, to: &mut Copies) -> bool {
        self.ahead.copy(segment, to)
    }

    /// Appends the encoded segment that has these raw bytes, if there is one.
    pub(crate) fn copy_equal(&mut self, raw: &[u8], to: &mut Copies) -> bool {
        let equal = self.stock.equal(&key_of(raw), raw);
        equal.is_some_and(|segment| self.ahead.copy(segment, to))
    }

    /// The raw bytes of a stretch of the tar stream within one segment; `None` where it is damaged.
    pub(crate) fn raw(&mut self, tar: Range<u64>) -> Option<&[u8]> {
        let (segment, _) = self.segment_at(tar.start);
        if self.decoded.as_ref().is_none_or(|(i, _)| *i != segment) {
            let mut encoded = Buf::default();
            self.decoded = match self.stock.copy(segment, &mut self.inflater, &mut encoded) {
                true => self.decode(segment, &encoded),
                false => Some((segment, None)),
            };
        }
        self.decoded_part(tar)
    }

    /// The raw bytes of a stretch that a copied segment begins with; `None` where it does not decode.
    pub(crate) fn raw_of(&mut self, encoded: &[u8], tar: Range<u64>) -> Option<&[u8]> {
        let (segment, _) = self.segment_at(tar.start);
        self.decoded = self.decode(segment, encoded);
        if matches!(self.decoded, Some((_, None))) {
            self.stock.note_damaged(segment);
        }
        self.decoded_part(tar)
    }

    fn decode(&mut self, segment: usize, encoded: &[u8]) -> Option<(usize, Option<Vec<u8>>)> {
        let mut encoded = [encoded, &[0; SPARE]].concat();
        Some((segment, decode(self.stock.segment(segment), &mut encoded, &mut self.inflater)))
    }

    fn decoded_part(&self, tar: Range<u64>) -> Option<&[u8]> {
        let (_, whole) = self.segment_at(tar.start);
        let raw = self.decoded.as_ref()?.1.as_ref()?;
        raw.get((tar.start - whole.start) as usize..(tar.end - whole.start) as usize)
    }
}

/// A segment's key: the first half of its BLAKE3.
pub(crate) fn key_of(raw: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&blake3::hash(raw).as_bytes()[..16]);
    key
}

/// What paths are ordered by: a directory's name counts with a slash behind it.
fn ordered(path: &[u8], kind: EntryKind) -> impl Iterator<Item = &u8> + Clone {
    path.iter().chain((kind == EntryKind::Directory).then_some(&b'/'))
}
