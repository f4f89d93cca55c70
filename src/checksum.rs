//! SHA-1s as text.

use std::{fmt, str::FromStr};

use crate::error::{Error, ErrorKind, Result};

/// A SHA-1. Its text has forty hexadecimal digits: `Display` writes lower case, and `FromStr` reads both cases.
///
/// With the feature `serde` it is read and written as its text.
///
/// ```
/// let sha1: wingback::Sha1 = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709".parse()?;
/// assert_eq!(sha1.0[0], 0xda);
/// assert_eq!(sha1.to_string(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
/// assert_eq!(sha1.as_ref()[..2], [0xda, 0x39]);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha1(pub [u8; 20]);

impl FromStr for Sha1 {
    type Err = Error;

    /// Parses forty hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for any other text.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            let error = Error::new(ErrorKind::InvalidInput, "use the SHA-1").at(text);
            error.caused_by("it is not forty hexadecimal digits")
        };
        // `from_str_radix` would also accept a sign.
        if text.len() != 40 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut sha1 = [0; 20];
        for (i, byte) in sha1.iter_mut().enumerate() {
            let digits = &text[2 * i..2 * i + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| invalid())?;
        }
        Ok(Sha1(sha1))
    }
}

impl fmt::Display for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<[u8; 20]> for Sha1 {
    fn from(bytes: [u8; 20]) -> Self {
        Sha1(bytes)
    }
}

impl AsRef<[u8]> for Sha1 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Sha1 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Sha1 {
    fn deserialize<D: serde::Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(text)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha1_has_forty_digits_and_nothing_else() {
        let digits = "0123456789abcdef0123456789abcdef01234567";
        let sha1: Sha1 = digits.parse().expect("forty digits");
        assert_eq!((sha1.0[0], sha1.0[19], sha1.to_string().as_str()), (0x01, 0x67, digits));
        assert_eq!(digits.to_uppercase().parse().ok(), Some(sha1));
        for bad in [
            "",
            &digits[1..],
            &format!("{digits}0"),
            &digits.replace("01", "+1"),
            "é".repeat(20).as_str(),
        ] {
            let error = bad.parse::<Sha1>().expect_err("no SHA-1");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}
