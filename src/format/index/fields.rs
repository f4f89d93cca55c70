//! The numbers and byte strings that pages consist of.
//!
//! A number is LEB128: seven bits a byte, lowest first, and the highest bit set in every byte but the last. A
//! signed number is first mapped to 0, -1, 1, -2, … as 0, 1, 2, 3, … (zigzag).

/// Appends an unsigned number.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_number(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a byte string: its length, then its bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Appends a byte string that shares a prefix with the one before it: the length of the prefix, then the
/// rest.
pub(super) fn put_shared(out: &mut Vec<u8>, before: &[u8], bytes: &[u8]) {
    let shared = common_len(before, bytes);
    put_number(out, shared as u64);
    put_bytes(out, &bytes[shared..]);
}

/// Returns the length of the common prefix.
pub(super) fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Fields that have not been read yet. Each method returns `None` if the fields end too early.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a number that fits into 32 bits.
    pub(super) fn number32(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        self.number().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(len)
    }

    /// Reads what [`put_shared`] has written.
    pub(super) fn shared(&mut self, before: &[u8]) -> Option<Vec<u8>> {
        let shared = usize::try_from(self.number()?).ok()?;
        let rest = self.bytes()?;
        Some([before.get(..shared)?, rest].concat())
    }
}
