//! Turns a walk into the tar stream (headers, content and padding) and the index.

mod copy;
mod file;
mod group;
mod options;
mod output;
mod report;
mod reread;
mod small_file_group;
mod writer;

use std::{collections::HashMap, sync::Arc};

use rustix::io::Errno;

pub(crate) use self::{options::TreeOptions, report::TreeReport};
use self::{output::Output, writer::Writer};
use super::{
    pipeline::Feeder,
    previous::{Cursor, PreviousArchive},
};
use crate::{
    entry::{EntryKind, Metadata, Unlisted},
    error::{Error, Result},
    format::{
        Profile,
        index::IndexBuilder,
        tar::{END_LEN, Header},
    },
    fs::walk::{TreeWalk, WalkEntry},
    progress::Tracker,
    report::SkipReason,
};

/// Sends the whole tar stream of `walk`, and returns its index without the segments. Entries that are
/// unchanged since `previous` are copied from it instead of being read.
pub(crate) fn write(
    mut walk: TreeWalk<'_>,
    options: &TreeOptions,
    previous: Option<Arc<PreviousArchive>>,
    tracker: &Tracker,
    feeder: &mut Feeder,
) -> Result<(IndexBuilder, TreeReport)> {
    let cursor = previous.map(|archive| Cursor::new(archive, options.trust_mtime, feeder.pool()));
    let mut writer = Writer {
        root: walk.root(),
        options,
        tracker,
        output: Output::new(feeder),
        cursor,
        group: None,
        index: IndexBuilder::default(),
        report: TreeReport::default(),
        links: HashMap::new(),
        unused_max_len: options.max_len.keys().cloned().collect(),
        headers: Vec::new(),
    };
    while let Some(step) = walk.next()? {
        if tracker.is_cancelled() {
            return Err(Error::cancelled());
        }
        writer.visit(&walk, step)?;
    }
    writer.finish()
}

impl Writer<'_> {
    fn visit(&mut self, walk: &TreeWalk<'_>, step: WalkEntry) -> Result<()> {
        let path = walk.path();
        match step {
            WalkEntry::File => {
                if self.copy_file(walk)? {
                    return Ok(());
                }
                match walk.open_file() {
                    Ok(file) => self.read_file(walk, file),
                    Err(errno) => self.skip_or_fail(walk, "open", errno),
                }
            }
            WalkEntry::Symlink => match walk.read_link() {
                Ok((meta, target)) => {
                    self.report.symlinks += 1;
                    self.link_or_directory(path, EntryKind::Symlink, &meta, target)
                }
                // It is no longer a symlink.
                Err(Errno::INVAL) => {
                    self.skip(path, SkipReason::Replaced);
                    Ok(())
                }
                Err(errno) => self.skip_or_fail(walk, "read the link", errno),
            },
            WalkEntry::Directory(meta, not_entered) => {
                if let Some(reason) = not_entered {
                    self.skip(path, reason);
                }
                self.report.directories += 1;
                self.link_or_directory(path, EntryKind::Directory, &meta, Vec::new())
            }
            WalkEntry::Excluded => {
                self.report.excluded += 1;
                Ok(())
            }
            WalkEntry::Skipped(reason) => {
                self.skip(path, reason);
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
        if self.options.profile == Profile::Wings {
            self.check_time(path, &meta);
            return self.index.unlisted.push(&Unlisted {
                path: path.to_vec(),
                kind: kind.code(),
                mode: meta.mode,
                uid: meta.uid,
                gid: meta.gid,
                mtime_ns: meta.mtime_ns,
                target,
            });
        }
        let header_len = self.encode_header(&Header { path, kind, meta: &meta, target: &target });
        let unchanged = self.cursor.as_mut().and_then(|cursor| {
            let i = cursor.entry(path, kind)?;
            let is_same = cursor.is_same_link(i, kind, &meta) && cursor.header_len(i) == header_len;
            is_same.then_some(i)
        });
        let is_joined = match unchanged {
            Some(i) => self.join_group(i)?,
            None => false,
        };
        if !is_joined {
            // Unpacking may read entries again, which overwrites the headers.
            self.unpack_group()?;
            self.encode_header(&Header { path, kind, meta: &meta, target: &target });
            self.output.batch()?.raw.extend(&self.headers);
        }
        self.add_entry(path, kind, &meta, header_len, 0)?;
        self.end_small_entry(path)
    }

    fn finish(mut self) -> Result<(IndexBuilder, TreeReport)> {
        self.end_group()?;
        self.output.batch()?.raw.zeros(END_LEN as usize);
        self.output.cut();
        self.output.finish()?;
        let mut groups: Vec<_> = self.links.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable();
        self.report.hard_links = groups.len() as u64;
        self.index.hard_links = groups;
        self.report.unused_max_len = self.unused_max_len.into_iter().collect();
        Ok((self.index, self.report))
    }
}
