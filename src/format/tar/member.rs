//! A member: a header combined with the extensions before it.

use super::{
    block::Parsed,
    header::{HeaderFormat, RawHeader},
    pax::Records,
    sparse::{Extent, MapLocation},
};
use crate::entry::MemberKind;

/// A file, a link, a directory or a device in a tar stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TarMember {
    /// Path in the form of [`plain`]. It comes from the archive, so it is not to be trusted. It is empty
    /// for the root directory, and for a member that is refused because it has no name.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    /// Bytes of the content, including the holes of a sparse file. 0 if this is not a file.
    pub(crate) size: u64,
    /// Bytes that follow in the stream, without padding. Differs from `size` for sparse files, and for
    /// directories in incremental archives of GNU tar, which list their content.
    pub(crate) stored: u64,
    /// The extents of a sparse file, which the stream contains without gaps. They are in ascending
    /// order, do not overlap, are not empty, lie within `size`, and have `stored` bytes in sum.
    pub(crate) sparse: Option<Vec<Extent>>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner; `u64::MAX` if negative.
    pub(crate) uid: u64,
    /// Group; `u64::MAX` if negative.
    pub(crate) gid: u64,
    /// In nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Target of a symlink, unchanged, or of a hard link, in the form of [`plain`].
    pub(crate) target: Vec<u8>,
    /// Reason why this member cannot be used. The members after it can.
    pub(crate) refused: Option<&'static str>,
    /// Bytes of data that the header announces, although most writers store none for this kind.
    pub(super) claimed: u64,
    /// Bytes of all blocks between the data of the previous member and the data of this one.
    pub(crate) header_len: u64,
}

/// Extensions whose member has not been read yet.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) records: Option<Records>,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.records.is_none()
    }

    /// Returns the name of the next member, for errors.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let records = self.records.as_ref();
        let name = records.and_then(|r| r.sparse.name.as_ref().or(r.path.as_ref()));
        name.or(self.name.as_ref()).map(Vec::as_slice)
    }
}

/// Whether a member is sparse, and the location of its map.
#[derive(Debug)]
pub(super) enum Sparseness {
    NotSparse,
    /// Old GNU format: the map is in this header, and may continue in the blocks after it.
    Gnu,
    Pax(MapLocation),
}

/// Combines a header and its extensions into a member, without its sparse map.
pub(super) fn assemble(
    raw: RawHeader,
    extensions: Extensions,
    global: &Records,
) -> Parsed<(TarMember, Sparseness)> {
    let mut records = extensions.records.unwrap_or_default();
    let sparse_name = records.sparse.name.clone();
    let name = choose(raw.name, extensions.name, sparse_name.or(records.path))?;
    let link = choose(raw.link, extensions.link, records.link)?;
    let path = plain(&name);
    let kind = kind(raw.flag, name.ends_with(b"/"));
    let target = match kind {
        MemberKind::Symlink => link,
        MemberKind::HardLink => plain(&link),
        _ => Vec::new(),
    };
    let is_link = matches!(kind, MemberKind::Symlink | MemberKind::HardLink);
    let refused = if path.is_empty() && (name.is_empty() || kind != MemberKind::Directory) {
        Some("it has no name")
    } else if is_link && target.is_empty() {
        Some("it is a link without a target")
    } else if raw.flag == b'M' {
        Some("it began in another volume")
    } else {
        None
    };
    let size = records.size.unwrap_or(raw.size);
    // GNU tar, Python and Go never expect data after the other kinds, whatever their size is.
    let (stored, claimed) = match kind {
        MemberKind::File => (size, 0),
        MemberKind::Directory if raw.flag == b'D' => (size, 0),
        _ => (0, size),
    };
    let mut size = if kind == MemberKind::File { stored } else { 0 };
    let sparseness = match std::mem::take(&mut records.sparse).finish()? {
        None if raw.flag != b'S' => Sparseness::NotSparse,
        None if raw.format == HeaderFormat::Gnu => Sparseness::Gnu,
        Some((real_size, location)) if kind == MemberKind::File && raw.flag != b'S' => {
            size = real_size;
            Sparseness::Pax(location)
        }
        _ => return Err("its sparse map has an unknown format"),
    };
    let member = TarMember {
        path,
        kind,
        size,
        stored,
        sparse: None,
        mode: raw.mode,
        uid: records.uid.or(global.uid).unwrap_or(raw.uid),
        gid: records.gid.or(global.gid).unwrap_or(raw.gid),
        mtime_ns: records.mtime_ns.or(global.mtime_ns).unwrap_or(raw.mtime_ns),
        target,
        refused,
        claimed,
        header_len: 0,
    };
    Ok((member, sparseness))
}

/// Chooses among the name in the header, the long name of GNU and the name of PAX. Two different long
/// names are refused: GNU tar prefers the one of PAX, and Go the one of GNU.
fn choose(header: Vec<u8>, gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> Parsed<Vec<u8>> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => Err("it has two long names"),
        (gnu, pax) => Ok(gnu.or(pax).unwrap_or(header)),
    }
}

fn kind(flag: u8, ends_with_slash: bool) -> MemberKind {
    match flag {
        // Unix version 7 had no flag for directories.
        b'0' | 0 | b'7' if ends_with_slash => MemberKind::Directory,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::CharDevice,
        b'4' => MemberKind::BlockDevice,
        // GNU tar: `D` is a directory with a list of its content.
        b'5' | b'D' => MemberKind::Directory,
        b'6' => MemberKind::Fifo,
        // POSIX: a member of an unknown type is a regular file.
        _ => MemberKind::File,
    }
}

/// Normalizes a name: removes empty components, `.` components and a `/` at the end. An absolute name
/// stays absolute, and `..` components stay.
pub(crate) fn plain(name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(name.len());
    let is_absolute = name.starts_with(b"/");
    for part in name.split(|&byte| byte == b'/').filter(|part| !matches!(part, [] | [b'.'])) {
        if is_absolute || !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    if is_absolute && path.is_empty() { b"/".to_vec() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_only_components_without_meaning() {
        for (name, path) in [
            (&b"a"[..], &b"a"[..]),
            (b"a/b/", b"a/b"),
            (b"a//", b"a"),
            (b"./a", b"a"),
            (b"././/a/", b"a"),
            (b".", b""),
            (b"./", b""),
            (b"./.", b""),
            (b".//", b""),
            (b"/", b"/"),
            (b"//", b"/"),
            (b"/a", b"/a"),
            (b"./../a", b"../a"),
            (b"..", b".."),
            (b".a", b".a"),
            (b"a/./b", b"a/b"),
            (b"a//b", b"a/b"),
            (b"a/.", b"a"),
            (b"/./a//b/", b"/a/b"),
            (b"a/../b", b"a/../b"),
            (b"", b""),
        ] {
            assert_eq!(plain(name), path, "{:?}", String::from_utf8_lossy(name));
        }
    }
}
