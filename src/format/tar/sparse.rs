//! Maps of sparse files: the old GNU format in the header, and versions 0.0, 0.1 and 1.0 in PAX records.
//!
//! A map lists the extents of a file that the archive contains. The rest of the file is holes.

use super::{
    block::{BLOCK, Parsed},
    value::{decimal, header_size, record_name},
};

/// The most extents that a map may list: more than fit into a mebibyte of text.
const EXTENTS_MAX: usize = 1 << 18;

const TOO_LONG: &str = "its sparse map is too long";
const MALFORMED: &str = "its sparse map is malformed";

/// Offset and length of a range of a file that contains data.
pub(super) type Extent = (u64, u64);

/// The part of a map that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseMap(Vec<Extent>);

impl SparseMap {
    fn push(&mut self, extent: Extent) -> Parsed<()> {
        if self.0.len() == EXTENTS_MAX {
            return Err(TOO_LONG);
        }
        self.0.push(extent);
        Ok(())
    }

    /// Reads the old GNU format: the entries and the `extended` flag of a header or of an extension
    /// block. Returns whether another extension block follows.
    pub(super) fn add_gnu(&mut self, entries: &[u8], is_extended: &[u8]) -> Parsed<bool> {
        let is_extended = is_extended != [0];
        for entry in entries.chunks_exact(24) {
            let (offset, len) = entry.split_at(12);
            match (offset[0], len[0]) {
                // Some readers continue with the next block, and others do not.
                (0, 0) if is_extended => return Err(MALFORMED),
                (0, 0) => return Ok(false),
                // GNU tar ends a map at an empty offset, Go and libarchive at an empty length.
                (0, _) | (_, 0) => return Err(MALFORMED),
                _ => self.push((header_size(offset)?, header_size(len)?))?,
            }
        }
        Ok(is_extended)
    }

    /// Returns the extents of a file of `size` bytes, of which the archive contains `stored`. Empty
    /// extents, which mark a hole at the end, are left out.
    pub(super) fn finish(self, size: u64, stored: u64) -> Parsed<Vec<Extent>> {
        let SparseMap(mut extents) = self;
        let mut end = 0u64;
        let mut sum = 0u64;
        for &(offset, len) in &extents {
            if offset < end {
                return Err("its sparse map is not in order");
            }
            end = (offset.checked_add(len).filter(|&end| end <= size))
                .ok_or("its sparse map reaches beyond its end")?;
            // GNU tar reads the next extent from the next block, other readers from the next byte.
            if len > 0 && !sum.is_multiple_of(BLOCK as u64) {
                return Err("its sparse map has an extent that does not end at a block");
            }
            // Extents do not overlap, so the sum is at most `size`.
            sum += len;
        }
        if sum != stored {
            return Err("its sparse map does not cover the stored bytes");
        }
        extents.retain(|&(_, len)| len > 0);
        Ok(extents)
    }
}

/// The PAX records about a sparse file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    /// `size` in version 0, `realsize` in version 1.
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    /// Version 0.1: the map in one record.
    map: Option<SparseMap>,
    /// Version 0.0: the map in pairs of records, `offset` and `numbytes`.
    list: SparseMap,
    offset: Option<u64>,
}

/// Location of the map of a sparse file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MapLocation {
    /// In the records.
    Records(SparseMap),
    /// Before the data.
    Data,
}

impl SparseRecords {
    /// Adds a record. `key` comes without `GNU.sparse.`.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Parsed<()> {
        match key {
            b"name" => self.name = Some(record_name(value)?),
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"size" => self.size = Some(decimal(value)?),
            b"realsize" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.blocks = Some(decimal(value)?),
            b"map" => self.map = Some(map_of_record(value)?),
            b"offset" if self.offset.is_none() => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(MALFORMED)?;
                self.list.push((offset, decimal(value)?))?;
            }
            _ => return Err(MALFORMED),
        }
        Ok(())
    }

    /// Returns the size of the file and the location of its map, or `None` if the file is not sparse.
    pub(super) fn finish(self) -> Parsed<Option<(u64, MapLocation)>> {
        if self == SparseRecords::default() {
            return Ok(None);
        }
        let size = match (self.size, self.real_size) {
            (Some(one), Some(other)) if one != other => return Err(MALFORMED),
            (one, other) => one.or(other).ok_or("its sparse map has no size")?,
        };
        let is_listed = self.map.is_some() || self.list != SparseMap::default();
        match (self.major, self.minor) {
            (Some(1), Some(0)) if !is_listed && self.offset.is_none() => {
                Ok(Some((size, MapLocation::Data)))
            }
            (None, None) | (Some(0), Some(0 | 1)) => {
                let map = match self.map {
                    Some(_) if self.list != SparseMap::default() => return Err(MALFORMED),
                    Some(map) => map,
                    None => self.list,
                };
                if self.offset.is_some() || self.blocks != Some(map.0.len() as u64) {
                    return Err(MALFORMED);
                }
                Ok(Some((size, MapLocation::Records(map))))
            }
            _ => Err("its sparse map has an unknown version"),
        }
    }
}

/// Reads a map of version 0.1: offsets and lengths, separated by commas.
fn map_of_record(value: &[u8]) -> Parsed<SparseMap> {
    let mut map = SparseMap::default();
    let mut numbers = value.split(|&byte| byte == b',').map(decimal);
    if value.is_empty() {
        return Ok(map);
    }
    while let Some(offset) = numbers.next() {
        map.push((offset?, numbers.next().ok_or(MALFORMED)??))?;
    }
    Ok(map)
}

/// A map of version 1.0, in the blocks before the data: decimals that each end with a line feed. The
/// first is the number of extents; their offsets and lengths follow.
#[derive(Debug, Default)]
pub(super) struct DataMap {
    map: SparseMap,
    /// Numbers that are still missing, once the first is known.
    left: Option<u64>,
    offset: Option<u64>,
    /// Digits of the current number.
    digits: Vec<u8>,
}

impl DataMap {
    /// Adds a block. Returns `false` once the map is complete; the data begins with the next block.
    pub(super) fn add(&mut self, block: &[u8; BLOCK]) -> Parsed<bool> {
        for &byte in block {
            match byte {
                b'\n' => self.number()?,
                // The longest number has nineteen digits.
                _ if self.digits.len() < 19 => self.digits.push(byte),
                _ => return Err(MALFORMED),
            }
            if self.left == Some(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn number(&mut self) -> Parsed<()> {
        let number = decimal(&self.digits)?;
        self.digits.clear();
        match self.left {
            None if number > EXTENTS_MAX as u64 => return Err(TOO_LONG),
            None => self.left = Some(2 * number),
            Some(left) => {
                self.left = Some(left - 1);
                match self.offset.take() {
                    None => self.offset = Some(number),
                    Some(offset) => self.map.push((offset, number))?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn into_map(self) -> SparseMap {
        self.map
    }
}
