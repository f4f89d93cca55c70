//! From tar bytes to members, for one that takes them; where there is an index, compared with it.

use std::{ffi::OsStr, ops::Range, os::unix::ffi::OsStrExt, sync::Arc};

use bytes::Bytes;

use crate::{
    entry::{Entry, Member},
    error::{Error, ErrorKind, Result},
    format::tar::{BLOCK, END_LEN, Reader, Step, TarMember},
    read::{corrupt, segments::Layout, worker_pool::SharedBuffer},
};

/// Takes the members of an archive, in their order.
pub(crate) trait Sink {
    /// A member begins. Its content follows unless this says that it is not wanted.
    fn member(&mut self, member: Member) -> Result<bool>;

    /// A member that cannot be used begins, and is passed over.
    fn refuse(&mut self, member: Member, why: &'static str) -> Result<()> {
        let error = Error::new(ErrorKind::Corrupt, "read the tar header of");
        Err(error.at(OsStr::from_bytes(&member.path)).caused_by(why))
    }

    /// A part of the content, `range` of `raw`, which stands at `offset` of the file.
    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()>;

    /// The content is complete.
    fn end(&mut self) -> Result<()>;

    /// The rest of the content cannot be had.
    fn abandon(&mut self);

    /// The stretch that was handed out is through, and another will come.
    fn stretch_end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Where it stands.
enum State {
    Headers,
    Content(Content),
    /// Nothing is wanted before this place.
    Skip(u64),
    /// Behind the end blocks.
    End,
}

struct Content {
    path: Vec<u8>,
    is_wanted: bool,
    /// Bytes of it that were met, of the `stored` that the tar has.
    at: u64,
    stored: u64,
    /// Where its padding ends in the tar stream.
    end: u64,
    /// Which parts of a sparse file the stored bytes are.
    map: Option<Vec<(u64, u64)>>,
}

/// Reads a tar stream stretch by stretch.
pub(crate) struct TarReader<'a, S> {
    sink: &'a mut S,
    headers: Reader,
    state: State,
    /// Bytes of the tar stream so far.
    at: u64,
    guide: Option<ExpectedEntries>,
    mismatch: bool,
}

/// The index, while it and the tar stream agree.
struct ExpectedEntries {
    layout: Arc<Layout>,
    /// The entry that comes next.
    place: usize,
    /// Entries to look at, ascending, from the last: all of them, or some.
    wanted: Option<Vec<usize>>,
}

impl<'a, S: Sink> TarReader<'a, S> {
    /// A walk through the whole stream, compared with the index where there is one.
    pub(crate) fn new(sink: &'a mut S, layout: Option<Arc<Layout>>) -> Self {
        TarReader {
            sink,
            headers: Reader::new(),
            state: State::Headers,
            at: 0,
            guide: layout.map(|layout| ExpectedEntries { layout, place: 0, wanted: None }),
            mismatch: false,
        }
    }

    /// A walk that meets these entries only, ascending.
    pub(crate) fn some(sink: &'a mut S, layout: Arc<Layout>, mut wanted: Vec<usize>) -> Self {
        wanted.reverse();
        let mut walker = TarReader::new(sink, None);
        walker.guide = Some(ExpectedEntries { layout, place: 0, wanted: Some(wanted) });
        walker.seek();
        walker
    }

    /// Whether the index said something else than the tar stream. A walk through the whole stream
    /// then goes on without it; a walk through a part is over.
    pub(crate) fn has_mismatch(&self) -> bool {
        self.mismatch
    }

    /// Whether the whole stream can be walked without the index.
    fn is_partial(&self) -> bool {
        self.guide.as_ref().is_some_and(|guide| guide.wanted.is_some())
    }

