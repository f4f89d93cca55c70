//! Finds what a restore would change, and changes nothing.

use crate::{
    entry::{Entry, EntryKind, Member},
    error::{ErrorKind, Result},
    fs::{
        beneath::Beneath,
        replace::{Changes, check_whole},
    },
    ops::{
        restore::{
            Restore, Restored,
            comparison::{Comparison, Old},
            rules::Removal,
        },
        select::refuse_unmatched,
        unpacked::Unpacked,
        verify::compare_sha1,
    },
    progress::{Expected, Tracker},
    read::{
        self, Options, Source, Wanted,
        damage::{NoIndex, ReadMethod},
        sink::Sink,
        worker_pool::WorkerPool,
    },
};

/// The result that a restore would have.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) changes: Changes,
    pub(super) unpacked: Unpacked,
    read_method: ReadMethod,
}

impl Restore {
    /// Compares the archive with the directory, and returns the result that a restore would have.
    pub(super) fn run_dry(&self, source: Source, tracker: &Tracker) -> Result<Restored> {
        let removal = self.removal(&source)?;
        let dir = match Beneath::open(&self.dir) {
            Ok(dir) => Some(dir),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let staging = match &dir {
            Some(dir) => check_whole(dir, &self.dir, &self.state())?.map(|staging| staging.inode),
            None => None,
        };
        let warnings = self.keep_warnings(dir.is_none(), tracker)?;
        let Preview { changes, unpacked, read_method } =
            self.preview(source, dir, staging, removal, tracker)?;
        Ok(Restored { warnings, ..Restored::new(read_method, unpacked, changes) })
    }

    /// Reads the archive, and compares it with the tree in `dir`. `staging` is the inode of a staging directory
    /// in that tree.
    pub(super) fn preview(
        &self,
        source: Source,
        dir: Option<Beneath>,
        staging: Option<u64>,
        removal: Option<Removal>,
        tracker: &Tracker,
    ) -> Result<Preview> {
        let old = dir.map(|dir| Old::new(dir, self.options.owner)).transpose()?;
        let rules = self.rules(removal.clone().unwrap_or(Removal::Nothing));
        let len = source.len();
        let pool = WorkerPool::start(self.options.threads, self.options.background)?;
        let options = Options { sha1: self.sha1.is_some(), keys: true, tolerant: false };
        let index = source.checked_index()?;
        let mut why = NoIndex::Mismatch;
        let mut comparison = Comparison::new(self, &rules, old.as_ref(), len, tracker);
        let mut report = None;
        match (index, &source) {
            (Ok(index), Source::At(at)) => {
                let info = index.info();
                tracker.expect(Expected { files: info.files, bytes: info.content });
                let is_wanted = |entry: &Entry| {
                    let is_dir = entry.kind == EntryKind::Directory;
                    rules.selects(&entry.path, is_dir)
                };
                let wanted = match self.selection.is_empty() || options.sha1 {
                    true => Wanted::All,
                    false => Wanted::Some(Box::new(is_wanted)),
                };
                report =
                    read::by_index(at, index, wanted, &options, &pool, tracker, &mut comparison)?;
            }
            (Err(reason), _) => why = reason,
            (Ok(_), Source::Stream(_)) => {}
        }
        let report = match report {
            Some(report) => report,
            None => {
                tracker.restart();
                comparison = Comparison::new(self, &rules, old.as_ref(), len, tracker);
                read::in_sequence(source, why, &options, &pool, tracker, &mut comparison)?
            }
        };
        if let Some(index) = &report.index {
            index
                .for_each_unlisted(|entry| comparison.member(Member::of_entry(entry)).map(drop))?;
        }
        compare_sha1(self.sha1, report.sha1)?;
        refuse_unmatched(&comparison.unmatched(), "restore", "the archive")?;
        let rules = self.rules(match removal {
            Some(removal) => removal,
            None => Removal::of_included(report.index.as_deref())?,
        });
        let (changes, unpacked) = comparison.finish(&rules, staging)?;
        Ok(Preview { changes, unpacked, read_method: report.read_method })
    }
}
