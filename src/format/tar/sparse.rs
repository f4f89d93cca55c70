//! Maps of sparse files: GNU's old form in the header, and versions 0.0, 0.1 and 1.0 in PAX
//! records.
//!
//! A map names the stretches of a file that the archive has, as offset and length; all else of it
//! is a hole.

use super::{
    BLOCK, Parsed, name,
    number::{decimal, header_size},
};

/// The most stretches that a map may name: more than a mebibyte of text has room for.
const STRETCHES_MAX: usize = 1 << 18;

const TOO_LONG: &str = "its sparse map is too long";
const MALFORMED: &str = "its sparse map is malformed";

/// Offset and length of a stretch of data.
pub(super) type Stretch = (u64, u64);

/// A map as far as it has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map(Vec<Stretch>);

impl Map {
    fn push(&mut self, stretch: Stretch) -> Parsed<()> {
        if self.0.len() == STRETCHES_MAX {
            return Err(TOO_LONG);
        }
        self.0.push(stretch);
        Ok(())
    }

    /// Takes entries of the old form, out of a header or a block behind it, and the word there on
    /// whether another such block follows, which it returns.
    pub(super) fn add_old(&mut self, entries: &[u8], is_extended: &[u8]) -> Parsed<bool> {
        let is_extended = is_extended != [0];
        for entry in entries.chunks_exact(24) {
            let (offset, len) = entry.split_at(12);
            match (offset[0], len[0]) {
                // Some readers would go on with the next block, and others not.
                (0, 0) if is_extended => return Err(MALFORMED),
                (0, 0) => return Ok(false),
                // GNU tar ends a map by one, Go and libarchive by the other.
                (0, _) | (_, 0) => return Err(MALFORMED),
                _ => self.push((header_size(offset)?, header_size(len)?))?,
            }
        }
        Ok(is_extended)
    }

    /// The map of a file of `size` bytes of which the archive has `stored`. BufferPermits of no bytes,
    /// such as mark a hole at the end, are left out of it.
    pub(super) fn finish(self, size: u64, stored: u64) -> Parsed<Vec<Stretch>> {
        let Map(mut stretches) = self;
        let mut end = 0u64;
        let mut sum = 0u64;
        for &(offset, len) in &stretches {
            if offset < end {
                return Err("its sparse map is not in order");
            }
            end = (offset.checked_add(len).filter(|&end| end <= size))
                .ok_or("its sparse map reaches beyond its end")?;
            // GNU tar looks for the next stretch in the next block, and others right behind.
            if len > 0 && !sum.is_multiple_of(BLOCK as u64) {
                return Err("its sparse map parts blocks");
            }
            // BufferPermits do not overlap, so the sum is at most `size`.
            sum += len;
        }
        if sum != stored {
            return Err("its sparse map does not cover what is stored");
        }
        stretches.retain(|&(_, len)| len > 0);
        Ok(stretches)
    }
}

/// What PAX records say of a sparse file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    /// `size` in version 0, `realsize` in version 1.
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    /// Version 0.1: the map in one record.
    map: Option<Map>,
    /// Version 0.0: the map in records of its own, in turns.
    list: Map,
    offset: Option<u64>,
}

/// Where a sparse file's map is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the records.
    Listed(Map),
    /// In front of the data.
    InData,
}

impl Records {
    /// Takes a record, its key without `GNU.sparse.`.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Parsed<()> {
        match key {
            b"name" => self.name = Some(name(value)?),
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"size" => self.size = Some(decimal(value)?),
            b"realsize" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.blocks = Some(decimal(value)?),
            b"map" => self.map = Some(listed(value)?),
            b"offset" if self.offset.is_none() => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(MALFORMED)?;
                self.list.push((offset, decimal(value)?))?;
            }
            _ => return Err(MALFORMED),
        }
        Ok(())
    }

    /// The file's size and where its map is; `None` if nothing says that it is sparse.
    pub(super) fn finish(self) -> Parsed<Option<(u64, Form)>> {
        if self == Records::default() {
            return Ok(None);
        }
        let size = match (self.size, self.real_size) {
            (Some(one), Some(other)) if one != other => return Err(MALFORMED),
            (one, other) => one.or(other).ok_or("its sparse map comes without its size")?,
        };
        let is_listed = self.map.is_some() || self.list != Map::default();
        match (self.major, self.minor) {
            (Some(1), Some(0)) if !is_listed && self.offset.is_none() => {
                Ok(Some((size, Form::InData)))
            }
            (None, None) | (Some(0), Some(0 | 1)) => {
                let map = match self.map {
                    Some(_) if self.list != Map::default() => return Err(MALFORMED),
                    Some(map) => map,
                    None => self.list,
                };
                if self.offset.is_some() || self.blocks != Some(map.0.len() as u64) {
                    return Err(MALFORMED);
                }
                Ok(Some((size, Form::Listed(map))))
            }
            _ => Err("its sparse map is of an unknown version"),
        }
    }
}

/// The map of version 0.1: offsets and lengths, with commas between them.
fn listed(value: &[u8]) -> Parsed<Map> {
    let mut map = Map::default();
    let mut numbers = value.split(|&byte| byte == b',').map(decimal);
    if value.is_empty() {
        return Ok(map);
    }
    while let Some(offset) = numbers.next() {
        map.push((offset?, numbers.next().ok_or(MALFORMED)??))?;
    }
    Ok(map)
}

/// The map of version 1.0, in the blocks before the data: decimals with a line feed behind each,
/// first how many stretches there are, then their offsets and lengths.
#[derive(Debug, Default)]
pub(super) struct DataMap {
    map: Map,
    /// How many numbers are still to come, once the first is known.
    left: Option<u64>,
    offset: Option<u64>,
    /// The number that is being read.
    digits: Vec<u8>,
}

impl DataMap {
    /// Takes a block. `false` once the map is whole; the data begins with the next block then.
    pub(super) fn add(&mut self, block: &[u8; BLOCK]) -> Parsed<bool> {
        for &byte in block {
            match byte {
                b'\n' => self.number()?,
                // Nineteen digits are the longest number.
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
            None if number > STRETCHES_MAX as u64 => return Err(TOO_LONG),
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

    pub(super) fn into_map(self) -> Map {
        self.map
    }
}
