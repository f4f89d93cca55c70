//! How headers are read: block by block, without any I/O.
//!
//! What GNU tar, libarchive and Go understand in one way is read in that way. What they differ on
//! is refused: it would be one archive to whoever looks at it and another one to whoever unpacks it.

use std::{ffi::OsStr, mem, os::unix::ffi::OsStrExt};

use super::{
    BLOCK, GNU_EXTENDED_FIELD, GNU_REAL_SIZE_FIELD, GNU_SPARSE_FIELD, MORE_EXTENDED_FIELD,
    MORE_SPARSE_FIELD, NAME_FIELD, Parsed, field,
    member::{Layout, Pending, TarMember, assemble},
    number::header_size,
    pax::Records,
    raw::{RawHeader, is_checksum_right},
    sparse::{DataMap, Form, Map},
    text,
};
use crate::error::{Error, ErrorKind, Result};

/// The most bytes that a long name or the records of a PAX header may have.
const EXTENSION_MAX: u64 = 1 << 20;

/// Reads the headers of a tar stream.
///
/// It takes the blocks of the stream one after another, but for the data of members: the
/// [`TarMember::stored`] bytes behind a [`Step::Member`], filled up to a whole block. What it holds
/// is bounded by the longest extensions: a few mebibytes. After an error it gives only errors.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    pending: Pending,
    /// What global PAX headers say of all members behind them.
    global: Records,
    /// Bytes of the blocks since the last member.
    header_len: u64,
    /// Some block came.
    has_begun: bool,
}

/// What a block led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The header goes on with the next block.
    More,
    /// A header is whole; its data follows.
    Member(Box<TarMember>),
    /// The archive is over, and all behind it is padding.
    End,
}

#[derive(Debug, Default)]
enum State {
    /// Before a header, be it an extension's or a member's.
    #[default]
    Header,
    /// In the body of an extension.
    Extension(Extension),
    /// In the blocks of an old sparse map.
    OldMap(Box<TarMember>, Map),
    /// In the blocks of a sparse map before the data.
    DataMap(Box<TarMember>, DataMap),
    /// Behind a member that claims data, which may follow or not.
    Claimed(u64),
    /// In data that belongs to nothing: blocks that are left.
    Unused(u64),
    /// Behind one block of zeros.
    Zeros,
    End,
    Failed,
}

