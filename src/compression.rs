//! How an archive is compressed: the level, and the code that compresses.

use std::{fmt, str::FromStr};

use crate::error::{Error, ErrorKind, Result};

/// The operation in errors.
const OPERATION: &str = "choose the encoder";

/// Compression level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// No compression.
    None,
    /// Fast, with a good ratio. Data that hardly compresses is stored without compression.
    #[default]
    Fast,
    /// The best ratio that deflate reaches, at several times the cost.
    Best,
}

/// The code that compresses. Archives of all encoders are read in the same way.
///
/// A build of the library decides which encoders there are. Only the caller decides which one a backup uses.
///
/// ```
/// use wingback::{BUILD, Encoder, ErrorKind, Level};
///
/// assert!(BUILD.encoders.contains(&Encoder::default()));
/// let encoder: Encoder = "isa-l".parse()?;
/// let refused = encoder.check(Level::Best).unwrap_err();
/// assert!(matches!(refused.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported));
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoder {
    /// The encoders of every build. They serve all levels, and one input always gives the same bytes.
    #[default]
    Wingback,
    /// Intel's ISA-L, only in builds with the feature `isal` and only for [`Level::Fast`]. It needs less processor
    /// time. Its bytes differ between processors, so one tree can give different archives of equal content.
    IsaL,
}

impl Encoder {
    /// The encoders of this build.
    pub(crate) const AVAILABLE: &'static [Encoder] = if cfg!(feature = "isal") {
        &[Encoder::Wingback, Encoder::IsaL]
    } else {
        &[Encoder::Wingback]
    };

    /// Returns a word for programs. The words are stable across versions, and [`FromStr`] parses them.
    pub fn code(self) -> &'static str {
        match self {
            Encoder::Wingback => "wingback",
            Encoder::IsaL => "isa-l",
        }
    }

    /// Checks that this build can compress with the encoder at `level`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if this build lacks the encoder, and
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the encoder does not serve the level.
    pub fn check(self, level: Level) -> Result<()> {
        if !Encoder::AVAILABLE.contains(&self) {
            let why = format!(
                "this build does not have {self}: build with the feature isal, or use wingback"
            );
            return Err(Error::new(ErrorKind::Unsupported, OPERATION).caused_by(why));
        }
        match (self, level) {
            (Encoder::Wingback, _) | (Encoder::IsaL, Level::Fast) => Ok(()),
            (Encoder::IsaL, _) => {
                let why = format!("{self} serves only the level fast: use that level, or wingback");
                Err(Error::new(ErrorKind::InvalidInput, OPERATION).caused_by(why))
            }
        }
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Encoder {
    type Err = Error;

    /// Parses a word of [`code`](Encoder::code). The build need not have the encoder.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for any other word.
    fn from_str(code: &str) -> Result<Self> {
        let known = [Encoder::Wingback, Encoder::IsaL];
        known.into_iter().find(|encoder| encoder.code() == code).ok_or_else(|| {
            let why = format!("{code:?} is unknown: there are wingback and isa-l");
            Error::new(ErrorKind::InvalidInput, OPERATION).caused_by(why)
        })
    }
}

/// The encoder and the level that an archive records.
///
/// It differs from [`Encoder`]: an archive can be of an encoder that this build lacks, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ArchiveEncoder {
    id: u8,
    level: u8,
}

impl ArchiveEncoder {
    /// Returns the encoder with these numbers in the footer.
    pub(crate) fn new((id, level): (u8, u8)) -> Self {
        ArchiveEncoder { id, level }
    }

    /// Returns a word for programs: `none`, `miniz-oxide`, `zlib-rs`, `isa-l`, `zlib-ng`, `wingback`,
    /// `several` (copied from archives of other encoders), or `unknown`.
    pub fn code(self) -> &'static str {
        const CODES: [&str; 7] =
            ["none", "miniz-oxide", "zlib-rs", "isa-l", "zlib-ng", "wingback", "several"];
        CODES.get(usize::from(self.id)).copied().unwrap_or("unknown")
    }

    /// Returns the level. Each encoder counts its levels in its own way: see `docs/format.md`.
    pub fn level(self) -> u8 {
        self.level
    }
}

impl fmt::Display for ArchiveEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, level {}", self.code(), self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_parsed_to_its_encoder() {
        for encoder in [Encoder::Wingback, Encoder::IsaL] {
            assert_eq!(encoder.to_string().parse::<Encoder>().ok(), Some(encoder));
        }
        let unknown = "zip".parse::<Encoder>().expect_err("it is unknown");
        assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn every_build_has_the_default_encoder_for_every_level() {
        for level in [Level::None, Level::Fast, Level::Best] {
            assert!(Encoder::default().check(level).is_ok());
        }
    }

    #[test]
    fn isa_l_serves_the_level_fast_in_builds_that_have_it() {
        let kind = |level| Encoder::IsaL.check(level).err().map(|e| e.kind());
        let expected = match cfg!(feature = "isal") {
            true => [Some(ErrorKind::InvalidInput), None, Some(ErrorKind::InvalidInput)],
            false => [Some(ErrorKind::Unsupported); 3],
        };
        assert_eq!([Level::None, Level::Fast, Level::Best].map(kind), expected);
    }
}
