//! One header block, read without the extensions before it.

use super::{
    block::{
        BLOCK, CHECKSUM_FIELD, GID_FIELD, GNU_ATIME_FIELD, GNU_CTIME_FIELD, GNU_MAGIC, LINK_FIELD,
        MAGIC_FIELD, MODE_FIELD, MTIME_FIELD, NAME_FIELD, PREFIX_FIELD, Parsed, SIZE_FIELD,
        STAR_PREFIX_MAX, STAR_TRAILER_FIELD, TYPE_FIELD, UID_FIELD, field, text,
    },
    value::{header_number, header_size},
};
use crate::entry::nearest_ns;

/// The rules that a header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFormat {
    /// Unix version 7, and every header without a later magic.
    V7,
    Posix,
    Gnu,
}

/// The fields that every header has.
#[derive(Debug)]
pub(super) struct RawHeader {
    pub(super) format: HeaderFormat,
    /// The type flag.
    pub(super) flag: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime_ns: i64,
}

impl RawHeader {
    /// Reads a block. The caller has checked its checksum.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Parsed<RawHeader> {
        let number = |at| header_number(field(block, at)).map(|number| number.unwrap_or(0));
        // Systems whose `nobody` is -2 write a negative owner.
        let id = |at| number(at).map(|id| u64::try_from(id).unwrap_or(u64::MAX));
        Ok(RawHeader {
            format: format(block),
            flag: field(block, TYPE_FIELD)[0],
            name: name(block)?,
            link: text(field(block, LINK_FIELD)).to_vec(),
            size: header_size(field(block, SIZE_FIELD))?,
            mode: (number(MODE_FIELD)? & 0o7777) as u32,
            uid: id(UID_FIELD)?,
            gid: id(GID_FIELD)?,
            mtime_ns: nearest_ns(number(MTIME_FIELD)?.saturating_mul(1_000_000_000)),
        })
    }
}

/// Returns whether the checksum of a block is correct: it is the sum of all bytes, with the checksum
/// field itself counted as spaces. Old systems treated bytes as signed.
pub(super) fn has_valid_checksum(block: &[u8; BLOCK]) -> bool {
    let (start, len) = CHECKSUM_FIELD;
    let of = |value: fn(u8) -> i128| {
        let others = block[..start].iter().chain(&block[start + len..]);
        others.map(|&byte| value(byte)).sum::<i128>() + len as i128 * i128::from(b' ')
    };
    let Ok(Some(sum)) = header_number(field(block, CHECKSUM_FIELD)) else {
        return false;
    };
    sum == of(i128::from) || sum == of(|byte| i128::from(byte as i8))
}

fn format(block: &[u8; BLOCK]) -> HeaderFormat {
    let magic = field(block, MAGIC_FIELD);
    if magic == GNU_MAGIC {
        HeaderFormat::Gnu
    } else if magic.starts_with(b"ustar\0") {
        HeaderFormat::Posix
    } else {
        HeaderFormat::V7
    }
}

/// Returns the name, after its prefix if the header has one.
fn name(block: &[u8; BLOCK]) -> Parsed<Vec<u8>> {
    let name = text(field(block, NAME_FIELD));
    let prefix = text(field(block, PREFIX_FIELD));
    let has_prefix = match format(block) {
        // libarchive accepts every magic that begins with `ustar` as POSIX.
        HeaderFormat::V7
            if field(block, MAGIC_FIELD).starts_with(b"ustar") && !prefix.is_empty() =>
        {
            return Err("its magic is neither that of POSIX nor that of GNU tar");
        }
        HeaderFormat::V7 => false,
        // Go wrote prefixes there before version 1.8, and it still reads them.
        HeaderFormat::Gnu if !has_gnu_times(block) => {
            return Err("a GNU header has a prefix in place of its times");
        }
        HeaderFormat::Gnu => false,
        HeaderFormat::Posix
            if field(block, STAR_TRAILER_FIELD) == b"tar\0" && prefix.len() >= STAR_PREFIX_MAX =>
        {
            return Err("it is a header of star whose prefix has no end");
        }
        HeaderFormat::Posix => !prefix.is_empty(),
    };
    Ok(if has_prefix { [prefix, name].join(&b'/') } else { name.to_vec() })
}

fn has_gnu_times(block: &[u8; BLOCK]) -> bool {
    [GNU_ATIME_FIELD, GNU_CTIME_FIELD].iter().all(|&at| {
        let time = field(block, at);
        time[0] == 0 || header_number(time).is_ok()
    })
}
