//! The requests that `docs/worker.md` documents. A missing field means the default of the engine.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use wingback::{
    Encoder, GroupBy, IgnoreFile, Level, MEMBERS_MAX, Owner, Profile, Rules, Sha1, UnpackOptions,
};

use crate::{
    store::{ArchiveName, ArchiveSource, Destination, StoreSpec},
    values::Bytes,
};

/// The allowed fields of a line. [`Request`] is flattened, so it cannot reject unknown fields itself.
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
    /// ID of the job, which all its events contain. No other running job may have it.
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) operation: Operation,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "kebab-case")]
pub(crate) enum Operation {
    Backup(Box<Backup>),
    Estimate(Source),
    Preview(Preview),
    Info(Info),
    #[cfg(feature = "s3")]
    Upload(Upload),
    List(List),
    Diff(Diff),
    Find(Find),
    VerifyAll(VerifyAll),
    Entries(Entries),
    Copy(Copy),
    Verify(Verify),
    Extract(Extract),
    Restore(Restore),
    Recover(Recover),
    Archives(Archives),
    Plan(Plan),
    Lock(Info),
    Unlock(Info),
    Remove(Info),
    Objects(Objects),
    Head(Object),
    Delete(Object),
    Sweep(Objects),
    /// Cancels the job of this ID. The job itself reports its end.
    Cancel,
    /// Answers the event `source-read` of the job of this ID.
    Answer(Answer),
    /// Creates a limit, or changes it.
    Limit(Limit),
    /// Forgets a limit.
    Unlimit(Unlimit),
    /// Sets the memory that the parts of all uploads may take together.
    MemoryLimit(MemoryLimit),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) dir: Bytes,
    /// `None` selects everything.
    pub(crate) select: Option<Vec<Bytes>>,
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
    #[serde(default, deserialize_with = "code::<_, EncoderCode, _>")]
    pub(crate) encoder: Option<Encoder>,
    pub(crate) threads: Option<usize>,
    #[serde(default)]
    pub(crate) background: bool,
    /// Numbers of limits.
    pub(crate) read_limit: Option<u64>,
    pub(crate) write_limit: Option<u64>,
    #[serde(default)]
    pub(crate) max_len: Vec<(Bytes, u64)>,
    #[serde(default)]
    pub(crate) reproducible: bool,
    #[serde(default)]
    pub(crate) align: bool,
    #[serde(default)]
    pub(crate) include_archives: bool,
    #[serde(default)]
    pub(crate) allow_empty: bool,
    pub(crate) count_first: Option<bool>,
    pub(crate) previous: Option<Previous>,
    #[serde(default)]
    pub(crate) trust_mtime: bool,
    #[serde(default)]
    pub(crate) reuse_any: bool,
    pub(crate) cache: Option<Cache>,
    pub(crate) label: Option<Bytes>,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
    /// Whether to send the event `source-read`, and wait for the answer.
    #[serde(default)]
    pub(crate) source_read: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) failure: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    pub(crate) source: Source,
    #[serde(default)]
    pub(crate) max_len: Vec<(Bytes, u64)>,
    #[serde(default)]
    pub(crate) include_archives: bool,
    #[serde(default)]
    pub(crate) allow_empty: bool,
    /// Stream for the entries, one line each.
    pub(crate) to: u64,
}

/// The archive that unchanged files are copied from.
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Info {
    pub(crate) archive: ArchiveSource,
}

#[cfg(feature = "s3")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) file: Bytes,
    pub(crate) to: crate::store::PartUrls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    pub(crate) archive: ArchiveSource,
    /// Number of a limit.
    pub(crate) read_limit: Option<u64>,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    /// Stream for the members, one line each.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Diff {
    pub(crate) archive: ArchiveSource,
    pub(crate) with: Other,
    /// Number of a limit, for both sides.
    pub(crate) read_limit: Option<u64>,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    #[serde(default)]
    pub(crate) content: bool,
    #[serde(default)]
    pub(crate) excluded: bool,
    pub(crate) max_members: Option<u64>,
    /// Stream for the differences, one line each.
    pub(crate) to: u64,
}

/// The second side of a comparison.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Other {
    Archive(ArchiveSource),
    Dir(Bytes),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Find {
    pub(crate) store: StoreSpec,
    /// Number of a limit.
    pub(crate) read_limit: Option<u64>,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    pub(crate) label: Option<Bytes>,
    pub(crate) max_members: Option<u64>,
    /// Stream for the versions, one line each.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyAll {
    pub(crate) store: StoreSpec,
    /// Number of a limit.
    pub(crate) read_limit: Option<u64>,
    pub(crate) label: Option<Bytes>,
    pub(crate) sample: Option<f64>,
    #[serde(default)]
    pub(crate) restart: bool,
    pub(crate) record: Option<Record>,
    pub(crate) threads: Option<usize>,
    #[serde(default)]
    pub(crate) background: bool,
    /// Stream for the checks, one line each.
    pub(crate) to: u64,
}

