//! A client of the simulator, without a runtime: the look-alikes live for one answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};

use super::protocol::{Reply, Request};

/// A connection to the simulator.
pub struct Client {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Sender,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// The half that asks.
pub struct Sender(Box<dyn Write + Send>);

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    /// Asks, and does not wait.
    pub fn send(&mut self, request: &Request) -> Result<()> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.0.write_all(line.as_bytes()).context("the simulator has ended")
    }
}

impl Client {
    /// Connects to a Unix socket, or to `tcp:HOST:PORT`.
    pub fn connect(socket: &str) -> Result<Self> {
        let refused = || format!("no simulator at {socket}");
        let (reader, writer): (Box<dyn Read + Send>, Box<dyn Write + Send>) = match socket.strip_prefix("tcp:") {
            Some(address) => {
                let stream = TcpStream::connect(address).with_context(refused)?;
                stream.set_nodelay(true)?;
                (Box::new(stream.try_clone()?), Box::new(stream))
            }
            None => {
                let stream = UnixStream::connect(socket).with_context(refused)?;
                (Box::new(stream.try_clone()?), Box::new(stream))
            }
        };
        Ok(Self { reader: BufReader::new(reader), writer: Sender(writer) })
    }

    /// Asks, and does not wait.
    pub fn send(&mut self, request: &Request) -> Result<()> {
        self.writer.send(request)
    }

    /// Waits for the next reply; `None` when the simulator closed the connection.
    pub fn receive(&mut self) -> Result<Option<Reply>> {
        receive(&mut self.reader)
    }

    /// Asks and waits.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.send(request)?;
        match self.receive()? {
            Some(reply) => Ok(reply),
            None => bail!("the simulator has ended"),
        }
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (impl FnMut() -> Result<Option<Reply>>, Sender) {
        let mut reader = self.reader;
        (move || receive(&mut reader), self.writer)
    }
}

fn receive(reader: &mut impl BufRead) -> Result<Option<Reply>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line).with_context(|| format!("the simulator says {}", line.trim()))?))
}
