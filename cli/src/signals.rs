//! Ctrl-C, SIGTERM and SIGHUP.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
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
            for (sender, last) in [first, second].into_iter().zip(&NUMBERS) {
                if let Some(Ok(signal)) = signals.next().await {
                    last.store(number(signal), SeqCst);
                }
                let _ = sender.send(());
            }
            // Further ones are ignored.
            signals.for_each(|_| future::ready(())).await;
        };
        let _ = thread::Builder::new().name("signals".into()).spawn(|| smol::block_on(listen));
    }
    [is_first.shared(), is_second.shared()]
});

/// Numbers of the first and of the second signal; 0 before it.
static NUMBERS: [AtomicU8; 2] = [AtomicU8::new(0), AtomicU8::new(0)];

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
    std::process::exit(status(1).into());
}

/// Keeps signals from ending the process from now on, so that the caller can wait for the [`first`] one.
pub fn listen() {
    LazyLock::force(&RECEIVED);
}

/// Keeps the second signal from ending the process, because the caller has something to do before that.
pub fn hold() {
    IS_HELD.store(true, SeqCst);
    listen();
}

/// Returns the exit status of a process that the first signal has cancelled. `None` without a signal.
pub fn cancelled() -> Option<u8> {
    (NUMBERS[0].load(SeqCst) != 0).then(|| status(0))
}

/// Returns 128 and the number of the signal, as shells do.
fn status(n: usize) -> u8 {
    128 + NUMBERS[n].load(SeqCst)
}

fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Hup => 1,
        Signal::Term => 15,
        _ => 2,
    }
}

async fn nth(n: usize) {
    if RECEIVED[n].clone().await.is_err() {
        // Signals cannot be received.
        future::pending().await
    }
}
