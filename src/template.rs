//! Templates for the names of archives.

use std::{fmt, str::FromStr, time::SystemTime};

use uuid::Uuid;

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
    utc::Utc,
};

/// Maximum bytes of a label or host in a name.
const TEXT_MAX: usize = 60;

/// A rule that names archives, such as `backup-{uuid}.tar.gz`.
///
/// | field | |
/// |---|---|
/// | `{uuid}` | the UUID of the backup |
/// | `{date}` | the date in UTC, as `2026-11-30` |
/// | `{time}` | the time of the day in UTC, as `042512` |
/// | `{label}` | the label of the backup |
/// | `{host}` | the name of the machine |
///
/// The text has `{uuid}` or `{date}`, and each field at most once. Folders may come before the name, as in
/// `{label}/{date}-{time}.tar.gz`. In a label or host, every character except letters, digits, `-`, `_` and `.`
/// becomes `_`, and so does a dot at the start. Only the first 60 bytes are used. An empty one becomes `_`.
///
/// Names are only for people: archives are found by their content.
///
/// ```
/// use wingback::{NameFields, NameTemplate};
///
/// let uuid = "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10".parse().unwrap();
/// let names: NameTemplate = "{label}/{uuid}.tar.gz".parse()?;
/// let key = names.key(NameFields::new(uuid).label("my lobby"));
/// assert_eq!(key.as_str(), "my_lobby/8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10.tar.gz");
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Uuid,
    Date,
    Time,
    Label,
    Host,
}

impl Field {
    const ALL: [Field; 5] = [Field::Uuid, Field::Date, Field::Time, Field::Label, Field::Host];

    fn name(self) -> &'static str {
        match self {
            Field::Uuid => "uuid",
            Field::Date => "date",
            Field::Time => "time",
            Field::Label => "label",
            Field::Host => "host",
        }
    }
}

/// The values of the fields of a [`NameTemplate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFields {
    uuid: Uuid,
    at: SystemTime,
    label: Vec<u8>,
    host: String,
}

impl NameFields {
    /// Returns the fields for the backup `uuid`, with the current time, the name of this machine and no label.
    pub fn new(uuid: Uuid) -> Self {
        NameFields { uuid, at: SystemTime::now(), label: Vec::new(), host: host() }
    }

    /// Sets the label.
    #[must_use]
    pub fn label(mut self, label: impl Into<Vec<u8>>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the name of the machine.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.at = time;
        self
    }

    fn value(&self, field: Field) -> String {
        match field {
            Field::Uuid => self.uuid.to_string(),
            Field::Date => Utc::of(self.at).date(),
            Field::Time => Utc::of(self.at).time(),
            Field::Label => safe(&String::from_utf8_lossy(&self.label)),
            Field::Host => safe(&self.host),
        }
    }
}

impl From<Uuid> for NameFields {
    fn from(uuid: Uuid) -> Self {
        NameFields::new(uuid)
    }
}

impl From<&Uuid> for NameFields {
    fn from(uuid: &Uuid) -> Self {
        NameFields::new(*uuid)
    }
}

/// Returns the name of this machine. Empty if it has none.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns a text as a part of a name.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        let is_safe = is_safe(c) && !(safe.is_empty() && c == '.');
        let c = if is_safe { c } else { '_' };
        if safe.len() + c.len_utf8() > TEXT_MAX {
            break;
        }
        safe.push(c);
    }
    if safe.is_empty() { "_".to_owned() } else { safe }
}

fn is_safe(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

impl NameTemplate {
    /// Returns the key of a backup: of [`NameFields`], or of a UUID, the current time and no label.
    pub fn key(&self, fields: impl Into<NameFields>) -> Key {
        let fields = fields.into();
        let value = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => fields.value(*field),
        };
        let name: String = self.0.iter().map(value).collect();
        Key::new(name).expect("the template was checked with the longest values")
    }

    /// Returns whether a name has the form of this template.
    #[cfg(any(test, feature = "s3"))]
    pub(crate) fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }

    /// Returns whether the template has no fields except `{uuid}`, so that the UUID alone gives the name.
    pub fn has_only_uuid(&self) -> bool {
        let is_other =
            |piece: &Piece| matches!(piece, Piece::Field(field) if *field != Field::Uuid);
        !self.0.iter().any(is_other)
    }
}

#[cfg(any(test, feature = "s3"))]
fn matches(pieces: &[Piece], name: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return name.is_empty() };
    let has_form = |len: usize, is_valid: fn(&str) -> bool| {
        let split = name.split_at_checked(len);
        split.is_some_and(|(value, after)| is_valid(value) && matches(rest, after))
    };
    match first {
        Piece::Text(text) => name.strip_prefix(&**text).is_some_and(|name| matches(rest, name)),
        // `parse_str` accepts several spellings, but names have only one.
        Piece::Field(Field::Uuid) => {
            has_form(36, |text| Uuid::parse_str(text).is_ok_and(|uuid| uuid.to_string() == text))
        }
        Piece::Field(Field::Date) => has_form(10, |text| {
            let is_dash = |(at, c): (usize, char)| {
                if matches!(at, 4 | 7) { c == '-' } else { c.is_ascii_digit() }
            };
            text.char_indices().all(is_dash)
        }),
        Piece::Field(Field::Time) => has_form(6, |text| text.bytes().all(|b| b.is_ascii_digit())),
        Piece::Field(Field::Label | Field::Host) => (1..=TEXT_MAX.min(name.len()))
            .any(|len| has_form(len, |text| text.chars().all(is_safe))),
    }
}

