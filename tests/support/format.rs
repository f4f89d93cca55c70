//! Reads an archive by docs/format.md alone, without any code of the crate. Panics on everything that
//! the document does not allow.

use std::{collections::BTreeMap, io::Read};

use flate2::{Decompress, FlushDecompress};

use super::forge;

#[derive(Debug)]
pub struct Archive {
    pub flags: u32,
    pub segments: usize,
    pub entries: Vec<Entry>,
    pub unlisted: Vec<forge::Entry>,
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
    pub is_changed: bool,
    pub is_recent: bool,
    pub content: Vec<u8>,
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
    let (footer, index) = forge::read(file);
    assert_eq!(footer.tar_len, tar.len() as u64);
    let mut at = 10;
    let mut starts = vec![0];
    for segment in &index.segments {
        let compressed = &file[at..at + segment.compressed_len as usize];
        assert!(
            compressed.ends_with(&[0, 0, 0xff, 0xff]),
            "a segment ends with an empty stored block"
        );
        assert_eq!(crc32fast::hash(compressed), segment.compressed_crc32);
        let start = *starts.last().unwrap();
        let bytes = inflate(compressed, segment.raw_len as usize);
        assert!(bytes == tar[start..start + bytes.len()], "a segment is decoded on its own");
        assert_eq!(crc32fast::hash(&bytes), segment.raw_crc32);
        let key = twox_hash::XxHash3_128::oneshot(&bytes).to_be_bytes();
        // Padding has no key.
        assert_eq!(if bytes.is_empty() { [0; 16] } else { key }, segment.key);
        starts.push(start + bytes.len());
        at += compressed.len();
    }
    assert_eq!(file[at..at + 2], [3, 0], "the last block");
    assert_eq!(file[at + 2..at + 6], crc32fast::hash(&tar).to_le_bytes());
    assert_eq!(file[at + 6..at + 10], (tar.len() as u32).to_le_bytes());

    let (listed, unlisted): (Vec<_>, Vec<_>) =
        index.entries.into_iter().partition(|entry| entry.header_len > 0);
    let (entries, lens) = entries(&listed, &tar);
    starts.dedup();
    check_cuts(&entries, &lens, &starts);
    assert!(unlisted.is_empty() || footer.flags >> 16 == 1, "only profile wings has such entries");
    assert!(unlisted.iter().all(|entry| entry.kind > 0 && entry.size == 0));
    Archive {
        flags: footer.flags,
        segments: index.segments.len(),
        hard_links: hard_links(&listed),
        entries,
        unlisted,
    }
}

/// Compares each entry of the index with the result of the `tar` crate. Also returns the number of tar
/// bytes of each: header and content.
fn entries(listed: &[forge::Entry], tar: &[u8]) -> (Vec<Entry>, Vec<(usize, usize)>) {
    let mut archive = tar::Archive::new(tar);
    let mut read = archive.entries().expect("tar data");
    let (mut entries, mut lens, mut at) = (Vec::new(), Vec::new(), 0);
    for entry in listed {
        let forge::Entry { path, kind, header_len, size, mode, uid, gid, .. } = entry.clone();
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
        let seconds = entry.mtime_ns.div_euclid(1_000_000_000).max(0);
        assert_eq!(header.mtime().unwrap(), seconds as u64);
        let target = member.link_name_bytes().unwrap_or_default().into_owned();
        assert!(kind != 1 || target == entry.target, "{}: its target", path.escape_ascii());
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
            mtime_ns: entry.mtime_ns,
            ctime_ns: entry.ctime_ns,
            inode: entry.inode,
            is_changed: entry.is_changed,
            is_recent: entry.is_recent,
            content,
            target,
        });
    }
    assert!(read.next().is_none(), "no further entry");
    assert!(at + 1024 == tar.len() && tar[at..].iter().all(|&b| b == 0), "the end of the tar");
    (entries, lens)
}

/// Returns the groups of files that were one inode, as positions in `entries`.
fn hard_links(entries: &[forge::Entry]) -> Vec<Vec<u64>> {
    let mut groups: BTreeMap<&[u8], Vec<u64>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.kind == 0) {
        if !entry.target.is_empty() {
            let first = entries.iter().position(|first| first.path == entry.target);
            let first = first.filter(|first| *first < i).expect("the first name comes first");
            let group = groups.entry(&entry.target).or_insert_with(|| vec![first as u64]);
            group.push(i as u64);
        }
    }
    groups.into_values().collect()
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

fn inflate(deflated: &[u8], len: usize) -> Vec<u8> {
    let mut raw = vec![0; len + 1];
    let mut decoder = Decompress::new(false);
    decoder.decompress(deflated, &mut raw, FlushDecompress::None).expect("deflated data");
    assert_eq!((decoder.total_in(), decoder.total_out()), (deflated.len() as u64, len as u64));
    raw.truncate(len);
    raw
}
