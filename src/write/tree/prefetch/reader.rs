//! Reads files of the source: small ones completely, large ones part by part.

use std::ops::Range;

use rustix::io::Errno;

use crate::{
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    format::{
        buffer::{Buf, Pool},
        segment::{Batch, SegmentLayout},
        tar::{BLOCK, Header},
    },
    fs::{file::SourceFile, root::Root, stat::FileId, walk::DirEntry},
    progress::Tracker,
    report::Change,
    write::tree::options::TreeOptions,
};

/// Reads files as the options say. Each thread has its own.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) root: &'a Root,
    pub(crate) options: &'a TreeOptions,
    pub(crate) tracker: &'a Tracker,
    pub(crate) pool: Pool,
    /// The time of the previous archive. A file that has not been touched since then is likely to be
    /// copied from there.
    pub(crate) previous_ns: Option<i64>,
}

/// A file of the source. `L` is a large file that is read part by part.
pub(crate) struct FoundFile<L = LargeFile> {
    /// The metadata, with the number of bytes to store as its size.
    pub(crate) meta: Metadata,
    /// Identity of the file if it has more than one name.
    pub(crate) link: Option<FileId>,
    pub(crate) content: Content<L>,
}

/// How much of a file was read.
pub(crate) enum Content<L> {
    /// Nothing, because the file is likely to be unchanged since the previous archive.
    Unread,
    /// Nothing, because it is an archive of wingback.
    OwnArchive,
    Small(SmallFile),
    Large {
        header_len: usize,
        parts: L,
    },
}

/// A small file, which was read completely.
pub(crate) struct SmallFile {
    /// Header, content and padding.
    pub(crate) tar: Vec<u8>,
    pub(crate) header_len: usize,
    /// Bytes that were read. Holes are not read.
    pub(crate) read: u64,
    pub(crate) end: FileEnd,
}

/// A large file, which is being read.
pub(crate) struct LargeFile {
    file: SourceFile,
    layout: SegmentLayout,
    /// The headers, until the first part has them.
    header: Vec<u8>,
    at: u64,
    is_short: bool,
}

/// Some complete segments of a large file.
pub(crate) struct Part {
    pub(crate) batch: Batch,
    /// Bytes of the content.
    pub(crate) content: u64,
    /// Bytes that were read. Holes are not read.
    pub(crate) read: u64,
}

/// What comes next of a large file.
pub(crate) enum NextPart {
    Part(Part),
    End(FileEnd),
}

/// What was found out about a file at its end.
#[derive(Clone, Copy)]
pub(crate) struct FileEnd {
    /// How the file has changed since it was opened.
    pub(crate) change: Option<Change>,
    /// Whether the file ended before the length that it had when it was opened.
    pub(crate) is_short: bool,
}

/// A failed read.
pub(crate) enum ReadError {
    /// The file could not be read.
    Errno(Errno),
    /// The backup must end.
    Fatal(Error),
}

/// A file, or a symlink, that could not be opened or read.
pub(crate) struct Failed {
    pub(crate) operation: &'static str,
    pub(crate) error: ReadError,
}

impl<L> FoundFile<L> {
    /// Replaces the large file.
    pub(crate) fn map_large<M>(self, map: impl FnOnce(L) -> M) -> FoundFile<M> {
        let FoundFile { meta, link, content } = self;
        let content = match content {
            Content::Unread => Content::Unread,
            Content::OwnArchive => Content::OwnArchive,
            Content::Small(small) => Content::Small(small),
            Content::Large { header_len, parts } => {
                Content::Large { header_len, parts: map(parts) }
            }
        };
        FoundFile { meta, link, content }
    }
}

impl LargeFile {
    /// Returns the maximum bytes of the next part.
    pub(super) fn next_len(&self) -> usize {
        self.header.len() + self.layout.batch_len(self.at)
    }
}

