//! Collects damage, or fails at the first damage.

use super::{damage::Damage, input::corrupt, report::Options, sink::Sink, tar_reader::TarReader};
use crate::{
    error::{ErrorKind, Result},
    listed::Listed,
};

/// The damage that was found so far.
pub(super) struct DamageLog {
    is_tolerant: bool,
    found: Listed<Damage>,
}

impl DamageLog {
    pub(super) fn new(options: &Options) -> Self {
        DamageLog { is_tolerant: options.tolerant, found: Listed::default() }
    }

    /// Records damage. Fails unless damage is tolerated.
    pub(super) fn add(&mut self, damage: Damage) -> Result<()> {
        if !self.is_tolerant {
            return Err(corrupt(damage.to_string()));
        }
        self.found.push(damage);
        Ok(())
    }

    /// Records a header that cannot be read, at offset `at` of the tar stream, as damage of the rest.
    ///
    /// The bytes after it may be good, but it is not known where the next member begins.
    pub(super) fn tolerate<S: Sink>(
        &mut self,
        result: Result<()>,
        at: u64,
        reader: &mut TarReader<'_, S>,
    ) -> Result<()> {
        match result {
            Err(e) if e.kind() == ErrorKind::Corrupt && self.is_tolerant => {
                let mut rest = Damage::of_rest(at, e);
                rest.members.extend(reader.abandon());
                self.add(rest)
            }
            result => result,
        }
    }

    pub(super) fn into_list(self) -> Listed<Damage> {
        self.found
    }
}
