//! Turns a walk into the tar stream (headers, content and padding) and the index.

mod copy;
mod file;
mod group;
mod options;
mod output;
mod prefetch;
mod report;
mod reread;
mod small_file_group;
mod writer;

use std::{collections::HashMap, sync::Arc};

use rustix::io::Errno;

pub(crate) use self::{options::TreeOptions, report::TreeReport};
use self::{
    output::Output,
    prefetch::{Found, Item, Reader},
    writer::Writer,
};
use super::{
    pipeline::Feeder,
    previous::{Cursor, PreviousArchive},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    format::{
        Profile,
        tar::{END_LEN, Header},
    },
    fs::walk::TreeWalk,
    progress::Tracker,
    report::SkipReason,
    rt::threads::Threads,
};

/// Sends the whole tar stream of `walk`, with the entries of its index. Entries that are unchanged since
/// `previous` are copied from it instead of being read.
pub(crate) fn write(
    walk: TreeWalk<'_>,
    options: &TreeOptions,
    threads: Threads,
    previous: Option<Arc<PreviousArchive>>,
    tracker: &Tracker,
    feeder: &mut Feeder,
) -> Result<TreeReport> {
    let root = walk.root();
    let previous_ns = previous.as_ref().map(|archive| archive.made_ns());
    let reader = Reader { root, options, tracker, pool: feeder.pool(), previous_ns };
    let cursor = previous.map(|archive| Cursor::new(archive, feeder.pool()));
    let mut writer = Writer {
        reader: reader.clone(),
        output: Output::new(feeder),
        cursor,
        group: None,
        report: TreeReport::default(),
        links: HashMap::new(),
        unused_max_len: options.max_len.keys().cloned().collect(),
        headers: Vec::new(),
    };
    prefetch::run(walk, &reader, threads, |mut items| {
        while let Some(item) = items.next()? {
            if tracker.is_cancelled() {
                return Err(Error::cancelled());
            }
            writer.add(item)?;
        }
        writer.finish()
    })
}

impl Writer<'_> {
    fn add(&mut self, Item { path, found, .. }: Item) -> Result<()> {
        match found {
            Found::File(file) => self.add_found_file(&path, file),
            Found::Unopened(errno) => self.skip_or_fail(&path, "open", errno),
            Found::Symlink(link) => match link {
                Ok((meta, target)) => {
                    self.report.symlinks += 1;
                    self.link_or_directory(&path, EntryKind::Symlink, &meta, target)
                }
                // It is no longer a symlink.
                Err(Errno::INVAL) => {
                    self.skip(&path, SkipReason::Replaced);
                    Ok(())
                }
                Err(errno) => self.skip_or_fail(&path, "read the link", errno),
            },
            Found::Directory(meta, not_entered) => {
                if let Some(reason) = not_entered {
                    self.skip(&path, reason);
                }
                self.report.directories += 1;
                self.link_or_directory(&path, EntryKind::Directory, &meta, Vec::new())
            }
            Found::Excluded => {
                self.report.excluded += 1;
                Ok(())
            }
            Found::Skipped(reason) => {
                self.skip(&path, reason);
                Ok(())
            }
        }
    }

    fn link_or_directory(
        &mut self,
        path: &[u8],
        kind: EntryKind,
        meta: &Metadata,
        target: Vec<u8>,
    ) -> Result<()> {
        let meta = Metadata { size: 0, ..*meta };
        if self.reader.options.profile == Profile::Wings {
            let entry = self.entry(path, kind, &meta, 0);
            self.add_entry(Entry { target, ..entry }, &meta);
            return Ok(());
        }
        let header_len = self.encode_header(&Header { path, kind, meta: &meta, target: &target });
        let unchanged = self.cursor.as_mut().and_then(|cursor| {
            let previous = cursor.entry(path, kind)?;
            let is_same = previous.is_same_link(&meta, &target)
                && previous.entry.header_len as usize == header_len;
            is_same.then_some(previous)
        });
        let is_joined = match unchanged {
            Some(previous) => self.join_group(&previous)?,
            None => false,
        };
        if !is_joined {
            // Unpacking may read entries again, which overwrites the headers.
            self.unpack_group()?;
            self.encode_header(&Header { path, kind, meta: &meta, target: &target });
            self.output.batch()?.raw.extend(&self.headers);
        }
        let entry = self.entry(path, kind, &meta, header_len);
        self.add_entry(Entry { target, ..entry }, &meta);
        self.end_small_entry(path)
    }

    fn finish(mut self) -> Result<TreeReport> {
        self.end_group()?;
        self.output.batch()?.raw.zeros(END_LEN as usize);
        self.output.cut();
        self.output.finish()?;
        let groups = self.links.values().filter(|names| names.count > 1);
        self.report.hard_links = groups.count() as u64;
        self.report.unused_max_len = self.unused_max_len.into_iter().collect();
        Ok(self.report)
    }
}
