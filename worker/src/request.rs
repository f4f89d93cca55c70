//! The requests, as `docs/worker.md` has them. What is left out is as the engine has it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};
use wingback::{IgnoreFile, Level, MAX_MEMBERS, Owner, Profile, Rules, UnpackOptions};

use crate::{
    hex,
    place::{Destination, Input, Name, Place},
};

/// The fields of a line, and no others: [`Request`] cannot refuse those, since it is flattened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    #[serde(rename = "id")]
    _id: IgnoredAny,
    #[serde(rename = "op")]
    _op: IgnoredAny,
    #[serde(rename = "args")]
    _args: Option<IgnoredAny>,
}

/// One line.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// What the events of the job will have; not of another job that runs.
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) operation: Operation,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "kebab-case")]
pub(crate) enum Operation {
    Backup(Box<Backup>),
    Estimate(Source),
    #[cfg(feature = "s3")]
    Upload(Upload),
    List(List),
    Entries(Entries),
    Copy(Copy),
    Verify(Verify),
    Extract(Extract),
    Restore(Restore),
    Recover(Recover),
    Objects(Objects),
    Head(Object),
    Delete(Object),
    Sweep(Objects),
    /// Ends the job of this ID; its own event says how it ended.
    Cancel,
    /// Makes a limit, or changes it.
    Limit(Limit),
    /// Forgets one.
    Unlimit(Unlimit),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) dir: Bytes,
    #[serde(default)]
    pub(crate) exclude: Vec<Bytes>,
    #[serde(default, deserialize_with = "code::<_, RulesCode, _>")]
    pub(crate) rules: Option<Rules>,
    #[serde(default, deserialize_with = "code::<_, IgnoreFileCode, _>")]
    pub(crate) ignore_file: Option<IgnoreFile>,
    pub(crate) ignore_file_name: Option<String>,
    #[serde(default)]
    pub(crate) strict_patterns: bool,
    #[serde(default)]
    pub(crate) one_file_system: bool,
    pub(crate) state_dir: Option<Bytes>,
    #[serde(default, deserialize_with = "code::<_, ProfileCode, _>")]
    pub(crate) profile: Option<Profile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    pub(crate) source: Source,
    pub(crate) to: Destination,
    #[serde(default, deserialize_with = "code::<_, LevelCode, _>")]
    pub(crate) level: Option<Level>,
    pub(crate) threads: Option<usize>,
    #[serde(default)]
    pub(crate) background: bool,
    /// Limits, by number.
    pub(crate) read_limit: Option<u64>,
    pub(crate) write_limit: Option<u64>,
    #[serde(default)]
    pub(crate) max_len: Vec<(Bytes, u64)>,
    #[serde(default)]
    pub(crate) reproducible: bool,
    #[serde(default)]
    pub(crate) count_first: bool,
    pub(crate) previous: Option<Previous>,
    #[serde(default)]
    pub(crate) trust_mtime: bool,
    #[serde(default)]
    pub(crate) reuse_any: bool,
    pub(crate) cache: Option<Cache>,
}

/// The archive that a backup is made from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Previous {
    File(Bytes),
    Key(String),
    Latest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    pub(crate) dir: Bytes,
    pub(crate) max_bytes: u64,
}

#[cfg(feature = "s3")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) file: Bytes,
    pub(crate) to: crate::place::PartUrls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    pub(crate) archive: Input,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    /// Where the members go, a line each.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entries {
    pub(crate) archive: Input,
    /// Where they go: a line for each, followed by its content.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    pub(crate) archive: Input,
    pub(crate) path: Bytes,
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    pub(crate) archive: Input,
    pub(crate) sha1: Option<Sha1>,
    pub(crate) threads: Option<usize>,
    #[serde(default)]
    pub(crate) background: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    pub(crate) archive: Input,
    pub(crate) dir: Bytes,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    #[serde(default)]
    pub(crate) overwrite: bool,
    #[serde(default)]
    pub(crate) salvage: bool,
    #[serde(default)]
    pub(crate) unpack: Unpack,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    pub(crate) archive: Input,
    pub(crate) dir: Bytes,
    #[serde(default)]
    pub(crate) merge: bool,
    #[serde(default)]
    pub(crate) in_place: bool,
    #[serde(default)]
    pub(crate) keep: Vec<Bytes>,
    pub(crate) staging: Option<Bytes>,
    pub(crate) state_dir: Option<Bytes>,
    pub(crate) sha1: Option<Sha1>,
    #[serde(default)]
    pub(crate) unpack: Unpack,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recover {
    pub(crate) dir: Bytes,
    pub(crate) state_dir: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Objects {
    pub(crate) store: Place,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    pub(crate) store: Place,
    pub(crate) name: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) limit: u64,
    pub(crate) bytes_per_second: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unlimit {
    pub(crate) limit: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unpack {
    threads: Option<usize>,
    #[serde(default)]
    background: bool,
    owner: Option<OwnerCode>,
    #[serde(default)]
    reserve: u64,
    max_bytes: Option<u64>,
    max_members: Option<u64>,
    max_ratio: Option<u64>,
    #[serde(default)]
    skip_refused: bool,
}

impl From<Unpack> for UnpackOptions {
    fn from(unpack: Unpack) -> Self {
        let mut options = UnpackOptions::new()
            .background(unpack.background)
            .reserve(unpack.reserve)
            .max_bytes(unpack.max_bytes.unwrap_or(u64::MAX))
            .max_members(unpack.max_members.unwrap_or(MAX_MEMBERS))
            .max_ratio(unpack.max_ratio.unwrap_or(u64::MAX))
            .skip_refused(unpack.skip_refused)
            .owner(match unpack.owner {
                None => Owner::Keep,
                Some(OwnerCode::Archive) => Owner::FromArchive,
                Some(OwnerCode::Ids(uid, gid)) => Owner::Fixed(uid, gid),
            });
        if let Some(threads) = unpack.threads {
            options = options.threads(threads);
        }
        options
    }
}

/// A path, a name or a pattern: text, or `{"b64": …}` where it is no UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

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

/// Forty hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sha1(pub(crate) [u8; 20]);

impl<'de> Deserialize<'de> for Sha1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is no SHA-1 in hexadecimal"));
        hex::sha1(&text).map(Sha1).ok_or_else(wrong)
    }
}

fn code<'de, D, C, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    C: Deserialize<'de> + Into<T>,
{
    Ok(Option::<C>::deserialize(deserializer)?.map(Into::into))
}

/// The words for an enum of the engine's.
macro_rules! codes {
    ($name:ident = $of:ty { $($code:ident),* }) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum $name { $($code),* }

        impl From<$name> for $of {
            fn from(code: $name) -> Self {
                match code { $($name::$code => <$of>::$code),* }
            }
        }
    };
}

codes!(RulesCode = Rules { Git, Wings });
codes!(IgnoreFileCode = IgnoreFile { Merge, Replace, None });
codes!(ProfileCode = Profile { Full, Wings });
codes!(LevelCode = Level { None, Fast, Best });

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OwnerCode {
    Archive,
    Ids(u32, u32),
}
