//! The fields of a tar block.

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;

/// Bytes at the end of an archive: two blocks of zeros.
pub(crate) const END_LEN: u64 = 2 * BLOCK as u64;

/// Longest name or link target that fits into a header.
pub(super) const NAME_MAX: usize = 100;
/// Longest prefix of a name.
pub(super) const PREFIX_MAX: usize = 155;

/// Offset and length of a field in its block.
pub(super) type Field = (usize, usize);
pub(super) const NAME_FIELD: Field = (0, NAME_MAX);
pub(super) const MODE_FIELD: Field = (100, 8);
pub(super) const UID_FIELD: Field = (108, 8);
pub(super) const GID_FIELD: Field = (116, 8);
pub(super) const SIZE_FIELD: Field = (124, 12);
pub(super) const MTIME_FIELD: Field = (136, 12);
pub(super) const CHECKSUM_FIELD: Field = (148, 8);
pub(super) const TYPE_FIELD: Field = (156, 1);
pub(super) const LINK_FIELD: Field = (157, NAME_MAX);
pub(super) const MAGIC_FIELD: Field = (257, 8);
pub(super) const PREFIX_FIELD: Field = (345, PREFIX_MAX);

/// Magic and version of POSIX.
pub(super) const USTAR_MAGIC: &[u8; 8] = b"ustar\x0000";
/// Magic and version of GNU tar.
pub(super) const GNU_MAGIC: &[u8; 8] = b"ustar  \0";

// GNU tar has these fields where POSIX has the prefix.
pub(super) const GNU_ATIME_FIELD: Field = (345, 12);
pub(super) const GNU_CTIME_FIELD: Field = (357, 12);
pub(super) const GNU_SPARSE_FIELD: Field = (386, 4 * 24);
pub(super) const GNU_EXTENDED_FIELD: Field = (482, 1);
pub(super) const GNU_REAL_SIZE_FIELD: Field = (483, 12);

// The fields of an extension block of a sparse map.
pub(super) const MORE_SPARSE_FIELD: Field = (0, 21 * 24);
pub(super) const MORE_EXTENDED_FIELD: Field = (504, 1);

/// star writes `tar` and a NUL here, at the end of its headers.
pub(super) const STAR_TRAILER_FIELD: Field = (508, 4);
/// Longest prefix in a header of star.
pub(super) const STAR_PREFIX_MAX: usize = 131;

/// A value that was read from an archive, or the reason why it is refused.
pub(super) type Parsed<T> = Result<T, &'static str>;

/// Returns a field of a block.
pub(super) fn field(block: &[u8; BLOCK], (start, len): Field) -> &[u8] {
    &block[start..start + len]
}

/// Returns the value of a text field: all bytes before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}
