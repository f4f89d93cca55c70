//! Decodes values of single keys.

use std::{fmt, time::Duration};

use hyper::StatusCode;
use serde::{Deserialize, Deserializer, de, de::Error as _};
use uuid::Uuid;
use wingback::{Encoder, IgnoreFile, NameTemplate, Profile, Rules};

/// Name of archives: a [`NameTemplate`] of `{uuid}`, which may contain `{server}` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveName(String);

impl ArchiveName {
    /// Creates a name that is known to be valid.
    pub(super) fn known(name: &str) -> Self {
        ArchiveName(name.to_owned())
    }

    /// Returns the names of a server's archives.
    pub(crate) fn of(&self, server: Uuid) -> NameTemplate {
        let named = self.0.replace("{server}", &server.to_string());
        named.parse().expect("it was checked while it was read")
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArchiveName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let one = name.replace("{server}", &Uuid::nil().to_string());
        let names = one.parse::<NameTemplate>().map_err(D::Error::custom)?;
        if !names.has_only_uuid() {
            return Err(D::Error::custom("it must have {uuid}, and no other field than {server}"));
        }
        Ok(ArchiveName(name))
    }
}

/// Decodes one of the words for an option of the engine.
fn word<'de, D, T, const N: usize>(deserializer: D, words: [(&str, T); N]) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let found = words.into_iter().find(|(word, _)| *word == text);
    found
        .map(|(_, value)| value)
        .ok_or_else(|| D::Error::custom(format!("it must be one of {known}")))
}

pub(super) fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rules>, D::Error> {
    word(deserializer, [Rules::Git, Rules::Wings].map(|rules| (rules.code(), rules))).map(Some)
}

const IGNORE_MODES: [(&str, IgnoreFile); 3] =
    [("merge", IgnoreFile::Merge), ("replace", IgnoreFile::Replace), ("none", IgnoreFile::None)];

pub(super) fn ignore_mode<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IgnoreFile>, D::Error> {
    word(deserializer, IGNORE_MODES).map(Some)
}

/// Returns the word of the configuration.
pub(super) fn ignore_mode_code(mode: IgnoreFile) -> &'static str {
    let found = IGNORE_MODES.into_iter().find(|(_, other)| *other == mode);
    found.expect("each mode has a word").0
}

/// Decodes the status of an error response.
pub(super) fn error_status<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<StatusCode>, D::Error> {
    let status = StatusCode::from_u16(u16::deserialize(deserializer)?).ok();
    let status = status.filter(|status| status.is_client_error() || status.is_server_error());
    let wrong = || D::Error::custom("it must be a status from 400 to 599");
    status.map(Some).ok_or_else(wrong)
}

pub(super) fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    word(deserializer, [("full", Profile::Full), ("wings", Profile::Wings)])
}

pub(super) fn encoder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Encoder, D::Error> {
    word(deserializer, [("wingback", Encoder::Wingback), ("isa-l", Encoder::IsaL)])
}

pub(super) fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("it must be at least 1")),
        n => Ok(n),
    }
}

/// Decodes the ID of a user or group. A negative number means none.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match i64::deserialize(deserializer)? {
        ..0 => Ok(None),
        id => u32::try_from(id).map(Some).map_err(|_| D::Error::custom("it is too large")),
    }
}

/// Decodes a time of at least one second: a number of seconds, or text in Go's form, `1m30s`.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("seconds, or text like 1m30s")
        }

        fn visit_i64<E>(self, seconds: i64) -> Result<Self::Value, E> {
            Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
        }

        fn visit_f64<E>(self, seconds: f64) -> Result<Self::Value, E> {
            Ok(Duration::try_from_secs_f64(seconds).ok())
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(duration(text))
        }
    }

    let wrong = || D::Error::custom("it must be at least 1 second, as a number or like 1m30s");
    let time = deserializer.deserialize_any(Visitor)?;
    time.filter(|time| *time >= Duration::from_secs(1)).ok_or_else(wrong)
}

/// Parses text like `1h30m`, by the rules of Go's `time.ParseDuration`. A negative time is `None`.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * size;
        rest = after;
        if rest.is_empty() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_in_go() {
        for (text, millis) in
            [("90s", 90_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("+2h3ms", 7_200_003)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "s", "1d", "-1s", "1m 30s", "1m30", "..s", "1sm"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
