//! Descriptors for the bytes of jobs. The other side sends them over a socket, each with the ID of its
//! job and the number that the request uses. It sends them before the request.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    sync::Mutex,
};

use blocking::Unblock;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, Shutdown, recvmsg, shutdown},
};
use wingback::{Error, ErrorKind, Result};

use crate::lock::lock;

/// Size of the buffer between the engine and the thread that reads or writes a descriptor.
const BUFFER: usize = 1 << 20;

/// A stream that a job reads or writes.
pub(crate) type Stream = Unblock<File>;

#[derive(Debug)]
pub(crate) struct Streams {
    socket: OwnedFd,
    /// Received descriptors by job and number. Receiving needs this lock. So with the lock held, a
    /// descriptor that was sent before a request is either received or in the socket.
    received: Mutex<HashMap<(u64, u64), OwnedFd>>,
}

/// State of the socket after all its messages are received.
#[derive(Debug, PartialEq, Eq)]
enum Socket {
    Open,
    Closed,
}

impl Streams {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Streams { socket, received: Mutex::default() }
    }

    /// Takes the descriptor of a job.
    pub(crate) fn take(&self, job: u64, number: u64) -> Result<Stream> {
        let mut received = lock(&self.received);
        let fail = |e| Error::io("receive a stream", e);
        self.receive(&mut received).map_err(fail)?;
        match received.remove(&(job, number)) {
            Some(fd) => Ok(Unblock::with_capacity(BUFFER, File::from(fd))),
            None => {
                let error = Error::new(ErrorKind::InvalidInput, "use the stream");
                Err(error.caused_by(format!("job {job} has no stream with the number {number}")))
            }
        }
    }

    /// Closes the descriptors that a job did not take.
    pub(crate) fn discard(&self, job: u64) {
        let mut received = lock(&self.received);
        // The next call of `take` returns this error.
        let _ = self.receive(&mut received);
        received.retain(|(of, _), _| *of != job);
    }

    /// Receives descriptors as soon as they arrive, so that the sender need not wait.
    pub(crate) fn listen(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            let mut received = lock(&self.received);
            if self.receive(&mut received)? == Socket::Closed {
                return Ok(());
            }
        }
    }

    /// Ends `listen`.
    pub(crate) fn close(&self) {
        // This fails if the other side has closed the socket.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    fn receive(&self, received: &mut HashMap<(u64, u64), OwnedFd>) -> io::Result<Socket> {
        loop {
            let mut message = [0; 16];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut message)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let length = match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(Socket::Open),
                message => message?.bytes,
            };
            if length == 0 {
                return Ok(Socket::Closed);
            }
            let fd = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            let (job, number) = message.split_at(8);
            match (fd, job.try_into(), number.try_into()) {
                (Some(fd), Ok(job), Ok(number)) if length == 16 => {
                    received.insert((u64::from_le_bytes(job), u64::from_le_bytes(number)), fd);
                }
                _ => return Err(io::Error::other("a message does not contain a stream")),
            }
        }
    }
}