impl Reader<'_> {
    /// Looks at a file. Returns it if it is likely to be unchanged, so that it need not be read.
    pub(super) fn find_unchanged(&self, entry: &DirEntry) -> Option<FoundFile> {
        let previous_ns = self.previous_ns?;
        if self.options.max_len.contains_key(&entry.path) {
            return None;
        }
        // If this fails, opening the file fails too and reports the error.
        let (meta, link) = entry.stat_file().ok()??;
        let touched_ns = if self.options.trust_mtime { meta.mtime_ns } else { meta.ctime_ns };
        let found = FoundFile { meta, link, content: Content::Unread };
        (touched_ns < previous_ns).then_some(found)
    }

    /// Returns how many bytes of a file of `len` bytes are stored.
    fn stored_len(&self, path: &[u8], len: u64) -> u64 {
        self.options.max_len.get(path).map_or(len, |max| len.min(*max))
    }

    /// Returns how many bytes of a file [`read`](Reader::read) keeps in memory.
    pub(super) fn kept_len(&self, path: &[u8], file: &SourceFile) -> usize {
        let size = self.stored_len(path, file.metadata().size);
        if SegmentLayout::of(path, size).is_some() { 0 } else { size as usize }
    }

    /// Reads a small file. Of a large file, it reads nothing yet.
    pub(crate) fn read(&self, path: &[u8], mut file: SourceFile) -> Result<FoundFile, Failed> {
        let mut meta = file.metadata();
        let link = file.hard_link();
        let len = meta.size;
        meta.size = self.stored_len(path, len);
        let content = match SegmentLayout::of(path, meta.size) {
            None => {
                let small = self.read_small(path, file, &mut meta);
                let small = small.map_err(|error| Failed { operation: "read", error })?;
                let content = &small.tar[small.header_len..][..meta.size as usize];
                match self.options.leaves_out(meta.size, |into, at| fill(into, content, at)) {
                    true => Content::OwnArchive,
                    false => Content::Small(small),
                }
            }
            // The next read returns the error of this one.
            Some(_)
                if self
                    .options
                    .leaves_out(len, |into, at| file.read_at(into, at) == Ok(into.len())) =>
            {
                Content::OwnArchive
            }
            Some(layout) => {
                let mut header = Vec::new();
                file_header(path, &meta).write(&mut header);
                let header_len = header.len();
                let large = LargeFile { file, layout, header, at: 0, is_short: false };
                Content::Large { header_len, parts: large }
            }
        };
        Ok(FoundFile { meta, link, content })
    }

    /// Reads the whole file. If it is shorter than `meta` says, the header has the length that was read.
    fn read_small(
        &self,
        path: &[u8],
        mut file: SourceFile,
        meta: &mut Metadata,
    ) -> Result<SmallFile, ReadError> {
        let mut tar = Vec::new();
        file_header(path, meta).write(&mut tar);
        let header_len = tar.len();
        let padded = |size: u64| header_len + (size as usize).next_multiple_of(BLOCK);
        tar.reserve_exact(padded(meta.size) - header_len);
        tar.resize(padded(meta.size), 0);
        let content = &mut tar[header_len..][..meta.size as usize];
        let Amount { len, read } = self.read_range(&mut file, 0, content)?;
        let is_short = len < meta.size;
        if is_short {
            meta.size = len;
            let mut header = Vec::with_capacity(header_len);
            file_header(path, meta).write(&mut header);
            tar[..header_len].copy_from_slice(&header);
            tar.truncate(padded(len));
        }
        let end = FileEnd::of(&file, is_short)?;
        Ok(SmallFile { tar, header_len, read, end })
    }

    /// Reads the next segments of a large file.
    pub(crate) fn next_part(&self, file: &mut LargeFile) -> Result<NextPart, ReadError> {
        let mut batch = Batch::new(self.pool.take());
        let (mut content, mut read) = (0, 0);
        batch.raw.extend(&std::mem::take(&mut file.header));
        batch.cut();
        while let Some(piece) = file.layout.piece_at(file.at).filter(|_| !batch.is_full()) {
            let amount = self.append(&mut file.file, piece.clone(), &mut batch.raw)?;
            let missing = piece.end - piece.start - amount.len;
            file.is_short |= missing > 0;
            file.at = piece.end;
            // Only the last piece needs padding, since the lengths of the others are multiples of a block.
            let len = batch.raw.len() + missing as usize;
            batch.raw.zeros(missing as usize + len.next_multiple_of(BLOCK) - len);
            batch.cut();
            content += amount.len;
            read += amount.read;
        }
        if batch.is_empty() {
            return Ok(NextPart::End(FileEnd::of(&file.file, file.is_short)?));
        }
        Ok(NextPart::Part(Part { batch, content, read }))
    }

    /// Appends a range of a file to `buf`.
    pub(crate) fn append(
        &self,
        file: &mut SourceFile,
        range: Range<u64>,
        buf: &mut Buf,
    ) -> Result<Amount, ReadError> {
        let room = buf.room((range.end - range.start) as usize);
        let amount = self.read_range(file, range.start, room)?;
        buf.advance(amount.len as usize);
        Ok(amount)
    }

    /// Fills `into` with the bytes of a file from `start` on.
    fn read_range(
        &self,
        file: &mut SourceFile,
        start: u64,
        into: &mut [u8],
    ) -> Result<Amount, ReadError> {
        let (mut len, mut read) = (0, 0);
        let is_cancelled = || self.tracker.is_cancelled();
        while len < into.len() {
            if is_cancelled() {
                return Err(ReadError::Fatal(Error::cancelled()));
            }
            let (at, rest) = (start + len as u64, &mut into[len..]);
            let hole = file.hole_at(at).min(rest.len() as u64) as usize;
            if hole > 0 {
                rest[..hole].fill(0);
                len += hole;
                continue;
            }
            let allowed =
                self.options.read_limit.take(rest.len(), is_cancelled).map_err(ReadError::Fatal)?;
            let n = file.read_at(&mut rest[..allowed], at).map_err(ReadError::Errno)?;
            if n == 0 {
                break;
            }
            len += n;
            read += n as u64;
        }
        let len = len as u64;
        file.release(start..start + len);
        Ok(Amount { len, read })
    }
}

/// How many bytes came from a file.
pub(crate) struct Amount {
    /// Bytes of the content, with its holes.
    pub(crate) len: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
}

impl Failed {
    pub(crate) fn open(errno: Errno) -> Self {
        Failed { operation: "open", error: ReadError::Errno(errno) }
    }
}

impl FileEnd {
    fn of(file: &SourceFile, is_short: bool) -> Result<Self, ReadError> {
        let change = file.change().map_err(ReadError::Errno)?;
        Ok(FileEnd { change: if is_short { Some(Change::Shrank) } else { change }, is_short })
    }
}

/// Copies the bytes of `content` from an offset on. Returns false if there are too few.
fn fill(into: &mut [u8], content: &[u8], at: u64) -> bool {
    let from = usize::try_from(at).ok().and_then(|at| content.get(at..)?.get(..into.len()));
    from.map(|from| into.copy_from_slice(from)).is_some()
}

/// Returns the header of a file.
pub(crate) fn file_header<'a>(path: &'a [u8], meta: &'a Metadata) -> Header<'a> {
    Header { path, kind: EntryKind::File, meta, target: b"" }
}
