//! A connection with a deadline for all of it and a bound for what is read: in the clear or with TLS.
//!
//! The time limits of a socket are for one call each, and a server that sends a byte now and then would never reach them. Here each call gets what
//! is left of the whole.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::super::failure::Failure;

/// The longest line that a server may say.
const MAX_LINE: usize = 8 * 1024;

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    /// What was read and is no whole line yet.
    unread: Vec<u8>,
    /// `HOST:PORT`, for messages.
    to: String,
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
    /// It was taken to make another one of it, and that failed.
    Gone,
}

/// A socket whose calls end with the attempt.
struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Wire {
    /// Connects to a name or an address and a port: to the first of its addresses that answers.
    pub(super) fn connect(host: &str, port: u16, until: Instant) -> Result<Self, Failure> {
        let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let addresses =
            (host, port).to_socket_addrs().map_err(|error| Failure::of(format!("can't find {host}"), &error))?;
        let mut why = Failure::again(format!("{host} has no address"));
        for address in addresses {
            let left = super::left(until)?;
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => {
                    let _ = socket.set_nodelay(true);
                    return Ok(Self { stream: Stream::Plain(Timed { socket, until }), unread: Vec::new(), to });
                }
                Err(error) => why = Failure::of(format!("can't connect to {to}"), &error),
            }
        }
        Err(why)
    }

    /// Goes on with TLS. What the server has said before it is thrown away: somebody in between could have said it.
    pub(super) fn start_tls(&mut self, config: Arc<ClientConfig>, host: &str) -> Result<(), Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Failure::of(format!("{host} is no name that a certificate could have"), &error))?;
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(Failure::again("TLS is spoken already"));
        };
        self.unread.clear();
        let connection = ClientConnection::new(config, name).map_err(|error| self.failed("speak TLS with", &error))?;
        let mut stream = StreamOwned::new(connection, socket);
        // Now and not with the first word: whoever is not who it should be gets none.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| self.failed("speak TLS with", &error))?;
        }
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Another deadline.
    pub(super) fn until(&mut self, until: Instant) {
        match &mut self.stream {
            Stream::Plain(timed) => timed.until = until,
            Stream::Tls(stream) => stream.sock.until = until,
            Stream::Gone => {}
        }
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = match &mut self.stream {
            Stream::Plain(timed) => timed.write_all(bytes).and_then(|()| timed.flush()),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        };
        sent.map_err(|error| self.failed("write to", &error))
    }

    /// The next line, without its end; it may be any bytes.
    pub(super) fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
            if self.fill()? == 0 {
                return Err(Failure::again(format!("{} has closed the connection", self.to)));
            }
        }
    }

    /// A line that comes until then, or has come already: it is looked for at least a moment.
    pub(super) fn line_if_any(&mut self, until: Instant) -> Result<Option<String>, Failure> {
        self.until(until.max(Instant::now() + Duration::from_millis(1)));
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            match self.read_some() {
                Ok(0) => return Err(Failure::again(format!("{} has closed the connection", self.to))),
                Ok(_) => {}
                Err(error) if is_late(&error) => return Ok(None),
                Err(error) => return Err(self.failed("read from", &error)),
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        let text = String::from_utf8_lossy(&line);
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn fill(&mut self) -> Result<usize, Failure> {
        self.read_some().map_err(|error| self.failed("read from", &error))
    }

    fn read_some(&mut self) -> io::Result<usize> {
        if self.unread.len() > MAX_LINE {
            return Err(io::Error::other("it sends a line that does not end"));
        }
        let mut buffer = [0; 4096];
        let read = match &mut self.stream {
            Stream::Plain(timed) => timed.read(&mut buffer),
            Stream::Tls(stream) => stream.read(&mut buffer),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }?;
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read)
    }

    /// Says that nothing more comes, and waits until the other side closes, which it does when it has read everything. A reset means that it has
    /// not. One that keeps the connection open says nothing; that is not a failure.
    pub(super) fn close(mut self, within: Duration) -> Result<(), Failure> {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            stream.flush().map_err(|error| Failure::of(format!("can't write to {}", self.to), &error))?;
        }
        let socket = match &self.stream {
            Stream::Plain(timed) => &timed.socket,
            Stream::Tls(stream) => &stream.sock.socket,
            Stream::Gone => return Ok(()),
        };
        socket.shutdown(Shutdown::Write).map_err(|error| self.failed("write to", &error))?;
        self.until(Instant::now() + within);
        loop {
            self.unread.clear();
            match self.read_some() {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // TLS wants the other side to say goodbye; many do not.
                Err(error) if is_late(&error) || error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(self.failed("be sure of", &error)),
            }
        }
    }

    fn failed(&self, what: &str, error: &dyn std::error::Error) -> Failure {
        Failure::of(format!("can't {what} {}", self.to), error)
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// `HOST`, `HOST:PORT`, `[IPv6]:PORT` or a bare IPv6 address, as host and port.
pub(super) fn host_and_port(address: &str, default: u16) -> Result<(&str, u16), Failure> {
    let bad = || Failure::again(format!("{address} is no HOST:PORT"));
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")).ok_or_else(bad)?)
        }
        None if address.matches(':').count() == 1 => address.split_once(':').ok_or_else(bad)?,
        None => (address, ""),
    };
    let port = if port.is_empty() { default } else { port.parse().map_err(|_| bad())? };
    if host.is_empty() { Err(bad()) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("mail", ("mail", 25)),
            ("mail:587", ("mail", 587)),
            ("10.0.0.1:1", ("10.0.0.1", 1)),
            ("[fd00::1]:6697", ("fd00::1", 6697)),
            ("[fd00::1]", ("fd00::1", 25)),
            ("fd00::1", ("fd00::1", 25)),
        ] {
            assert_eq!(host_and_port(text, 25), Ok(expected), "{text}");
        }
        for bad in ["", ":1", "mail:x", "mail:70000", "[fd00::1", "[fd00::1]x", "[]:1"] {
            assert!(host_and_port(bad, 25).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_without_an_end_and_a_server_that_drips_are_no_ways_to_hold_us() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut endless, _) = listener.accept().unwrap();
            while endless.write_all(&[b'x'; 4096]).is_ok() {}
            let (mut silent, _) = listener.accept().unwrap();
            silent.write_all(b"half").unwrap();
            let mut rest = Vec::new();
            let _ = silent.read_to_end(&mut rest);
        });
        let long = Instant::now() + Duration::from_secs(60);
        let why = Wire::connect("127.0.0.1", port, long).unwrap().line().unwrap_err().why;
        assert!(why.contains("a line that does not end"), "{why}");
        let mut wire = Wire::connect("127.0.0.1", port, long).unwrap();
        wire.until(Instant::now() + Duration::from_millis(20));
        assert!(wire.line().is_err(), "half a line is none");
        drop(wire);
        server.join().unwrap();
    }
}
