//! Reads headers block by block, without any I/O.
//!
//! Headers that GNU tar, libarchive and Go read in the same way are read in that way. Headers that they
//! read differently are refused: such an archive would show one content to the program that checks it
//! and another to the program that unpacks it.

use std::{ffi::OsStr, mem, os::unix::ffi::OsStrExt};

use super::{
    block::{
        BLOCK, GNU_EXTENDED_FIELD, GNU_REAL_SIZE_FIELD, GNU_SPARSE_FIELD, MORE_EXTENDED_FIELD,
        MORE_SPARSE_FIELD, NAME_FIELD, Parsed, field, text,
    },
    header::{RawHeader, has_valid_checksum},
    member::{Extensions, Sparseness, TarMember, assemble},
    pax::Records,
    sparse::{DataMap, MapLocation, SparseMap},
    value::header_size,
};
use crate::error::{Error, ErrorKind, Result};

/// The maximum length of a long name or of the records in a PAX header.
const EXTENSION_MAX: u64 = 1 << 20;

/// Reads the headers of a tar stream.
///
/// The caller passes the blocks of the stream in order, except the data of members: the
/// [`TarMember::stored`] bytes after a [`Step::Member`], padded to a whole block. Its memory is bounded
/// by the longest extensions: a few mebibytes. After an error, it returns only errors.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    extensions: Extensions,
    /// Records of global PAX headers, for all members after them.
    global: Records,
    /// Bytes of the blocks since the last member.
    header_len: u64,
    /// At least one block was read.
    has_begun: bool,
}

/// Result of reading a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The header continues with the next block.
    More,
    /// A header is complete; its data follows.
    Member(Box<TarMember>),
    /// The archive has ended. Only padding follows.
    End,
}

#[derive(Debug, Default)]
enum State {
    /// Before the header of an extension or a member.
    #[default]
    Header,
    /// In the body of an extension.
    Extension(Extension),
    /// In the extension blocks of a sparse map in the old GNU format.
    GnuMap(Box<TarMember>, SparseMap),
    /// In the blocks of a sparse map before the data.
    DataMap(Box<TarMember>, DataMap),
    /// After a member that announces data, which may or may not follow.
    Claimed(u64),
    /// In data that belongs to no member: number of remaining blocks.
    Unused(u64),
    /// After one block of zeros.
    Zeros,
    End,
    Failed,
}

/// Result of parsing a header.
enum Next {
    State(State),
    Member(Box<TarMember>),
}

