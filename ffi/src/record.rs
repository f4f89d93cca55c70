//! Structs that may grow: they begin with their size as the caller's header has it.

use std::{ptr, time::Duration};

use crate::{
    error::{Failure, Result},
    opaque::null,
};

/// More than any of them will ever have.
const SIZE_MAX: usize = 4096;

/// A struct that may grow at its end.
///
/// # Safety
///
/// It is `repr(C)`, its first field is `struct_size: usize`, and it may be all zeros.
pub(crate) unsafe trait Record: Copy {}

/// A time, as records have it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the caller gives, with zeros for what its header does not know. All zeros for NULL.
///
/// # Safety
///
/// It is NULL or points to as many bytes as its first field says.
pub(crate) unsafe fn read<R: Record>(record: *const R, name: &str) -> Result<R> {
    // SAFETY: it may be all zeros.
    let mut value: R = unsafe { std::mem::zeroed() };
    if record.is_null() {
        return Ok(value);
    }
    // SAFETY: the caller says so.
    let size = unsafe { size_of_given(record, name) }?;
    let known = size.min(size_of::<R>());
    // SAFETY: so many bytes are there, and here.
    unsafe {
        ptr::copy_nonoverlapping(record.cast::<u8>(), (&raw mut value).cast(), known);
    }
    let newer = (known..size).any(|at| {
        // SAFETY: it lies within what the caller says is there.
        unsafe { record.cast::<u8>().add(at).read() != 0 }
    });
    if newer {
        let why = format!("{name} has a field that this version of the library does not know");
        return Err(Failure::invalid(why));
    }
    Ok(value)
}

/// Writes as much as the caller's header knows, and zeros to what only that knows. The size stays
/// what it is.
///
/// # Safety
///
/// It is NULL or points to as many bytes as its first field says, which may be written to.
pub(crate) unsafe fn write<R: Record>(record: *mut R, value: &R, name: &str) -> Result<()> {
    // SAFETY: the caller says so.
    let size = unsafe { check(record, name) }?;
    let known = size.min(size_of::<R>());
    let behind = size_of::<usize>();
    // SAFETY: so many bytes are there, and here.
    unsafe {
        let (from, to) = ((&raw const *value).cast::<u8>(), record.cast::<u8>());
        ptr::copy_nonoverlapping(from.add(behind), to.add(behind), known - behind);
        ptr::write_bytes(to.add(known), 0, size - known);
    }
    Ok(())
}

/// Whether [`write`] can be done there, and how large the caller's header has it.
///
/// # Safety
///
/// It is NULL or points to a `usize` at least.
pub(crate) unsafe fn check<R: Record>(record: *const R, name: &str) -> Result<usize> {
    if record.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller says so.
    unsafe { size_of_given(record, name) }
}

/// # Safety
///
/// It points to a `usize` at least.
unsafe fn size_of_given<R: Record>(record: *const R, name: &str) -> Result<usize> {
    // SAFETY: the caller says so.
    let size = unsafe { record.cast::<usize>().read() };
    if (size_of::<usize>()..=SIZE_MAX).contains(&size) {
        return Ok(size);
    }
    Err(Failure::invalid(format!("{name}->struct_size is {size}; it must be sizeof *{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Old {
        struct_size: usize,
        a: u8,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct New {
        struct_size: usize,
        a: u8,
        b: u64,
    }

    // SAFETY: they are what they have to be.
    unsafe impl Record for Old {}
    // SAFETY: likewise.
    unsafe impl Record for New {}

    #[test]
    fn older_and_newer_callers_are_understood() {
        // SAFETY: each is as large as its first field says.
        unsafe {
            let old = Old { struct_size: size_of::<Old>(), a: 1 };
            let read_new = read::<New>((&raw const old).cast(), "x").expect("an older caller");
            assert_eq!((read_new.a, read_new.b), (1, 0));
            let mut new = New { struct_size: size_of::<New>(), a: 1, b: 2 };
            assert!(read::<Old>((&raw const new).cast(), "x").is_err(), "a field nobody obeys");
            new.b = 0;
            assert_eq!(read::<Old>((&raw const new).cast(), "x").expect("zero is default").a, 1);
            new.b = 7;
            write::<Old>((&raw mut new).cast(), &Old { struct_size: 0, a: 3 }, "x").expect("put");
            assert_eq!(new, New { struct_size: size_of::<New>(), a: 3, b: 0 });
            let mut small = Old { struct_size: size_of::<Old>(), a: 0 };
            let value = New { struct_size: 0, a: 5, b: 6 };
            write::<New>((&raw mut small).cast(), &value, "x").expect("put");
            assert_eq!(small.a, 5);
        }
    }

    #[test]
    fn a_size_that_nobody_set_is_an_error() {
        for struct_size in [0, 7, SIZE_MAX + 1, usize::MAX] {
            let mut old = Old { struct_size, a: 1 };
            // SAFETY: nothing but the size is read.
            unsafe {
                assert!(read(&raw const old, "x").is_err());
                assert!(write(&raw mut old, &Old { struct_size: 0, a: 2 }, "x").is_err());
            }
            assert_eq!(old.a, 1);
        }
    }
}