impl Default for NameTemplate {
    /// Returns `backup-{uuid}.tar.gz`, as Wings documents it.
    fn default() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        NameTemplate(vec![text("backup-"), Piece::Field(Field::Uuid), text(".tar.gz")])
    }
}

impl FromStr for NameTemplate {
    type Err = Error;

    /// Parses a template.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the template has neither `{uuid}` nor `{date}`, if it has an
    /// unknown field or one twice, or if a name could break the rule of [`Key::new`].
    fn from_str(template: &str) -> Result<Self> {
        let invalid = |why: String| {
            Error::new(ErrorKind::InvalidInput, "use the name template").at(template).caused_by(why)
        };
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, field)) = rest.split_once('{') {
            let (name, after) = field.split_once('}').unwrap_or((field, ""));
            let known = Field::ALL.into_iter().find(|field| field.name() == name);
            let field = known.filter(|_| field.contains('}')).ok_or_else(|| {
                invalid("it may have {uuid}, {date}, {time}, {label} and {host}".to_owned())
            })?;
            if pieces.contains(&Piece::Field(field)) {
                return Err(invalid(format!("it has {{{name}}} twice")));
            }
            pieces.extend((!text.is_empty()).then(|| Piece::Text(text.to_owned())));
            pieces.push(Piece::Field(field));
            rest = after;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
        let has = |field| pieces.contains(&Piece::Field(field));
        if !has(Field::Uuid) && !has(Field::Date) {
            return Err(invalid("it lacks {uuid} or {date}".to_owned()));
        }
        let template = NameTemplate(pieces);
        let longest = "x".repeat(TEXT_MAX);
        let name = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(Field::Label | Field::Host) => longest.clone(),
            Piece::Field(field) => NameFields::new(Uuid::nil()).value(*field),
        };
        let name: String = template.0.iter().map(name).collect();
        Key::new(name).map_err(|e| invalid(e.to_string()))?;
        Ok(template)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for NameTemplate {
    fn deserialize<D: serde::Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(text)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Field(field) => write!(f, "{{{}}}", field.name()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> NameTemplate {
        text.parse().expect(text)
    }

    fn fields() -> NameFields {
        let at = UNIX_EPOCH + Duration::from_secs(1_796_012_712);
        NameFields::new(Uuid::from_u128(7)).at(at).label("a b/../ü").host(".node7")
    }

    #[test]
    fn a_template_gives_safe_names() {
        let uuid = "00000000-0000-0000-0000-000000000007";
        for (text, name) in [
            ("backup-{uuid}.tar.gz", format!("backup-{uuid}.tar.gz")),
            ("mc-{date}-{time}.tar.gz", "mc-2026-11-30-042512.tar.gz".to_owned()),
            ("{label}/{host}/{date}", "a_b_.._ü/_node7/2026-11-30".to_owned()),
            ("{uuid}", uuid.to_owned()),
        ] {
            let template = template(text);
            assert_eq!(template.key(fields()).as_str(), name);
            assert_eq!(template.to_string(), text);
            assert!(template.matches(&name) && !template.matches(&format!("{name}x")));
        }
        let label = template("{label}-{date}").key(fields().label("é".repeat(100)));
        assert_eq!(label.as_str(), format!("{}-2026-11-30", "é".repeat(30)));
        assert_eq!(template("{label}-{date}").key(fields().label("")).as_str(), "_-2026-11-30");
        assert!(!NameTemplate::default().matches("backup-00000000000000000000000000000007.tar.gz"));
        assert!(
            template("{uuid}.tgz").has_only_uuid() && !template("{uuid}{time}").has_only_uuid()
        );
    }

    #[test]
    fn a_template_that_could_give_an_invalid_name_is_refused() {
        for bad in [
            "",
            "x",
            "/{uuid}",
            "../{uuid}",
            "{uuid}/",
            "{uuid}{uuid}",
            "{server}/{uuid}",
            "{uuid",
            "{label}.tar.gz",
            "{time}",
            ".{uuid}",
            "a//{uuid}",
        ] {
            assert!(bad.parse::<NameTemplate>().is_err(), "{bad:?}");
        }
        assert!(format!("{}{{uuid}}{{label}}", "x".repeat(110)).parse::<NameTemplate>().is_err());
    }

    proptest! {
        #[test]
        fn every_label_and_host_gives_a_name_of_the_template(label: Vec<u8>, host: String) {
            for text in ["{label}-{host}-{uuid}.tar.gz", "{host}/{label}/{date}{time}"] {
                let key = template(text).key(fields().label(label.clone()).host(host.clone()));
                prop_assert!(template(text).matches(key.as_str()), "{key}");
            }
        }
    }
}
