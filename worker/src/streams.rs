//! Descriptors for the bytes of jobs. They come over a socket, each with its job and the number that
//! the job's request names it by, and are there before the request is.

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

use crate::job::lock;

/// Bytes between the engine and the thread that reads or writes a descriptor.
const BUFFER: usize = 1 << 20;

/// Reads or writes one.
pub(crate) type Stream = Unblock<File>;

#[derive(Debug)]
pub(crate) struct Streams {
    socket: OwnedFd,
    /// By job and number. Nothing is received without the lock, so that what was sent before a
    /// request is here, or in the socket, for whoever has the lock.
    here: Mutex<HashMap<(u64, u64), OwnedFd>>,
}

/// What a look at the socket has found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    End,
}

impl Streams {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Streams { socket, here: Mutex::default() }
    }

    /// A descriptor of a job's.
    pub(crate) fn take(&self, job: u64, number: u64) -> Result<Stream> {
        let mut here = lock(&self.here);
        let fail = |e| Error::io("receive a stream", e);
        self.receive(&mut here).map_err(fail)?;
        match here.remove(&(job, number)) {
            Some(fd) => Ok(Unblock::with_capacity(BUFFER, File::from(fd))),
            None => {
                let error = Error::new(ErrorKind::InvalidInput, "use the stream");
                Err(error.caused_by(format!("job {job} was given none with the number {number}")))
            }
        }
    }

    /// Closes what a job did not take.
    pub(crate) fn discard(&self, job: u64) {
        let mut here = lock(&self.here);
        // Its failure is for the next who takes one.
        let _ = self.receive(&mut here);
        here.retain(|(of, _), _| *of != job);
    }

    /// Empties the socket whenever something is in it, so that whoever sends need not wait.
    pub(crate) fn listen(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            let mut here = lock(&self.here);
            if self.receive(&mut here)? == Found::End {
                return Ok(());
            }
        }
    }

    /// Ends `listen`.
    pub(crate) fn close(&self) {
        // The other side may have closed it.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    fn receive(&self, here: &mut HashMap<(u64, u64), OwnedFd>) -> io::Result<Found> {
        loop {
            let mut message = [0; 16];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut message)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let received = match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(Found::Nothing),
                received => received?.bytes,
            };
            if received == 0 {
                return Ok(Found::End);
            }
            let fd = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            let (job, number) = message.split_at(8);
            match (fd, job.try_into(), number.try_into()) {
                (Some(fd), Ok(job), Ok(number)) if received == 16 => {
                    here.insert((u64::from_le_bytes(job), u64::from_le_bytes(number)), fd);
                }
                _ => return Err(io::Error::other("a message that is no stream")),
            }
        }
    }
}
