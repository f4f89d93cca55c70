//! The frame of every call that can fail: an error or a panic becomes a status and an error object.

use crate::{
    enums::wingback_status, error::wingback_error, failure::Result, opaque, panics::catch_panic,
};

/// Runs the body of a call that can fail. Writes its failure to `error` unless that is NULL.
///
/// # Safety
///
/// `error` is NULL or writable.
pub(crate) unsafe fn guard(
    error: *mut *mut wingback_error,
    body: impl FnOnce() -> Result<()>,
) -> wingback_status {
    let Err(failure) = catch_panic(body) else {
        return wingback_status::Ok;
    };
    let status = failure.status;
    if !error.is_null() && status.is_failure() {
        // SAFETY: the caller promises that `error` is NULL or writable, and it is not NULL.
        unsafe { error.write(opaque::give(failure)) };
    }
    status
}

impl wingback_status {
    /// Whether an error object belongs to this status.
    fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::NotYet | Self::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{failure::Failure, panics::infallible};

    #[test]
    fn a_panic_is_a_status() {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` is a local variable.
        let status = unsafe { guard(&raw mut error, || panic!("on {}", "purpose")) };
        assert_eq!(status, wingback_status::Internal);
        // SAFETY: `guard` has just given this error to the test, which alone has it.
        let reclaimed = unsafe { opaque::reclaim(error) }.expect("an error");
        assert_eq!(reclaimed.get().map(Failure::text), Some("the library panicked: on purpose"));
        assert_eq!(infallible(7, || panic!("too")), 7);
    }
}
