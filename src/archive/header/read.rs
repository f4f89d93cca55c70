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
    /// All of a member's header is there.
    Done(Box<TarMember>),
    /// Behind one block of zeros.
    Zeros,
    End,
    Failed,
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
        match mem::replace(&mut self.state, State::Failed) {
            State::Header if *block == [0; BLOCK] => {
                self.check_pending()?;
                self.go_on(State::Zeros)
            }
            State::Header => self.header(block),
            State::Extension(extension) => self.extension(extension, block),
            State::OldMap(member, map) => self.old_map(member, map, block),
            State::DataMap(member, map) => self.data_map(member, map, block),
            State::Zeros if *block == [0; BLOCK] => self.over(),
            State::Zeros => Err(nameless("a lone block of zeros is inside the archive")),
            State::End => self.over(),
            State::Done(_) | State::Failed => Err(nameless("a header before it was refused")),
        }
    }

    /// The stream is over: fine between members, with two blocks of zeros, one or none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] within a header, or if an extension has no member behind it.
    pub(crate) fn end(&self) -> Result<()> {
        self.check_pending()?;
        match self.state {
            State::Header | State::Zeros | State::End => Ok(()),
            _ => Err(nameless("the archive ends within it")),
        }
    }

    fn go_on(&mut self, state: State) -> Result<Step> {
        self.state = state;
        Ok(Step::More)
    }

    fn over(&mut self) -> Result<Step> {
        self.state = State::End;
        Ok(Step::End)
    }

    fn check_pending(&self) -> Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(nameless("an extension has no member behind it"))
        }
    }

    fn header(&mut self, block: &[u8; BLOCK]) -> Result<Step> {
        if !is_checksum_right(block) {
            return Err(nameless("its checksum is wrong"));
        }
        let name = self.pending.name().unwrap_or(text(field(block, NAME_FIELD))).to_vec();
        let read = RawHeader::parse(block).and_then(|raw| match raw.flag {
            b'L' | b'K' | b'x' | b'g' => self.begin_extension(&raw),
            // The label of a volume. libarchive takes what follows for a header, and others do not.
            b'V' if raw.size == 0 && self.pending.is_empty() => Ok(State::Header),
            b'V' => Err("it is a label and has data or extensions"),
            _ => self.member(raw, block),
        });
        self.state = read.map_err(|why| named(&name, why))?;
        match mem::take(&mut self.state) {
            // All of it is there.
            State::Done(member) => self.done(member),
            state => self.go_on(state),
        }
    }

    fn begin_extension(&self, raw: &RawHeader) -> Parsed<State> {
        let pending = &self.pending;
        let is_second = match raw.flag {
            b'L' => pending.name.is_some(),
            b'K' => pending.link.is_some(),
            b'x' => pending.records.is_some(),
            // It would stand between a member and what belongs to it.
            _ => !pending.is_empty(),
        };
        if is_second {
            return Err("it has an extension twice, or one out of place");
        }
        if raw.size > EXTENSION_MAX {
            return Err("an extension of it is over 1 MiB");
        }
        let extension = Extension { flag: raw.flag, size: raw.size as usize, body: Vec::new() };
        match raw.size {
            0 if raw.flag == b'L' || raw.flag == b'K' => Err("a long name of it is empty"),
            // An empty set of records says nothing.
            0 => Ok(State::Header),
            _ => Ok(State::Extension(extension)),
        }
    }

    fn extension(&mut self, mut extension: Extension, block: &[u8; BLOCK]) -> Result<Step> {
        let left = extension.size - extension.body.len();
        extension.body.extend_from_slice(&block[..left.min(BLOCK)]);
        if left > BLOCK {
            return self.go_on(State::Extension(extension));
        }
        let body = &extension.body;
        let added = match extension.flag {
            b'L' => long(body).map(|name| self.pending.name = Some(name)),
            b'K' => long(body).map(|link| self.pending.link = Some(link)),
            b'x' => Records::parse(body).map(|records| self.pending.records = Some(records)),
            _ => Records::parse(body).and_then(|records| self.global.merge_global(records)),
        };
        added.map_err(nameless)?;
        self.go_on(State::Header)
    }

    fn member(&mut self, raw: RawHeader, block: &[u8; BLOCK]) -> Parsed<State> {
        let (mut member, layout) = assemble(raw, mem::take(&mut self.pending), &self.global)?;
        match layout {
            Layout::Plain => {}
            Layout::Pax(Form::Listed(map)) => {
                member.sparse = Some(map.finish(member.size, member.stored)?);
            }
            Layout::Pax(Form::InData) => {
                return Ok(State::DataMap(Box::new(member), DataMap::default()));
            }
            Layout::OldMap => {
                member.size = header_size(field(block, GNU_REAL_SIZE_FIELD))?;
                let mut map = Map::default();
                let (entries, more) = (GNU_SPARSE_FIELD, GNU_EXTENDED_FIELD);
                if map.add_old(field(block, entries), field(block, more))? {
                    return Ok(State::OldMap(Box::new(member), map));
                }
                member.sparse = Some(map.finish(member.size, member.stored)?);
            }
        }
        Ok(State::Done(Box::new(member)))
    }

    fn old_map(
        &mut self,
        mut member: Box<TarMember>,
        mut map: Map,
        block: &[u8; BLOCK],
    ) -> Result<Step> {
        let fail = |path: &[u8], why| named(path, why);
        let (entries, more) = (MORE_SPARSE_FIELD, MORE_EXTENDED_FIELD);
        let goes_on = map
            .add_old(field(block, entries), field(block, more))
            .map_err(|why| fail(&member.path, why))?;
        if goes_on {
            return self.go_on(State::OldMap(member, map));
        }
        let map = map.finish(member.size, member.stored).map_err(|why| fail(&member.path, why))?;
        member.sparse = Some(map);
        self.done(member)
    }

    /// The map is a part of the data as its size has it.
    fn data_map(
        &mut self,
        mut member: Box<TarMember>,
        mut map: DataMap,
        block: &[u8; BLOCK],
    ) -> Result<Step> {
        let Some(stored) = member.stored.checked_sub(BLOCK as u64) else {
            return Err(named(&member.path, "its sparse map is longer than its data"));
        };
        member.stored = stored;
        if map.add(block).map_err(|why| named(&member.path, why))? {
            return self.go_on(State::DataMap(member, map));
        }
        let map = map.into_map().finish(member.size, member.stored);
        member.sparse = Some(map.map_err(|why| named(&member.path, why))?);
        self.done(member)
    }

    fn done(&mut self, mut member: Box<TarMember>) -> Result<Step> {
        member.header_len = mem::take(&mut self.header_len);
        self.state = State::Header;
        Ok(Step::Member(member))
    }
}

/// What GNU's long name holds: all up to its NUL.
fn long(body: &[u8]) -> Parsed<Vec<u8>> {
    match text(body) {
        b"" => Err("a long name is empty"),
        name => Ok(name.to_vec()),
    }
}

fn nameless(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read a tar header").caused_by(why)
}

fn named(path: &[u8], why: &'static str) -> Error {
    nameless(why).at(OsStr::from_bytes(path))
}
