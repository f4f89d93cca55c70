//! The parts that objects are written from.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{json::named_bytes::NamedBytes, listed::Listed};

/// The fields of an object that is being written.
pub(super) struct Fields<M>(pub(super) M);

impl<M: SerializeMap> Fields<M> {
    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    pub(super) fn bytes(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), M::Error> {
        NamedBytes::new(name, bytes).write(&mut self.0)
    }

    /// Writes the items of a list, and the number of those that it leaves out.
    pub(super) fn list<T: Serialize>(
        &mut self,
        name: &str,
        list: &Listed<T>,
    ) -> Result<(), M::Error> {
        self.field(name, &**list)?;
        self.field(&format!("{name}_more"), &list.more())
    }

    /// Writes the paths of a list, and the number of those that it leaves out.
    pub(super) fn paths(&mut self, name: &str, paths: &Listed<Vec<u8>>) -> Result<(), M::Error> {
        self.field(name, &Paths(paths))?;
        self.field(&format!("{name}_more"), &paths.more())
    }

    pub(super) fn milliseconds(&mut self, name: &str, time: Duration) -> Result<(), M::Error> {
        self.field(name, &milliseconds(time))
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A type with a written form that is an object. Another object may contain the fields.
pub(super) trait WriteFields {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error>;
}

/// Paths, each as an object.
pub(super) struct Paths<'a>(pub(super) &'a [Vec<u8>]);

impl Serialize for Paths<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|path| NamedBytes::new("path", path)))
    }
}

/// Bytes as text only.
pub(super) struct Texts<'a>(pub(super) &'a [Vec<u8>]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|bytes| String::from_utf8_lossy(bytes)))
    }
}

/// Implements `Serialize` for types that are objects.
macro_rules! objects {
    ($($kind:ty),+ $(,)?) => {$(
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut fields = $crate::json::fields::Fields(serializer.serialize_map(None)?);
                self.write(&mut fields)?;
                serde::ser::SerializeMap::end(fields.0)
            }
        }
    )+};
}

/// Implements `Serialize` for types that are words for programs.
macro_rules! codes {
    ($($kind:ty),+ $(,)?) => {$(
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    )+};
}

pub(super) use {codes, objects};
