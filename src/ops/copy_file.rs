//! Copies one file from an archive.

use std::{
    collections::{HashMap, hash_map},
    ffi::OsStr,
    hash::{BuildHasher, RandomState},
    ops::Range,
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

use bytes::Bytes;
use futures::{AsyncWrite, AsyncWriteExt};

use crate::{
    entry::{Member, MemberKind},
    error::{Error, ErrorKind, Result},
    format::{index::LocatedEntry, tar::plain},
    fs::beneath::{component_ends, split},
    ops::unpacked::{MEMBERS_MAX, too_many, weight},
    progress::{Phase, Tracker},
    read::{
        self, Options, Source, Wanted,
        damage::NoIndex,
        gaps::Gaps,
        is_damage,
        sink::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
    rt::pipe::ByteSender,
    source::Archive,
    task::Task,
    throttle::Throttle,
};

const OPTIONS: Options = Options { sha1: false, keys: false, tolerant: false };

/// Longest content that is kept in memory. Only the end of the archive shows that a member is the last of
/// its path.
const KEPT_MAX: u64 = 8 << 20;

impl<'a> Archive<'a> {
    /// Copies the content of one file of the archive to `destination`, or to a `&mut` of one, and flushes
    /// it at the end.
    ///
    /// With an index, only the segments of the file are read. Without an index, the whole archive is read, so
    /// that its checksum is compared. If there are several files of that path, the last is copied. A hard link
    /// is followed to the file that it names. Both are as in an extraction. A `/` at the start of `path` is
    /// ignored, because all paths of an archive begin at its root.
    ///
    /// Without an index, the archive is read twice for a hard link and for a file of more than 8 MiB. A stream
    /// cannot be read twice.
    ///
    /// ```no_run
    /// use wingback::Archive;
    ///
    /// let mut content = Vec::new();
    /// let copy = Archive::file("backup.tar.gz").copy_file("server.properties", &mut content);
    /// let member = futures::executor::block_on(copy)?;
    /// assert_eq!(member.size, content.len() as u64);
    /// # Ok::<(), wingback::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if the archive does not exist, or has no member of that path.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the member is not a file. For a stream also if it is a
    ///   hard link, or a file of more than 8 MiB that a later member of its path replaces.
    /// - [`Corrupt`](ErrorKind::Corrupt) if the archive is damaged.
    /// - [`NoSpace`](ErrorKind::NoSpace) if an archive without an index has more than
    ///   [`MEMBERS_MAX`](crate::MEMBERS_MAX).
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied), [`UrlExpired`](ErrorKind::UrlExpired) or
    ///   [`Io`](ErrorKind::Io) if the archive cannot be read or the destination fails.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// The written content is known to be right only after the task has succeeded. After an error, a cancel
    /// or a drop the destination holds a part of it.
    pub fn copy_file<W>(self, path: impl Into<Vec<u8>>, destination: W) -> Task<'a, Member>
    where
        W: AsyncWrite + Unpin + Send + 'a,
    {
        let path = path.into();
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let (watched, writes) = (tracker.clone(), self.writes(&tracker));
            let destination = futures::lock::Mutex::new(destination);
            let work = move |source, sender| {
                let output = Output { sender, writes, gaps: Gaps::default(), tracker: &watched };
                copy_file(source, &path, output)
            };
            let write = |e| Error::io("write", e);
            let member = archive_write(self, &tracker, work, &destination).await?;
            destination.into_inner().flush().await.map_err(write)?;
            Ok(member)
        })
    }
}

async fn archive_write<W: AsyncWrite + Unpin + Send>(
    archive: Archive<'_>,
    tracker: &Arc<Tracker>,
    work: impl FnOnce(Source, ByteSender) -> Result<Member> + Send + 'static,
    destination: &futures::lock::Mutex<W>,
) -> Result<Member> {
    archive
        .read(tracker, work, |bytes| async move {
            destination.lock().await.write_all(&bytes).await.map_err(|e| Error::io("write", e))
        })
        .await
}