    /// The next bytes: `range` of `raw`, at `at` of the tar stream. What lies before `at` and was
    /// not fed is not wanted.
    pub(crate) fn feed(&mut self, raw: &SharedBuffer, range: Range<usize>, at: u64) -> Result<()> {
        self.at = at;
        let mut i = range.start;
        while i < range.end && !(self.mismatch && self.is_partial()) {
            let left = range.end - i;
            let n = match &mut self.state {
                State::End => return Ok(()),
                State::Skip(until) => {
                    let n = until.saturating_sub(self.at).min(left as u64) as usize;
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
                        content.hand_out(self.sink, raw, i..i + data)?;
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

    /// The next bytes, these of the tar stream, are damaged. Says which entries that costs, and goes
    /// on behind the last of them; `None` without an index, which alone knows where that is.
    pub(crate) fn damaged(&mut self, tar: &Range<u64>) -> Option<Vec<usize>> {
        let guide = self.guide.as_mut()?;
        let mut lost = Vec::new();
        if let State::Content(content) = &self.state {
            if content.is_wanted {
                self.sink.abandon();
            }
            lost.push(guide.place - 1);
        }
        let hit = guide.layout.entries_in(tar);
        while guide.place < hit.end && !matches!(self.state, State::End) {
            lost.push(guide.place);
            guide.place += 1;
            if let Some(wanted) = &mut guide.wanted {
                match wanted.pop() {
                    Some(next) => guide.place = next,
                    None => self.state = State::End,
                }
            }
        }
        self.headers = Reader::new();
        self.at = tar.end;
        let end = guide.layout.footer.tar_len - END_LEN;
        if tar.end > end {
            self.state = State::End;
        } else if !matches!(self.state, State::End) {
            let entries = guide.layout.index.entries.len();
            self.state = State::Skip(match guide.place < entries {
                true => guide.layout.entry(guide.place).start,
                false => end,
            });
        }
        Some(lost)
    }

    /// The stream cannot be read any further. Says which member that cuts off.
    pub(crate) fn give_up(&mut self) -> Option<Vec<u8>> {
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

    /// The stretch that was fed is through.
    pub(crate) fn stretch_end(&mut self) -> Result<()> {
        self.sink.stretch_end()
    }

    /// Whether the stream may be over here.
    pub(crate) fn check_end(&self) -> Result<()> {
        match self.state {
            State::Headers => self.headers.end(),
            State::Content(_) => Err(corrupt("the tar stream ends inside a member")),
            State::Skip(_) | State::End => Ok(()),
        }
    }

    /// Whether the index has said nothing that the stream did not.
    pub(crate) fn agrees(&self) -> bool {
        let is_through = self.guide.as_ref().is_none_or(|guide| match &guide.wanted {
            Some(wanted) => wanted.is_empty(),
            None => guide.place == guide.layout.index.entries.len(),
        });
        !self.mismatch && is_through
    }

    fn begin(&mut self, member: TarMember) -> Result<()> {
        let mut known = None;
        if let Some(guide) = &mut self.guide {
            let start = self.at - member.header_len;
            let entry = guide.layout.index.entries.get(guide.place);
            match entry
                .filter(|e| guide.layout.entry(guide.place).start == start && agrees(e, &member))
            {
                Some(entry) => {
                    known = Some(entry.mtime_ns);
                    guide.place += 1;
                }
                None => {
                    self.mismatch = true;
                    if guide.wanted.is_some() {
                        return Ok(());
                    }
                    self.guide = None;
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
            map: member.sparse,
        };
        let refused = member.refused;
        let member = Member {
            path: member.path,
            kind: member.kind,
            size: member.size,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime_ns: known.unwrap_or(member.mtime_ns),
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
        if let State::Content(content) = std::mem::replace(&mut self.state, State::Headers)
            && content.is_wanted
        {
            self.sink.end()?;
        }
        self.seek();
        Ok(())
    }

    /// Goes to the next entry that is wanted, where not all are.
    fn seek(&mut self) {
        let Some(ExpectedEntries { layout, place, wanted: Some(wanted) }) = &mut self.guide else {
            return;
        };
        while wanted.last().is_some_and(|i| i < place) {
            wanted.pop();
        }
        self.state = match wanted.pop() {
            Some(next) => {
                *place = next;
                State::Skip(layout.entry(next).start)
            }
            None => State::End,
        };
    }
}

impl Content {
    /// Hands out `range` of `raw`, the next stored bytes, at the places of the file they belong to.
    fn hand_out(
        &self,
        sink: &mut impl Sink,
        raw: &SharedBuffer,
        range: Range<usize>,
    ) -> Result<()> {
        let Some(map) = &self.map else {
            return sink.data(raw, range, self.at);
        };
        let (mut stored, from, to) = (0, self.at, self.at + range.len() as u64);
        for &(offset, len) in map {
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

/// Whether the tar header is the one that the index promises.
fn agrees(entry: &Entry, member: &TarMember) -> bool {
    const SECOND: i64 = 1_000_000_000;
    entry.path == member.path
        && member.kind == entry.kind().into()
        && (entry.size, entry.mode) == (member.size, member.mode)
        && u64::from(entry.header_len) == member.header_len
        && member.sparse.is_none()
        && entry.mtime_ns.div_euclid(SECOND).max(0) == member.mtime_ns.div_euclid(SECOND)
}

/// Fills the holes of a sparse file for those who pass content on from start to end.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    at: u64,
    size: u64,
}

impl Gaps {
    /// Of a file of `size` bytes.
    pub(crate) fn of(size: u64) -> Self {
        Gaps { at: 0, size }
    }

    /// Zeros that stand before the content at `offset`, as long as there are more.
    pub(crate) fn before(&mut self, offset: u64) -> Option<Bytes> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let n = offset.saturating_sub(self.at).min(ZEROS.len() as u64);
        self.at += n;
        (n > 0).then(|| Bytes::from_static(&ZEROS[..n as usize]))
    }

    /// Zeros that stand behind all content, likewise.
    pub(crate) fn at_end(&mut self) -> Option<Bytes> {
        self.before(self.size)
    }

    /// Content goes by.
    pub(crate) fn pass(&mut self, n: usize) {
        self.at += n as u64;
    }
}