/// What a block leads to.
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

    /// Takes the next block.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`], with the member's path where it is known.
    pub(crate) fn block(&mut self, block: &[u8; BLOCK]) -> Result<Step> {
        self.header_len += BLOCK as u64;
        self.has_begun = true;
        match mem::replace(&mut self.state, State::Failed) {
            // What is a header is one to GNU tar, whatever the member before it claims.
            State::Claimed(size) if *block != [0; BLOCK] && !is_checksum_right(block) => {
                self.state = unused(size.div_ceil(BLOCK as u64) - 1);
                Ok(Step::More)
            }
            State::Unused(blocks) => {
                self.state = unused(blocks - 1);
                Ok(Step::More)
            }
            State::Header | State::Claimed(_) if *block == [0; BLOCK] => {
                self.check_pending()?;
                self.state = State::Zeros;
                Ok(Step::More)
            }
            State::Header | State::Claimed(_) => {
                if !is_checksum_right(block) {
                    return Err(nameless("its checksum is wrong"));
                }
                let name = self.pending.name().unwrap_or(text(field(block, NAME_FIELD))).to_vec();
                let next = RawHeader::parse(block).and_then(|raw| self.header(raw, block));
                self.enter(next, &name)
            }
            State::Extension(extension) => {
                let next = self.extension(extension, block);
                self.enter(next, b"")
            }
            State::OldMap(member, map) => {
                let name = member.path.clone();
                self.enter(old_map(member, map, block), &name)
            }
            State::DataMap(member, map) => {
                let name = member.path.clone();
                self.enter(data_map(member, map, block), &name)
            }
            State::Zeros if *block != [0; BLOCK] => {
                Err(nameless("it is behind a lone block of zeros"))
            }
            State::Zeros | State::End => {
                self.state = State::End;
                Ok(Step::End)
            }
            State::Failed => Err(nameless("one before it was refused")),
        }
    }

    /// The stream is over: fine between members, with two blocks of zeros, one or none. But no
    /// block at all is no archive of nothing: it is what is left where an archive was lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] within a header, if an extension has no member behind it, or if there
    /// was nothing.
    pub(crate) fn end(&self) -> Result<()> {
        self.check_pending()?;
        match self.state {
            State::Header if !self.has_begun => Err(nameless("there is nothing to read")),
            State::Header | State::Claimed(_) | State::Zeros | State::End => Ok(()),
            State::Failed => Err(nameless("one before it was refused")),
            _ => Err(nameless("the archive ends within it")),
        }
    }

    fn check_pending(&self) -> Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(nameless("an extension has no member behind it"))
        }
    }

    fn enter(&mut self, next: Parsed<Next>, name: &[u8]) -> Result<Step> {
        match next.map_err(|why| fail(name, why))? {
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
            // `X` is what Solaris writes for `x`.
            b'L' | b'K' | b'x' | b'X' | b'g' => self.begin_extension(&raw),
            // The label of a volume. What would follow is data to some readers, a header to others.
            b'V' if raw.size == 0 && self.pending.is_empty() => Ok(Next::State(State::Header)),
            b'V' => Err("it is a volume's label with data or extensions"),
            _ => {
                let pending = mem::take(&mut self.pending);
                let (member, layout) = assemble(raw, pending, &self.global)?;
                lay_out(member, layout, block)
            }
        }
    }

    fn begin_extension(&mut self, raw: &RawHeader) -> Parsed<Next> {
        let pending = &self.pending;
        let is_second = match raw.flag {
            b'L' => pending.name.is_some(),
            b'K' => pending.link.is_some(),
            b'x' | b'X' => pending.records.is_some(),
            // It would stand between an extension and its member.
            _ => !pending.is_empty(),
        };
        if is_second {
            return Err("two extensions contend for one member");
        }
        // Some readers take that size for the long name's own.
        if pending.records.as_ref().is_some_and(|records| records.size.is_some()) {
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

    /// Takes the extension in once its body is whole.
    fn finish_extension(&mut self, extension: Extension) -> Parsed<Next> {
        let Extension { flag, size, body } = &extension;
        if body.len() < *size {
            return Ok(Next::State(State::Extension(extension)));
        }
        match flag {
            b'L' => self.pending.name = Some(long_name(body)?),
            b'K' => self.pending.link = Some(long_name(body)?),
            b'x' | b'X' => self.pending.records = Some(Records::parse(body)?),
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

/// GNU tar writes a NUL behind a long name, some others do not.
fn long_name(body: &[u8]) -> Parsed<Vec<u8>> {
    let name = text(body);
    if name.is_empty() || body[name.len()..].iter().any(|&byte| byte != 0) {
        return Err("a long name is empty or holds a NUL");
    }
    Ok(name.to_vec())
}

/// Finds the map of a sparse member, or where it will come from.
fn lay_out(mut member: TarMember, layout: Layout, block: &[u8; BLOCK]) -> Parsed<Next> {
    match layout {
        Layout::Plain => Ok(Next::Member(Box::new(member))),
        Layout::OldMap => {
            member.size = header_size(field(block, GNU_REAL_SIZE_FIELD))?;
            let mut map = Map::default();
            let entries = field(block, GNU_SPARSE_FIELD);
            match map.add_old(entries, field(block, GNU_EXTENDED_FIELD))? {
                true => Ok(Next::State(State::OldMap(Box::new(member), map))),
                false => whole(Box::new(member), map),
            }
        }
        Layout::Pax(Form::Listed(map)) => whole(Box::new(member), map),
        Layout::Pax(Form::InData) => next_of_data_map(Box::new(member), DataMap::default()),
    }
}

fn old_map(member: Box<TarMember>, mut map: Map, block: &[u8; BLOCK]) -> Parsed<Next> {
    let entries = field(block, MORE_SPARSE_FIELD);
    match map.add_old(entries, field(block, MORE_EXTENDED_FIELD))? {
        true => Ok(Next::State(State::OldMap(member, map))),
        false => whole(member, map),
    }
}

/// The map's blocks are counted as data in the archive.
fn next_of_data_map(mut member: Box<TarMember>, map: DataMap) -> Parsed<Next> {
    member.stored = (member.stored.checked_sub(BLOCK as u64))
        .ok_or("its sparse map is longer than all that is stored")?;
    Ok(Next::State(State::DataMap(member, map)))
}

fn data_map(member: Box<TarMember>, mut map: DataMap, block: &[u8; BLOCK]) -> Parsed<Next> {
    match map.add(block)? {
        true => next_of_data_map(member, map),
        false => whole(member, map.into_map()),
    }
}

fn whole(mut member: Box<TarMember>, map: Map) -> Parsed<Next> {
    member.sparse = Some(map.finish(member.size, member.stored)?);
    Ok(Next::Member(member))
}

fn fail(name: &[u8], why: &'static str) -> Error {
    if name.is_empty() {
        return nameless(why);
    }
    Error::new(ErrorKind::Corrupt, "read the tar header of")
        .at(OsStr::from_bytes(name))
        .caused_by(why)
}

fn nameless(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read a tar header").caused_by(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        entry::{EntryKind, MemberKind, Metadata},
        format::tar::Header,
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
        fn what_we_write_comes_back(
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

        /// Whatever byte of a header changes, its checksum tells.
        #[test]
        fn a_changed_header_is_refused(at in 0usize..512, with in 1u8..=255) {
            let mut tar = Vec::new();
            let meta = Metadata { size: 5, mode: 0o644, ..Metadata::default() };
            Header { path: b"a/b", kind: EntryKind::File, meta: &meta, target: b"" }.write(&mut tar);
            tar[at] ^= with;
            // The blank behind the checksum's digits belongs to no number.
            prop_assert!(read(&tar).is_err() || (148..156).contains(&at));
        }

        #[test]
        fn any_blocks_are_read_or_refused(tar in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = read(&tar);
        }
    }
}
