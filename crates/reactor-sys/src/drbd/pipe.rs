//! The reading end of drbdsetup's pipe, which can be left alone for a while.
//!
//! A pipe that is registered with `epoll` wakes its reader at every write, even when there is unread data and the reader waits
//! for a timer. While lines gather, the pipe is therefore not registered at all: drbdsetup writes, and nobody wakes up.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;

/// Something to read from that can be told that nobody looks.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Nobody reads until [`resume`](Self::resume).
    fn pause(&mut self) -> io::Result<()>;

    /// Reading goes on.
    fn resume(&mut self) -> io::Result<()>;
}

/// A pipe.
pub(crate) struct Pipe(State);

enum State {
    Registered(Receiver),
    Alone(OwnedFd),
    /// Registering failed: there is nothing more to read.
    Broken,
}

impl Pipe {
    /// `fd` must be the reading end of a pipe.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self(State::Registered(Receiver::from_owned_fd(fd)?)))
    }
}

impl Source for Pipe {
    fn pause(&mut self) -> io::Result<()> {
        if let State::Registered(receiver) = std::mem::replace(&mut self.0, State::Broken) {
            self.0 = State::Alone(receiver.into_nonblocking_fd()?);
        }
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        if let State::Alone(fd) = std::mem::replace(&mut self.0, State::Broken) {
            self.0 = State::Registered(Receiver::from_owned_fd_unchecked(fd)?);
        }
        Ok(())
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Registered(receiver) => Pin::new(receiver).poll_read(cx, buf),
            State::Alone(_) | State::Broken => Poll::Ready(Err(io::Error::other("the pipe is not being read"))),
        }
    }
}
