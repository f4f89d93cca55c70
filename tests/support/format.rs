//! Reads an archive by docs/format.md alone, without any code of the crate. Panics on everything that
//! the document does not allow.

use std::io::Read;

use flate2::{Decompress, FlushDecompress};

#[derive(Debug)]
pub struct Archive {
    pub flags: u32,
    pub segments: usize,
    pub entries: Vec<Entry>,
    pub unlisted: Vec<Unlisted>,
    pub hard_links: Vec<Vec<u64>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
    pub flags: u64,
    pub content: Vec<u8>,
    pub target: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    pub path: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub mtime_ns: i64,
    pub target: Vec<u8>,
}

impl Archive {
    pub fn get(&self, path: impl AsRef<[u8]>) -> &Entry {
        let path = path.as_ref();
        let found = self.entries.iter().find(|e| e.path == path);
        found.unwrap_or_else(|| panic!("{} is not in the archive", path.escape_ascii()))
    }

    pub fn paths(&self) -> Vec<String> {
        self.entries.iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect()
    }
}

pub fn read(file: &[u8]) -> Archive {
    // Any gzip reader and any tar reader can read it.
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut tar).expect("gzip data");

    assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], "header");
    let (footer, rest) = member(&file[file.len() - 128..], b"WF");
    assert!(rest.is_empty() && footer.len() == 102 && footer.starts_with(b"WBKIDX\0\x01"));
    let u32_at = |at: usize| u32::from_le_bytes(footer[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().unwrap()) as usize;
    let [data_end, index_at, index_len, blob_len, raw_len, tar_len] =
        [16, 24, 32, 40, 48, 56].map(u64_at);
    assert_eq!((u32_at(12), footer[68], footer[69]), (8192, 0, 0), "piece and reserved");
    assert_eq!((index_at, index_at + index_len + 128), (data_end + 10, file.len()));
    assert_eq!(tar_len, tar.len());

    let mut blob = Vec::new();
    let mut members = &file[index_at..index_at + index_len];
    while !members.is_empty() {
        assert_eq!(blob.len() % 8192, 0, "only the last piece is short");
        let (piece, rest) = member(members, b"WX");
        blob.extend_from_slice(piece);
        members = rest;
    }
    assert_eq!(blob.len(), blob_len);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&footer[..70]).update(&blob);
    assert_eq!(hasher.finalize().as_bytes()[..], footer[70..]);

    let index = inflate(&blob, raw_len);
    let mut fields = Fields(&index);
    let mut at = 10;
    let mut starts = vec![0];
    for _ in 0..fields.number() {
        let [compressed, raw, raw_crc, compressed_crc] = [0; 4].map(|_| fields.number());
        let key = fields.take(16);
        let segment = &file[at..at + compressed as usize];
        assert!(
            segment.ends_with(&[0, 0, 0xff, 0xff]),
            "a segment ends with an empty stored block"
        );
        assert_eq!(u64::from(crc32fast::hash(segment)), compressed_crc);
        let start = *starts.last().unwrap();
        let bytes = inflate(segment, raw as usize);
        assert!(bytes == tar[start..start + bytes.len()], "a segment is decoded on its own");
        assert_eq!(u64::from(crc32fast::hash(&bytes)), raw_crc);
        assert_eq!(&blake3::hash(&bytes).as_bytes()[..16], key);
        starts.push(start + bytes.len());
        at += segment.len();
    }
    assert_eq!(at, data_end);
    assert_eq!(starts.len() - 1, u32_at(64) as usize);
    assert_eq!(file[at..at + 2], [3, 0], "the last block");
    assert_eq!(file[at + 2..at + 6], crc32fast::hash(&tar).to_le_bytes());
    assert_eq!(file[at + 6..at + 10], (tar.len() as u32).to_le_bytes());

    let (entries, lens) = entries(&mut fields, &tar);
    check_cuts(&entries, &lens, &starts);
    let unlisted = unlisted(&mut fields);
    let hard_links = (0..fields.number())
        .map(|_| (0..fields.number()).map(|_| fields.number()).collect())
        .collect();
    assert!(fields.0.is_empty(), "bytes after the index");
    let order = |kind: u8, path: &[u8]| [path, if kind == 2 { b"/" } else { b"" }].concat();
    assert!(entries.iter().map(|e| order(e.kind, &e.path)).is_sorted(), "entries in byte order");
    assert!(unlisted.iter().map(|u| order(u.kind, &u.path)).is_sorted(), "unlisted in byte order");
    Archive { flags: u32_at(8), segments: starts.len() - 1, entries, unlisted, hard_links }
}