#[derive(Debug)]
struct Extension {
    flag: u8,
    size: usize,
    body: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Reader::default()
    }

    /// Reads the next block.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`], with the path of the member if it is known.
    pub(crate) fn block(&mut self, block: &[u8; BLOCK]) -> Result<Step> {
        self.header_len += BLOCK as u64;
        self.has_begun = true;
        match mem::replace(&mut self.state, State::Failed) {
            // GNU tar reads a valid header as one, whatever the member before it announces.
            State::Claimed(size) if *block != [0; BLOCK] && !has_valid_checksum(block) => {
                self.state = unused(size.div_ceil(BLOCK as u64) - 1);
                Ok(Step::More)
            }
            State::Unused(blocks) => {
                self.state = unused(blocks - 1);
                Ok(Step::More)
            }
            State::Header | State::Claimed(_) if *block == [0; BLOCK] => {
                self.check_extensions()?;
                self.state = State::Zeros;
                Ok(Step::More)
            }
            State::Header | State::Claimed(_) => {
                if !has_valid_checksum(block) {
                    return Err(corrupt_header("its checksum is wrong"));
                }
                let name =
                    self.extensions.name().unwrap_or(text(field(block, NAME_FIELD))).to_vec();
                let next = RawHeader::parse(block).and_then(|raw| self.header(raw, block));
                self.enter(next, &name)
            }
            State::Extension(extension) => {
                let next = self.extension(extension, block);
                self.enter(next, b"")
            }
            State::GnuMap(member, map) => {
                let name = member.path.clone();
                self.enter(gnu_map(member, map, block), &name)
            }
            State::DataMap(member, map) => {
                let name = member.path.clone();
                self.enter(data_map(member, map, block), &name)
            }
            State::Zeros if *block != [0; BLOCK] => {
                Err(corrupt_header("it follows a single block of zeros"))
            }
            State::Zeros | State::End => {
                self.state = State::End;
                Ok(Step::End)
            }
            State::Failed => Err(corrupt_header("one before it was refused")),
        }
    }

    /// Checks that the stream may end here: between members, after two blocks of zeros, one or none.
    ///
    /// A stream without any block is an error. It is not an empty archive, but the remains of a lost one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] inside a header, after an extension without a member, or if the stream is
    /// empty.
    pub(crate) fn end(&self) -> Result<()> {
        self.check_extensions()?;
        match self.state {
            State::Header if !self.has_begun => Err(corrupt_header("the tar stream is empty")),
            State::Header | State::Claimed(_) | State::Zeros | State::End => Ok(()),
            State::Failed => Err(corrupt_header("one before it was refused")),
            _ => Err(corrupt_header("the archive ends inside it")),
        }
    }

    fn check_extensions(&self) -> Result<()> {
        if self.extensions.is_empty() {
            Ok(())
        } else {
            Err(corrupt_header("an extension has no member after it"))
        }
    }

    fn enter(&mut self, next: Parsed<Next>, name: &[u8]) -> Result<Step> {
        match next.map_err(|why| corrupt(name, why))? {
            Next::Member(mut member) => {
                self.state = match member.claimed {
                    0 => State::Header,
                    size => State::Claimed(size),
                };
                member.header_len = mem::take(&mut self.header_len);
                Ok(Step::Member(member))
            }
            Next::State(state) => {
                self.state = state;
                Ok(Step::More)
            }
        }
    }

    fn header(&mut self, raw: RawHeader, block: &[u8; BLOCK]) -> Parsed<Next> {
        match raw.flag {
            // Solaris writes `X` for `x`.
            b'L' | b'K' | b'x' | b'X' | b'g' => self.begin_extension(&raw),
            // The label of a volume. Some readers take the block after it as data, others as a header.
            b'V' if raw.size == 0 && self.extensions.is_empty() => Ok(Next::State(State::Header)),
            b'V' => Err("it is the label of a volume, with data or extensions"),
            _ => {
                let extensions = mem::take(&mut self.extensions);
                let (member, sparseness) = assemble(raw, extensions, &self.global)?;
                find_map(member, sparseness, block)
            }
        }
    }

    fn begin_extension(&mut self, raw: &RawHeader) -> Parsed<Next> {
        let extensions = &self.extensions;
        let is_second = match raw.flag {
            b'L' => extensions.name.is_some(),
            b'K' => extensions.link.is_some(),
            b'x' | b'X' => extensions.records.is_some(),
            // It would come between an extension and its member.
            _ => !extensions.is_empty(),
        };
        if is_second {
            return Err("two extensions of one member conflict");
        }
        // Some readers apply that size to the long name.
        if extensions.records.as_ref().is_some_and(|records| records.size.is_some()) {
            return Err("an extension follows one that gives a size");
        }
        if raw.size > EXTENSION_MAX {
            return Err("an extension is over 1 MiB");
        }
        let extension = Extension { flag: raw.flag, size: raw.size as usize, body: Vec::new() };
        self.finish_extension(extension)
    }

    fn extension(&mut self, mut extension: Extension, block: &[u8; BLOCK]) -> Parsed<Next> {
        let missing = extension.size - extension.body.len();
        extension.body.extend_from_slice(&block[..missing.min(BLOCK)]);
        self.finish_extension(extension)
    }

    /// Adds the extension once its body is complete.
    fn finish_extension(&mut self, extension: Extension) -> Parsed<Next> {
        let Extension { flag, size, body } = &extension;
        if body.len() < *size {
            return Ok(Next::State(State::Extension(extension)));
        }
        match flag {
            b'L' => self.extensions.name = Some(long_name(body)?),
            b'K' => self.extensions.link = Some(long_name(body)?),
            b'x' | b'X' => self.extensions.records = Some(Records::parse(body)?),
            _ => self.global.merge_global(Records::parse(body)?)?,
        }
        Ok(Next::State(State::Header))
    }
}

fn unused(blocks: u64) -> State {
    match blocks {
        0 => State::Header,
        blocks => State::Unused(blocks),
    }
}

/// Reads a long name. GNU tar writes a NUL after it, and some other programs do not.
fn long_name(body: &[u8]) -> Parsed<Vec<u8>> {
    let name = text(body);
    if name.is_empty() || body[name.len()..].iter().any(|&byte| byte != 0) {
        return Err("a long name is empty or contains a NUL");
    }
    Ok(name.to_vec())
}

