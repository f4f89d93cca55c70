//! `wingback worker`: serves the engine to the program that started it.

use std::{
    io::{stderr, stdin, stdout},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    net::{SocketType, sockopt::socket_type},
    stdio::dup2_stdout,
};

use crate::{output::complain, status::Status};

/// Descriptor of the socket that receives further descriptors.
const STREAMS: i32 = 3;

pub fn worker() -> Status {
    match descriptors().and_then(|[requests, events, streams]| {
        wingback_worker::serve(requests, events, streams).map_err(|e| e.to_string())
    }) {
        Ok(()) => Status::Done,
        Err(e) => {
            complain(&e);
            Status::Failed
        }
    }
}

/// Returns duplicates of standard input, standard output and the socket. Child processes do not inherit
/// them. Other output to standard output is redirected to standard error.
fn descriptors() -> Result<[OwnedFd; 3], String> {
    let streams = socket().map_err(|_| {
        format!("descriptor {STREAMS} is not a socket of type SEQPACKET (the Go module passes one)")
    })?;
    let standard = || -> rustix::io::Result<_> {
        let both = (take(stdin().as_fd())?, take(stdout().as_fd())?);
        dup2_stdout(stderr())?;
        Ok(both)
    };
    let (requests, events) = standard().map_err(|e| e.to_string())?;
    Ok([requests, events, streams])
}

fn socket() -> rustix::io::Result<OwnedFd> {
    // SAFETY: the borrowed descriptor must stay open while it is used. If it is not open, `fcntl` returns
    // EBADF. This process closes descriptor 3 nowhere.
    let socket = take(unsafe { BorrowedFd::borrow_raw(STREAMS) })?;
    match socket_type(&socket)? {
        SocketType::SEQPACKET => Ok(socket),
        _ => Err(Errno::PROTOTYPE),
    }
}

fn take(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    fcntl_dupfd_cloexec(fd, STREAMS + 1)
}
