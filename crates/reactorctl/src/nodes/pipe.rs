//! A program on another node, by ssh, with its standard input and output, and one end in time for all of it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::context::Node;
use super::{ssh, way};

/// The connection. What is over there ends with it.
pub(crate) struct Pipe {
    stream: UnixStream,
    child: Child,
    end: Instant,
}

impl Pipe {
    /// Runs `line`, which is words of ours only: nothing in it has to be quoted for the shell over there.
    ///
    /// # Errors
    ///
    /// Why ssh could not be run.
    pub(crate) fn open(node: &Node, line: &'static str, within: Duration) -> Result<Self, String> {
        let (stream, theirs) = UnixStream::pair().map_err(|error| format!("can't make a pair of sockets: {error}"))?;
        let input = OwnedFd::from(theirs);
        let output = input.try_clone().map_err(|error| format!("can't copy a socket: {error}"))?;
        let mut command = Command::new("ssh");
        command.args(ssh::OPTIONS).arg(format!("{}@{}", node.user, node.hostname)).arg(line);
        let child = command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn();
        // Our copies of its ends are closed: what is left is its own, and ends with it.
        drop(command);
        let child = child.map_err(|error| format!("can't run ssh: {error}"))?;
        Ok(Self { stream, child, end: Instant::now() + within })
    }

    /// Nothing more is said.
    pub(crate) fn finish(&self) {
        // Whoever is gone hears nothing anyway.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends it. Gives the last that ssh, or the program over there, has said beside the output.
    pub(crate) fn close(mut self) -> Option<String> {
        way::end(&mut self.child);
        way::last_words(&mut self.child)
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

/// The words of the system for the end of the time differ.
fn in_time<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

impl Read for &Pipe {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        in_time((&self.stream).read(bytes))
    }
}

impl Write for &Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        in_time((&self.stream).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
