//! Reads the source ahead of the writer, with several threads. The order of the walk is kept.
//!
//! One thread cannot keep a disk busy: it waits for every inode and every small file. The threads wait for
//! several at the same time, and the writer finds their content in memory. The [`queue`] bounds the entries
//! and the bytes between them.

mod parts;
mod queue;
mod reader;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::mpsc::SyncSender, thread};

use self::{
    parts::Prefetched,
    queue::{Claim, Kind},
    reader::LargeFile,
};
pub(super) use self::{
    parts::{FileResult, Parts},
    queue::Found,
    reader::{
        Content, Failed, FileEnd, FoundFile, NextPart, ReadError, Reader, SmallFile, file_header,
    },
};
use crate::{
    error::Result,
    fs::walk::TreeWalk,
    rt::threads::{self, Threads},
};

/// Bytes of content in the queue, for each thread.
const BYTES_MAX: usize = 768 << 10;

/// The fewest and the most threads. They wait for the disk most of the time.
const THREADS_MIN: usize = 4;
const THREADS_MAX: usize = 8;

/// An entry of the walk.
pub(super) type Item = queue::Item<FileResult>;

type Queue<'a> = queue::Queue<'a, FileResult>;

/// The items of the walk, in its order.
pub(super) struct Items<'q, 'a> {
    queue: &'q Queue<'a>,
    taken: VecDeque<Item>,
}

impl Items<'_, '_> {
    /// Returns the next item. Returns `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        if self.taken.is_empty() {
            self.taken = self.queue.take()?;
        }
        Ok(self.taken.pop_front())
    }
}

/// Calls `write` with the items of a walk, which other threads read in the meantime.
pub(super) fn run<T>(
    walk: TreeWalk<'_>,
    reader: &Reader<'_>,
    threads: Threads,
    write: impl FnOnce(Items<'_, '_>) -> Result<T>,
) -> Result<T> {
    let count = threads.count.clamp(THREADS_MIN, THREADS_MAX);
    let queue = Queue::new(walk, count * BYTES_MAX);
    thread::scope(|scope| {
        let start = |i| {
            let (queue, reader) = (&queue, reader.clone());
            threads.start(scope, &format!("wingback-read-{i}"), move || {
                // Otherwise the writer would wait for ever.
                let _stop = StopOnPanic(queue);
                prefetch(queue, &reader);
            })
        };
        let mut started = Vec::new();
        let written = (0..count)
            .try_for_each(|i| start(i).map(|thread| started.push(thread)))
            .and_then(|()| {
                let _stop = StopOnPanic(&queue);
                write(Items { queue: &queue, taken: VecDeque::new() })
            });
        queue.stop();
        started.into_iter().for_each(threads::join);
        written
    })
}

struct StopOnPanic<'q, 'a>(&'q Queue<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Reads entries until the walk has no more: the work of one thread. Returns `None` if the writer ends first.
fn prefetch(queue: &Queue<'_>, reader: &Reader<'_>) -> Option<()> {
    while let Some(mut claims) = queue.claim() {
        while let Some(claim) = claims.pop_front() {
            if let Kind::Symlink = claim.kind {
                queue.publish(&claim, Found::Symlink(claim.entry.read_link()), None);
                continue;
            }
            let path = &claim.entry.path;
            let (found, room) = match reader.find_unchanged(&claim.entry) {
                Some(found) => (Ok(found), None),
                None => match claim.entry.open_file() {
                    Err(errno) => (Err(Failed::open(errno)), None),
                    Ok(file) => {
                        let room = queue.reserve(&claim, reader.kept_len(path, &file))?;
                        (reader.read(path, file), Some(room))
                    }
                },
            };
            let mut large = None;
            let found = found.map(|found| {
                found.map_large(|file| {
                    let (sender, parts) = Parts::channel(queue.waker());
                    large = Some((file, sender));
                    parts
                })
            });
            match (found, large) {
                (Ok(found), Some(large)) => {
                    // The file takes longer than they should wait.
                    queue.put_back(&mut claims);
                    prefetch_parts(queue, reader, &claim, found, large)?;
                }
                (found, _) => queue.publish(&claim, Found::File(found), room),
            }
        }
    }
    Some(())
}

/// Reads a large file. Publishes it with its first part. Returns `None` if the writer has ended.
fn prefetch_parts(
    queue: &Queue<'_>,
    reader: &Reader<'_>,
    claim: &Claim,
    found: FoundFile<Parts>,
    (mut file, sender): (LargeFile, SyncSender<Prefetched>),
) -> Option<()> {
    let mut found = Some(found);
    loop {
        let room = queue.reserve(claim, file.next_len())?;
        let next = match reader.next_part(&mut file) {
            // Nothing of the file is in the archive yet, so it can be skipped.
            Err(error) if found.is_some() => {
                let failed = Failed { operation: "read", error };
                queue.publish(claim, Found::File(Err(failed)), None);
                return Some(());
            }
            next => next,
        };
        let is_last = !matches!(next, Ok(NextPart::Part(_)));
        if let Some(found) = found.take() {
            queue.publish(claim, Found::File(Ok(found)), None);
        }
        // If the writer has dropped the file, it does not need the rest.
        if sender.send((next, room)).is_err() || is_last {
            return Some(());
        }
    }
}
