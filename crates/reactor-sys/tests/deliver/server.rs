//! Servers of these tests: connections in the clear or with TLS, taken one after the other.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;
use crate::{Home, LONG};

/// Something to read from and write to.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// An authority, and a certificate for localhost.
pub(crate) struct Tls {
    /// The authority's certificate.
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(home: &Home) -> Self {
        let authority = Authority::new("the authority");
        let pair = authority.sign(&home.0, "server", &["localhost"], 2090);
        let certificate = CertificateDer::from_pem_reader(File::open(&pair.cert).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_reader(File::open(&pair.key).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Self { ca: authority.write(&home.path("ca.crt")), cert: pair.cert, key: pair.key, config: Arc::new(config) }
    }

    /// The server's side of a connection.
    pub(crate) fn accept(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), socket)
    }
}

/// A port, and who comes there.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn accept(&self) -> TcpStream {
        let (socket, _) = self.0.accept().unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket
    }
}

/// Lines of somebody who speaks in lines.
pub(crate) struct Lines(BufReader<Box<dyn Stream>>);

impl Lines {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    /// The next line; empty = it has gone.
    pub(crate) fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap_or_default();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    pub(crate) fn say(&mut self, text: &str) {
        let _ = self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).and_then(|()| self.0.get_mut().flush());
    }

    /// Reads a line that has to be this, and answers it.
    pub(crate) fn expect(&mut self, line: &str, answer: &str) {
        assert_eq!(self.next(), line);
        if !answer.is_empty() {
            self.say(answer);
        }
    }
}
