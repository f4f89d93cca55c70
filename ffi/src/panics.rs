//! Panics. None leaves a C function: it becomes a failure, or a default value.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    enums::wingback_status,
    failure::{Failure, Result},
};

/// Runs the body of a call that cannot fail. Returns `default` after a panic.
pub(crate) fn infallible<T>(default: T, body: impl FnOnce() -> T) -> T {
    catch_panic(|| Ok(body())).unwrap_or(default)
}

/// Runs `body`; a panic is a failure.
pub(crate) fn catch_panic<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // State that a panic left inconsistent is behind a lock that is poisoned now, or is dropped with
    // the operation.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panic_failure(panic)))
}

fn panic_failure(panic: Box<dyn Any + Send>) -> Failure {
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    };
    // The drop of a payload may panic too. The payload of that panic is leaked, as its drop might
    // panic once more.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    Failure::new(wingback_status::Internal, format!("the library panicked: {message}"))
}
