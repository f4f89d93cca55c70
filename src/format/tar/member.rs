//! A member: a header together with what extensions say of it.

use super::{
    Parsed,
    pax::Records,
    raw::{Form, RawHeader},
    sparse::{self, Stretch},
};
use crate::entry::MemberKind;

/// A file, or whatever else, in a tar stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TarMember {
    /// As [`plain`] gives it, and not to be trusted. Empty for the root itself, which is a directory,
    /// and for a member that is refused because it has no name.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    /// Bytes of the content, of a sparse file with its holes. 0 if it is no file.
    pub(crate) size: u64,
    /// Bytes that follow in the stream, without padding. Other than `size` for sparse files, and
    /// for directories of GNU's incremental archives, which list what was in them.
    pub(crate) stored: u64,
    /// Of a sparse file: offset and length of each stretch that the stream has, one right behind
    /// the other there. Ascending, apart, none empty, within `size`, and `stored` in sum.
    pub(crate) sparse: Option<Vec<Stretch>>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner; `u64::MAX` for a negative one.
    pub(crate) uid: u64,
    /// Group, likewise.
    pub(crate) gid: u64,
    /// In nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Of a symlink, verbatim; of a hard link, the other member's path as [`plain`] gives it.
    pub(crate) target: Vec<u8>,
    /// Why the member cannot be used, although the archive goes on behind it.
    pub(crate) refused: Option<&'static str>,
    /// Bytes that its header claims to follow, of a kind that most writers store nothing of.
    pub(super) claimed: u64,
    /// Bytes of all blocks between the data of the member before and that of this one.
    pub(crate) header_len: u64,
}

/// Extensions that wait for their member.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) records: Option<Records>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.records.is_none()
    }

    /// The name of the member to come, for errors.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let records = self.records.as_ref();
        let name = records.and_then(|r| r.sparse.name.as_ref().or(r.path.as_ref()));
        name.or(self.name.as_ref()).map(Vec::as_slice)
    }
}

/// Where the map of a sparse file is, if it is one.
#[derive(Debug)]
pub(super) enum Layout {
    Plain,
    /// In this header, and maybe in blocks behind it.
    OldMap,
    Pax(sparse::Form),
}

/// Puts a member together, but for its sparse map.
pub(super) fn assemble(
    raw: RawHeader,
    pending: Pending,
    global: &Records,
) -> Parsed<(TarMember, Layout)> {
    let mut records = pending.records.unwrap_or_default();
    let sparse_name = records.sparse.name.clone();
    let name = choose(raw.name, pending.name, sparse_name.or(records.path))?;
    let link = choose(raw.link, pending.link, records.link)?;
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
        Some("it is a link to nothing")
    } else if raw.flag == b'M' {
        Some("it began in another volume")
    } else {
        None
    };
    let size = records.size.unwrap_or(raw.size);
    // GNU tar, Python and Go never expect data behind the other kinds, whatever their size.
    let (stored, claimed) = match kind {
        MemberKind::File => (size, 0),
        MemberKind::Directory if raw.flag == b'D' => (size, 0),
        _ => (0, size),
    };
    let mut size = if kind == MemberKind::File { stored } else { 0 };
    let layout = match std::mem::take(&mut records.sparse).finish()? {
        None if raw.flag != b'S' => Layout::Plain,
        None if raw.form == Form::Gnu => Layout::OldMap,
        Some((real_size, form)) if kind == MemberKind::File && raw.flag != b'S' => {
            size = real_size;
            Layout::Pax(form)
        }
        _ => return Err("its sparse map is of an unknown form"),
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
    Ok((member, layout))
}

/// Of a header's own name, GNU's long one and the one of PAX. GNU tar prefers PAX's to GNU's, and
/// Go the other way round.
fn choose(header: Vec<u8>, gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> Parsed<Vec<u8>> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => Err("it has two long names"),
        (gnu, pax) => Ok(gnu.or(pax).unwrap_or(header)),
    }
}

fn kind(flag: u8, is_slash_behind: bool) -> MemberKind {
    match flag {
        // The seventh edition had no flag for directories.
        b'0' | 0 | b'7' if is_slash_behind => MemberKind::Directory,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::CharDevice,
        b'4' => MemberKind::BlockDevice,
        // GNU's, with a list of what was in it.
        b'5' | b'D' => MemberKind::Directory,
        b'6' => MemberKind::Fifo,
        // POSIX: a type that a reader does not know is a regular file.
        _ => MemberKind::File,
    }
}

/// The path that a name in an archive stands for: without empty components and `.`, and without a `/`
/// behind. An absolute name stays so, and `..` stays.
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
    fn names_lose_only_what_means_nothing() {
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
