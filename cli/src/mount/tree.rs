//! The files and directories of a mount.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use fuser::{FileAttr, FileType};
use rustix::{
    io::Errno,
    process::{getgid, getuid},
};
use smol::lock;
use wingback::{ArchiveFile, Error, ErrorKind, Member, MemberKind};

use crate::{
    mount::{
        folders::{Child, Folders},
        listing::Listing,
        nodes::{Node, Nodes},
        readers::{Reader, Readers},
    },
    output::{bytes, complain},
};

/// Size of a block in the number of blocks of a file.
const BLOCK: u64 = 512;

/// Offset of the first child in a directory, after `.` and `..`.
const FIRST: u64 = 2;

pub struct Tree {
    folders: Folders,
    readers: Readers,
    nodes: Mutex<Nodes>,
    mounted: SystemTime,
    /// The last problem that was reported.
    reported: Mutex<String>,
}

/// An open file.
pub struct OpenFile {
    archive: usize,
    file: ArchiveFile<'static>,
}

/// An open directory.
pub struct OpenDir {
    node: Node,
    listing: lock::Mutex<Listing>,
}

impl Tree {
    /// Returns the tree of one archive.
    pub fn of_one(readers: Readers) -> Self {
        Tree::new(readers, Node::Member(0, Box::default()))
    }

    /// Returns the archives of a place, in folders.
    pub fn of_many(readers: Readers) -> Self {
        Tree::new(readers, Node::Folder(0))
    }

    fn new(readers: Readers, root: Node) -> Self {
        Tree {
            folders: Folders::of(readers.stored()),
            readers,
            nodes: Mutex::new(Nodes::new(root)),
            mounted: SystemTime::now(),
            reported: Mutex::default(),
        }
    }

    /// Looks up a name in a directory. The kernel knows the node from then on.
    pub async fn lookup(&self, parent: u64, name: &[u8]) -> Result<FileAttr, Errno> {
        let node = match self.node(parent)? {
            Node::Folder(folder) => node_of(self.folders.child(folder, name).ok_or(Errno::NOENT)?),
            Node::Member(archive, dir) if dir.is_empty() => Node::Member(archive, name.into()),
            Node::Member(archive, dir) => {
                Node::Member(archive, [&dir[..], b"/", name].concat().into())
            }
        };
        let attr = self.attr(&node).await?;
        let mut nodes = self.nodes();
        let ino = nodes.number(&node);
        nodes.looked_up(ino, node);
        Ok(FileAttr { ino, ..attr })
    }

    /// Takes back lookups of the kernel.
    pub fn forget(&self, number: u64, lookups: u64) {
        self.nodes().forget(number, lookups);
    }

    /// Returns the attributes of a node that the kernel knows.
    pub async fn attributes(&self, number: u64) -> Result<FileAttr, Errno> {
        Ok(FileAttr { ino: number, ..self.attr(&self.node(number)?).await? })
    }

    /// Returns the target of a symlink.
    pub async fn target(&self, number: u64) -> Result<Vec<u8>, Errno> {
        match self.node(number)? {
            Node::Member(archive, path) => Ok(self.member(archive, &path).await?.target),
            Node::Folder(_) => Err(Errno::INVAL),
        }
    }

    /// Opens a file.
    pub async fn open(&self, number: u64) -> Result<OpenFile, Errno> {
        let Node::Member(archive, path) = self.node(number)? else { return Err(Errno::ISDIR) };
        let reader = self.reader(archive).await?;
        let file = reader.file(&path[..]).await.map_err(|e| self.failed(archive, &path, &e))?;
        Ok(OpenFile { archive, file })
    }

    /// Reads `len` bytes of a file, or fewer at its end.
    pub async fn read(&self, open: &OpenFile, offset: u64, len: usize) -> Result<Bytes, Errno> {
        let OpenFile { archive, file } = open;
        let read = file.read_at(offset, len).await;
        read.map_err(|e| self.failed(*archive, &file.member().path, &e))
    }

    /// Opens a directory.
    pub fn open_dir(&self, number: u64) -> Result<OpenDir, Errno> {
        Ok(OpenDir { node: self.node(number)?, listing: lock::Mutex::default() })
    }

