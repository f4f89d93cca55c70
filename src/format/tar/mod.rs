//! Tar headers, written in one form and read strictly in all.
//!
//! Rules: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
//! "Basic Tar Format" and "Storing Sparse Files". Names are raw bytes.

mod member;
mod number;
mod pax;
mod raw;
mod read;
mod sparse;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use self::{
    member::{TarMember, plain},
    read::{Reader, Step},
};
pub(crate) use write::Header;

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;

/// Bytes at the end of an archive: two blocks of zeros.
pub(crate) const END_LEN: u64 = 2 * BLOCK as u64;

/// Longest name or link target that a header takes.
const NAME: usize = 100;
/// Longest prefix of a name.
const PREFIX: usize = 155;

/// Where a field stands, and how long it is.
type Field = (usize, usize);
const NAME_FIELD: Field = (0, NAME);
const MODE_FIELD: Field = (100, 8);
const UID_FIELD: Field = (108, 8);
const GID_FIELD: Field = (116, 8);
const SIZE_FIELD: Field = (124, 12);
const MTIME_FIELD: Field = (136, 12);
const CHECKSUM_FIELD: Field = (148, 8);
const TYPE_FIELD: Field = (156, 1);
const LINK_FIELD: Field = (157, NAME);
const MAGIC_FIELD: Field = (257, 8);
const PREFIX_FIELD: Field = (345, PREFIX);

/// Magic and version of POSIX.
const USTAR_MAGIC: &[u8; 8] = b"ustar\x0000";
/// What GNU tar has in their place.
const GNU_MAGIC: &[u8; 8] = b"ustar  \0";

/// GNU's fields where POSIX has its prefix.
const GNU_ATIME_FIELD: Field = (345, 12);
const GNU_CTIME_FIELD: Field = (357, 12);
const GNU_SPARSE_FIELD: Field = (386, 4 * 24);
const GNU_EXTENDED_FIELD: Field = (482, 1);
const GNU_REAL_SIZE_FIELD: Field = (483, 12);
/// What an extension block of a sparse map has instead.
const MORE_SPARSE_FIELD: Field = (0, 21 * 24);
const MORE_EXTENDED_FIELD: Field = (504, 1);
/// What star writes at the end of its headers, whose prefix is 131 bytes.
const STAR_TRAILER_FIELD: Field = (508, 4);
const STAR_PREFIX: usize = 131;

/// A field of a block.
fn field(block: &[u8; BLOCK], (start, len): Field) -> &[u8] {
    &block[start..start + len]
}

/// What a field for text holds: all up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Why a block is refused, for the cause of an error.
type Parsed<T> = std::result::Result<T, &'static str>;

/// Readers end a name at a NUL or not, and take an empty one for none or for a name.
fn name(value: &[u8]) -> Parsed<Vec<u8>> {
    if value.is_empty() || value.contains(&0) {
        return Err("a name in a PAX record is empty or holds a NUL");
    }
    Ok(value.to_vec())
}
