//! Answers the requests of the kernel.

use std::{
    collections::HashMap,
    ffi::{OsStr, c_int},
    os::unix::ffi::OsStrExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fuser::{
    FileAttr, Filesystem, KernelConfig, ReplyAttr, ReplyData, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, Request,
    consts::{FOPEN_KEEP_CACHE, FUSE_DO_READDIRPLUS, FUSE_PARALLEL_DIROPS},
};
use rustix::io::Errno;

use crate::mount::tree::{OpenDir, OpenFile, Tree};

/// How long the kernel may keep names and attributes. Archives do not change.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// A tree as a file system. Each request is a task of its own, so a slow one delays no others.
pub struct FileSystem(Arc<Shared>);

struct Shared {
    tree: Tree,
    files: Handles<OpenFile>,
    dirs: Handles<OpenDir>,
}

impl FileSystem {
    pub fn new(tree: Tree) -> Self {
        let (files, dirs) = (Handles::default(), Handles::default());
        FileSystem(Arc::new(Shared { tree, files, dirs }))
    }

    /// Runs `answer` as a task.
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        answer: impl FnOnce(Arc<Shared>) -> F,
    ) {
        smol::spawn(answer(self.0.clone())).detach();
    }
}

impl Filesystem for FileSystem {
    fn init(&mut self, _: &Request<'_>, config: &mut KernelConfig) -> Result<(), c_int> {
        // Linux has both since 4.7. Without the first one, directories cannot be listed.
        let _ = config.add_capabilities(FUSE_PARALLEL_DIROPS);
        let added = config.add_capabilities(FUSE_DO_READDIRPLUS);
        added.map_err(|_| Errno::NOSYS.raw_os_error())
    }

    fn lookup(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes().to_vec();
        self.spawn(|shared| async move {
            match shared.tree.lookup(parent, &name).await {
                Ok(attr) => reply.entry(&TTL, &attr, 0),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn forget(&mut self, _: &Request<'_>, node: u64, lookups: u64) {
        self.0.tree.forget(node, lookups);
    }

    fn getattr(&mut self, _: &Request<'_>, node: u64, _: Option<u64>, reply: ReplyAttr) {
        self.spawn(|shared| async move {
            match shared.tree.attributes(node).await {
                Ok(attr) => reply.attr(&TTL, &attr),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn readlink(&mut self, _: &Request<'_>, node: u64, reply: ReplyData) {
        self.spawn(|shared| async move {
            match shared.tree.target(node).await {
                Ok(target) => reply.data(&target),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn open(&mut self, _: &Request<'_>, node: u64, _: i32, reply: ReplyOpen) {
        self.spawn(|shared| async move {
            match shared.tree.open(node).await {
                Ok(file) => reply.opened(shared.files.add(file), FOPEN_KEEP_CACHE),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        _: u64,
        handle: u64,
        offset: i64,
        len: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyData,
    ) {
        self.spawn(|shared| async move {
            let read = async {
                let file = shared.files.get(handle)?;
                shared.tree.read(&file, offset.cast_unsigned(), len as usize).await
            };
            match read.await {
                Ok(content) => reply.data(&content),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn release(
        &mut self,
        _: &Request<'_>,
        _: u64,
        handle: u64,
        _: i32,
        _: Option<u64>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.files.remove(handle);
        reply.ok();
    }

    fn opendir(&mut self, _: &Request<'_>, node: u64, _: i32, reply: ReplyOpen) {
        match self.0.tree.open_dir(node) {
            Ok(dir) => reply.opened(self.0.dirs.add(dir), 0),
            Err(e) => reply.error(e.raw_os_error()),
        }
    }

    fn readdirplus(
        &mut self,
        _: &Request<'_>,
        _: u64,
        handle: u64,
        offset: i64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.spawn(|shared| async move {
            let list = async {
                let dir = shared.dirs.get(handle)?;
                let add = |next: u64, name: &OsStr, attr: &FileAttr| {
                    // It returns true if there is no room.
                    !reply.add(attr.ino, next.cast_signed(), name, &TTL, attr, 0)
                };
                shared.tree.list(&dir, offset.cast_unsigned(), add).await
            };
            match list.await {
                Ok(()) => reply.ok(),
                Err(e) => reply.error(e.raw_os_error()),
            }
        });
    }

    fn releasedir(&mut self, _: &Request<'_>, _: u64, handle: u64, _: i32, reply: ReplyEmpty) {
        self.0.dirs.remove(handle);
        reply.ok();
    }
}

/// Open files or directories by their numbers.
struct Handles<T>(Mutex<Table<T>>);

struct Table<T> {
    next: u64,
    open: HashMap<u64, Arc<T>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Handles(Mutex::new(Table { next: 0, open: HashMap::new() }))
    }
}

impl<T> Handles<T> {
    fn add(&self, opened: T) -> u64 {
        let mut table = self.table();
        let handle = table.next;
        table.next += 1;
        table.open.insert(handle, Arc::new(opened));
        handle
    }

    fn get(&self, handle: u64) -> Result<Arc<T>, Errno> {
        self.table().open.get(&handle).cloned().ok_or(Errno::BADF)
    }

    fn remove(&self, handle: u64) {
        self.table().open.remove(&handle);
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