    /// Passes the children of a directory from `offset` on to `add`: the offset after the child, its name and its
    /// attributes. Ends when `add` returns false. The kernel knows these children from then on.
    pub async fn list(
        &self,
        open: &OpenDir,
        offset: u64,
        mut add: impl FnMut(u64, &OsStr, &FileAttr) -> bool,
    ) -> Result<(), Errno> {
        // The kernel uses only the names of the first two.
        let own = FileAttr { ino: self.nodes().number(&open.node), ..directory(self.mounted) };
        for (at, name) in (0..FIRST).zip([".", ".."]).filter(|(at, _)| *at >= offset) {
            if !add(at + 1, name.as_ref(), &own) {
                return Ok(());
            }
        }
        let at = offset.saturating_sub(FIRST);
        let mut offset = at + FIRST;
        let mut add = |node: Node, name: &[u8], attr: FileAttr| {
            offset += 1;
            let mut nodes = self.nodes();
            let attr = FileAttr { ino: nodes.number(&node), ..attr };
            let is_added = add(offset, OsStr::from_bytes(name), &attr);
            if is_added {
                nodes.looked_up(attr.ino, node);
            }
            is_added
        };
        match &open.node {
            Node::Folder(folder) => {
                let children = self.folders.children(*folder).iter();
                for (name, child) in children.skip(usize::try_from(at).unwrap_or(usize::MAX)) {
                    let node = node_of(*child);
                    let attr = self.attr(&node).await?;
                    if !add(node, name, attr) {
                        return Ok(());
                    }
                }
            }
            Node::Member(archive, dir) => {
                let reader = self.reader(*archive).await?;
                let mut listing = open.listing.lock().await;
                let children = listing.from(at, &reader, dir).await;
                for child in children.map_err(|e| self.failed(*archive, dir, &e))? {
                    let name = child.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                    if !add(Node::Member(*archive, child.path[..].into()), name, attr_of(child)) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the attributes of a node, without its number.
    async fn attr(&self, node: &Node) -> Result<FileAttr, Errno> {
        match node {
            Node::Folder(_) => Ok(directory(self.mounted)),
            Node::Member(archive, path) if path.is_empty() => {
                Ok(directory(self.readers.made(*archive).unwrap_or(UNIX_EPOCH)))
            }
            Node::Member(archive, path) => Ok(attr_of(&self.member(*archive, path).await?)),
        }
    }

    async fn member(&self, archive: usize, path: &[u8]) -> Result<Member, Errno> {
        let reader = self.reader(archive).await?;
        let member = reader.member(path).await.map_err(|e| self.failed(archive, path, &e))?;
        member.ok_or(Errno::NOENT)
    }

    async fn reader(&self, archive: usize) -> Result<Reader, Errno> {
        self.readers.get(archive).await.map_err(|e| self.failed(archive, b"", &e))
    }

    /// Reports a problem with an archive on standard error, and returns the number for the kernel.
    fn failed(&self, archive: usize, path: &[u8], error: &Error) -> Errno {
        self.readers.close(archive);
        let line = match path {
            b"" => error.to_string(),
            path => format!("{}: {error}", bytes(path)),
        };
        // A program may try again and again.
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if *reported != line {
            complain(&line);
            *reported = line;
        }
        match error.kind() {
            ErrorKind::NotFound => Errno::STALE,
            ErrorKind::PermissionDenied => Errno::ACCESS,
            _ => Errno::IO,
        }
    }

    fn node(&self, number: u64) -> Result<Node, Errno> {
        self.nodes().get(number).ok_or(Errno::STALE)
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn node_of(child: Child) -> Node {
    match child {
        Child::Folder(folder) => Node::Folder(folder),
        Child::Archive(archive) => Node::Member(archive, Box::default()),
    }
}

/// Returns the attributes of a directory that is not in an archive.
fn directory(time: SystemTime) -> FileAttr {
    attributes(FileType::Directory, 0, 0o555, (getuid().as_raw(), getgid().as_raw()), time)
}

/// Returns the attributes of a member, without the number of its node.
fn attr_of(member: &Member) -> FileAttr {
    let (kind, size) = match member.kind {
        MemberKind::Directory => (FileType::Directory, 0),
        MemberKind::Symlink => (FileType::Symlink, member.target.len() as u64),
        _ => (FileType::RegularFile, member.size),
    };
    let id = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
    let owner = (id(member.uid), id(member.gid));
    attributes(kind, size, (member.mode & 0o7777) as u16, owner, time_of(member.mtime_ns))
}

fn attributes(
    kind: FileType,
    size: u64,
    perm: u16,
    (uid, gid): (u32, u32),
    time: SystemTime,
) -> FileAttr {
    FileAttr {
        ino: 0,
        size,
        blocks: size.div_ceil(BLOCK),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        // Of a directory, it says that the number of subdirectories is unknown.
        nlink: 1,
        uid,
        gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn time_of(ns: i64) -> SystemTime {
    let since = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 { UNIX_EPOCH - since } else { UNIX_EPOCH + since }
}
