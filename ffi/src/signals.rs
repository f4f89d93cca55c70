//! Signals: the library's threads take none of the process's.
//!
//! A program's handlers run on its own threads then, and a connection or pipe that nobody reads from
//! any more is an error here and not a SIGPIPE, which ends a program that does not expect it. A
//! thread passes its mask on to those that it starts (pthread_create(3)), so it is enough to start the
//! one that polls the engine under such a mask.

use std::{mem::MaybeUninit, pin::pin, ptr};

use futures::{FutureExt, executor, future};

/// What a thread does by itself cannot be put off (pthread_sigmask(3)); and profilers want theirs.
const LEFT: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPROF,
];

/// The thread's mask as it was, until this is dropped. None under Miri, which knows no signals.
pub(crate) struct Blocked(Option<libc::sigset_t>);

/// Keeps signals from this thread, and from those that it starts.
pub(crate) fn block() -> Blocked {
    if cfg!(miri) {
        return Blocked(None);
    }
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: the one is filled before it is read, the other written by a call that cannot fail with
    // these arguments.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for signal in LEFT {
            libc::sigdelset(all.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        Blocked(Some(before.assume_init()))
    }
}

/// Waits for a future of the engine's on the caller's thread, which takes its signals while it waits.
pub(crate) fn block_on<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    executor::block_on(future::poll_fn(|context| {
        let _blocked = block();
        work.poll_unpin(context)
    }))
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: it is a mask that the system gave.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
        }
    }
}
