//! `wingback_bytes`: text, paths and names.

use std::{
    ffi::{CStr, OsStr, c_char},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use crate::{
    error::{Failure, Result},
    guard::infallible,
    opaque::{Out, null},
};

/// Bytes, such as a path or a name: not assumed to be UTF-8, and without a zero byte at their end.
/// Those that are given to a call need to live until it returns; those that a call gives live as
/// long as the object that they were asked of.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_bytes {
    /// May be NULL if there are none.
    pub data: *const c_char,
    /// How many there are.
    pub len: usize,
}

impl wingback_bytes {
    pub(crate) const EMPTY: Self = wingback_bytes { data: c"".as_ptr(), len: 0 };

    /// Lends C bytes of an object, for as long as that lives.
    pub(crate) fn lend(bytes: &[u8]) -> Self {
        match bytes {
            [] => wingback_bytes::EMPTY,
            bytes => wingback_bytes { data: bytes.as_ptr().cast(), len: bytes.len() },
        }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// So many are there, and will be within `'a`; unless the pointer is NULL or the length is not
    /// of this world.
    pub(crate) unsafe fn get<'a>(self, name: &str) -> Result<&'a [u8]> {
        if self.len == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() {
            return Err(null(name));
        }
        if isize::try_from(self.len).is_err() {
            return Err(Failure::invalid(format!("{name} cannot have {} bytes", self.len)));
        }
        // SAFETY: the caller says so, and the length is one that memory can have.
        Ok(unsafe { std::slice::from_raw_parts(self.data.cast(), self.len) })
    }

    /// The bytes as a path, which must not be empty.
    ///
    /// # Safety
    ///
    /// As of [`get`](Self::get).
    pub(crate) unsafe fn path<'a>(self, name: &str) -> Result<&'a Path> {
        // SAFETY: the caller says so.
        match unsafe { self.get(name) }? {
            [] => Err(Failure::invalid(format!("{name} is empty"))),
            path => Ok(Path::new(OsStr::from_bytes(path))),
        }
    }

    /// The bytes as text.
    ///
    /// # Safety
    ///
    /// As of [`get`](Self::get).
    pub(crate) unsafe fn text<'a>(self, name: &str) -> Result<&'a str> {
        // SAFETY: the caller says so.
        let bytes = unsafe { self.get(name) }?;
        std::str::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{name} is not UTF-8")))
    }

    /// The bytes as text, if there are any.
    ///
    /// # Safety
    ///
    /// As of [`get`](Self::get).
    #[cfg(feature = "s3")]
    pub(crate) unsafe fn some_text<'a>(self, name: &str) -> Result<Option<&'a str>> {
        // SAFETY: the caller says so.
        Ok(Some(unsafe { self.text(name) }?).filter(|text| !text.is_empty()))
    }
}

/// A list from C: `count` elements at `first`.
///
/// # Safety
///
/// So many are there, and will be within `'a`; unless the pointer is NULL or the count is not of
/// this world.
pub(crate) unsafe fn list<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(null(name));
    }
    let size = count.checked_mul(size_of::<T>());
    if size.is_none_or(|size| isize::try_from(size).is_err()) {
        return Err(Failure::invalid(format!("{name} cannot have {count} elements")));
    }
    // SAFETY: the caller says so, and the size is one that memory can have.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Writes text to a buffer of the caller's, with a zero byte behind it, and its length to `len`.
///
/// # Safety
///
/// `buffer` is NULL or has room for `capacity` bytes; `len` may be written to.
pub(crate) unsafe fn fill(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    len: Out<usize>,
) -> Result<()> {
    if buffer.is_null() && capacity > 0 {
        return Err(null("buffer"));
    }
    if capacity > text.len() {
        // SAFETY: there is room for the text and one byte more.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len());
            buffer.add(text.len()).write(0);
        }
    } else if capacity > 0 {
        let (needed, it) = (text.len() + 1, "buffer is too small");
        return Err(Failure::invalid(format!("{it}: {capacity} bytes where {needed} are needed")));
    }
    // SAFETY: the caller says so.
    unsafe { len.set(text.len()) };
    Ok(())
}

/// The bytes of a text that ends in a zero byte, without that. None for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_bytes_of(text: *const c_char) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        if text.is_null() {
            return wingback_bytes::EMPTY;
        }
        // SAFETY: as the header says.
        wingback_bytes::lend(unsafe { CStr::from_ptr(text) }.to_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opaque::out;

    #[test]
    fn lengths_that_cannot_be_are_errors() {
        let byte = c"a".as_ptr();
        // SAFETY: no more than the byte is read.
        unsafe {
            assert_eq!(wingback_bytes { data: byte, len: 1 }.get("x").expect("a byte"), b"a");
            assert!(wingback_bytes { data: byte, len: usize::MAX }.get("x").is_err());
            assert!(wingback_bytes { data: std::ptr::null(), len: 1 }.get("x").is_err());
            let none = wingback_bytes { data: std::ptr::null(), len: 0 };
            assert!(none.get("x").expect("none").is_empty() && none.path("x").is_err());
            assert!(list::<u64>(std::ptr::null(), 1, "x").is_err());
            assert!(list(&raw const byte, usize::MAX / 4, "x").is_err());
        }
    }

    #[test]
    fn text_is_written_whole_or_not_at_all() {
        let mut buffer = [1; 4];
        let mut len = 0;
        let mut fill = |text, capacity| {
            let len = out(&raw mut len, "len").expect("a place");
            // SAFETY: there is that much room.
            unsafe { super::fill(text, buffer.as_mut_ptr(), capacity, len) }
        };
        assert!(fill("abcd", 4).is_err() && fill("abc", 4).is_ok() && fill("abcde", 0).is_ok());
        assert_eq!((len, buffer), (5, [97, 98, 99, 0]));
    }
}
