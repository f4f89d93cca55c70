//! `wingback_bytes`: text, paths and names.

use std::{
    ffi::{CStr, OsStr, c_char},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use crate::{
    failure::{Failure, Result},
    opaque::{Out, null},
    panics::infallible,
};

/// Bytes with a length, such as a path or a name. They need not be UTF-8, and no zero byte follows
/// them. Bytes passed to a call must stay valid until it returns. Bytes from a call are valid as
/// long as the object that returned them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_bytes {
    /// The first byte. It may be NULL if `len` is 0.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

impl wingback_bytes {
    pub(crate) const EMPTY: Self = wingback_bytes { data: c"".as_ptr(), len: 0 };

    /// Lends C bytes of an object, for as long as the object lives.
    pub(crate) fn lend(bytes: &[u8]) -> Self {
        match bytes {
            [] => wingback_bytes::EMPTY,
            bytes => wingback_bytes { data: bytes.as_ptr().cast(), len: bytes.len() },
        }
    }

    /// Returns the bytes. NULL with a length is an error, and so is a length that no object can have.
    ///
    /// # Safety
    ///
    /// The pointer is NULL, or `len` bytes are readable and do not change until the end of `'a`.
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
        // SAFETY: the caller promises that `len` bytes are readable. The pointer is not NULL, and the
        // length is at most `isize::MAX`.
        Ok(unsafe { std::slice::from_raw_parts(self.data.cast(), self.len) })
    }

    /// Returns the bytes as a path. An empty path is an error.
    ///
    /// # Safety
    ///
    /// As for [`get`](Self::get).
    pub(crate) unsafe fn path<'a>(self, name: &str) -> Result<&'a Path> {
        // SAFETY: the caller makes the promise that `get` asks for.
        match unsafe { self.get(name) }? {
            [] => Err(Failure::invalid(format!("{name} is empty"))),
            path => Ok(Path::new(OsStr::from_bytes(path))),
        }
    }

    /// Returns the bytes as text. Bytes that are not UTF-8 are an error.
    ///
    /// # Safety
    ///
    /// As for [`get`](Self::get).
    pub(crate) unsafe fn text<'a>(self, name: &str) -> Result<&'a str> {
        // SAFETY: the caller makes the promise that `get` asks for.
        let bytes = unsafe { self.get(name) }?;
        std::str::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{name} is not UTF-8")))
    }

    /// Returns the bytes as text, or `None` if they are empty.
    ///
    /// # Safety
    ///
    /// As for [`get`](Self::get).
    #[cfg(feature = "s3")]
    pub(crate) unsafe fn some_text<'a>(self, name: &str) -> Result<Option<&'a str>> {
        // SAFETY: the caller makes the promise that `text` asks for.
        Ok(Some(unsafe { self.text(name) }?).filter(|text| !text.is_empty()))
    }
}

/// Returns an array of the caller: `count` elements at `first`. NULL with a count is an error, and so is a
/// count that no array can have.
///
/// # Safety
///
/// `first` is NULL, or `count` elements are readable there and do not change until the end of `'a`.
pub(crate) unsafe fn slice<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T]> {
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
    // SAFETY: the caller promises that `count` elements are readable. The pointer is not NULL, and the
    // size in bytes is at most `isize::MAX`.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Writes bytes and a zero byte to a buffer of the caller, and the number of bytes to `len`. With a
/// capacity of 0 it writes only the length.
///
/// # Safety
///
/// `buffer` is NULL, or writable for `capacity` bytes.
pub(crate) unsafe fn write_text(
    text: &[u8],
    buffer: *mut c_char,
    capacity: usize,
    len: Out<usize>,
) -> Result<()> {
    if buffer.is_null() && capacity > 0 {
        return Err(null("buffer"));
    }
    if capacity > text.len() {
        // SAFETY: the caller promises that `capacity` bytes are writable, and the text and the zero byte
        // are not more. A buffer of the caller does not overlap text of the library.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len());
            buffer.add(text.len()).write(0);
        }
    } else if capacity > 0 {
        let needed = text.len() + 1;
        let why = format!("buffer is too small: it has {capacity} bytes, and {needed} are needed");
        return Err(Failure::invalid(why));
    }
    len.set(text.len());
    Ok(())
}

/// Returns the bytes of `text`, which ends in a zero byte, without that byte. They are valid as long
/// as the text. Empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_bytes_of(text: *const c_char) -> wingback_bytes {
    infallible(wingback_bytes::EMPTY, || {
        if text.is_null() {
            return wingback_bytes::EMPTY;
        }
        // SAFETY: the caller promises that `text` is NULL or ends in a zero byte, and it is not NULL.
        wingback_bytes::lend(unsafe { CStr::from_ptr(text) }.to_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_lengths_are_errors() {
        let byte = c"a".as_ptr();
        // SAFETY: only the first call reads memory, and that is the one byte of the literal. The others
        // refuse their length, their count or NULL before they read.
        unsafe {
            assert_eq!(wingback_bytes { data: byte, len: 1 }.get("x").expect("a byte"), b"a");
            assert!(wingback_bytes { data: byte, len: usize::MAX }.get("x").is_err());
            assert!(wingback_bytes { data: std::ptr::null(), len: 1 }.get("x").is_err());
            let none = wingback_bytes { data: std::ptr::null(), len: 0 };
            assert!(none.get("x").expect("none").is_empty() && none.path("x").is_err());
            assert!(slice::<u64>(std::ptr::null(), 1, "x").is_err());
            assert!(slice(&raw const byte, usize::MAX / 4, "x").is_err());
        }
    }

    #[test]
    fn text_is_written_whole_or_not_at_all() {
        let mut buffer = [1; 4];
        let mut len = 0;
        let mut write = |text: &str, capacity| {
            // SAFETY: `len` is a local variable. No call has a capacity over the 4 bytes of `buffer`.
            unsafe {
                let len = Out::new(&raw mut len, "len").expect("not NULL");
                write_text(text.as_bytes(), buffer.as_mut_ptr(), capacity, len)
            }
        };
        assert!(write("abcd", 4).is_err() && write("abc", 4).is_ok() && write("abcde", 0).is_ok());
        assert_eq!((len, buffer), (5, [97, 98, 99, 0]));
    }
}