/// The record of checks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) place: Bytes,
    pub(crate) state_dir: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entries {
    pub(crate) archive: ArchiveSource,
    /// Number of a limit.
    pub(crate) read_limit: Option<u64>,
    /// Stream for the members: one line each, followed by the content.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    pub(crate) archive: ArchiveSource,
    /// Numbers of limits.
    pub(crate) read_limit: Option<u64>,
    pub(crate) write_limit: Option<u64>,
    pub(crate) path: Bytes,
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    pub(crate) archive: ArchiveSource,
    /// Number of a limit.
    pub(crate) read_limit: Option<u64>,
    pub(crate) sha1: Option<Sha1>,
    pub(crate) threads: Option<usize>,
    #[serde(default)]
    pub(crate) background: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    pub(crate) archive: ArchiveSource,
    /// Numbers of limits.
    pub(crate) read_limit: Option<u64>,
    pub(crate) write_limit: Option<u64>,
    pub(crate) dir: Bytes,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    #[serde(default)]
    pub(crate) overwrite: bool,
    #[serde(default)]
    pub(crate) salvage: bool,
    pub(crate) sha1: Option<Sha1>,
    #[serde(default)]
    pub(crate) unpack: Unpack,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    pub(crate) archive: ArchiveSource,
    /// Numbers of limits.
    pub(crate) read_limit: Option<u64>,
    pub(crate) write_limit: Option<u64>,
    pub(crate) dir: Bytes,
    #[serde(default)]
    pub(crate) delete: bool,
    #[serde(default)]
    pub(crate) delete_excluded: bool,
    #[serde(default)]
    pub(crate) select: Vec<Bytes>,
    #[serde(default)]
    pub(crate) dry_run: bool,
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
pub(crate) struct Archives {
    pub(crate) store: StoreSpec,
    pub(crate) label: Option<Bytes>,
    pub(crate) since_ns: Option<u64>,
}

/// The rules of a retention. 0 keeps none by that rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) store: StoreSpec,
    pub(crate) label: Option<Bytes>,
    #[serde(default)]
    pub(crate) last: usize,
    #[serde(default)]
    pub(crate) hourly: usize,
    #[serde(default)]
    pub(crate) daily: usize,
    #[serde(default)]
    pub(crate) weekly: usize,
    #[serde(default)]
    pub(crate) monthly: usize,
    #[serde(default)]
    pub(crate) yearly: usize,
    #[serde(default)]
    pub(crate) within_ns: u64,
    #[serde(default)]
    pub(crate) keep_tags: Vec<Tag>,
    pub(crate) max_bytes: Option<u64>,
    #[serde(default, deserialize_with = "code::<_, GroupByCode, _>")]
    pub(crate) group_by: Option<GroupBy>,
    #[serde(default)]
    pub(crate) unidentified: bool,
    /// Stream for the groups and archives, one line each.
    pub(crate) to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Objects {
    pub(crate) store: StoreSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    pub(crate) store: StoreSpec,
    pub(crate) name: ArchiveName,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryLimit {
    pub(crate) bytes: u64,
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
            .max_members(unpack.max_members.unwrap_or(MEMBERS_MAX))
            .max_ratio(unpack.max_ratio.unwrap_or(u64::MAX))
            .skip_refused(unpack.skip_refused)
            .owner(match unpack.owner {
                None => Owner::default(),
                Some(OwnerCode::Keep) => Owner::Keep,
                Some(OwnerCode::Archive) => Owner::FromArchive,
                Some(OwnerCode::Ids(uid, gid)) => Owner::Fixed { uid, gid },
            });
        if let Some(threads) = unpack.threads {
            options = options.threads(threads);
        }
        options
    }
}

fn code<'de, D, C, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    C: Deserialize<'de> + Into<T>,
{
    Ok(Option::<C>::deserialize(deserializer)?.map(Into::into))
}

/// Defines the words for an enum of the engine.
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
codes!(EncoderCode = Encoder { Wingback, IsaL });

#[derive(Deserialize)]
enum GroupByCode {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "label")]
    Label,
    #[serde(rename = "label,host")]
    LabelAndHost,
}

impl From<GroupByCode> for GroupBy {
    fn from(code: GroupByCode) -> Self {
        match code {
            GroupByCode::None => GroupBy::None,
            GroupByCode::Label => GroupBy::Label,
            GroupByCode::LabelAndHost => GroupBy::LabelAndHost,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OwnerCode {
    Keep,
    Archive,
    Ids(u32, u32),
}