fn copy_file(source: Source, path: &[u8], mut output: Output<'_>) -> Result<Member> {
    let tracker = output.tracker;
    let path = plain(&[b"./", path].concat());
    let pool = WorkerPool::start(1, false)?;
    let mut why = NoIndex::Mismatch;
    match (source.index()?, &source) {
        (Ok(index), Source::At(at)) => match index.find(&path) {
            // Only an index whose pages are all right can say that a path is not in the archive.
            Ok(None) => match source.checked_index()? {
                Ok(_) => return check(&path, None),
                Err(damaged) => why = damaged,
            },
            Ok(Some((LocatedEntry { entry, .. }, _))) if !entry.is_in_tar() => {
                return check(&path, Some(Member::of_entry(&entry)));
            }
            Ok(Some((_, pages))) => {
                let mut sink = CopyOne { ordinal: None, members: 0, member: None, output };
                let wanted = Wanted::One(path.clone(), Box::new(pages));
                let outcome =
                    read::by_index(at, index, wanted, &OPTIONS, &pool, tracker, &mut sink)?;
                if outcome.is_some() {
                    return check(&path, sink.member);
                }
                output = sink.output;
            }
            Err(e) if is_damage(&e) => why = NoIndex::Damaged,
            Err(e) => return Err(e),
        },
        (Err(absent), _) => why = absent,
        (Ok(_), Source::Stream(_)) => {}
    }
    let again = match &source {
        Source::At(at) => Some(Source::At(at.clone())),
        Source::Stream(_) => None,
    };
    let mut last = FindLast::of(path, again.is_some(), output);
    read::in_sequence(source, why, &OPTIONS, &pool, tracker, &mut last)?;
    let FindLast { path, found, mut output, kept, written, .. } = last;
    let Some((member, content)) = found else {
        return check(&path, None);
    };
    let Content::File { ordinal, size } = content else {
        return check(&path, Some(member));
    };
    let member_of_file =
        Member { kind: MemberKind::File, size, target: Vec::new(), ..member.clone() };
    if let Some((_, content)) = kept.filter(|(kept, _)| *kept == ordinal) {
        output.send(Bytes::from(content))?;
    } else if written != Some(ordinal) {
        let Some(source) = again else {
            let why = format!("{}, and a stream cannot be read again", what(&member));
            return Err(refused(&path, why));
        };
        let mut sink = CopyOne { ordinal: Some(ordinal), members: 0, member: None, output };
        read::in_sequence(source, why, &OPTIONS, &pool, tracker, &mut sink)?;
        if sink.member.is_none() {
            return Err(read::corrupt("it changed while it was read"));
        }
    }
    Ok(member_of_file)
}

/// Returns the member if it is a file.
pub(super) fn check(path: &[u8], found: Option<Member>) -> Result<Member> {
    match found {
        Some(member) if member.kind == MemberKind::File => Ok(member),
        Some(member) => Err(refused(path, what(&member))),
        None => Err(Error::new(ErrorKind::NotFound, "read the file")
            .at(OsStr::from_bytes(path))
            .caused_by("the archive has nothing of that path")),
    }
}

fn refused(path: &[u8], why: String) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, "read the file");
    error.at(OsStr::from_bytes(path)).caused_by(why)
}

fn what(member: &Member) -> String {
    let kind = member.kind.code();
    match &member.target[..] {
        [] => format!("it is a {kind}"),
        target => format!("it is a {kind} to {}", String::from_utf8_lossy(target)),
    }
}

/// The content at a path.
#[derive(Clone, Copy)]
enum Content {
    /// The content of the member of this number.
    File {
        ordinal: u64,
        size: u64,
    },
    Directory,
    Other,
}

/// Finds the member that has the content of a path after all members have come.
struct FindLast<'a> {
    path: Vec<u8>,
    /// The archive can be read again.
    can_read_again: bool,
    hasher: RandomState,
    latest: HashMap<u64, Content>,
    /// Parent of the last member.
    parent: Vec<u8>,
    members: u64,
    /// Weight of the members.
    count: u64,
    found: Option<(Member, Content)>,
    output: Output<'a>,
    /// Number and content of the last member of the path so far.
    kept: Option<(u64, Vec<u8>)>,
    /// Number of the member whose content is being written.
    written: Option<u64>,
}

impl<'a> FindLast<'a> {
    fn of(path: Vec<u8>, can_read_again: bool, output: Output<'a>) -> Self {
        FindLast {
            path,
            can_read_again,
            hasher: RandomState::new(),
            latest: HashMap::new(),
            parent: Vec::new(),
            members: 0,
            count: 0,
            found: None,
            output,
            kept: None,
            written: None,
        }
    }

