//! A client that fetches one page again and again over one connection, and costs next to nothing itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection to a metrics server.
pub struct Scraper {
    address: SocketAddr,
    stream: Box<dyn Stream>,
    /// TLS, and whom to believe.
    tls: Option<Arc<ClientConfig>>,
    buffer: Vec<u8>,
}

/// Plain or not.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Scraper {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, stream: open(address, None)?, tls: None, buffer: vec![0; 1 << 20] })
    }

    /// The same over TLS; the server's certificate is signed by this authority, in PEM.
    pub fn connect_tls(address: SocketAddr, authority: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority).context("reading the authority")?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tls = Some(Arc::new(config));
        Ok(Self { address, stream: open(address, tls.as_ref())?, tls, buffer: vec![0; 1 << 20] })
    }

    /// The body of `path` compressed, as it comes in chunks; how many bytes that were. It is not looked at.
    pub fn fetch_compressed(&mut self, path: &str) -> Result<usize> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: gzip\r\n\r\n", self.address);
        self.stream.write_all(request.as_bytes())?;
        self.stream.flush()?;
        let (head, mut have) = self.read_head()?;
        let text = std::str::from_utf8(&self.buffer[..head]).context("the head of the answer is no text")?;
        if !text.starts_with("HTTP/1.1 200") || !text.contains("gzip") || !text.contains("chunked") {
            bail!("{path}: {text}");
        }
        let mut at = head;
        let mut size = 0;
        loop {
            let line = loop {
                if let Some(end) = self.buffer[at..have].windows(2).position(|bytes| bytes == b"\r\n") {
                    break at..at + end;
                }
                have += self.more(have)?;
            };
            let text = std::str::from_utf8(&self.buffer[line.clone()]).context("a chunk without a length")?;
            let length = usize::from_str_radix(text.trim(), 16).context("a chunk without a length")?;
            at = line.end + 2 + length + 2;
            while have < at {
                have += self.more(have)?;
            }
            if length == 0 {
                return Ok(size);
            }
            size += length;
        }
    }

    /// Reads on behind `have`.
    fn more(&mut self, have: usize) -> Result<usize> {
        if have == self.buffer.len() {
            self.buffer.resize(2 * have, 0);
        }
        match self.stream.read(&mut self.buffer[have..])? {
            0 => bail!("the connection was closed in the middle of the answer"),
            count => Ok(count),
        }
    }

    /// The body of `path`, as text.
    pub fn get(&mut self, path: &str) -> Result<&str> {
        std::str::from_utf8(self.fetch(path)?).context("the answer is no text")
    }

    /// The body of `path`, not looked at: megabytes of text take a while.
    pub fn fetch(&mut self, path: &str) -> Result<&[u8]> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        if self.stream.write_all(request.as_bytes()).is_err() {
            self.stream = open(self.address, self.tls.as_ref())?;
            self.stream.write_all(request.as_bytes())?;
        }
        self.stream.flush()?;
        let (head, mut have) = self.read_head()?;
        let text = std::str::from_utf8(&self.buffer[..head]).context("the head of the answer is no text")?;
        if !text.starts_with("HTTP/1.1 200") {
            bail!("{path}: {}", text.lines().next().unwrap_or_default());
        }
        let length = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .with_context(|| format!("{path}: the answer has no Content-Length"))?;
        if self.buffer.len() < head + length {
            self.buffer.resize(head + length, 0);
        }
        while have < head + length {
            match self.stream.read(&mut self.buffer[have..head + length])? {
                0 => bail!("{path}: the connection was closed in the middle of the answer"),
                count => have += count,
            }
        }
        Ok(&self.buffer[head..head + length])
    }

    /// Reads until the empty line; returns where the body begins and how much was read.
    fn read_head(&mut self) -> Result<(usize, usize)> {
        let mut have = 0;
        loop {
            match self.stream.read(&mut self.buffer[have..])? {
                0 => bail!("the connection was closed before an answer"),
                count => have += count,
            }
            if let Some(at) = self.buffer[..have].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok((at + 4, have));
            }
            if have > 16 * 1024 {
                bail!("the head of the answer does not end");
            }
        }
    }
}

fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => {
            let client = ClientConnection::new(Arc::clone(tls), address.ip().into())?;
            Box::new(StreamOwned::new(client, stream))
        }
    })
}
