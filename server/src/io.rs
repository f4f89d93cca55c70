//! A connection as a trait object.

use futures::{AsyncRead, AsyncWrite};

/// The bytes of a connection, with or without TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
