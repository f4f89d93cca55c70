//! One header block, without what extensions say of it.

use super::{
    BLOCK, CHECKSUM_FIELD, GID_FIELD, GNU_ATIME_FIELD, GNU_CTIME_FIELD, GNU_MAGIC, LINK_FIELD,
    MAGIC_FIELD, MODE_FIELD, MTIME_FIELD, NAME_FIELD, PREFIX_FIELD, Parsed, SIZE_FIELD,
    STAR_PREFIX, STAR_TRAILER_FIELD, TYPE_FIELD, UID_FIELD, field,
    number::{header_number, header_size},
    text,
};
use crate::entry::nearest_ns;

/// Which rules a header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The seventh edition's, and all that has no magic of a later one.
    V7,
    Posix,
    Gnu,
}

/// The fields that all kinds of header have.
#[derive(Debug)]
pub(super) struct RawHeader {
    pub(super) form: Form,
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
    /// Reads a block whose checksum was found to be right.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Parsed<RawHeader> {
        let number = |at| header_number(field(block, at)).map(|number| number.unwrap_or(0));
        // A negative owner is written by systems whose `nobody` is -2.
        let id = |at| number(at).map(|id| u64::try_from(id).unwrap_or(u64::MAX));
        Ok(RawHeader {
            form: form(block),
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

/// Whether a block's checksum is right: the sum of its bytes, its own counted as spaces. Old
/// systems took bytes for signed.
pub(super) fn is_checksum_right(block: &[u8; BLOCK]) -> bool {
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

fn form(block: &[u8; BLOCK]) -> Form {
    let magic = field(block, MAGIC_FIELD);
    if magic == GNU_MAGIC {
        Form::Gnu
    } else if magic.starts_with(b"ustar\0") {
        Form::Posix
    } else {
        Form::V7
    }
}

/// The name, behind its prefix where the form has one.
fn name(block: &[u8; BLOCK]) -> Parsed<Vec<u8>> {
    let name = text(field(block, NAME_FIELD));
    let prefix = text(field(block, PREFIX_FIELD));
    let has_prefix = match form(block) {
        // libarchive takes any `ustar` for POSIX's.
        Form::V7 if field(block, MAGIC_FIELD).starts_with(b"ustar") && !prefix.is_empty() => {
            return Err("its magic is neither POSIX's nor GNU's");
        }
        Form::V7 => false,
        // Before version 1.8, Go wrote prefixes there, and it still reads them.
        Form::Gnu if !has_gnu_times(block) => {
            return Err("a GNU header has a prefix in place of its times");
        }
        Form::Gnu => false,
        Form::Posix
            if field(block, STAR_TRAILER_FIELD) == b"tar\0" && prefix.len() >= STAR_PREFIX =>
        {
            return Err("it is star's, and its prefix has no end");
        }
        Form::Posix => !prefix.is_empty(),
    };
    Ok(if has_prefix { [prefix, name].join(&b'/') } else { name.to_vec() })
}

fn has_gnu_times(block: &[u8; BLOCK]) -> bool {
    [GNU_ATIME_FIELD, GNU_CTIME_FIELD].iter().all(|&at| {
        let time = field(block, at);
        time[0] == 0 || header_number(time).is_ok()
    })
}
