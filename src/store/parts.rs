//! Splits a stream of bytes into numbered parts, and sends several at once.

use std::{future::Future, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::{
    error::{Error, ErrorKind, Result},
    progress::Confirmed,
    store::Sent,
};

/// Sends one part. Part numbers begin at 1.
pub(crate) type SendPart = Box<dyn FnMut(u32, Part) -> BoxFuture<'static, Result<SentPart>> + Send>;

/// A part to send.
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    /// Offset in the previous archive at which all of these bytes are.
    pub(crate) copy_of: Option<u64>,
}

/// A part that has arrived.
pub(crate) struct SentPart {
    /// ETag of the service.
    pub(crate) etag: String,
    pub(crate) confirmed: Confirmed,
}

/// Splits written bytes into parts of one size (the last may be smaller), and sends them.
///
/// It holds in memory the part that fills up and the parts in transit. Dropping it stops their requests.
pub(crate) struct Parts {
    part_size: usize,
    parallel: usize,
    send: SendPart,
    filling: BytesMut,
    /// Offset in the previous archive at which the bytes of `filling` are.
    copy_of: Option<u64>,
    etags: Vec<String>,
    in_flight: FuturesUnordered<BoxFuture<'static, (usize, Result<SentPart>)>>,
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
            copy_of: None,
            etags: Vec::new(),
            in_flight: FuturesUnordered::new(),
            size: 0,
            sent: Arc::new(|_| ()),
        }
    }

    /// Appends bytes, and resolves when there is room for more. `copy_of` is their offset in the previous archive.
    pub(crate) async fn write(&mut self, mut bytes: Bytes, mut copy_of: Option<u64>) -> Result<()> {
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
            let piece = bytes.split_to(room.min(bytes.len()));
            self.copy_of = match self.filling.len() as u64 {
                0 => copy_of,
                len => self.copy_of.filter(|at| copy_of == Some(at + len)),
            };
            copy_of = copy_of.map(|at| at + piece.len() as u64);
            self.filling.extend_from_slice(&piece);
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
        let place = self.etags.len();
        self.etags.push(String::new());
        let sent = (self.send)(place as u32 + 1, Part { bytes, copy_of: self.copy_of.take() });
        self.in_flight.push(sent.map(move |sent| (place, sent)).boxed());
        Ok(())
    }

    fn arrived(&mut self, (place, sent): (usize, Result<SentPart>)) -> Result<()> {
        let SentPart { etag, confirmed } = sent?;
        self.etags[place] = etag;
        (self.sent)(confirmed);
        Ok(())
    }

    /// Sets a function to call for each part that has arrived.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::executor::block_on;

    use super::*;

    /// Returns the offset of each part in the previous archive, for pieces of these lengths and offsets.
    fn copied(pieces: &[(usize, Option<u64>)]) -> Vec<Option<u64>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let offsets = seen.clone();
        let send = move |_, part: Part| {
            offsets.lock().expect("whole").push(part.copy_of);
            let confirmed = Confirmed::Uploaded(part.bytes.len() as u64);
            futures::future::ready(Ok(SentPart { etag: "e".into(), confirmed })).boxed()
        };
        let mut parts = Parts::new(10, 2, Box::new(send));
        block_on(async {
            for &(len, copy_of) in pieces {
                parts.write(vec![0; len].into(), copy_of).await.expect("written");
            }
            parts.finish().await.expect("finished");
        });
        drop(parts);
        Arc::into_inner(seen).expect("one owner").into_inner().expect("whole")
    }

    #[test]
    fn a_part_is_a_copy_if_all_of_its_bytes_are_together_in_the_previous_archive() {
        assert_eq!(copied(&[(10, Some(7)), (10, None)]), [Some(7), None]);
        assert_eq!(copied(&[(25, Some(7))]), [Some(7), Some(17), Some(27)]);
        assert_eq!(copied(&[(4, Some(7)), (6, Some(11)), (10, Some(17))]), [Some(7), Some(17)]);
        assert_eq!(copied(&[(4, Some(7)), (6, Some(12))]), [None]);
        assert_eq!(copied(&[(4, None), (6, Some(4))]), [None]);
        assert_eq!(copied(&[(4, Some(7)), (2, None), (14, Some(13))]), [None, Some(17)]);
        assert_eq!(copied(&[(4, Some(7)), (0, Some(99)), (6, Some(11))]), [Some(7)]);
        assert_eq!(copied(&[(3, Some(7)), (22, Some(50))]), [None, Some(57), Some(67)]);
    }
}
