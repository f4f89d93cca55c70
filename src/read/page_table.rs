//! The locations of all pages of an index, for readers that go to and fro.

use std::sync::Arc;

use super::{
    damage::NoIndex,
    index::{Index, is_damage},
    input::Source,
};
use crate::{
    error::Result,
    format::index::{Hash, Page, Position},
};

/// The locations of all pages: 64 bytes of memory for each.
pub(crate) struct PageTable(Vec<PageLocation>);

struct PageLocation {
    at: u64,
    len: u32,
    hash: Hash,
    start: Position,
}

impl Source {
    /// Opens the index of the archive, checks every page, and passes it to `visit`. Returns the locations of the
    /// pages as well.
    pub(crate) fn page_table(
        &self,
        mut visit: impl FnMut(&Page),
    ) -> Result<Result<(Arc<Index>, PageTable), NoIndex>> {
        let index = match self.index()? {
            Ok(index) => index,
            Err(why) => return Ok(Err(why)),
        };
        let mut table = PageTable(Vec::new());
        let mut pages = index.pages();
        loop {
            match pages.next_located() {
                Ok(Some((at, child, page))) => {
                    visit(&page);
                    let (len, hash, start) = (child.len, child.hash, page.start);
                    table.0.push(PageLocation { at, len, hash, start });
                }
                Ok(None) => return Ok(Ok((index, table))),
                Err(e) if is_damage(&e) => return Ok(Err(NoIndex::Damaged)),
                Err(e) => return Err(e),
            }
        }
    }
}

impl PageTable {
    /// Reads a page. `None` after the last.
    pub(crate) fn read(&self, index: &Index, number: usize) -> Result<Option<Page>> {
        let Some(PageLocation { at, len, hash, .. }) = self.0.get(number) else { return Ok(None) };
        index.page(*at, *len, hash).map(Some)
    }

    /// Returns the last page that may have the segment of this number.
    pub(crate) fn page_of_segment(&self, number: u64) -> usize {
        self.0.partition_point(|page| page.start.segment <= number).saturating_sub(1)
    }

    /// Returns the last page that may have the segment at this offset of the tar stream.
    pub(crate) fn page_of_tar(&self, tar: u64) -> usize {
        self.0.partition_point(|page| page.start.tar_at <= tar).saturating_sub(1)
    }
}
