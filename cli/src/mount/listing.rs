//! An open directory of an archive.

use wingback::{Error, Member};

use crate::mount::readers::Reader;

/// The children of a directory that were read last.
#[derive(Default)]
pub struct Listing {
    children: Vec<Member>,
    /// Number of children before them.
    before: u64,
}

impl Listing {
    /// Returns some of the children, from number `at` on. An empty result is the end of the directory.
    pub async fn from(&mut self, at: u64, reader: &Reader, dir: &[u8]) -> Result<&[Member], Error> {
        if at < self.before {
            *self = Listing::default();
        }
        while at >= self.before + self.children.len() as u64 {
            let next = reader.children(dir, self.children.last()).await?;
            if next.is_empty() {
                return Ok(&[]);
            }
            self.before += self.children.len() as u64;
            self.children = next;
        }
        let skipped = usize::try_from(at - self.before).unwrap_or(usize::MAX);
        Ok(self.children.get(skipped..).unwrap_or_default())
    }
}
