//! The root of the index: the identity of the archive, and the top of the tree.

use super::{
    blob::{HASH_LEN, Hash},
    fields::{Fields, put_bytes, put_number},
    node::Node,
};
use crate::{
    format::info::{self, Info, LABEL_MAX, TAG_VALUE_MAX, TAGS_MAX},
    fs::ignore::Rules,
};

/// Raw bytes of the top node, at most. With the identity and the footer it fits into the last 64 KiB of an
/// archive.
pub(super) const TOP_MAX: usize = 8 << 10;

/// Raw bytes of the root, at most.
const RAW_MAX: usize = 48 << 10;

/// Bytes of a path in the identity, at most. A longer one is left out.
const SOURCE_MAX: usize = 4096;

/// The location of a blob in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlobRef {
    /// Offset from the start of the index.
    pub(crate) at: u64,
    /// Bytes of its members.
    pub(crate) len: u32,
    pub(crate) hash: Hash,
}

/// The root of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) top: Node,
    /// Bytes of all pages.
    pub(crate) pages_len: u64,
    /// The identity. Its patterns are in the blobs of `excludes`.
    pub(crate) info: Info,
    pub(crate) excludes: Vec<BlobRef>,
}

/// The fields of the identity. A reader skips fields that it does not know.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Field {
    Label = 1,
    Source = 2,
    Host = 3,
    Made = 4,
    Tool = 5,
    Rules = 6,
    Excludes = 7,
    Files = 8,
    Directories = 9,
    Symlinks = 10,
    Content = 11,
    Skipped = 12,
    Tag = 13,
    OmitsUnnamed = 14,
}

impl Root {
    /// Returns the bytes of the patterns in the archive.
    pub(crate) fn excludes_len(&self) -> u64 {
        self.excludes.iter().map(|blob| u64::from(blob.len)).sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        self.top.encode(&mut raw);
        put_number(&mut raw, self.pages_len);
        let Info { label, source, host, made, tool, rules, tags, .. } = &self.info;
        let mut put = |field: Field, value: &[u8]| {
            put_number(&mut raw, field as u64);
            put_bytes(&mut raw, value);
        };
        put(Field::Label, &label[..label.len().min(LABEL_MAX)]);
        if let Some(source) = source.as_ref().filter(|source| source.len() <= SOURCE_MAX) {
            put(Field::Source, source);
        }
        if let Some(host) = host.as_ref().filter(|host| host.len() <= LABEL_MAX) {
            put(Field::Host, host.as_bytes());
        }
        if let Some(made) = made {
            put(Field::Made, &info::ns_of(*made).to_le_bytes());
        }
        put(Field::Tool, tool.as_bytes());
        put(Field::Rules, &[u8::from(*rules == Rules::Wings)]);
        for BlobRef { at, len, hash } in &self.excludes {
            put(Field::Excludes, &[&at.to_le_bytes()[..], &len.to_le_bytes(), hash].concat());
        }
        for (tag, count) in [
            (Field::Files, self.info.files),
            (Field::Directories, self.info.directories),
            (Field::Symlinks, self.info.symlinks),
            (Field::Content, self.info.content),
            (Field::Skipped, self.info.skipped),
        ] {
            put(tag, &count.to_le_bytes());
        }
        for (key, value) in tags {
            put(Field::Tag, format!("{key}={value}").as_bytes());
        }
        if self.info.omits_unnamed {
            put(Field::OmitsUnnamed, &[1]);
        }
        debug_assert!(raw.len() <= RAW_MAX, "the caller bounds the identity");
        raw
    }

    /// Decodes the raw bytes of a root. Returns `None` if anything is wrong with it.
    pub(crate) fn decode(raw: &[u8]) -> Option<Self> {
        if raw.len() > RAW_MAX {
            return None;
        }
        let mut fields = Fields(raw);
        let top = Node::decode(&mut fields)?;
        let mut root = Root { top, pages_len: fields.number()?, ..Root::default() };
        while !fields.0.is_empty() {
            let tag = fields.number()?;
            root.take(tag, fields.bytes()?)?;
        }
        Some(root)
    }

    fn take(&mut self, tag: u64, value: &[u8]) -> Option<()> {
        let info = &mut self.info;
        let is = |known: Field| tag == known as u64;
        let count = || value.try_into().ok().map(u64::from_le_bytes);
        let text = || String::from_utf8_lossy(value).into_owned();
        if is(Field::Label) {
            info.label = value.to_vec();
        } else if is(Field::Source) {
            info.source = Some(value.to_vec());
        } else if is(Field::Host) {
            info.host = Some(text());
        } else if is(Field::Made) {
            info.made = info::time_of(i64::from_le_bytes(value.try_into().ok()?));
        } else if is(Field::Tool) {
            info.tool = text();
        } else if is(Field::Rules) {
            info.rules = if value == [1] { Rules::Wings } else { Rules::Git };
        } else if is(Field::Excludes) {
            let mut fields = Fields(value);
            let (at, len, hash) = (fields.u64()?, fields.u32()?, fields.array::<HASH_LEN>()?);
            self.excludes.push(BlobRef { at, len, hash });
        } else if is(Field::Files) {
            info.files = count()?;
        } else if is(Field::Directories) {
            info.directories = count()?;
        } else if is(Field::Symlinks) {
            info.symlinks = count()?;
        } else if is(Field::Content) {
            info.content = count()?;
        } else if is(Field::Skipped) {
            info.skipped = count()?;
        } else if is(Field::Tag) {
            let text = text();
            let (key, value) = text.split_once('=')?;
            info.tags.push((key.to_owned(), value.to_owned()));
        } else if is(Field::OmitsUnnamed) {
            info.omits_unnamed = true;
        }
        Some(())
    }
}

const _: () = assert!(
    TOP_MAX + 3 * LABEL_MAX + SOURCE_MAX + TAGS_MAX * (LABEL_MAX + TAG_VALUE_MAX + 8) + 1024
        <= RAW_MAX
);
