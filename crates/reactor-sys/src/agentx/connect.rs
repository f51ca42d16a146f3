//! Reaching the master agent: by TCP, all addresses of a name, or by a unix socket.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

/// Addresses of one name that are tried: a resolver may give thousands.
const ADDRESSES: usize = 16;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) to: String,
    pub(super) stream: Stream,
}

/// Its socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {path}: does snmpd run, with `master agentx`?")]
    Unix { path: String, source: io::Error },
    #[error("cannot look up {address}")]
    Lookup { address: String, source: io::Error },
    #[error("there is no address for {address}")]
    NoAddress { address: String },
    #[error("cannot connect to {failures}: does snmpd run, with `master agentx` and `agentXSocket tcp:{address}`?")]
    Tcp { address: String, failures: String },
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer")
}

/// Connects to `unix:/PATH`, `/PATH` or `HOST:PORT`; each attempt within `limit`.
pub(super) async fn connect(address: &str, limit: Duration) -> Result<Connection, ConnectError> {
    let path = address.strip_prefix("unix:").unwrap_or(address);
    if path.starts_with('/') {
        let failed = |source| ConnectError::Unix { path: path.to_owned(), source };
        let connected = timeout(limit, UnixStream::connect(Path::new(path))).await;
        let stream = connected.unwrap_or_else(|_| Err(late())).map_err(failed)?;
        return Ok(Connection { to: path.to_owned(), stream: Stream::Unix(stream) });
    }
    let failed = |source| ConnectError::Lookup { address: address.to_owned(), source };
    let found = timeout(limit, lookup_host(address)).await.unwrap_or_else(|_| Err(late())).map_err(failed)?;
    connect_tcp(address, found, limit).await
}

/// Connects to the first address that takes it.
async fn connect_tcp(
    address: &str,
    found: impl Iterator<Item = SocketAddr>,
    limit: Duration,
) -> Result<Connection, ConnectError> {
    let mut failures = Vec::new();
    for one in found.take(ADDRESSES) {
        match timeout(limit, TcpStream::connect(one)).await.unwrap_or_else(|_| Err(late())) {
            Ok(stream) => {
                // An answer is one packet, and somebody waits for it.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "answers to snmpd may be late");
                }
                return Ok(Connection { to: one.to_string(), stream: Stream::Tcp(stream) });
            }
            Err(error) => failures.push(format!("{one} ({error})")),
        }
    }
    let address = address.to_owned();
    match failures.is_empty() {
        true => Err(ConnectError::NoAddress { address }),
        false => Err(ConnectError::Tcp { address, failures: failures.join(" or ") }),
    }
}

impl Stream {
    /// Sends what can be sent at once.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    pub(super) fn io(&mut self) -> &mut (dyn Io + '_) {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

/// What both sockets can do.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_name_with_thousands_of_addresses_some_are_tried() {
        // Nobody listens there: the port was ours until now.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let nobody = nobody.expect("the loopback has a port");
        let found = std::iter::repeat_n(nobody, 5000);
        let Err(ConnectError::Tcp { failures, .. }) = connect_tcp("x:1", found, Duration::from_secs(60)).await else {
            panic!("it is connected, or says something else")
        };
        assert_eq!(failures.split(" or ").count(), ADDRESSES);
    }
}
