//! The worker: jobs as JSON lines, for bindings that would rather not call each function.

use std::ffi::c_int;

use crate::{
    descriptor::duplicate, enums::wingback_status, error::wingback_error, guard::guard, signals,
};

/// Serves the requests that are read from one descriptor with events to another, as the command
/// `wingback worker` does, until the first has no more; then cancels what still runs and waits up to
/// half a minute for its end. `streams` is a Unix socket of type SEQPACKET. `docs/worker.md` has the
/// protocol. It uses duplicates of the descriptors, and the thread that calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wingback_worker_run(
    requests: c_int,
    events: c_int,
    streams: c_int,
    error: *mut *mut wingback_error,
) -> wingback_status {
    let serve = || {
        let _blocked = signals::block();
        let (requests, events) = (duplicate(requests)?, duplicate(events)?);
        let served = wingback_worker::serve(requests, events, duplicate(streams)?);
        served.map_err(|e| wingback::Error::io("serve", e).into())
    };
    // SAFETY: as the header says.
    unsafe { guard(error, serve) }
}