/// Returns the member if its map is complete, or the state that reads its map.
fn find_map(mut member: TarMember, sparseness: Sparseness, block: &[u8; BLOCK]) -> Parsed<Next> {
    match sparseness {
        Sparseness::NotSparse => Ok(Next::Member(Box::new(member))),
        Sparseness::Gnu => {
            member.size = header_size(field(block, GNU_REAL_SIZE_FIELD))?;
            let mut map = SparseMap::default();
            let entries = field(block, GNU_SPARSE_FIELD);
            match map.add_gnu(entries, field(block, GNU_EXTENDED_FIELD))? {
                true => Ok(Next::State(State::GnuMap(Box::new(member), map))),
                false => with_map(Box::new(member), map),
            }
        }
        Sparseness::Pax(MapLocation::Records(map)) => with_map(Box::new(member), map),
        Sparseness::Pax(MapLocation::Data) => read_data_map(Box::new(member), DataMap::default()),
    }
}

fn gnu_map(member: Box<TarMember>, mut map: SparseMap, block: &[u8; BLOCK]) -> Parsed<Next> {
    let entries = field(block, MORE_SPARSE_FIELD);
    match map.add_gnu(entries, field(block, MORE_EXTENDED_FIELD))? {
        true => Ok(Next::State(State::GnuMap(member, map))),
        false => with_map(member, map),
    }
}

/// Reads the next block of a map before the data. The archive counts these blocks as data.
fn read_data_map(mut member: Box<TarMember>, map: DataMap) -> Parsed<Next> {
    member.stored = (member.stored.checked_sub(BLOCK as u64))
        .ok_or("its sparse map is longer than the stored data")?;
    Ok(Next::State(State::DataMap(member, map)))
}

fn data_map(member: Box<TarMember>, mut map: DataMap, block: &[u8; BLOCK]) -> Parsed<Next> {
    match map.add(block)? {
        true => read_data_map(member, map),
        false => with_map(member, map.into_map()),
    }
}

fn with_map(mut member: Box<TarMember>, map: SparseMap) -> Parsed<Next> {
    member.sparse = Some(map.finish(member.size, member.stored)?);
    Ok(Next::Member(member))
}

fn corrupt(name: &[u8], why: &'static str) -> Error {
    if name.is_empty() {
        return corrupt_header(why);
    }
    Error::new(ErrorKind::Corrupt, "read the tar header of")
        .at(OsStr::from_bytes(name))
        .caused_by(why)
}

fn corrupt_header(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read a tar header").caused_by(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        entry::{EntryKind, MemberKind, Metadata},
        format::tar::write::Header,
    };

    fn read(tar: &[u8]) -> Result<Vec<TarMember>> {
        let mut reader = Reader::new();
        let mut members = Vec::new();
        for block in tar.as_chunks().0 {
            if let Step::Member(member) = reader.block(block)? {
                members.push(*member);
            }
        }
        reader.end()?;
        Ok(members)
    }

    proptest! {
        #[test]
        fn written_headers_are_read_back(
            path in prop::collection::vec(prop::collection::vec(1u8..=255, 1..120), 1..8),
            target in prop::collection::vec(1u8..=255, 1..300),
            kind in 0usize..3,
            (size, mode, uid, gid) in (0..1u64 << 62, 0u32..0o10000, any::<u32>(), any::<u32>()),
            mtime_ns in 0..i64::MAX,
        ) {
            let path = path.join(&b'/');
            let is_plain = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
            prop_assume!(path.split(|&b| b == b'/').all(is_plain));
            let kind = [EntryKind::File, EntryKind::Symlink, EntryKind::Directory][kind];
            let size = if kind == EntryKind::File { size } else { 0 };
            let target = if kind == EntryKind::Symlink { target } else { Vec::new() };
            let meta = Metadata { size, mode, uid, gid, mtime_ns, ..Metadata::default() };
            let mut tar = Vec::new();
            Header { path: &path, kind, meta: &meta, target: &target }.write(&mut tar);
            let members = read(&tar).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let want = TarMember {
                path,
                kind: MemberKind::from(kind),
                size,
                stored: size,
                sparse: None,
                mode,
                uid: uid.into(),
                gid: gid.into(),
                mtime_ns: mtime_ns / 1_000_000_000 * 1_000_000_000,
                target,
                refused: None,
                claimed: 0,
                header_len: tar.len() as u64,
            };
            prop_assert_eq!(members, vec![want]);
        }

        /// The checksum detects a change of any byte.
        #[test]
        fn a_changed_header_is_refused(at in 0usize..512, with in 1u8..=255) {
            let mut tar = Vec::new();
            let meta = Metadata { size: 5, mode: 0o644, ..Metadata::default() };
            Header { path: b"a/b", kind: EntryKind::File, meta: &meta, target: b"" }.write(&mut tar);
            tar[at] ^= with;
            // The space after the digits of the checksum is not part of a number.
            prop_assert!(read(&tar).is_err() || (148..156).contains(&at));
        }

        #[test]
        fn any_blocks_are_read_or_refused(tar in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = read(&tar);
        }
    }
}
