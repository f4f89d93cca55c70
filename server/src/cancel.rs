//! Cancellation across tasks.

use smol::channel::{self, Receiver, Sender};

/// A request to stop. It is set once and stays set.
#[derive(Debug)]
pub(crate) struct CancelToken(Sender<()>, Receiver<()>);

impl CancelToken {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel::bounded(1);
        CancelToken(sender, receiver)
    }

    pub(crate) fn cancel(&self) {
        self.0.close();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_closed()
    }

    /// Resolves after [`cancel`](CancelToken::cancel).
    pub(crate) async fn cancelled(&self) {
        let _ = self.1.recv().await;
    }
}
