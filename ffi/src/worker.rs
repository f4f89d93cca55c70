//! The worker: jobs as JSON lines, for bindings that do not call each function.

use std::{ffi::c_int, io, thread};

use wingback::Error;

use crate::{
    descriptor::duplicate, enums::wingback_status, error::wingback_error, guard::guard, signals,
};

/// Reads requests from the descriptor `requests` and writes events to `events`, as the command
/// `wingback worker` does. `streams` is a Unix socket of type SEQPACKET. docs/worker.md describes
/// the protocol. At the end of the requests, running jobs are cancelled, and the worker waits up to
/// 30 seconds for their end. It uses duplicates of the descriptors.
///
/// Blocks until then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_worker_run(
    requests: c_int,
    events: c_int,
    streams: c_int,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let serve = || {
        let (requests, events) = (duplicate(requests)?, duplicate(events)?);
        let streams = duplicate(streams)?;
        // A write to a pipe without a reader leaves a SIGPIPE pending for its thread, which the thread
        // takes when it unblocks the signal. So the worker gets a thread that never does.
        let blocked = signals::block();
        let server = thread::Builder::new()
            .name("wingback-worker".into())
            .spawn(move || wingback_worker::serve(requests, events, streams));
        drop(blocked);
        let server = server.map_err(|e| Error::io("start a thread", e))?;
        let served = server.join().unwrap_or_else(|_| Err(io::Error::other("the worker panicked")));
        served.map_err(|e| Error::io("serve requests", e).into())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, serve) }
}
