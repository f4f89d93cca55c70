//! The results of comparisons.

use serde::ser::SerializeMap;

use crate::{
    json::fields::{Fields, Texts, WriteFields, codes, objects},
    ops::diff::{Aspect, Compared, Difference, DifferenceKind},
};

objects!(Difference, Compared);
codes!(DifferenceKind, Aspect);

impl WriteFields for Difference {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "difference")?;
        to.field("kind", &self.kind())?;
        to.bytes("path", &self.path)?;
        to.field("changes", &self.changes)?;
        to.field("before", &self.before)?;
        to.field("after", &self.after)
    }
}

impl WriteFields for Compared {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "compared")?;
        to.field("equal", &self.is_equal())?;
        self.read_method.write(to)?;
        to.field("other_read_method", &self.other_read_method.map(|method| method.code()))?;
        to.field("added", &self.added)?;
        to.field("added_bytes", &self.added_bytes)?;
        to.field("removed", &self.removed)?;
        to.field("removed_bytes", &self.removed_bytes)?;
        to.field("changed", &self.changed)?;
        to.field("changed_bytes", &self.changed_bytes)?;
        to.field("metadata", &self.metadata)?;
        to.field("unchanged", &self.unchanged)?;
        to.field("read", &self.read)?;
        to.field("excluded", &self.excluded)?;
        to.list("skipped", &self.skipped)?;
        to.field("unmatched", &Texts(&self.unmatched))?;
        to.milliseconds("duration_ms", self.duration)
    }
}
