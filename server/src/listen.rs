//! The listening socket.

use std::{
    io,
    net::{self, Ipv4Addr, SocketAddr},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt},
};
use smol::net::TcpListener;

/// Length of the kernel's queue of new connections.
const BACKLOG: i32 = 1024;

/// Listens on `address`. `[::]` includes IPv4, whatever the default of the machine is. On a machine
/// without IPv6 it means IPv4 only. Go does the same for Wings.
pub(crate) async fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    if !matches!(address, SocketAddr::V6(v6) if v6.ip().is_unspecified()) {
        return TcpListener::bind(address).await;
    }
    match listen_everywhere(address) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listener => TcpListener::try_from(listener?),
    }
}

fn listen_everywhere(address: SocketAddr) -> Result<net::TcpListener, Errno> {
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
