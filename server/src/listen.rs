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

/// Connections that the kernel keeps for the daemon.
const BACKLOG: i32 = 1024;

/// Listens at `address`. `[::]` means IPv4 as well, whatever the machine's default is, and IPv4
/// alone on a machine without IPv6. Go does the same for Wings.
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
