//! Values in requests that JSON has no type for.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A path, a name or a pattern: text, or `{"b64": …}` if it is not UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn into_path<P: From<OsString>>(self) -> P {
        OsString::from_vec(self.0).into()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Base64 { b64: String },
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Bytes(text.into_bytes())),
            Form::Base64 { b64 } => STANDARD.decode(b64).map(Bytes).map_err(D::Error::custom),
        }
    }
}