    /// Records the parents of a member, because an archive need not contain them.
    fn enter(&mut self, path: &[u8]) {
        let parent = split(path).0;
        if self.parent != parent {
            for end in component_ends(parent) {
                let name = self.hasher.hash_one(&parent[..end]);
                if let hash_map::Entry::Vacant(vacant) = self.latest.entry(name) {
                    vacant.insert(Content::Directory);
                    self.count = self.count.saturating_add(1);
                }
            }
            self.parent = parent.to_vec();
        }
    }

    /// Returns the content of the path after this member. `None` if the member changes nothing.
    fn content(&self, member: &Member) -> Option<Content> {
        Some(match member.kind {
            MemberKind::File => Content::File { ordinal: self.members, size: member.size },
            MemberKind::Directory => Content::Directory,
            MemberKind::HardLink if member.target == member.path => return None,
            MemberKind::HardLink => {
                let content = self.latest.get(&self.hasher.hash_one(&*member.target))?;
                return (!matches!(content, Content::Directory)).then_some(*content);
            }
            _ => Content::Other,
        })
    }
}

impl Sink for FindLast<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        self.members += 1;
        self.enter(&member.path);
        // Something is remembered of each member.
        self.count = self.count.saturating_add(weight(&member));
        if self.count > MEMBERS_MAX {
            return Err(too_many("read", MEMBERS_MAX));
        }
        let is_it = member.path == self.path;
        let Some(content) = self.content(&member) else {
            if is_it && self.found.is_none() {
                self.found = Some((member, Content::Other));
            }
            return Ok(false);
        };
        self.latest.insert(self.hasher.hash_one(&*member.path), content);
        if !is_it {
            return Ok(false);
        }
        if self.written.is_some() {
            let why = "a later member has that path, and a stream cannot be read again";
            return Err(refused(&self.path, why.into()));
        }
        self.kept = None;
        let is_file = member.kind == MemberKind::File;
        let is_kept = member.size <= KEPT_MAX;
        self.output.gaps = Gaps::of(member.size);
        if is_file && is_kept {
            self.kept = Some((self.members, Vec::with_capacity(member.size as usize)));
        } else if is_file && !self.can_read_again {
            self.written = Some(self.members);
        }
        self.found = Some((member, content));
        Ok(is_file && (is_kept || !self.can_read_again))
    }

    fn refuse(&mut self, _: Member, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        let Some((_, kept)) = &mut self.kept else {
            return self.output.data(raw, range, offset);
        };
        self.output.tracker.add_bytes(range.len() as u64);
        kept.resize(offset as usize, 0);
        kept.extend_from_slice(&raw[range]);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some((Member { size, .. }, _)) = &self.found else { return Ok(()) };
        match &mut self.kept {
            Some((_, kept)) => kept.resize(*size as usize, 0),
            None => self.output.end()?,
        }
        Ok(())
    }

    fn abandon(&mut self) {}
}

/// Copies the content of one member: of the one with that number, or of the one that comes.
struct CopyOne<'a> {
    ordinal: Option<u64>,
    members: u64,
    member: Option<Member>,
    output: Output<'a>,
}

impl Sink for CopyOne<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        self.members += 1;
        let is_file = member.kind == MemberKind::File;
        let is_it = self.ordinal.is_none_or(|ordinal| ordinal == self.members);
        if is_it {
            self.output.gaps = Gaps::of(member.size);
            self.member = Some(member);
        }
        Ok(is_it && is_file)
    }

    fn refuse(&mut self, _: Member, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.output.data(raw, range, offset)
    }

    fn end(&mut self) -> Result<()> {
        self.output.end()
    }

    fn abandon(&mut self) {}
}

/// Sends content to the destination.
struct Output<'a> {
    sender: ByteSender,
    writes: Throttle,
    gaps: Gaps,
    tracker: &'a Tracker,
}

impl Output<'_> {
    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.tracker.add_bytes(range.len() as u64);
        while let Some(zeros) = self.gaps.before(offset) {
            self.send(zeros)?;
        }
        self.gaps.pass(range.len());
        self.send(Bytes::from_owner(raw.clone()).slice(range))
    }

    fn end(&mut self) -> Result<()> {
        while let Some(zeros) = self.gaps.at_end() {
            self.send(zeros)?;
        }
        self.tracker.add_file();
        Ok(())
    }

    /// Sends bytes at the limited rate.
    fn send(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let granted = self.writes.take(bytes.len())?;
            self.sender.send(bytes.split_to(granted))?;
        }
        Ok(())
    }
}
