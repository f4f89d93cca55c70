//! Reads the members of a tar stream for a [`Sink`]. If there is an index, it compares them with it.

use std::{collections::VecDeque, ops::Range};

use super::{input::corrupt, plan::pop_if, sink::Sink, worker_pool::SharedBuffer};
use crate::{
    entry::{Entry, EntryKind, Member},
    error::Result,
    format::{
        index::LocatedEntry,
        tar::{BLOCK, END_LEN, Reader, Step, TarMember},
    },
};

/// Position in the tar stream.
enum State {
    Headers,
    Content(Content),
    /// Before the next expected entry.
    Skip,
    /// After the end blocks.
    End,
}

/// The content of the current member.
struct Content {
    path: Vec<u8>,
    is_wanted: bool,
    /// Bytes that were read, of the `stored` bytes in the tar stream.
    at: u64,
    stored: u64,
    /// End of its padding in the tar stream.
    end: u64,
    /// The extents of a sparse file, which the stored bytes are.
    extents: Option<Vec<(u64, u64)>>,
}

/// Reads a tar stream buffer by buffer.
pub(crate) struct TarReader<'a, S> {
    sink: &'a mut S,
    headers: Reader,
    state: State,
    /// Offset in the tar stream.
    at: u64,
    expected: Option<ExpectedEntries>,
    /// An entry of the index differs from the tar stream.
    has_mismatch: bool,
}

/// The entries of the index, as long as it matches the tar stream.
struct ExpectedEntries {
    /// The next entries, of the runs that have come.
    next: VecDeque<LocatedEntry>,
    /// Range of the entry that was read last.
    current: Range<u64>,
    /// End of the entries of the tar stream. `None` if only some entries are read.
    end: Option<u64>,
}

impl ExpectedEntries {
    /// Returns the offset at which the next entry begins.
    fn next_at(&self) -> u64 {
        match (self.next.front(), self.end) {
            (Some(next), _) => next.tar_at,
            // It follows the last one, and comes with the next run.
            (None, Some(_)) => self.current.end,
            (None, None) => u64::MAX,
        }
    }
}

impl<'a, S: Sink> TarReader<'a, S> {
    /// Reads the whole stream without an index.
    pub(crate) fn new(sink: &'a mut S) -> Self {
        TarReader {
            sink,
            headers: Reader::new(),
            state: State::Headers,
            at: 0,
            expected: None,
            has_mismatch: false,
        }
    }

    /// Reads the whole stream of `tar_len` bytes, and compares it with the index.
    pub(crate) fn with_index(sink: &'a mut S, tar_len: u64) -> Self {
        let end = Some(tar_len.saturating_sub(END_LEN));
        let expected = ExpectedEntries { next: VecDeque::new(), current: 0..0, end };
        TarReader { expected: Some(expected), ..TarReader::new(sink) }
    }

    /// Reads only some entries of the index.
    pub(crate) fn of_some(sink: &'a mut S) -> Self {
        let expected = ExpectedEntries { next: VecDeque::new(), current: 0..0, end: None };
        TarReader { expected: Some(expected), state: State::Skip, ..TarReader::new(sink) }
    }

    /// Announces the entries of the next bytes.
    pub(crate) fn expect(&mut self, entries: Vec<LocatedEntry>) {
        if let Some(expected) = &mut self.expected {
            expected.next.extend(entries);
        }
    }

    /// Returns whether the index differs from the tar stream. A reader of the whole stream then continues
    /// without the index. A reader of some entries has ended.
    pub(crate) fn has_mismatch(&self) -> bool {
        self.has_mismatch
    }

