//! The names of archives in a store.

use std::{fmt, path::Path, str::FromStr};

use crate::error::{Error, ErrorKind, Result};

/// Longest file name that local file systems accept.
const NAME_MAX: usize = 255;

/// The name of one archive in a store: a relative path with `/` between its parts.
///
/// The constructor checks the name, so no store has to look for `..` or a leading `/` again.
///
/// ```
/// use wingback::Key;
///
/// let key: Key = "survival/monday.tar.gz".parse()?;
/// assert_eq!(key.as_str(), "survival/monday.tar.gz");
/// assert!("../monday.tar.gz".parse::<Key>().is_err());
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Checks `name` and returns it as a key.
    ///
    /// A name has one or more parts of 1 to 200 bytes, and at most 1,020 bytes in all. No part begins with a
    /// dot, and none has a control character or a backslash. The same rule holds for directories and
    /// buckets: a part that begins with a dot is `.`, `..` or hidden, and no archive is hidden.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput). The cause says which part of the rule the name breaks.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        match Key::problem(&name) {
            None => Ok(Key(name)),
            Some(problem) => {
                Err(Error::new(ErrorKind::InvalidInput, "use the name").at(name).caused_by(problem))
            }
        }
    }

    /// Returns why `name` cannot be a key.
    pub(crate) fn problem(name: &str) -> Option<&'static str> {
        if name.len() > 4 * NAME_MAX {
            return Some("it is too long");
        }
        // XML cannot represent the last two characters, and S3 lists names in XML.
        let is_refused = |c: char| c.is_control() || matches!(c, '\\' | '\u{fffe}' | '\u{ffff}');
        name.split('/').find_map(|part| {
            if part.is_empty() {
                Some("it has an empty part")
            } else if part.starts_with('.') {
                Some("a part of it begins with a dot")
            } else if part.len() > 200 {
                Some("a part of it is over 200 bytes")
            } else if part.chars().any(is_refused) {
                Some("it has a control character or a backslash")
            } else {
                None
            }
        })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Checks a name by the rule of [`Key::new`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput). The cause says which part of the rule the name breaks.
    fn from_str(name: &str) -> Result<Self> {
        Key::new(name)
    }
}

impl AsRef<Path> for Key {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_leaves_its_store() {
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".x", "a\0b", "a\\b", "a\nb"]
        {
            assert!(Key::new(bad).is_err() && bad.parse::<Key>().is_err(), "{bad:?}");
        }
        for good in ["a.tar.gz", "server/a.tar.gz", "a b", "é"] {
            assert_eq!(Key::new(good).ok(), good.parse().ok(), "{good:?}");
            assert!(Key::new(good).is_ok(), "{good:?}");
        }
    }
}
