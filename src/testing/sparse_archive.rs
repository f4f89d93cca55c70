//! Archives of millions of files that take little space, to measure what reads an index.

use std::{
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use crate::{
    compression::{Encoder, Level},
    entry::{Entry, EntryKind, Metadata},
    error::{Error, ErrorKind, Result},
    format::{
        GZIP_HEADER,
        buffer::{Buf, Pool},
        deflate::{Deflater, encoder_id, stored_len},
        gzip::trailer,
        index::{IndexWriter, Segment},
        info::Info,
        segment::ends_group,
        tar::{END_LEN, Header},
    },
    source::LocalFile,
    write::previous::{Cursor, PreviousArchive},
};

/// Returns the path of a file in a [`sparse_archive`]. Paths are in the order of their numbers.
#[doc(hidden)]
pub fn sparse_path(number: u64) -> Vec<u8> {
    format!("world/players/{:05}/player-{number:09}.json", number / 1000).into_bytes()
}

/// Writes an archive of `files` files of `size` bytes each. Its index is as a backup writes it. The data are a hole
/// in the file, except for the segment of the file in the middle, whose number is `files / 2`.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) or [`NoSpace`](ErrorKind::NoSpace) if the archive cannot be written.
#[doc(hidden)]
pub fn sparse_archive(path: &Path, files: u64, size: u64) -> Result<()> {
    let fail = |e| Error::io("write the archive", e).at(path);
    let file = File::create(path).map_err(fail)?;
    file.write_all_at(&GZIP_HEADER, 0).map_err(fail)?;
    let mut index = IndexWriter::default();
    let (mut group, mut file_at, mut tar_len) = (Vec::new(), GZIP_HEADER.len() as u64, 0);
    for number in 0..files {
        let entry = entry(number, size);
        group.push(entry);
        let raw_len: u64 = group.iter().map(Entry::tar_len).sum();
        let is_last = number + 1 == files;
        if ends_group(raw_len as usize, &group[group.len() - 1].path) || is_last {
            let first = number + 1 - group.len() as u64;
            let segment = match (first..=number).contains(&(files / 2)) {
                true => {
                    let (segment, bytes) = real_segment(&group)?;
                    file.write_all_at(&bytes, file_at).map_err(fail)?;
                    segment
                }
                false => hole(raw_len, number),
            };
            index.add_segment(&segment);
            file_at += u64::from(segment.compressed_len);
            tar_len += raw_len;
            group.drain(..).try_for_each(|entry| index.add_entry(&entry))?;
        }
    }
    let end = hole(END_LEN, files);
    index.add_segment(&end);
    file_at += u64::from(end.compressed_len);
    tar_len += END_LEN;
    file.write_all_at(&trailer(0, tar_len), file_at).map_err(fail)?;
    let mut out = BufWriter::new(&file);
    out.seek(SeekFrom::End(0)).map_err(fail)?;
    let content = files * size;
    let info = Info { label: b"sparse".to_vec(), files, content, ..Info::default() };
    let (encoder, level) = encoder_id(Encoder::Wingback, Level::None);
    let flags = u32::from(encoder) | u32::from(level) << 8;
    index.finish(flags, info, |bytes| out.write_all(&bytes).map_err(fail))?;
    out.flush().map_err(fail)
}

/// Opens a [`sparse_archive`] as the previous archive of a backup of the same files, and looks up each file.
/// Returns the number of files that are unchanged.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) if the archive cannot be read, and [`Corrupt`](ErrorKind::Corrupt) if it cannot be
/// used.
#[doc(hidden)]
pub fn compare_with_previous(path: &Path, files: u64, size: u64) -> Result<u64> {
    let source = Arc::new(LocalFile::open(path)?);
    let id = encoder_id(Encoder::Wingback, Level::None);
    let previous = PreviousArchive::open(source, id, false)?;
    let refuse = |why: String| Error::new(ErrorKind::Corrupt, "open").at(path).caused_by(why);
    let mut cursor = Cursor::new(Arc::new(previous.map_err(refuse)?), Pool::default());
    let is_unchanged = |number: &u64| {
        let entry = entry(*number, size);
        let found = cursor.entry(&entry.path, EntryKind::File);
        found.is_some_and(|found| found.is_same_file(&metadata(*number, size), false))
    };
    Ok((0..files).filter(is_unchanged).count() as u64)
}

fn metadata(number: u64, size: u64) -> Metadata {
    // Times within a month that look random, so that the pages compress as those of real files.
    let mixed = (number ^ number >> 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mtime_ns =
        1_700_000_000_000_000_000 + ((mixed ^ mixed >> 31) % (30 * 86_400_000_000_000)) as i64;
    let inode = 4_000_000 + number;
    Metadata { size, mode: 0o644, uid: 999, gid: 999, mtime_ns, ctime_ns: mtime_ns + 99, inode }
}

fn entry(number: u64, size: u64) -> Entry {
    let path = sparse_path(number);
    let meta = metadata(number, size);
    let header = Header { path: &path, kind: EntryKind::File, meta: &meta, target: &[] };
    let header_len = header.len() as u32;
    let Metadata { size, mode, uid, gid, mtime_ns, ctime_ns, inode } = meta;
    Entry { path, header_len, size, mode, uid, gid, mtime_ns, ctime_ns, inode, ..Entry::default() }
}

/// Returns the record of a segment that nobody reads.
fn hole(raw_len: u64, number: u64) -> Segment {
    let key = Segment::key_of(&number.to_le_bytes());
    let compressed_len = stored_len(raw_len as usize) as u32;
    let (raw_crc32, compressed_crc32) = (number as u32, !(number as u32));
    Segment { compressed_len, raw_len: raw_len as u32, raw_crc32, compressed_crc32, key }
}

/// Returns a segment with these files, and its bytes.
fn real_segment(group: &[Entry]) -> Result<(Segment, Buf)> {
    let mut raw = Vec::new();
    for entry in group {
        let Entry { size, mode, uid, gid, mtime_ns, ctime_ns, inode, .. } = *entry;
        let meta = Metadata { size, mode, uid, gid, mtime_ns, ctime_ns, inode };
        Header { path: &entry.path, kind: EntryKind::File, meta: &meta, target: &[] }
            .write(&mut raw);
        raw.resize(raw.len() + size as usize, b'x');
        raw.resize(raw.len().next_multiple_of(512), 0);
    }
    let mut bytes = Buf::default();
    Deflater::new(Encoder::Wingback, Level::None)?.segment(&raw, &mut bytes);
    Ok((Segment::new(Segment::key_of(&raw), &raw, &bytes), bytes))
}
