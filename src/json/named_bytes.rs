//! Bytes, such as paths, in JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// Bytes in an object, such as a path: a field with the text, and if they are not UTF-8 also a field `…_b64`
/// with the bytes in base64.
///
/// It serializes as an object with these fields. `#[serde(flatten)]` puts them into another object.
///
/// ```
/// use wingback::NamedBytes;
///
/// let text = serde_json::to_string(&NamedBytes::new("path", b"world/level.dat"))?;
/// assert_eq!(text, r#"{"path":"world/level.dat"}"#);
/// let bytes = serde_json::to_string(&NamedBytes::new("path", b"caf\xe9"))?;
/// assert_eq!(bytes, r#"{"path":"caf�","path_b64":"Y2Fm6Q=="}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBytes<'a> {
    name: &'static str,
    bytes: &'a [u8],
}

impl<'a> NamedBytes<'a> {
    /// Returns `bytes` for the field `name`.
    pub fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        NamedBytes { name, bytes }
    }

    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(self.name, &String::from_utf8_lossy(self.bytes))?;
        match std::str::from_utf8(self.bytes) {
            Ok(_) => Ok(()),
            Err(_) => {
                map.serialize_entry(&format!("{}_b64", self.name), &STANDARD.encode(self.bytes))
            }
        }
    }
}

impl Serialize for NamedBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}
