//! Ctrl-C, SIGTERM and SIGHUP.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use async_signal::{Signal, Signals};
use futures::{
    FutureExt, StreamExt,
    channel::oneshot::{self, Receiver},
    future::{self, Shared},
};

/// Resolves for the first and for the second signal. From its first use on, no signal ends the process.
static RECEIVED: LazyLock<[Shared<Receiver<()>>; 2]> = LazyLock::new(|| {
    let (first, is_first) = oneshot::channel();
    let (second, is_second) = oneshot::channel();
    if let Ok(mut signals) = Signals::new([Signal::Int, Signal::Term, Signal::Hup]) {
        let listen = async move {
            for sender in [first, second] {
                signals.next().await;
                let _ = sender.send(());
            }
            // Further ones are ignored.
            signals.for_each(|_| future::ready(())).await;
        };
        let _ = thread::Builder::new().name("signals".into()).spawn(|| smol::block_on(listen));
    }
    [is_first.shared(), is_second.shared()]
});

/// True if the second signal must not end the process.
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Resolves after the first signal, and never without one.
pub async fn first() {
    nth(0).await;
}

/// Resolves after the second signal, and never without one.
pub async fn second() {
    nth(1).await;
}

/// Ends the process at the second signal, unless [`hold`] was called.
pub async fn exit() {
    second().await;
    if IS_HELD.load(SeqCst) {
        future::pending().await
    }
    std::process::exit(130);
}

/// Keeps the second signal from ending the process, because the caller has something to do before that.
pub fn hold() {
    IS_HELD.store(true, SeqCst);
    LazyLock::force(&RECEIVED);
}

async fn nth(n: usize) {
    if RECEIVED[n].clone().await.is_err() {
        // Signals cannot be received.
        future::pending().await
    }
}
