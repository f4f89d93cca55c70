//! Splits a stream of bytes into numbered parts, and sends several at once.

use std::{future::Future, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::{
    error::{Error, ErrorKind, Result},
    net::http::RequestBody,
    progress::Confirmed,
    store::{Sent, part_buffer::PartBuffer},
};

/// Sends one part. Part numbers begin at 1.
pub(crate) type SendPart = Box<dyn FnMut(u32, Part) -> BoxFuture<'static, Result<SentPart>> + Send>;

/// A part to send.
pub(crate) struct Part {
    pub(crate) content: RequestBody,
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
/// It holds the part that fills up and the parts in transit, in memory or in files. Dropping it stops their requests.
pub(crate) struct Parts {
    part_size: u64,
    parallel: usize,
    /// Directory for parts that have no room in memory.
    staging: PathBuf,
    send: SendPart,
    filling: Option<PartBuffer>,
    /// Offset in the previous archive at which the bytes of `filling` are.
    copy_of: Option<u64>,
    etags: Vec<String>,
    in_flight: FuturesUnordered<BoxFuture<'static, Arrived>>,
    /// Number of parts in transit that are in memory.
    in_memory: usize,
    size: u64,
    sent: Sent,
}

/// The end of a part's transit.
struct Arrived {
    /// Number of parts before it.
    place: usize,
    was_in_memory: bool,
    sent: Result<SentPart>,
}

impl Parts {
    pub(crate) fn new(part_size: u64, parallel: usize, staging: PathBuf, send: SendPart) -> Self {
        Parts {
            part_size,
            parallel,
            staging,
            send,
            filling: None,
            copy_of: None,
            etags: Vec::new(),
            in_flight: FuturesUnordered::new(),
            in_memory: 0,
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
            let mut filling = match self.filling.take() {
                Some(filling) => filling,
                None => self.begin().await?,
            };
            let (len, room) = (filling.len(), self.part_size - filling.len());
            let piece = bytes.split_to(room.min(bytes.len() as u64) as usize);
            self.copy_of = match len {
                0 => copy_of,
                len => self.copy_of.filter(|at| copy_of == Some(at + len)),
            };
            copy_of = copy_of.map(|at| at + piece.len() as u64);
            filling.push(piece).await?;
            match filling.len() == self.part_size {
                true => self.start(filling).await?,
                false => self.filling = Some(filling),
            }
        }
        Ok(())
    }

    /// Sends the last part, and resolves after all parts have arrived. An empty stream is one empty part.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        match self.filling.take() {
            Some(filling) => self.start(filling).await?,
            None if self.etags.is_empty() => {
                let empty = self.begin().await?;
                self.start(empty).await?;
            }
            None => {}
        }
        while let Some(arrived) = self.in_flight.next().await {
            self.arrived(arrived)?;
        }
        Ok(())
    }

    /// Begins a part. It waits for memory only as long as parts of this upload take some, because other uploads may
    /// never free theirs.
    async fn begin(&mut self) -> Result<PartBuffer> {
        loop {
            if let Some(buffer) = PartBuffer::in_memory(self.part_size) {
                return Ok(buffer);
            }
            match self.in_memory {
                0 => return PartBuffer::in_file(&self.staging).await,
                _ => self.wait_for_one().await?,
            }
        }
    }

    async fn start(&mut self, buffer: PartBuffer) -> Result<()> {
        while self.in_flight.len() >= self.parallel {
            self.wait_for_one().await?;
        }
        let (content, reserved) = buffer.finish();
        let (place, was_in_memory) = (self.etags.len(), reserved.is_some());
        self.etags.push(String::new());
        self.in_memory += usize::from(was_in_memory);
        let sent = (self.send)(place as u32 + 1, Part { content, copy_of: self.copy_of.take() });
        let arrived = async move {
            let sent = sent.await;
            drop(reserved);
            Arrived { place, was_in_memory, sent }
        };
        self.in_flight.push(arrived.boxed());
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<()> {
        match self.in_flight.next().await {
            Some(arrived) => self.arrived(arrived),
            None => Ok(()),
        }
    }

    fn arrived(&mut self, Arrived { place, was_in_memory, sent }: Arrived) -> Result<()> {
        self.in_memory -= usize::from(was_in_memory);
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
            let confirmed = Confirmed::Uploaded(part.content.len());
            futures::future::ready(Ok(SentPart { etag: "e".into(), confirmed })).boxed()
        };
        let mut parts = Parts::new(10, 2, std::env::temp_dir(), Box::new(send));
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
