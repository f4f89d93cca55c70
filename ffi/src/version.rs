//! The version and the build of the library.

use std::{
    ffi::{CStr, CString, c_char},
    sync::LazyLock,
};

use wingback::BUILD;

use crate::{
    enums::wingback_status,
    error::wingback_error,
    guard::guard,
    panics::infallible,
    record::{self, Record},
};

/// The version of the ABI that this header describes. It is the number in the library's soname, and
/// it grows with every change that would break a program built before.
pub const WINGBACK_ABI_VERSION: u32 = 1;

/// The build of the library. The texts are UTF-8, end in a zero byte, and are never freed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_build_info {
    /// sizeof(wingback_build_info).
    pub struct_size: usize,
    /// Version of the library.
    pub version: *const c_char,
    /// Commit that the library was built from; empty if it is unknown.
    pub commit: *const c_char,
    /// Rust's name for the platform that it was built for, such as "x86_64-unknown-linux-gnu".
    pub target: *const c_char,
    /// Names of the encoders that a backup can choose, separated by spaces: "wingback" or
    /// "wingback isa-l".
    pub encoders: *const c_char,
    /// Whether the library has the network: stores in S3, links, part URLs.
    pub has_s3: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer or a bool.
unsafe impl Record for wingback_build_info {}

static TEXTS: LazyLock<[CString; 4]> = LazyLock::new(|| {
    let encoders: Vec<_> = BUILD.encoders.iter().map(|encoder| encoder.code()).collect();
    [BUILD.version, BUILD.commit, BUILD.target, &encoders.join(" ")]
        .map(|text| CString::new(text).unwrap_or_default())
});

/// Returns the version of the ABI of the running library. A program that loads the library with
/// dlopen(3) compares it with WINGBACK_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_abi_version() -> u32 {
    WINGBACK_ABI_VERSION
}

/// Returns the version of the library, as text that ends in a zero byte. It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_version() -> *const c_char {
    infallible(c"".as_ptr(), || TEXTS[0].as_ptr())
}

/// Writes how the running library was built to `info`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_build(
    info: *mut wingback_build_info,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `info` is NULL or writable for its `struct_size`, and
    // `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let [version, commit, target, encoders] = TEXTS.each_ref().map(|text| text.as_ptr());
            let has_s3 = cfg!(feature = "s3");
            let facts =
                wingback_build_info { struct_size: 0, version, commit, target, encoders, has_s3 };
            record::write(info, &facts, "info")
        })
    }
}

/// Returns a word for `status`, such as "not-found", or "unknown" for any other number. The text
/// ends in a zero byte and is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_status_name(status: i32) -> *const c_char {
    const NAMES: &[(wingback_status, &CStr)] = &[
        (wingback_status::Ok, c"ok"),
        (wingback_status::NotYet, c"not-yet"),
        (wingback_status::End, c"end"),
        (wingback_status::NotFound, c"not-found"),
        (wingback_status::AlreadyExists, c"already-exists"),
        (wingback_status::PermissionDenied, c"permission-denied"),
        (wingback_status::InvalidInput, c"invalid-input"),
        (wingback_status::NoSpace, c"no-space"),
        (wingback_status::Cancelled, c"cancelled"),
        (wingback_status::SourceGone, c"source-gone"),
        (wingback_status::Corrupt, c"corrupt"),
        (wingback_status::Busy, c"busy"),
        (wingback_status::UrlExpired, c"url-expired"),
        (wingback_status::Io, c"io"),
        (wingback_status::Internal, c"internal"),
        (wingback_status::Unsupported, c"unsupported"),
        (wingback_status::Mismatch, c"mismatch"),
    ];
    let found = NAMES.iter().find(|(known, _)| *known as i32 == status);
    found.map_or(c"unknown", |(_, name)| name).as_ptr()
}
