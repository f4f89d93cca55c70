//! What stands around every body: errors become a status and an object, panics too.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    enums::wingback_status,
    error::{Failure, Result, wingback_error},
    opaque,
};

/// Runs the body of a fallible call. Its error goes to `error` where that is not NULL.
///
/// # Safety
///
/// `error` is NULL or may be written to.
pub(crate) unsafe fn guard(
    error: *mut *mut wingback_error,
    body: impl FnOnce() -> Result<()>,
) -> wingback_status {
    let Err(failure) = caught(body) else {
        return wingback_status::Ok;
    };
    let status = failure.status;
    if !error.is_null() && status.is_failure() {
        // SAFETY: the caller says so.
        unsafe { error.write(opaque::give(failure)) };
    }
    status
}

impl wingback_status {
    /// Whether there is something to say beyond the number.
    fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::NotYet | Self::End)
    }
}

/// Runs the body of a call that cannot fail; after a panic it gives `otherwise`.
pub(crate) fn infallible<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    caught(|| Ok(body())).unwrap_or(otherwise)
}

/// Runs `body`; a panic is a failure.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic left in disorder is behind locks that say so, or dropped with the operation.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(of_panic(panic)))
}

fn of_panic(panic: Box<dyn Any + Send>) -> Failure {
    let what = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "something".to_owned(),
    };
    // A payload's drop may panic in turn, and what that gives is not asked.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    Failure::new(wingback_status::Internal, format!("the library panicked: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status() {
        let mut error = std::ptr::null_mut();
        // SAFETY: it may be written to.
        let status = unsafe { guard(&raw mut error, || panic!("on {}", "purpose")) };
        assert_eq!(status, wingback_status::Internal);
        // SAFETY: it was given just now.
        let taken = unsafe { opaque::take(error) }.expect("an error");
        assert_eq!(taken.get().map(Failure::text), Some("the library panicked: on purpose"));
        assert_eq!(infallible(7, || panic!("too")), 7);
    }
}
