//! A client that fetches one page again and again over one connection, and costs next to nothing itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A connection to a metrics server.
#[derive(Debug)]
pub struct Scraper {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Scraper {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, stream: open(address)?, buffer: vec![0; 1 << 20] })
    }

    /// The body of `path`, as text.
    pub fn get(&mut self, path: &str) -> Result<&str> {
        std::str::from_utf8(self.fetch(path)?).context("the answer is no text")
    }

    /// The body of `path`, not looked at: megabytes of text take a while.
    pub fn fetch(&mut self, path: &str) -> Result<&[u8]> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        if self.stream.write_all(request.as_bytes()).is_err() {
            self.stream = open(self.address)?;
            self.stream.write_all(request.as_bytes())?;
        }
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

fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}
