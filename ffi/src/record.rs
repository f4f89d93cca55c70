//! Structs that may grow at their end. Each begins with its size in the caller's version of the
//! header.

use std::{ptr, time::Duration};

use crate::{
    failure::{Failure, Result},
    opaque::null,
};

/// Upper bound of `struct_size`; no struct will ever be larger.
const SIZE_MAX: usize = 4096;

/// A struct that may grow at its end.
///
/// # Safety
///
/// The struct is `repr(C)`, its first field is `struct_size: usize`, and zeroed memory is a valid value
/// of it.
pub(crate) unsafe trait Record: Copy {}

/// Converts a duration to the unit of the records.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads a struct of the caller. Fields that the caller's header does not have are zero, and so are all
/// fields for NULL.
///
/// # Safety
///
/// `record` is NULL, or readable for the number of bytes in its first field.
pub(crate) unsafe fn read<R: Record>(record: *const R, name: &str) -> Result<R> {
    // SAFETY: whoever implements `Record` promises that zeroed memory is a valid value.
    let mut value: R = unsafe { std::mem::zeroed() };
    if record.is_null() {
        return Ok(value);
    }
    // SAFETY: the caller promises that the first field is readable, and `record` is not NULL.
    let size = unsafe { caller_size(record, name) }?;
    let known = size.min(size_of::<R>());
    // SAFETY: `known` is at most `size`, and the caller promises that so many bytes are readable. It is
    // at most the size of `R` as well, so `value` has room.
    unsafe {
        ptr::copy_nonoverlapping(record.cast::<u8>(), (&raw mut value).cast(), known);
    }
    let newer = (known..size).any(|at| {
        // SAFETY: `at` is less than `size`, and the caller promises that so many bytes are readable.
        unsafe { record.cast::<u8>().add(at).read() != 0 }
    });
    if newer {
        let why = format!("{name} has a field that this version of the library does not know");
        return Err(Failure::invalid(why));
    }
    Ok(value)
}

/// Writes a struct of the caller: the fields that the caller's header has, and zeros to fields that only
/// that header has. `struct_size` is not changed.
///
/// # Safety
///
/// `record` is NULL, or readable and writable for the number of bytes in its first field.
pub(crate) unsafe fn write<R: Record>(record: *mut R, value: &R, name: &str) -> Result<()> {
    // SAFETY: the caller promises that `record` is NULL or that its first field is readable.
    let size = unsafe { check(record, name) }?;
    let known = size.min(size_of::<R>());
    let fields = size_of::<usize>();
    // SAFETY: `known` is at most the size of `R`, so `value` has so many bytes. The caller promises that
    // `size` bytes are writable, and `check` made sure that the size field is among them.
    unsafe {
        let (from, to) = ((&raw const *value).cast::<u8>(), record.cast::<u8>());
        ptr::copy_nonoverlapping(from.add(fields), to.add(fields), known - fields);
        ptr::write_bytes(to.add(known), 0, size - known);
    }
    Ok(())
}

/// Checks that [`write`] would succeed, and returns the size in the caller's header.
///
/// # Safety
///
/// `record` is NULL, or its first field is readable.
pub(crate) unsafe fn check<R: Record>(record: *const R, name: &str) -> Result<usize> {
    if record.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller promises that the first field is readable, and `record` is not NULL.
    unsafe { caller_size(record, name) }
}

/// # Safety
///
/// The first field of `record` is readable.
unsafe fn caller_size<R: Record>(record: *const R, name: &str) -> Result<usize> {
    // SAFETY: the caller promises that the first field is readable. Every `Record` begins with a `usize`.
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

    // SAFETY: it is `repr(C)`, begins with `struct_size`, and its other field is an integer.
    unsafe impl Record for Old {}
    // SAFETY: it is `repr(C)`, begins with `struct_size`, and its other fields are integers.
    unsafe impl Record for New {}

    #[test]
    fn structs_of_older_and_newer_callers_are_accepted() {
        // SAFETY: the structs are local variables, each as large as its first field says.
        unsafe {
            let old = Old { struct_size: size_of::<Old>(), a: 1 };
            let read_new = read::<New>((&raw const old).cast(), "x").expect("an older caller");
            assert_eq!((read_new.a, read_new.b), (1, 0));
            let mut new = New { struct_size: size_of::<New>(), a: 1, b: 2 };
            assert!(
                read::<Old>((&raw const new).cast(), "x").is_err(),
                "a field that this version does not know"
            );
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
    fn an_unset_struct_size_is_an_error() {
        for struct_size in [0, 7, SIZE_MAX + 1, usize::MAX] {
            let mut old = Old { struct_size, a: 1 };
            // SAFETY: both functions refuse these sizes after they have read the first field, which is
            // that of a local variable.
            unsafe {
                assert!(read(&raw const old, "x").is_err());
                assert!(write(&raw mut old, &Old { struct_size: 0, a: 2 }, "x").is_err());
            }
            assert_eq!(old.a, 1);
        }
    }
}