/// Reads the entries of the index, and compares each with the result of the `tar` crate. Also returns
/// the number of tar bytes of each: header and content.
fn entries(fields: &mut Fields, tar: &[u8]) -> (Vec<Entry>, Vec<(usize, usize)>) {
    let mut archive = tar::Archive::new(tar);
    let mut read = archive.entries().expect("tar data");
    let (mut entries, mut lens, mut at) = (Vec::new(), Vec::new(), 0);
    for _ in 0..fields.number() {
        let path = fields.bytes().to_vec();
        let kind = fields.take(1)[0];
        let [header_len, size, mode, uid, gid] = [0; 5].map(|_| fields.number());
        let [mtime_ns, ctime_ns] = [0; 2].map(|_| fields.zigzag());
        let [inode, flags] = [0; 2].map(|_| fields.number());
        let mut member = read.next().expect("as many entries").expect("a whole entry");
        let name = member.path_bytes().into_owned();
        let name = name.strip_suffix(b"/").filter(|_| kind == 2).unwrap_or(&name);
        assert_eq!(name.escape_ascii().to_string(), path.escape_ascii().to_string());
        let header = member.header();
        let kinds = [
            header.entry_type().is_file(),
            header.entry_type().is_symlink(),
            header.entry_type().is_dir(),
        ];
        assert!(kinds[usize::from(kind)], "{}: its kind", path.escape_ascii());
        assert_eq!(header.size().unwrap(), size);
        assert_eq!(u64::from(header.mode().unwrap()), mode);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (uid, gid));
        assert_eq!(header.mtime().unwrap(), mtime_ns.div_euclid(1_000_000_000).max(0) as u64);
        let target = member.link_name_bytes().unwrap_or_default().into_owned();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        let header_len = header_len as usize;
        assert!(header_len >= 512 && header_len.is_multiple_of(512));
        let padded = content.len().next_multiple_of(512);
        assert!(tar[at + header_len..].starts_with(&content), "entries cover the tar");
        lens.push((header_len, padded));
        at += header_len + padded;
        entries.push(Entry {
            path,
            kind,
            mode: mode as u32,
            uid,
            gid,
            mtime_ns,
            ctime_ns,
            inode,
            flags,
            content,
            target,
        });
    }
    assert!(read.next().is_none(), "no further entry");
    assert!(at + 1024 == tar.len() && tar[at..].iter().all(|&b| b == 0), "the end of the tar");
    (entries, lens)
}

/// Checks the rules of the section "Where segments are cut".
fn check_cuts(entries: &[Entry], lens: &[(usize, usize)], starts: &[usize]) {
    let (mut want, mut at, mut group) = (vec![0], 0, 0);
    for (entry, &(header, padded)) in entries.iter().zip(lens) {
        let ends = |with: &[&[u8]]| with.iter().any(|end| entry.path.ends_with(end));
        let region = ends(&[b".mca", b".mcr"]);
        let in_place = region || ends(&[b".db", b".sqlite", b".ldb", b".mdb"]);
        let size = entry.content.len();
        let step = match size {
            _ if entry.kind != 0 => None,
            131_072.. if in_place => Some(131_072),
            1_048_576.. => Some(1_048_576),
            _ => None,
        };
        if let Some(step) = step {
            want.extend([at, at + header]);
            want.extend((step..size).step_by(step).map(|cut| at + header + cut));
            want.extend((region).then_some(at + header + 8192));
            want.push(at + header + padded);
            group = 0;
        } else {
            group += header + padded;
            if group >= 1 << 20 || group >= 128 << 10 && crc32fast::hash(&entry.path) & 7 == 0 {
                want.push(at + header + padded);
                group = 0;
            }
        }
        at += header + padded;
    }
    want.extend([at, at + 1024]);
    want.sort_unstable();
    want.dedup();
    assert_eq!(starts, want, "cuts");
}

fn unlisted(fields: &mut Fields) -> Vec<Unlisted> {
    let mut unlisted = Vec::new();
    for _ in 0..fields.number() {
        let path = fields.bytes().to_vec();
        let kind = fields.take(1)[0];
        let [mode, _uid, _gid] = [0; 3].map(|_| fields.number());
        let mtime_ns = fields.zigzag();
        let target = fields.bytes().to_vec();
        unlisted.push(Unlisted { path, kind, mode: mode as u32, mtime_ns, target });
    }
    unlisted
}

fn member<'a>(bytes: &'a [u8], id: &[u8; 2]) -> (&'a [u8], &'a [u8]) {
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
    let len = usize::from(u16::from_le_bytes([bytes[14], bytes[15]]));
    assert_eq!(usize::from(u16::from_le_bytes([bytes[10], bytes[11]])), len + 4);
    assert_eq!(&bytes[12..14], id);
    assert_eq!(bytes[16 + len..26 + len], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0], "an empty member");
    (&bytes[16..16 + len], &bytes[26 + len..])
}

fn inflate(deflated: &[u8], len: usize) -> Vec<u8> {
    let mut raw = vec![0; len + 1];
    let mut decoder = Decompress::new(false);
    decoder.decompress(deflated, &mut raw, FlushDecompress::None).expect("deflated data");
    assert_eq!((decoder.total_in(), decoder.total_out()), (deflated.len() as u64, len as u64));
    raw.truncate(len);
    raw
}

/// Decodes fields of the postcard encoding.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn zigzag(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.number();
        self.take(len as usize)
    }
}
