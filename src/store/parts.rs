//! Splits a stream of bytes into numbered parts, and sends several at once.

use std::{future::Future, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::{
    error::{Error, ErrorKind, Result},
    store::Sent,
};

/// Sends one part, and returns the ETag of the service. Part numbers begin at 1.
pub(crate) type SendPart = Box<dyn FnMut(u32, Bytes) -> BoxFuture<'static, Result<String>> + Send>;

/// Splits written bytes into parts of one size (the last may be smaller), and sends them.
///
/// It holds in memory the part that fills up and the parts in transit. Dropping it stops their requests.
pub(crate) struct Parts {
    part_size: usize,
    parallel: usize,
    send: SendPart,
    filling: BytesMut,
    etags: Vec<String>,
    in_flight: FuturesUnordered<BoxFuture<'static, (usize, u64, Result<String>)>>,
    size: u64,
    sent: Sent,
}

impl Parts {
    pub(crate) fn new(part_size: usize, parallel: usize, send: SendPart) -> Self {
        Parts {
            part_size,
            parallel,
            send,
            filling: BytesMut::new(),
            etags: Vec::new(),
            in_flight: FuturesUnordered::new(),
            size: 0,
            sent: Arc::new(|_| ()),
        }
    }

    /// Appends bytes, and resolves when there is room for more.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        // A failed part fails the write at once.
        while let Some(Some(arrived)) = self.in_flight.next().now_or_never() {
            self.arrived(arrived)?;
        }
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filling.capacity() == 0 {
                self.filling.reserve(self.part_size);
            }
            let room = self.part_size - self.filling.len();
            self.filling.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.filling.len() == self.part_size {
                self.start().await?;
            }
        }
        Ok(())
    }

    /// Sends the last part, and resolves after all parts have arrived. An empty stream is one empty part.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        if !self.filling.is_empty() || self.etags.is_empty() {
            self.start().await?;
        }
        while let Some(arrived) = self.in_flight.next().await {
            self.arrived(arrived)?;
        }
        Ok(())
    }

    async fn start(&mut self) -> Result<()> {
        while self.in_flight.len() >= self.parallel {
            if let Some(arrived) = self.in_flight.next().await {
                self.arrived(arrived)?;
            }
        }
        let bytes = std::mem::take(&mut self.filling).freeze();
        let (place, len) = (self.etags.len(), bytes.len() as u64);
        self.etags.push(String::new());
        let sent = (self.send)(place as u32 + 1, bytes);
        self.in_flight.push(sent.map(move |etag| (place, len, etag)).boxed());
        Ok(())
    }

    fn arrived(&mut self, (place, len, etag): (usize, u64, Result<String>)) -> Result<()> {
        self.etags[place] = etag?;
        (self.sent)(len);
        Ok(())
    }

    /// Sets a function to call with the size of each part that has arrived.
    pub(crate) fn on_sent(&mut self, sent: Sent) {
        self.sent = sent;
    }

    /// Returns the bytes that were written so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the ETags in the order of the parts. Complete after [`finish`](Parts::finish).
    pub(crate) fn etags(&self) -> &[String] {
        &self.etags
    }
}

/// Sends `count` parts, `parallel` at once, of data that can be read at any offset.
pub(crate) async fn send_all<F>(
    count: u32,
    parallel: usize,
    send: impl Fn(u32) -> F,
) -> Result<Vec<String>>
where
    F: Future<Output = Result<String>>,
{
    let mut etags = vec![String::new(); count as usize];
    let mut in_flight = futures::stream::iter(1..=count)
        .map(|number| send(number).map(move |etag| (number, etag)))
        .buffer_unordered(parallel);
    while let Some((number, etag)) = in_flight.next().await {
        let etags = etags.get_mut(number as usize - 1);
        let slot = etags.ok_or_else(|| Error::new(ErrorKind::Internal, "number the parts"))?;
        *slot = etag?;
    }
    Ok(etags)
}
