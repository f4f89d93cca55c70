//! `wingback worker`: the engine for a program that runs this one.

use std::{
    io::{stderr, stdin, stdout},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    net::{SocketType, sockopt::socket_type},
    stdio::dup2_stdout,
};

use crate::{Status, output::complain};

/// Where the socket is that descriptors come over.
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

/// Standard input and output, and the socket: as descriptors that no program run from here gets.
/// Whatever else is printed goes to standard error.
fn descriptors() -> Result<[OwnedFd; 3], String> {
    let streams = socket().map_err(|_| {
        format!("descriptor {STREAMS} is no socket of type SEQPACKET (the Go module passes one)")
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
    // SAFETY: it is only given to the system, which says so where it is not open.
    let socket = take(unsafe { BorrowedFd::borrow_raw(STREAMS) })?;
    match socket_type(&socket)? {
        SocketType::SEQPACKET => Ok(socket),
        _ => Err(Errno::PROTOTYPE),
    }
}

fn take(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    fcntl_dupfd_cloexec(fd, STREAMS + 1)
}
