//! Signals. The library's threads block them.
//!
//! A program's signal handlers therefore run on its own threads. A write to a connection or pipe
//! without a reader is an error here, not a SIGPIPE, which would end a program that does not expect
//! it. A new thread inherits the mask of the thread that starts it (pthread_create(3)), so it is
//! enough to start the thread that polls the engine under such a mask.

use std::{mem::MaybeUninit, pin::pin, ptr};

use futures::{FutureExt, executor, future};

/// Signals that stay unblocked. A thread causes most of them itself, and blocking those is undefined
/// (pthread_sigmask(3)). Profilers need SIGPROF.
const NOT_BLOCKED: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPROF,
];

/// The thread's earlier signal mask, which is restored on drop. `None` under Miri, which does not
/// support signals.
pub(crate) struct SignalMask(Option<libc::sigset_t>);

/// Blocks signals on this thread, and on the threads that it starts.
pub(crate) fn block() -> SignalMask {
    if cfg!(miri) {
        return SignalMask(None);
    }
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset(3) initializes `all` before it is read. pthread_sigmask(3) initializes
    // `before`; it fails only for an unknown first argument, and SIG_BLOCK is known.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for signal in NOT_BLOCKED {
            libc::sigdelset(all.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        SignalMask(Some(before.assume_init()))
    }
}

/// Waits for a future of the engine on the caller's thread. The thread takes signals while it waits,
/// but not while it polls.
pub(crate) fn block_on<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    executor::block_on(future::poll_fn(|context| {
        let _blocked = block();
        work.poll_unpin(context)
    }))
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: `before` is initialized: pthread_sigmask(3) filled it in `block`. A NULL output
            // is allowed.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
        }
    }
}