    /// Returns whether only some entries are wanted, so that the index is necessary.
    fn is_partial(&self) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.end.is_none())
    }

    /// Reads the next bytes: `range` of `raw`, at offset `at` of the tar stream. The caller omits bytes
    /// only if no wanted entry needs them.
    pub(crate) fn feed(&mut self, raw: &SharedBuffer, range: Range<usize>, at: u64) -> Result<()> {
        self.at = at;
        let mut i = range.start;
        while i < range.end && !(self.has_mismatch && self.is_partial()) {
            let left = range.end - i;
            let next_at = self.expected.as_ref().map_or(0, ExpectedEntries::next_at);
            let n = match &mut self.state {
                State::End => return Ok(()),
                State::Skip => {
                    let n = next_at.saturating_sub(self.at).min(left as u64) as usize;
                    if n < left {
                        self.state = State::Headers;
                    }
                    n
                }
                State::Headers => {
                    let block = raw[i..range.end]
                        .first_chunk::<BLOCK>()
                        .ok_or_else(|| corrupt("the tar stream ends inside a header"))?;
                    self.at += BLOCK as u64;
                    i += BLOCK;
                    match self.headers.block(block)? {
                        Step::More => {}
                        Step::Member(member) => self.begin(*member)?,
                        Step::End => self.state = State::End,
                    }
                    continue;
                }
                State::Content(content) => {
                    let n = (content.end - self.at).min(left as u64) as usize;
                    let data = (content.stored - content.at).min(n as u64) as usize;
                    if content.is_wanted && data > 0 {
                        content.pass_on(self.sink, raw, i..i + data)?;
                    }
                    content.at += data as u64;
                    if self.at + n as u64 == content.end {
                        self.finish_member()?;
                    }
                    n
                }
            };
            self.at += n as u64;
            i += n;
        }
        Ok(())
    }

    /// Skips the next bytes, this range of the tar stream, which are damaged. Returns the paths and ranges of
    /// the entries that are lost, and continues after the last of them. Returns `None` without an index, since
    /// only the index knows where the next entry begins.
    pub(crate) fn skip_damage(&mut self, tar: &Range<u64>) -> Option<Vec<(Vec<u8>, Range<u64>)>> {
        let expected = self.expected.as_mut()?;
        let mut lost = Vec::new();
        if let State::Content(content) = &self.state {
            if content.is_wanted {
                self.sink.abandon();
            }
            lost.push((content.path.clone(), expected.current.clone()));
        }
        let is_at_end = matches!(self.state, State::End);
        let is_lost = |next: &LocatedEntry| next.tar_at < tar.end && !is_at_end;
        while let Some(located) = pop_if(&mut expected.next, is_lost) {
            expected.current = located.tar();
            lost.push((located.entry.path, expected.current.clone()));
        }
        self.headers = Reader::new();
        self.at = tar.end;
        let is_end_lost = expected.end.is_some_and(|end| tar.end > end);
        self.state = if is_at_end || is_end_lost { State::End } else { State::Skip };
        Some(lost)
    }

    /// Ends reading, since the rest of the stream cannot be read. Returns the path of the member that is
    /// incomplete.
    pub(crate) fn abandon(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.state, State::End) {
            State::Content(content) => {
                if content.is_wanted {
                    self.sink.abandon();
                }
                Some(content.path)
            }
            _ => None,
        }
    }

    /// Tells the sink that the current buffer has been read.
    pub(crate) fn buffer_end(&mut self) -> Result<()> {
        self.sink.buffer_end()
    }

    /// Checks that the stream may end here.
    pub(crate) fn check_end(&self) -> Result<()> {
        match self.state {
            State::Headers => self.headers.end(),
            State::Content(_) => Err(corrupt("the tar stream ends inside a member")),
            State::Skip | State::End => Ok(()),
        }
    }

    /// Returns whether every expected entry was in the stream.
    pub(crate) fn matches_index(&self) -> bool {
        let is_complete = self.expected.as_ref().is_none_or(|expected| expected.next.is_empty());
        !self.has_mismatch && is_complete
    }

    fn begin(&mut self, member: TarMember) -> Result<()> {
        let mut exact_mtime = None;
        if let Some(expected) = &mut self.expected {
            let start = self.at - member.header_len;
            let is_it = |next: &LocatedEntry| next.tar_at == start && matches(&next.entry, &member);
            match pop_if(&mut expected.next, is_it) {
                Some(located) => {
                    exact_mtime = Some(located.entry.mtime_ns);
                    expected.current = located.tar();
                }
                None => {
                    self.has_mismatch = true;
                    if expected.end.is_none() {
                        return Ok(());
                    }
                    self.expected = None;
                }
            }
        }
        let end = (self.at + member.stored).next_multiple_of(BLOCK as u64);
        let content = Content {
            path: member.path.clone(),
            is_wanted: false,
            at: 0,
            stored: member.stored,
            end,
            extents: member.sparse,
        };
        let refused = member.refused;
        let member = Member {
            path: member.path,
            kind: member.kind,
            size: member.size,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime_ns: exact_mtime.unwrap_or(member.mtime_ns),
            target: member.target,
        };
        let is_wanted = match refused {
            None => self.sink.member(member)?,
            Some(why) => {
                self.sink.refuse(member, why)?;
                false
            }
        };
        self.state = State::Content(Content { is_wanted, ..content });
        if end == self.at {
            self.finish_member()?;
        }
        Ok(())
    }

    fn finish_member(&mut self) -> Result<()> {
        let next = if self.is_partial() { State::Skip } else { State::Headers };
        if let State::Content(content) = std::mem::replace(&mut self.state, next)
            && content.is_wanted
        {
            self.sink.end()?;
        }
        Ok(())
    }
}

impl Content {
    /// Passes `range` of `raw`, the next stored bytes, to the sink, at their offsets in the file.
    fn pass_on(&self, sink: &mut impl Sink, raw: &SharedBuffer, range: Range<usize>) -> Result<()> {
        let Some(extents) = &self.extents else {
            return sink.data(raw, range, self.at);
        };
        let (mut stored, from, to) = (0, self.at, self.at + range.len() as u64);
        for &(offset, len) in extents {
            let part = from.max(stored)..to.min(stored + len);
            if part.start < part.end {
                let start = range.start + (part.start - from) as usize;
                let end = range.start + (part.end - from) as usize;
                sink.data(raw, start..end, offset + (part.start - stored))?;
            }
            stored += len;
        }
        Ok(())
    }
}

/// Returns whether a tar header matches its entry in the index.
fn matches(entry: &Entry, member: &TarMember) -> bool {
    const SECOND: i64 = 1_000_000_000;
    entry.path == member.path
        && member.kind == entry.kind.into()
        && (entry.size, entry.mode) == (member.size, member.mode)
        && u64::from(entry.header_len) == member.header_len
        && member.sparse.is_none()
        && (entry.kind != EntryKind::Symlink || entry.target == member.target)
        && entry.mtime_ns.div_euclid(SECOND).max(0) == member.mtime_ns.div_euclid(SECOND)
}
