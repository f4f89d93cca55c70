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

/// The ABI that this header describes. It grows with a change that programs built before would
/// notice, and is the number in the library's soname.
pub const WINGBACK_ABI_VERSION: u32 = 1;

/// Facts about a build of the library. The texts are UTF-8, end in a zero byte, and are always good.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wingback_build_info {
    /// sizeof(wingback_build_info).
    pub struct_size: usize,
    /// Version of the library.
    pub version: *const c_char,
    /// Commit that it was built from; empty where that is not known.
    pub commit: *const c_char,
    /// What it was built for, as Rust says it, such as "x86_64-unknown-linux-gnu".
    pub target: *const c_char,
    /// Encoder of the level FAST.
    pub encoder: *const c_char,
    /// Whether it has the network: stores in S3, links, part URLs.
    pub has_s3: bool,
}

// SAFETY: the struct is `repr(C)` and begins with `struct_size`. Zeroed memory is a valid value:
// each other field is a nullable pointer or a bool.
unsafe impl Record for wingback_build_info {}

static TEXTS: LazyLock<[CString; 4]> = LazyLock::new(|| {
    [BUILD.version, BUILD.commit, BUILD.target, BUILD.encoder]
        .map(|text| CString::new(text).unwrap_or_default())
});

/// The ABI of the library that is running, to compare with WINGBACK_ABI_VERSION where it was loaded
/// by hand.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_abi_version() -> u32 {
    WINGBACK_ABI_VERSION
}

/// The version of the library: text that ends in a zero byte.
#[unsafe(no_mangle)]
pub extern "C" fn wingback_version() -> *const c_char {
    infallible(c"".as_ptr(), || TEXTS[0].as_ptr())
}

/// The facts of the build that is running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_build(
    info: *mut wingback_build_info,
    error: *mut *mut wingback_error,
) -> wingback_status {
    // SAFETY: the caller promises that `info` is NULL or writable for its `struct_size`, and
    // `error` is NULL or writable.
    unsafe {
        guard(error, || {
            let [version, commit, target, encoder] = TEXTS.each_ref().map(|text| text.as_ptr());
            let has_s3 = cfg!(feature = "s3");
            let facts =
                wingback_build_info { struct_size: 0, version, commit, target, encoder, has_s3 };
            record::write(info, &facts, "info")
        })
    }
}

/// A word for a status, such as "not-found": text that ends in a zero byte. "unknown" for a number
/// that is none.
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
    ];
    let found = NAMES.iter().find(|(known, _)| *known as i32 == status);
    found.map_or(c"unknown", |(_, name)| name).as_ptr()
}
